//! Which links `--pcap` names, and where what passes on them is written down.

use crate::plan::Plan;
use ordeal_nemesis::{NodeId, Side};
use std::path::Path;

/// The clients' name in `--pcap`.
const CLIENTS: &str = "clients";

/// The links that `list` names: `n1-n2`, `n1-clients`, separated by commas, or `all`.
///
/// # Errors
///
/// One sentence, when it names none, or nodes that the plan does not have.
pub fn links(list: &str, plan: &Plan) -> Result<Vec<(Side, Side)>, String> {
    let mut sides: Vec<Side> = plan.everyone().into_iter().map(Side::Node).collect();
    sides.push(Side::Clients);
    if list == "all" {
        let pairs = sides.iter().enumerate().flat_map(|(place, one)| {
            sides[place + 1..].iter().map(move |other| (one.clone(), other.clone()))
        });
        return Ok(pairs.collect());
    }
    let side = |name: &str| match name {
        CLIENTS => Side::Clients,
        node => Side::Node(NodeId(node.to_owned())),
    };
    list.split(',')
        .map(|pair| {
            match pair.trim().split_once('-') {
                Some((one, other)) => {
                    let (one, other) = (side(one), side(other));
                    let known = sides.contains(&one) && sides.contains(&other) && one != other;
                    known.then_some((one, other))
                }
                None => None,
            }
            .ok_or_else(|| {
                format!(
                    "--pcap: there is no link `{pair}`; expected such as n1-n2 or n1-{CLIENTS}, \
                 separated by commas, or all"
                )
            })
        })
        .collect()
}

/// Begins to write these links down, each in a file of this folder, as `capture` does it.
///
/// # Errors
///
/// One sentence, when the folder or a file cannot be made.
pub fn begin<E: std::fmt::Display>(
    links: &[(Side, Side)],
    folder: &Path,
    capture: impl Fn(&Side, &Side, &Path) -> Result<(), E>,
) -> Result<(), String> {
    if links.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    let name = |side: &Side| match side {
        Side::Node(node) => node.0.clone(),
        Side::Clients => CLIENTS.to_owned(),
    };
    for (one, other) in links {
        let path = folder.join(format!("{}-{}.pcapng", name(one), name(other)));
        capture(one, other, &path).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanOptions;

    #[test]
    fn links_are_named_by_their_ends_and_strangers_are_refused() {
        let plan = Plan::derive(&PlanOptions { nodes: 3, ..PlanOptions::default() });
        let plan = plan.expect("a plan");
        let node = |number| Side::Node(NodeId::numbered(number));
        assert_eq!(links("n1-n2", &plan), Ok(vec![(node(1), node(2))]));
        let two = links("n3-n1, n2-clients", &plan);
        assert_eq!(two, Ok(vec![(node(3), node(1)), (node(2), Side::Clients)]));
        // Three members, a spare that the faults let join, and the clients.
        assert_eq!(links("all", &plan).map(|links| links.len()), Ok(10));
        for wrong in ["", "n1", "n1-n9", "n1-n1", "n1-n2-n3", "alll"] {
            let error = links(wrong, &plan).expect_err(wrong);
            assert!(error.contains("--pcap") && error.contains("or all"), "{error}");
        }
    }
}
