//! Who led when, by the nodes' own logs.
//!
//! A member of etcd and one of the embedded cluster both write `became leader at term 3`. Such a
//! reign ends with the node's next word of another role or another start, with a kill or a pause of
//! it, or with the run. Two reigns may overlap: a leader that was cut off does not know yet.

use crate::band::{Band, band_class};
use crate::logs::{Line, NodeLog};

/// A stretch of time in which a node held itself for the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// The node's name.
    pub node: String,
    /// Its term.
    pub term: u64,
    /// Nanoseconds since the clients began.
    pub start_ns: u64,
    /// Nanoseconds since the clients began.
    pub end_ns: u64,
}

const LEADS: &str = "became leader at term ";
/// After one of these a node does not lead, or is another process.
const LEADS_NO_MORE: [&str; 10] = [
    "knows no leader at term",
    "follows leader ",
    "became follower at term",
    "became candidate at term",
    "became pre-candidate at term",
    "stepped down",
    "steps down",
    "to quit leader",
    " as member ",
    "\"Running: \"",
];

/// The reigns that `lines` (by time) tell of, by their starts; none reaches beyond `end_ns`.
pub(crate) fn reigns(
    lines: &[Line<'_>],
    logs: &[NodeLog],
    bands: &[Band],
    end_ns: u64,
) -> Vec<Reign> {
    let place = |time_us: i64| u64::try_from(time_us).unwrap_or(0).saturating_mul(1_000);
    let mut open: Vec<Option<Reign>> = vec![None; logs.len()];
    let mut reigns: Vec<Reign> = Vec::new();
    for line in lines {
        let term = line.text.split_once(LEADS).and_then(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        let ends = || LEADS_NO_MORE.iter().any(|words| line.text.contains(words));
        if term.is_some() || ends() {
            let over = open[line.node].take();
            reigns.extend(over.map(|reign| until(reign, place(line.time_us), bands)));
        }
        open[line.node] = term.map_or(open[line.node].take(), |term| {
            let start_ns = place(line.time_us);
            Some(Reign { node: logs[line.node].node.clone(), term, start_ns, end_ns })
        });
    }
    reigns.extend(open.into_iter().flatten().map(|reign| until(reign, end_ns, bands)));
    reigns.retain(|reign| reign.start_ns < reign.end_ns);
    reigns.sort_by_key(|reign| (reign.start_ns, reign.term));
    reigns
}

/// `reign`, ended at the latest at `end_ns` and at the first kill or pause of its node.
fn until(reign: Reign, end_ns: u64, bands: &[Band]) -> Reign {
    let stopped = bands
        .iter()
        .filter(|band| matches!(band_class(&band.kind), "kill" | "pause") && band.kind != "slow")
        .filter(|band| band.start_ns >= reign.start_ns && band.nodes.contains(&reign.node))
        .map(|band| band.start_ns);
    let end_ns = stopped.min().unwrap_or(u64::MAX).min(end_ns);
    Reign { end_ns, ..reign }
}

/// For how long of `end_ns` no node held itself for the leader, in nanoseconds.
pub(crate) fn without_leader_ns(reigns: &[Reign], end_ns: u64) -> u64 {
    let (mut without, mut led_until) = (0, 0);
    for reign in reigns {
        without += reign.start_ns.min(end_ns).saturating_sub(led_until);
        led_until = led_until.max(reign.end_ns.min(end_ns));
    }
    without + end_ns.saturating_sub(led_until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reign_ends_with_another_role_a_kill_or_the_run() {
        let s = 1_000_000_000;
        let log = |node: &str| NodeLog { node: node.into(), text: String::new() };
        let logs = [log("n1"), log("n2")];
        let line = |node, time_s: i64, text| Line { node, time_us: time_s * 1_000_000, text };
        let lines = [
            line(0, -1, "became leader at term 2"),
            line(1, 4, "{\"msg\":\"7478 became leader at term 3\"}"),
            line(0, 5, "became follower at term 3"),
            line(0, 9, "became leader at term 4"),
            line(0, 10, "knows no leader at term 4"),
            line(1, 11, "became leader at term 5"),
            line(1, 13, "follows leader 2c059eebd240a338 at term 6"),
        ];
        let kill = Band {
            id: 0,
            kind: "kill".into(),
            what: String::new(),
            nodes: vec!["n2".into()],
            start_ns: 7 * s,
            end_ns: 8 * s,
            ended: true,
            landed: true,
            seen: None,
            error: None,
        };
        let reigns = reigns(&lines, &logs, &[kill], 15 * s);
        let told: Vec<(&str, u64, u64, u64)> = reigns
            .iter()
            .map(|r| (r.node.as_str(), r.term, r.start_ns / s, r.end_ns / s))
            .collect();
        let expected = [("n1", 2, 0, 5), ("n2", 3, 4, 7), ("n1", 4, 9, 10), ("n2", 5, 11, 13)];
        assert_eq!(told, expected);
        assert_eq!(without_leader_ns(&reigns, 15 * s), 5 * s);
        assert_eq!(without_leader_ns(&[], 10 * s), 10 * s);
    }
}
