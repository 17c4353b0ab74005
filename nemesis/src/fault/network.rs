//! What the network faults come to, in one form: links, and what they do to packets.

use super::{Cut, Fault, Nodes};
use crate::link::Shape;
use crate::{Link, NodeId, Side};
use serde::{Deserialize, Serialize};

/// The longest that a link may hold a packet back on purpose, in microseconds: a minute.
const DELAY_US_MAX: u32 = 60_000_000;
/// All of a million.
const SHARE_PPM_MAX: u32 = 1_000_000;

/// The directed links that a fault is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// The nodes at their near end.
    pub of: Nodes,
    /// Who is at the far end.
    #[serde(default)]
    pub with: With,
    /// Which directions.
    #[serde(default)]
    pub way: Way,
}

/// Who is at the far end of a node's links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum With {
    /// All other nodes.
    #[default]
    Peers,
    /// The harness' own clients.
    Clients,
    /// These nodes.
    These(Vec<NodeId>),
}

/// Which directions of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// What the nodes send.
    Out,
    /// What is sent to them.
    In,
}

/// What a fault looks for among the counters of its links, to know whether it landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Delayed,
    Lost,
    Duplicated,
    Reordered,
    Corrupted,
    Throttled,
    Reset,
}

impl Fault {
    /// The links that it shapes, how, and what shows it; `None` when it shapes none.
    pub(crate) fn link_effect(&self) -> Option<(Links, Shape, Sign)> {
        let perfect = Shape::default();
        let (links, shape, sign) = match self {
            Fault::Delay { links, delay_us, jitter_us } => {
                let shape = Shape { delay_us: *delay_us, jitter_us: *jitter_us, ..perfect };
                (links, shape, Sign::Delayed)
            }
            Fault::Loss { links, share_ppm } => {
                (links, Shape { loss_ppm: *share_ppm, ..perfect }, Sign::Lost)
            }
            Fault::Duplicate { links, share_ppm } => {
                (links, Shape { duplicate_ppm: *share_ppm, ..perfect }, Sign::Duplicated)
            }
            Fault::Reorder { links, share_ppm, delay_us } => {
                let shape = Shape { reorder_ppm: *share_ppm, delay_us: *delay_us, ..perfect };
                (links, shape, Sign::Reordered)
            }
            Fault::PacketCorrupt { links, share_ppm } => {
                (links, Shape { corrupt_ppm: *share_ppm, ..perfect }, Sign::Corrupted)
            }
            Fault::Rate { links, bytes_per_s } => {
                (links, Shape { rate_bytes_per_s: *bytes_per_s, ..perfect }, Sign::Throttled)
            }
            Fault::Reset { links, share_ppm } => {
                (links, Shape { reset_ppm: *share_ppm, ..perfect }, Sign::Reset)
            }
            Fault::SlowClients { nodes, delay_us, jitter_us, bytes_per_s } => {
                let (delay_us, jitter_us) = (*delay_us, *jitter_us);
                let rate_bytes_per_s = *bytes_per_s;
                let links = Links { of: nodes.clone(), with: With::Clients, way: Way::Both };
                let shape = Shape { delay_us, jitter_us, rate_bytes_per_s, ..perfect };
                return Some((links, shape, Sign::Delayed));
            }
            _ => return None,
        };
        Some((links.clone(), shape, sign))
    }

    /// The links that it cuts as it begins, among `nodes`, while `leader` leads; `None` when it is
    /// no fault that cuts.
    pub(crate) fn cuts(&self, nodes: &[NodeId], leader: Option<&NodeId>) -> Option<Vec<Link>> {
        match self {
            Fault::Partition { cut } | Fault::Flap { cut, .. } => Some(cut.links(nodes, leader)),
            Fault::ClientPartition { nodes: of, way } => {
                let links = Links { of: of.clone(), with: With::Clients, way: *way };
                Some(links.resolve(nodes, leader))
            }
            Fault::Swizzle { cut, .. } => Some(alone(nodes, cut.first())),
            _ => None,
        }
    }

    /// What is wrong with the numbers of a fault of networks or processes, as a sentence's end;
    /// `None` when nothing.
    pub(super) fn network_mistake(&self) -> Option<String> {
        let share = |name: &str, ppm: u32| {
            let good = (1..=SHARE_PPM_MAX).contains(&ppm);
            (!good).then(|| format!("{name} is {ppm}; expected 1 to {SHARE_PPM_MAX}"))
        };
        let delay = |delay_us: u32, jitter_us: u32| {
            if delay_us > DELAY_US_MAX || jitter_us > DELAY_US_MAX {
                return Some(format!("a delay is {DELAY_US_MAX} us at most"));
            }
            (delay_us == 0 && jitter_us == 0).then(|| "it delays nothing".to_owned())
        };
        let period = |ms: u64| {
            let message = format!("period_ms is {ms}; expected 2 to 3600000");
            (!(2..=3_600_000).contains(&ms)).then_some(message)
        };
        match self {
            Fault::Delay { delay_us, jitter_us, .. }
            | Fault::SlowClients { delay_us, jitter_us, .. } => delay(*delay_us, *jitter_us),
            Fault::Loss { share_ppm, .. }
            | Fault::Duplicate { share_ppm, .. }
            | Fault::PacketCorrupt { share_ppm, .. }
            | Fault::Reset { share_ppm, .. } => share("share_ppm", *share_ppm),
            Fault::Reorder { share_ppm, delay_us, .. } => {
                share("share_ppm", *share_ppm).or_else(|| delay(*delay_us, 0))
            }
            Fault::Rate { bytes_per_s: 0, .. } => {
                Some("bytes_per_s is 0; expected 1 or more".to_owned())
            }
            Fault::Flap { period_ms, .. } => period(*period_ms),
            Fault::Slow { period_ms, running_percent, .. } => period(*period_ms).or_else(|| {
                let good = (1..100).contains(running_percent);
                (!good).then(|| format!("running_percent is {running_percent}; expected 1 to 99"))
            }),
            Fault::Swizzle { cut, heal } => {
                let sorted = |nodes: &[NodeId]| {
                    let mut nodes = nodes.to_vec();
                    nodes.sort();
                    nodes
                };
                let (cut, heal) = (sorted(cut), sorted(heal));
                let twice = cut.windows(2).any(|pair| pair[0] == pair[1]);
                (twice || cut != heal)
                    .then(|| "it must cut each of its nodes once and heal the same ones".to_owned())
            }
            _ => None,
        }
    }
}

/// The links of one node to all others, both ways.
pub(crate) fn alone(nodes: &[NodeId], node: Option<&NodeId>) -> Vec<Link> {
    let node = node.cloned().into_iter().collect();
    Cut::Isolate(Nodes::These(node)).links(nodes, None)
}

impl Links {
    /// The links meant, each once, among `nodes`, while `leader` leads.
    pub fn resolve(&self, nodes: &[NodeId], leader: Option<&NodeId>) -> Vec<Link> {
        let far: Vec<Side> = match &self.with {
            With::Peers => nodes.iter().cloned().map(Side::Node).collect(),
            With::Clients => vec![Side::Clients],
            With::These(these) => these.iter().cloned().map(Side::Node).collect(),
        };
        let mut links = std::collections::BTreeSet::new();
        for near in self.of.resolve(leader).into_iter().map(Side::Node) {
            for far in far.iter().filter(|far| **far != near) {
                if self.way != Way::In {
                    links.insert(Link { from: near.clone(), to: far.clone() });
                }
                if self.way != Way::Out {
                    links.insert(Link { from: far.clone(), to: near.clone() });
                }
            }
        }
        links.into_iter().collect()
    }

    /// For a person, `of` being who is meant: `what n2 sends to its peers`.
    pub(super) fn shown(&self, of: &str) -> String {
        let far = match &self.with {
            With::Peers => "its peers".to_owned(),
            With::Clients => "the clients".to_owned(),
            With::These(nodes) => super::list(nodes),
        };
        match self.way {
            Way::Both => format!("between {of} and {far}"),
            Way::Out => format!("from {of} to {far}"),
            Way::In => format!("from {far} to {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(numbers: &[usize]) -> Nodes {
        Nodes::These(numbers.iter().copied().map(NodeId::numbered).collect())
    }

    fn links(of: Nodes, with: With, way: Way) -> String {
        let nodes: Vec<NodeId> = (1..=3).map(NodeId::numbered).collect();
        let links = Links { of, with, way }.resolve(&nodes, Some(&nodes[1]));
        let links: Vec<String> =
            links.iter().map(|link| format!("{}>{}", link.from, link.to)).collect();
        links.join(" ")
    }

    #[test]
    fn links_of_peers_and_of_clients_are_apart_and_each_has_its_directions() {
        let second = With::These(vec![NodeId::numbered(2)]);
        let followers = Nodes::Followers((1..=3).map(NodeId::numbered).collect());
        let rows = [
            (these(&[1]), With::Peers, Way::Both, "n1>n2 n1>n3 n2>n1 n3>n1"),
            (these(&[1]), With::Peers, Way::Out, "n1>n2 n1>n3"),
            (Nodes::Leader, With::Peers, Way::In, "n1>n2 n3>n2"),
            (Nodes::Leader, With::Clients, Way::Both, "n2>the clients the clients>n2"),
            (followers, With::Clients, Way::In, "the clients>n1 the clients>n3"),
            (these(&[1, 2]), second.clone(), Way::Out, "n1>n2"),
            (these(&[2]), second, Way::Both, ""),
        ];
        for (of, with, way, expected) in rows {
            let shown = format!("{of:?} {with:?} {way:?}");
            assert_eq!(links(of, with, way), expected, "{shown}");
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_told() {
        let links = || Links { of: these(&[1]), with: With::Peers, way: Way::Both };
        let ids = |numbers: &[usize]| numbers.iter().copied().map(NodeId::numbered).collect();
        let swizzle =
            |cut: &[usize], heal: &[usize]| Fault::Swizzle { cut: ids(cut), heal: ids(heal) };
        let slow = |period_ms, running_percent| Fault::Slow {
            nodes: these(&[1]),
            period_ms,
            running_percent,
        };
        let rows = [
            (Fault::Delay { links: links(), delay_us: 5, jitter_us: 0 }, None),
            (Fault::Delay { links: links(), delay_us: 0, jitter_us: 0 }, Some("delays nothing")),
            (
                Fault::Delay { links: links(), delay_us: 60_000_001, jitter_us: 0 },
                Some("60000000 us at most"),
            ),
            (Fault::Loss { links: links(), share_ppm: 0 }, Some("share_ppm is 0; expected 1 to")),
            (Fault::Reset { links: links(), share_ppm: 1_000_001 }, Some("share_ppm is 1000001")),
            (Fault::Rate { links: links(), bytes_per_s: 0 }, Some("bytes_per_s is 0")),
            (slow(10, 10), None),
            (slow(1, 10), Some("period_ms is 1")),
            (slow(10, 100), Some("running_percent is 100")),
            (swizzle(&[1, 2], &[2, 1]), None),
            (swizzle(&[1, 2], &[2]), Some("heal the same ones")),
            (swizzle(&[1, 1], &[1, 1]), Some("each of its nodes once")),
        ];
        for (fault, wrong) in rows {
            let mistake = fault.mistake();
            let as_expected = match wrong {
                None => mistake.is_none(),
                Some(wrong) => mistake.as_ref().is_some_and(|said| said.contains(wrong)),
            };
            assert!(as_expected, "{fault:?}: {mistake:?}");
        }
    }

    #[test]
    fn a_plan_that_names_nodes_alone_means_both_ways_to_all_peers() -> Result<(), serde_json::Error>
    {
        let text = r#"{"kind":"loss","links":{"of":"leader"},"share_ppm":250000}"#;
        let links = Links { of: Nodes::Leader, with: With::Peers, way: Way::Both };
        let expected = Fault::Loss { links, share_ppm: 250_000 };
        assert_eq!(serde_json::from_str::<Fault>(text)?, expected);
        Ok(())
    }
}
