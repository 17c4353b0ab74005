//! The kinds of faults, by the names that the command line and the history use.

use crate::Capability;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Processes end without warning.
    Kill,
    /// Processes stop for a while.
    Pause,
    /// Processes run for a part of the time.
    Slow,
    /// Processes end in order, and start again.
    Restart,
    /// Processes are gone for long.
    Outage,
    /// Nodes cannot reach each other.
    Partition,
    /// Links come and go.
    Flap,
    /// Nodes are isolated, and come back, one by one.
    Swizzle,
    /// Clients cannot reach nodes.
    ClientPartition,
    /// Packets are late.
    Delay,
    /// Packets vanish.
    Loss,
    /// Packets arrive twice.
    Duplicate,
    /// Packets overtake each other.
    Reorder,
    /// Packets arrive with a bit flipped.
    PacketCorrupt,
    /// Links are narrow.
    Rate,
    /// TCP connections are reset.
    Reset,
    /// The clients' links are long and narrow.
    SlowClients,
    /// Clocks leap, and are set right later.
    ClockJump,
    /// Clocks run fast or slow.
    ClockDrift,
    /// Clocks leap to and fro.
    ClockStrobe,
    /// The power goes, and with it what was not fsynced.
    PowerLoss,
    /// fsyncs take long.
    FsyncDelay,
    /// Disks are full.
    DiskFull,
    /// Requests to disks fail.
    DiskError,
    /// Disks lie about fsync, and lose power.
    LyingDisk,
    /// Stored bytes go bad.
    Corrupt,
    /// Nodes join, and leave.
    MemberAdd,
    /// Members leave, and join again.
    MemberRemove,
    /// Members are replaced by new ones.
    MemberReplace,
    /// Nodes lose all that they stored, and join again.
    Wipe,
    /// Members join as learners, and are promoted.
    Learner,
    /// The leader hands over.
    MoveLeader,
    /// History is compacted.
    Compact,
    /// Members are defragmented.
    Defrag,
    /// Snapshots are saved.
    Snapshot,
    /// Alarms are raised and disarmed.
    Alarm,
    /// All start again from a saved snapshot.
    Restore,
    /// Members restart one after the other.
    RollingRestart,
    /// Members restart one after the other, as another version.
    Upgrade,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Kind; 39] = [
        Kind::Kill,
        Kind::Pause,
        Kind::Slow,
        Kind::Restart,
        Kind::Outage,
        Kind::Partition,
        Kind::Flap,
        Kind::Swizzle,
        Kind::ClientPartition,
        Kind::Delay,
        Kind::Loss,
        Kind::Duplicate,
        Kind::Reorder,
        Kind::PacketCorrupt,
        Kind::Rate,
        Kind::Reset,
        Kind::SlowClients,
        Kind::ClockJump,
        Kind::ClockDrift,
        Kind::ClockStrobe,
        Kind::PowerLoss,
        Kind::FsyncDelay,
        Kind::DiskFull,
        Kind::DiskError,
        Kind::LyingDisk,
        Kind::Corrupt,
        Kind::MemberAdd,
        Kind::MemberRemove,
        Kind::MemberReplace,
        Kind::Wipe,
        Kind::Learner,
        Kind::MoveLeader,
        Kind::Compact,
        Kind::Defrag,
        Kind::Snapshot,
        Kind::Alarm,
        Kind::Restore,
        Kind::RollingRestart,
        Kind::Upgrade,
    ];

    /// The kinds that `all` on the command line means: those that a cluster must come through
    /// without losing anything. An upgrade needs something to upgrade to, and is asked for by that.
    /// A disk that lies or goes bad breaks what the store was promised, and one that fails or is
    /// full stops a node for good; a cluster that is restored has forgotten what came after its
    /// snapshot: those are had by name.
    pub fn survivable() -> Vec<Kind> {
        let asked = |kind: &Kind| kind.must_be_survived() && *kind != Kind::Upgrade;
        Kind::ALL.into_iter().filter(asked).collect()
    }

    /// Whether a cluster must come through it without losing anything.
    pub fn must_be_survived(self) -> bool {
        let disks = [Kind::DiskFull, Kind::DiskError, Kind::LyingDisk, Kind::Corrupt];
        self != Kind::Restore && !disks.contains(&self)
    }

    /// The name on the command line and in the history.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Slow => "slow",
            Kind::Restart => "restart",
            Kind::Outage => "outage",
            Kind::Partition => "partition",
            Kind::Flap => "flap",
            Kind::Swizzle => "swizzle",
            Kind::ClientPartition => "client-partition",
            Kind::Delay => "delay",
            Kind::Loss => "loss",
            Kind::Duplicate => "duplicate",
            Kind::Reorder => "reorder",
            Kind::PacketCorrupt => "packet-corrupt",
            Kind::Rate => "rate",
            Kind::Reset => "reset",
            Kind::SlowClients => "slow-clients",
            Kind::ClockJump => "clock-jump",
            Kind::ClockDrift => "clock-drift",
            Kind::ClockStrobe => "clock-strobe",
            Kind::PowerLoss => "power-loss",
            Kind::FsyncDelay => "fsync-delay",
            Kind::DiskFull => "disk-full",
            Kind::DiskError => "disk-error",
            Kind::LyingDisk => "lying-disk",
            Kind::Corrupt => "corrupt",
            Kind::MemberAdd => "member-add",
            Kind::MemberRemove => "member-remove",
            Kind::MemberReplace => "member-replace",
            Kind::Wipe => "wipe",
            Kind::Learner => "learner",
            Kind::MoveLeader => "move-leader",
            Kind::Compact => "compact",
            Kind::Defrag => "defrag",
            Kind::Snapshot => "snapshot",
            Kind::Alarm => "alarm",
            Kind::Restore => "restore",
            Kind::RollingRestart => "rolling-restart",
            Kind::Upgrade => "upgrade",
        }
    }

    /// What it does, in one sentence.
    pub fn summary(self) -> &'static str {
        match self {
            Kind::Kill => "ends nodes at once (SIGKILL) and starts them again later",
            Kind::Pause => "stops nodes (SIGSTOP) and lets them go on later",
            Kind::Slow => "lets nodes run for a part of the time (SIGSTOP and SIGCONT by turns)",
            Kind::Restart => "ends nodes in order (SIGTERM) and starts them again later",
            Kind::Outage => "ends nodes at once and leaves them down for long",
            Kind::Partition => {
                "cuts links between nodes in silence: one node, halves, a third, majorities ring, \
                 bridge, the leader, one-way"
            }
            Kind::Flap => "cuts links between nodes and heals them, many times",
            Kind::Swizzle => "isolates nodes one by one, and heals them one by one",
            Kind::ClientPartition => {
                "cuts nodes off from their clients in silence, both ways or one way"
            }
            Kind::Delay => "delays packets of nodes, with jitter",
            Kind::Loss => "loses a share of nodes' packets",
            Kind::Duplicate => "delivers a share of nodes' packets twice",
            Kind::Reorder => "lets a share of nodes' packets overtake others",
            Kind::PacketCorrupt => {
                "flips a bit in a share of nodes' packets, which their checksums notice"
            }
            Kind::Rate => "narrows nodes' links to some kilobytes a second",
            Kind::Reset => "resets nodes' TCP connections at both ends (RST)",
            Kind::SlowClients => "makes the links between clients and nodes long and narrow",
            Kind::ClockJump => "sets nodes' wall clocks ahead or back, and right again later",
            Kind::ClockDrift => "lets nodes' clocks run fast or slow, wall and monotonic apart",
            Kind::ClockStrobe => "sets nodes' wall clocks to and fro many times a second",
            Kind::PowerLoss => {
                "cuts nodes' power: what was not fsynced is gone, torn or out of order"
            }
            Kind::FsyncDelay => "makes nodes' fsyncs take long",
            Kind::DiskFull => "leaves no space on a minority's disks; not in `all`",
            Kind::DiskError => "fails writes or fsyncs of a minority (EIO); not in `all`",
            Kind::LyingDisk => {
                "acknowledges every node's fsyncs without doing them, then cuts the power: \
                 acknowledged writes are lost; not in `all`"
            }
            Kind::Corrupt => {
                "damages a stored file of a minority: a bit, a cut or zeroed tail, an old copy; \
                 not in `all`"
            }
            Kind::MemberAdd => "lets a spare node join the cluster, and takes it out again later",
            Kind::MemberRemove => "takes a member out; it joins again later, new and empty",
            Kind::MemberReplace => "takes a member out and lets a new and empty one join at once",
            Kind::Wipe => "kills a node and takes its data; it joins again later as a new member",
            Kind::Learner => "replaces a member by a learner, and promotes that later",
            Kind::MoveLeader => "has the leader hand over to another member",
            Kind::Compact => "compacts history up to the present revision",
            Kind::Defrag => "defragments members, which stand still meanwhile",
            Kind::Snapshot => "saves a snapshot of members' state, as a backup does",
            Kind::Alarm => "raises the alarm that there is no space, and disarms it later",
            Kind::Restore => {
                "saves a snapshot and starts every member from it later: what was acknowledged in \
                 between is lost; not in `all`"
            }
            Kind::RollingRestart => "restarts members one after the other, in order",
            Kind::Upgrade => {
                "restarts members one after the other as the binary of --upgrade-to, which asks \
                 for it; not in `all`"
            }
        }
    }

    /// What the environment must be able to do.
    pub fn needs(self) -> Capability {
        match self {
            Kind::Kill | Kind::Outage => Capability::Kill,
            Kind::Restart => Capability::Terminate,
            Kind::Pause | Kind::Slow => Capability::Pause,
            Kind::Partition | Kind::Flap | Kind::Swizzle => Capability::Link,
            Kind::ClientPartition => Capability::ClientLink,
            Kind::Delay
            | Kind::Loss
            | Kind::Duplicate
            | Kind::Reorder
            | Kind::PacketCorrupt
            | Kind::Rate
            | Kind::Reset
            | Kind::SlowClients => Capability::Shape,
            Kind::ClockJump | Kind::ClockDrift | Kind::ClockStrobe => Capability::Clock,
            Kind::PowerLoss
            | Kind::FsyncDelay
            | Kind::DiskFull
            | Kind::DiskError
            | Kind::LyingDisk
            | Kind::Corrupt => Capability::Disk,
            Kind::MemberAdd
            | Kind::MemberRemove
            | Kind::MemberReplace
            | Kind::Wipe
            | Kind::Learner => Capability::Members,
            Kind::MoveLeader | Kind::Compact | Kind::Defrag | Kind::Snapshot | Kind::Alarm => {
                Capability::Maintenance
            }
            Kind::Restore => Capability::Restore,
            Kind::RollingRestart => Capability::Terminate,
            Kind::Upgrade => Capability::Upgrade,
        }
    }

    /// The fewest nodes on which it makes sense.
    pub fn nodes_min(self) -> usize {
        match self {
            Kind::Partition | Kind::Flap | Kind::Swizzle | Kind::MoveLeader => 2,
            // The others are a majority without it.
            Kind::MemberRemove | Kind::MemberReplace | Kind::Wipe | Kind::Learner => 3,
            _ => 1,
        }
    }

    /// Whether it strikes some nodes or others.
    pub fn can_be_aimed(self) -> bool {
        let cannot = [Kind::MemberAdd, Kind::Compact, Kind::RollingRestart, Kind::Upgrade];
        !cannot.contains(&self)
    }

    /// Whether it strikes one node at a time, and no more.
    pub fn is_of_one(self) -> bool {
        let of_one =
            [Kind::MemberRemove, Kind::MemberReplace, Kind::Wipe, Kind::Learner, Kind::Restore];
        of_one.contains(&self)
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
