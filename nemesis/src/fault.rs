//! The vocabulary of faults, as data.

mod clock;
mod disk;

pub(crate) use clock::{ClockEffect, Effect};
pub(crate) use disk::{DiskTrouble, RuleEnd};

use crate::disk::{Access, Corruption, Files, Survivors};
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
    /// Clocks leap. When the fault ends the wall clock is true again; the monotonic clock, which
    /// may not go back, stays where it is.
    ClockJump {
        /// Whose.
        nodes: Nodes,
        /// How far the wall clock leaps, in milliseconds; negative is back.
        #[serde(default)]
        wall_ms: i64,
        /// How far the monotonic clock leaps, in milliseconds. On no real machine it goes back.
        #[serde(default)]
        monotonic_ms: i64,
    },
    /// Clocks run fast or slow. When the fault ends both keep pace again, the wall clock is true
    /// again, and the monotonic clock keeps what it gained or lost.
    ClockDrift {
        /// Whose.
        nodes: Nodes,
        /// What the wall clock gains, in parts per million: 1,000,000 is double speed, -500,000
        /// half.
        #[serde(default)]
        wall_ppm: i64,
        /// What the monotonic clock gains, in parts per million.
        #[serde(default)]
        monotonic_ppm: i64,
    },
    /// Clocks leap and leap back, over and over.
    ClockStrobe {
        /// Whose.
        nodes: Nodes,
        /// How far the wall clock leaps, in milliseconds.
        #[serde(default)]
        wall_ms: i64,
        /// How far the monotonic clock leaps, in milliseconds; it goes back again, too.
        #[serde(default)]
        monotonic_ms: i64,
        /// From one leap to the next in the same direction, in milliseconds; at least 2.
        period_ms: u64,
    },
    /// The power goes: what was not fsynced is gone, or a part of it. Started again when the fault
    /// ends.
    PowerLoss {
        /// Whose.
        nodes: Nodes,
        /// What of the writes that were not fsynced is there all the same.
        survivors: Survivors,
        /// What that is drawn from.
        #[serde(default)]
        seed: u64,
    },
    /// fsyncs take longer.
    FsyncDelay {
        /// Whose.
        nodes: Nodes,
        /// Of which files.
        #[serde(default = "Files::any")]
        files: Files,
        /// How much longer, in milliseconds.
        delay_ms: u64,
    },
    /// The disk is full. When the fault ends there is space, and the node is started again.
    DiskFull {
        /// Whose.
        nodes: Nodes,
        /// How much still fits when the fault starts, in bytes.
        bytes_free: u64,
    },
    /// Requests to the disk fail with EIO. When the fault ends they succeed, and the node is
    /// started again.
    DiskError {
        /// Whose.
        nodes: Nodes,
        /// Which files.
        #[serde(default = "Files::any")]
        files: Files,
        /// Which requests.
        access: Access,
    },
    /// fsyncs are acknowledged and make nothing durable. When the fault ends the power goes, with
    /// everything that was lied about, and the node is started again.
    LyingDisk {
        /// Whose.
        nodes: Nodes,
        /// For which files.
        #[serde(default = "Files::any")]
        files: Files,
    },
    /// When the fault ends the node is killed, a file of it is damaged, and it is started again. An
    /// old copy is one of the fault's start.
    Corrupt {
        /// Whose.
        nodes: Nodes,
        /// One of which files.
        #[serde(default = "Files::any")]
        files: Files,
        /// In which way.
        corruption: Corruption,
        /// What file and place are drawn from.
        #[serde(default)]
        seed: u64,
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
            Fault::ClockJump { .. } => Kind::ClockJump,
            Fault::ClockDrift { .. } => Kind::ClockDrift,
            Fault::ClockStrobe { .. } => Kind::ClockStrobe,
            Fault::PowerLoss { .. } => Kind::PowerLoss,
            Fault::FsyncDelay { .. } => Kind::FsyncDelay,
            Fault::DiskFull { .. } => Kind::DiskFull,
            Fault::DiskError { .. } => Kind::DiskError,
            Fault::LyingDisk { .. } => Kind::LyingDisk,
            Fault::Corrupt { .. } => Kind::Corrupt,
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
        match (self.target(), self) {
            (Some(nodes), _) => nodes.named(),
            (None, Fault::Partition { cut: Cut::Groups(groups) }) => {
                groups.iter().flatten().collect()
            }
            (None, Fault::Partition { cut: Cut::MajoritiesRing(ring) }) => ring.iter().collect(),
            (None, Fault::Partition { cut: Cut::Bridge { over, left, right } }) => {
                std::iter::once(over).chain(left).chain(right).collect()
            }
            (None, _) => Vec::new(),
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
        let on = |nodes: &Nodes, files: &Files| match *files == Files::any() {
            true => aim(nodes),
            false => format!("{} ({files})", aim(nodes)),
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
            Fault::ClockJump { nodes, wall_ms, monotonic_ms } => {
                format!(
                    "clocks of {} leap: {}",
                    aim(nodes),
                    clock::apart(wall_ms, monotonic_ms, "ms")
                )
            }
            Fault::ClockDrift { nodes, wall_ppm, monotonic_ppm } => {
                let gains = clock::apart(wall_ppm, monotonic_ppm, "ppm");
                format!("clocks of {} drift: {gains}", aim(nodes))
            }
            Fault::ClockStrobe { nodes, wall_ms, monotonic_ms, period_ms } => {
                let leaps = clock::apart(wall_ms, monotonic_ms, "ms");
                format!("clocks of {} strobe: {leaps}, every {period_ms} ms", aim(nodes))
            }
            Fault::PowerLoss { nodes, survivors, .. } => {
                format!("power loss of {}: {}", aim(nodes), disk::torn(*survivors))
            }
            Fault::FsyncDelay { nodes, files, delay_ms } => {
                format!("fsyncs of {} take {delay_ms} ms longer", on(nodes, files))
            }
            Fault::DiskFull { nodes, bytes_free } => {
                format!("disk of {} is full after {bytes_free} bytes", aim(nodes))
            }
            Fault::DiskError { nodes, files, access } => {
                format!("{} of {} fail with EIO", disk::access(*access), on(nodes, files))
            }
            Fault::LyingDisk { nodes, files } => {
                format!("disk of {} lies about fsync, then loses power", on(nodes, files))
            }
            Fault::Corrupt { nodes, files, corruption, .. } => {
                format!("files of {} go bad: {}", on(nodes, files), disk::corruption(*corruption))
            }
        }
    }

    fn target(&self) -> Option<&Nodes> {
        match self {
            Fault::Kill { nodes }
            | Fault::Pause { nodes }
            | Fault::ClockJump { nodes, .. }
            | Fault::ClockDrift { nodes, .. }
            | Fault::ClockStrobe { nodes, .. }
            | Fault::PowerLoss { nodes, .. }
            | Fault::FsyncDelay { nodes, .. }
            | Fault::DiskFull { nodes, .. }
            | Fault::DiskError { nodes, .. }
            | Fault::LyingDisk { nodes, .. }
            | Fault::Corrupt { nodes, .. }
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
