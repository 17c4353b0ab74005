//! The vocabulary of faults, as data.

use crate::NodeId;
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
#[serde(rename_all = "kebab-case", tag = "kind")]
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
