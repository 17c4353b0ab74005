//! The vocabulary of faults, as data.

mod about;
mod clock;
mod disk;
mod network;
mod steps;
mod stretch;
mod turns;
mod what;

pub(crate) use clock::{ClockEffect, Effect};
pub(crate) use disk::{DiskTrouble, RuleEnd};
pub use network::{Links, Way, With};
pub(crate) use network::{Sign, alone};
pub(crate) use steps::{Step, Steps};

use crate::disk::{Access, Corruption, Files, Survivors};
use crate::{NodeId, Trigger};
use serde::{Deserialize, Serialize};

/// The nodes that a fault is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nodes {
    /// These, drawn when the plan was made.
    These(Vec<NodeId>),
    /// Whoever leads at the moment that the fault starts.
    Leader,
    /// Those of these that do not lead at the moment that the fault starts.
    Followers(Vec<NodeId>),
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
    /// SIGSTOP and SIGCONT by turns: a processor that has little time for the node.
    Slow {
        /// Whom.
        nodes: Nodes,
        /// From one stop to the next, in milliseconds; at least 2.
        period_ms: u64,
        /// For how much of that the node runs, in percent: 1 to 99.
        running_percent: u8,
    },
    /// SIGTERM, and SIGKILL where that is not followed; started again when the fault ends.
    Restart {
        /// Whom.
        nodes: Nodes,
    },
    /// SIGKILL, and for long: the others compact their logs, snapshots must be sent. Started again
    /// when the fault ends.
    Outage {
        /// Whom.
        nodes: Nodes,
    },
    /// Links between nodes cut; clients still reach every node.
    Partition {
        /// Which links.
        cut: Cut,
    },
    /// Links between nodes are cut and carry again, over and over.
    Flap {
        /// Which links.
        cut: Cut,
        /// From one cut to the next, in milliseconds; at least 2.
        period_ms: u64,
    },
    /// Nodes are isolated one after the other, and come back one after the other.
    Swizzle {
        /// Which, in the order in which they go.
        cut: Vec<NodeId>,
        /// The same, in the order in which they come back.
        heal: Vec<NodeId>,
    },
    /// Links between clients and nodes cut; the nodes still reach each other.
    ClientPartition {
        /// Which nodes.
        nodes: Nodes,
        /// Which directions, seen from the nodes: with `out` requests arrive and answers vanish.
        #[serde(default)]
        way: Way,
    },
    /// Packets are late.
    Delay {
        /// Where.
        links: Links,
        /// Each by so much, in microseconds.
        delay_us: u32,
        /// And by up to this much more, drawn for each; the order is kept.
        #[serde(default)]
        jitter_us: u32,
    },
    /// Packets vanish.
    Loss {
        /// Where.
        links: Links,
        /// This share, in parts per million.
        share_ppm: u32,
    },
    /// Packets arrive twice.
    Duplicate {
        /// Where.
        links: Links,
        /// This share, in parts per million.
        share_ppm: u32,
    },
    /// Packets overtake those before them, which are late.
    Reorder {
        /// Where.
        links: Links,
        /// This share, in parts per million.
        share_ppm: u32,
        /// The others are so late, in microseconds.
        delay_us: u32,
    },
    /// A bit of a packet flips. The receiver's checksum notices, so that it costs the packet.
    PacketCorrupt {
        /// Where.
        links: Links,
        /// In this share, in parts per million.
        share_ppm: u32,
    },
    /// Links are narrow.
    Rate {
        /// Which.
        links: Links,
        /// What each direction carries, in bytes a second.
        bytes_per_s: u64,
    },
    /// TCP connections are reset, at both ends.
    Reset {
        /// Where.
        links: Links,
        /// This share of the segments resets its connection, in parts per million.
        share_ppm: u32,
    },
    /// The links between clients and nodes are long and narrow.
    SlowClients {
        /// Which nodes.
        nodes: Nodes,
        /// Each packet is so late, in microseconds.
        delay_us: u32,
        /// And by up to this much more.
        #[serde(default)]
        jitter_us: u32,
        /// What each direction carries, in bytes a second; 0 is no limit.
        #[serde(default)]
        bytes_per_s: u64,
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
    /// A node that was no member joins, and leaves when the fault ends.
    MemberAdd {
        /// One of the plan's spares.
        node: NodeId,
    },
    /// A member is taken out, and its data with it; joins again, as a new one, when the fault ends.
    MemberRemove {
        /// Whom; one.
        nodes: Nodes,
    },
    /// A member is taken out and joins again at once, as a new one with no data.
    MemberReplace {
        /// Whom; one.
        nodes: Nodes,
    },
    /// SIGKILL, and the node's data is gone. When the fault ends the member that it was is taken
    /// out, and the node joins as a new one.
    Wipe {
        /// Whom; one.
        nodes: Nodes,
    },
    /// A member is taken out and joins again at once as a learner, which has no vote; it is
    /// promoted when the fault ends.
    Learner {
        /// Whom; one.
        nodes: Nodes,
    },
    /// The leader hands its office over.
    MoveLeader {
        /// To one of these, the first that does not lead.
        nodes: Nodes,
    },
    /// History is compacted up to the revision of the moment.
    Compact {},
    /// Space that is free inside of a member's file goes back to its disk.
    Defrag {
        /// Whose.
        nodes: Nodes,
    },
    /// A snapshot is saved, as a backup does it.
    Snapshot {
        /// Whose state.
        nodes: Nodes,
    },
    /// The alarm is raised that there is no space: writes are refused until it is disarmed, when
    /// the fault ends.
    Alarm {
        /// Who is said to have none.
        nodes: Nodes,
    },
    /// A snapshot is saved. When the fault ends every member is killed, all that it stored goes,
    /// and it starts from the snapshot: what came after that never was.
    Restore {
        /// Whose state is saved; one.
        nodes: Nodes,
    },
    /// Members end in order and start again, one after the other, each waiting for the one before
    /// it to serve.
    RollingRestart {
        /// In this order.
        order: Vec<NodeId>,
    },
    /// The same, and each starts as the binary that the plan upgrades to.
    Upgrade {
        /// In this order.
        order: Vec<NodeId>,
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
    /// What it waits for, from `at_ms` on, before it starts; without this it starts at `at_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Trigger>,
}

fn list(nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.0.as_str()).collect();
    names.join(", ")
}
