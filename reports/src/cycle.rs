//! A cycle of transactions, read from the story that the isolation checkers tell.
//!
//! They introduce each transaction (`T1 is process 2's, events 3 to 5: …`) and give each edge a
//! sentence (`T1 before T2 (read was overwritten): …`). Reading these, and not a structure beside
//! them, lets a run of an older version be drawn as well; a test holds the two together.

/// A cycle, to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cycle {
    /// The transactions: their names in the story, and what is said of each.
    pub nodes: Vec<Node>,
    /// What puts one before another.
    pub edges: Vec<Edge>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// `T1`.
    pub name: String,
    /// The event of its invocation.
    pub event: u64,
    /// Its process, as told.
    pub process: String,
    /// What it did, as told.
    pub steps: String,
}

/// One transaction must come before another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    /// Places in [`Cycle::nodes`].
    pub from: usize,
    pub to: usize,
    /// What the field calls it: `read was overwritten`.
    pub kind: String,
    /// Why.
    pub why: String,
}

/// A cycle of more transactions is told, not drawn.
const NODES_MAX: usize = 12;

/// The cycle that `story` tells of, if it tells of one: only transactions that lie on it.
pub(crate) fn cycle(story: &[String]) -> Option<Cycle> {
    let mut cycle =
        Cycle { nodes: story.iter().filter_map(|line| node(line)).collect(), edges: Vec::new() };
    let edges: Vec<(String, String, String, String)> =
        story.iter().filter_map(|line| edge(line)).collect();
    cycle.nodes.retain(|node| edges.iter().any(|(a, b, ..)| *a == node.name || *b == node.name));
    for (from, to, kind, why) in edges {
        let place = |name: &str| cycle.nodes.iter().position(|node| node.name == name);
        let (from, to) = (place(&from)?, place(&to)?);
        cycle.edges.push(Edge { from, to, kind, why });
    }
    let is_one = cycle.nodes.len() >= 2 && cycle.nodes.len() <= NODES_MAX && cycle.edges.len() >= 2;
    is_one.then_some(cycle)
}

/// `T1 is process 2's, events 3 to 5: read y as [1].`
fn node(line: &str) -> Option<Node> {
    let (name, rest) = line.split_once(" is process ")?;
    is_name(name).then_some(())?;
    let (process, rest) = rest.split_once("'s, events ")?;
    let (event, rest) = rest.split_once(' ')?;
    let steps = rest.split_once(": ")?.1.trim_end_matches('.');
    Some(Node {
        name: name.to_owned(),
        event: event.parse().ok()?,
        process: process.to_owned(),
        steps: steps.to_owned(),
    })
}

/// `T1 before T2 (read was overwritten): T2 appended 2 to y after T1 had read y without it.`
fn edge(line: &str) -> Option<(String, String, String, String)> {
    let (from, rest) = line.split_once(" before ")?;
    let (to, rest) = rest.split_once(" (")?;
    let (kind, why) = rest.split_once("): ")?;
    (is_name(from) && is_name(to)).then(|| {
        (from.to_owned(), to.to_owned(), kind.to_owned(), why.trim_end_matches('.').to_owned())
    })
}

fn is_name(name: &str) -> bool {
    name.strip_prefix('T').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The short name of an edge's kind in the literature.
pub(crate) fn short(kind: &str) -> &str {
    match kind {
        "write depends on write" => "ww",
        "read depends on write" => "wr",
        "read was overwritten" => "rw",
        "real time" => "rt",
        "one process" => "process",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_checker::{Checker, Limits, Verdict};
    use ordeal_history::{ReadOptions, read_jsonl};

    /// Write skew, and a read of the order; as the real checker tells it.
    fn story() -> Vec<String> {
        let lines = [
            (0, 0, "invoke", r#"["append","x",1],["append","y",1]"#),
            (1, 0, "ok", r#"["append","x",1],["append","y",1]"#),
            (2, 1, "invoke", r#"["r","x",null],["append","y",2]"#),
            (3, 2, "invoke", r#"["r","y",null],["append","x",2]"#),
            (4, 1, "ok", r#"["r","x",[1]],["append","y",2]"#),
            (5, 2, "ok", r#"["r","y",[1]],["append","x",2]"#),
            (6, 3, "invoke", r#"["r","x",null],["r","y",null]"#),
            (7, 3, "ok", r#"["r","x",[1,2]],["r","y",[1,2]]"#),
        ];
        let text: String = lines
            .iter()
            .map(|(i, p, t, v)| {
                format!(
                    "{{\"index\":{i},\"time\":{i},\"process\":{p},\"type\":\"{t}\",\"f\":\"txn\",\
                     \"value\":[{v}]}}\n"
                )
            })
            .collect();
        let history = read_jsonl(text.as_bytes(), ReadOptions::default()).expect("a history");
        let checker = ordeal_checker::isolation::ListAppend::default();
        match checker.check(&history, &Limits::default()).verdict {
            Verdict::Invalid(found) => found.story,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_story_of_the_real_checker_gives_a_cycle() {
        let cycle = cycle(&story()).expect("a cycle");
        let names: Vec<(&str, u64)> =
            cycle.nodes.iter().map(|n| (n.name.as_str(), n.event)).collect();
        assert_eq!(names, [("T1", 3), ("T2", 2)]);
        assert_eq!(cycle.nodes[0].steps, "read y as [1], append 2 to x");
        let edges: Vec<(usize, usize, &str)> =
            cycle.edges.iter().map(|e| (e.from, e.to, short(&e.kind))).collect();
        assert_eq!(edges, [(0, 1, "rw"), (1, 0, "rw")]);
        assert!(cycle.edges[0].why.starts_with("T2 appended 2 to y after T1 had read y"));
    }

    #[test]
    fn other_stories_give_none() {
        for lines in [
            vec![],
            vec!["Process 1 wrote 2 before process 3 asked."],
            vec!["T1 before T2 (rw): x", "T2 before T1 (rw): y"],
            vec!["Tx is process 1's, events 2 to 3: a", "T1 before T2 (rw): x"],
        ] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            assert_eq!(cycle(&lines), None, "{lines:?}");
        }
    }
}
