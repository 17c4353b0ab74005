//! The vocabulary of faults, as data.

use crate::{Capability, Kind, NodeId};
use serde::{Deserialize, Serialize};

/// The nodes that a fault is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nodes {
    /// These, drawn when the plan was made.
    These(Vec<NodeId>),
    /// Whoever leads at the moment that the fault starts.
    Leader,
}

/// Which links a partition cuts. Every cut is silent: packets vanish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// The nodes named are cut off from all other nodes; among themselves they talk.
    Isolate(Nodes),
    /// Groups that cannot reach each other.
    Groups(Vec<Vec<NodeId>>),
    /// Each node reaches a majority, no two the same one: a ring, each sees its neighbours.
    MajoritiesRing(Vec<NodeId>),
    /// Two groups that only `over` can reach.
    Bridge {
        /// The node that both groups reach.
        over: NodeId,
        /// One side.
        left: Vec<NodeId>,
        /// The other side.
        right: Vec<NodeId>,
    },
    /// What the nodes named send to other nodes vanishes; what is sent to them arrives.
    OneWay(Nodes),
}

/// One kind of trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// SIGKILL; started again when the fault ends.
    Kill {
        /// Whom.
        nodes: Nodes,
    },
    /// SIGSTOP; SIGCONT when the fault ends.
    Pause {
        /// Whom.
        nodes: Nodes,
    },
    /// Links between nodes cut; clients still reach every node.
    Partition {
        /// Which links.
        cut: Cut,
    },
}

/// A fault with its place in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledFault {
    /// Number in the schedule, from 0; names the fault in the history and in the report.
    pub id: u32,
    /// Milliseconds after the start of the workload.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
    /// What goes wrong.
    pub fault: Fault,
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Kill { .. } => Kind::Kill,
            Fault::Pause { .. } => Kind::Pause,
            Fault::Partition { .. } => Kind::Partition,
        }
    }

    /// What the environment must be able to do.
    pub fn needs(&self) -> Capability {
        self.kind().needs()
    }

    /// Whether it is aimed at whoever leads when it starts.
    pub fn wants_leader(&self) -> bool {
        self.target() == Some(&Nodes::Leader)
    }

    /// The nodes that it names, wherever it names them.
    pub fn nodes_named(&self) -> Vec<&NodeId> {
        match self {
            Fault::Kill { nodes } | Fault::Pause { nodes } => nodes.named(),
            Fault::Partition { cut } => match cut {
                Cut::Isolate(nodes) | Cut::OneWay(nodes) => nodes.named(),
                Cut::Groups(groups) => groups.iter().flatten().collect(),
                Cut::MajoritiesRing(ring) => ring.iter().collect(),
                Cut::Bridge { over, left, right } => {
                    std::iter::once(over).chain(left).chain(right).collect()
                }
            },
        }
    }

    /// The nodes that it strikes while `leader` leads: those that are killed, stopped or cut off;
    /// the smaller side of two halves; every node of a ring or of a bridge.
    pub fn strikes(&self, leader: Option<&NodeId>) -> Vec<NodeId> {
        match (self.target(), self) {
            (Some(target), _) => target.resolve(leader),
            (None, Fault::Partition { cut: Cut::Groups(groups) }) => {
                groups.iter().min_by_key(|group| group.len()).cloned().unwrap_or_default()
            }
            (None, _) => self.nodes_named().into_iter().cloned().collect(),
        }
    }

    /// What it does, for a person, while `leader` leads: `isolate n2 (the leader)`.
    pub fn what(&self, leader: Option<&NodeId>) -> String {
        let aim = |nodes: &Nodes| match (nodes, leader) {
            (Nodes::These(nodes), _) => list(nodes),
            (Nodes::Leader, Some(leader)) => format!("{leader} (the leader)"),
            (Nodes::Leader, None) => "the leader".to_owned(),
        };
        match self {
            Fault::Kill { nodes } => format!("kill {}", aim(nodes)),
            Fault::Pause { nodes } => format!("pause {}", aim(nodes)),
            Fault::Partition { cut } => match cut {
                Cut::Isolate(nodes) => format!("isolate {}", aim(nodes)),
                Cut::Groups(groups) => {
                    let groups: Vec<String> = groups.iter().map(|group| list(group)).collect();
                    format!("halves {}", groups.join(" | "))
                }
                Cut::MajoritiesRing(ring) => format!("majorities ring {}", list(ring)),
                Cut::Bridge { over, left, right } => {
                    format!("bridge over {over} between {} | {}", list(left), list(right))
                }
                Cut::OneWay(nodes) => format!("nobody hears {}", aim(nodes)),
            },
        }
    }

    fn target(&self) -> Option<&Nodes> {
        match self {
            Fault::Kill { nodes }
            | Fault::Pause { nodes }
            | Fault::Partition { cut: Cut::Isolate(nodes) | Cut::OneWay(nodes) } => Some(nodes),
            Fault::Partition { .. } => None,
        }
    }
}

impl Nodes {
    fn named(&self) -> Vec<&NodeId> {
        match self {
            Nodes::These(nodes) => nodes.iter().collect(),
            Nodes::Leader => Vec::new(),
        }
    }
}

fn list(nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.0.as_str()).collect();
    names.join(", ")
}
