//! What a fault says of itself: its kind, its targets.

use super::{Cut, Fault, Links, Nodes, With};
use crate::{Capability, Kind, NodeId};

/// The nodes in a fault, shared or to be changed, as the fault is.
macro_rules! aimed {
    ($fault:expr) => {
        match $fault {
            Fault::Kill { nodes }
            | Fault::Pause { nodes }
            | Fault::Slow { nodes, .. }
            | Fault::Restart { nodes }
            | Fault::Outage { nodes }
            | Fault::ClientPartition { nodes, .. }
            | Fault::SlowClients { nodes, .. }
            | Fault::ClockJump { nodes, .. }
            | Fault::ClockDrift { nodes, .. }
            | Fault::ClockStrobe { nodes, .. }
            | Fault::PowerLoss { nodes, .. }
            | Fault::FsyncDelay { nodes, .. }
            | Fault::DiskFull { nodes, .. }
            | Fault::DiskError { nodes, .. }
            | Fault::LyingDisk { nodes, .. }
            | Fault::Corrupt { nodes, .. }
            | Fault::MemberRemove { nodes }
            | Fault::MemberReplace { nodes }
            | Fault::Wipe { nodes }
            | Fault::Learner { nodes }
            | Fault::MoveLeader { nodes }
            | Fault::Defrag { nodes }
            | Fault::Snapshot { nodes }
            | Fault::Alarm { nodes }
            | Fault::Restore { nodes }
            | Fault::Partition { cut: Cut::Isolate(nodes) | Cut::OneWay(nodes) }
            | Fault::Flap { cut: Cut::Isolate(nodes) | Cut::OneWay(nodes), .. }
            | Fault::Delay { links: Links { of: nodes, .. }, .. }
            | Fault::Loss { links: Links { of: nodes, .. }, .. }
            | Fault::Duplicate { links: Links { of: nodes, .. }, .. }
            | Fault::Reorder { links: Links { of: nodes, .. }, .. }
            | Fault::PacketCorrupt { links: Links { of: nodes, .. }, .. }
            | Fault::Rate { links: Links { of: nodes, .. }, .. }
            | Fault::Reset { links: Links { of: nodes, .. }, .. } => Some(nodes),
            Fault::Partition { .. }
            | Fault::Flap { .. }
            | Fault::Swizzle { .. }
            | Fault::MemberAdd { .. }
            | Fault::Compact {}
            | Fault::RollingRestart { .. }
            | Fault::Upgrade { .. } => None,
        }
    };
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Kill { .. } => Kind::Kill,
            Fault::Pause { .. } => Kind::Pause,
            Fault::Slow { .. } => Kind::Slow,
            Fault::Restart { .. } => Kind::Restart,
            Fault::Outage { .. } => Kind::Outage,
            Fault::Partition { .. } => Kind::Partition,
            Fault::Flap { .. } => Kind::Flap,
            Fault::Swizzle { .. } => Kind::Swizzle,
            Fault::ClientPartition { .. } => Kind::ClientPartition,
            Fault::Delay { .. } => Kind::Delay,
            Fault::Loss { .. } => Kind::Loss,
            Fault::Duplicate { .. } => Kind::Duplicate,
            Fault::Reorder { .. } => Kind::Reorder,
            Fault::PacketCorrupt { .. } => Kind::PacketCorrupt,
            Fault::Rate { .. } => Kind::Rate,
            Fault::Reset { .. } => Kind::Reset,
            Fault::SlowClients { .. } => Kind::SlowClients,
            Fault::ClockJump { .. } => Kind::ClockJump,
            Fault::ClockDrift { .. } => Kind::ClockDrift,
            Fault::ClockStrobe { .. } => Kind::ClockStrobe,
            Fault::PowerLoss { .. } => Kind::PowerLoss,
            Fault::FsyncDelay { .. } => Kind::FsyncDelay,
            Fault::DiskFull { .. } => Kind::DiskFull,
            Fault::DiskError { .. } => Kind::DiskError,
            Fault::LyingDisk { .. } => Kind::LyingDisk,
            Fault::Corrupt { .. } => Kind::Corrupt,
            Fault::MemberAdd { .. } => Kind::MemberAdd,
            Fault::MemberRemove { .. } => Kind::MemberRemove,
            Fault::MemberReplace { .. } => Kind::MemberReplace,
            Fault::Wipe { .. } => Kind::Wipe,
            Fault::Learner { .. } => Kind::Learner,
            Fault::MoveLeader { .. } => Kind::MoveLeader,
            Fault::Compact {} => Kind::Compact,
            Fault::Defrag { .. } => Kind::Defrag,
            Fault::Snapshot { .. } => Kind::Snapshot,
            Fault::Alarm { .. } => Kind::Alarm,
            Fault::Restore { .. } => Kind::Restore,
            Fault::RollingRestart { .. } => Kind::RollingRestart,
            Fault::Upgrade { .. } => Kind::Upgrade,
        }
    }

    /// What the environment must be able to do.
    pub fn needs(&self) -> Capability {
        self.kind().needs()
    }

    /// What is wrong with its numbers, as a sentence's end; `None` when nothing.
    pub fn mistake(&self) -> Option<String> {
        self.clock_mistake().or_else(|| self.network_mistake()).or_else(|| self.steps_mistake())
    }

    /// Whether it must be known who leads when it starts.
    pub fn wants_leader(&self) -> bool {
        matches!(self, Fault::MoveLeader { .. })
            || matches!(self.target(), Some(Nodes::Leader | Nodes::Followers(_)))
    }

    /// The nodes that it names, wherever it names them.
    pub fn nodes_named(&self) -> Vec<&NodeId> {
        let mut named = self.target().map_or_else(Vec::new, Nodes::named);
        match self {
            Fault::Partition { cut } | Fault::Flap { cut, .. } => match cut {
                Cut::Groups(groups) => named.extend(groups.iter().flatten()),
                Cut::MajoritiesRing(ring) => named.extend(ring),
                Cut::Bridge { over, left, right } => {
                    named.extend(std::iter::once(over).chain(left).chain(right));
                }
                Cut::Isolate(_) | Cut::OneWay(_) => {}
            },
            Fault::Swizzle { cut: nodes, .. }
            | Fault::RollingRestart { order: nodes }
            | Fault::Upgrade { order: nodes } => named.extend(nodes),
            Fault::MemberAdd { node } => named.push(node),
            _ => {}
        }
        if let Some(Links { with: With::These(far), .. }) = self.links() {
            named.extend(far);
        }
        named
    }

    /// The nodes that it strikes while `leader` leads: those that are killed, stopped or cut off;
    /// the smaller side of two halves; every node of a ring or of a bridge; of links, the near end.
    pub fn strikes(&self, leader: Option<&NodeId>) -> Vec<NodeId> {
        match (self.target(), self) {
            (Some(target), _) => target.resolve(leader),
            (
                None,
                Fault::Partition { cut: Cut::Groups(groups) }
                | Fault::Flap { cut: Cut::Groups(groups), .. },
            ) => groups.iter().min_by_key(|group| group.len()).cloned().unwrap_or_default(),
            (None, _) => self.nodes_named().into_iter().cloned().collect(),
        }
    }

    fn links(&self) -> Option<&Links> {
        match self {
            Fault::Delay { links, .. }
            | Fault::Loss { links, .. }
            | Fault::Duplicate { links, .. }
            | Fault::Reorder { links, .. }
            | Fault::PacketCorrupt { links, .. }
            | Fault::Rate { links, .. }
            | Fault::Reset { links, .. } => Some(links),
            _ => None,
        }
    }

    fn target(&self) -> Option<&Nodes> {
        aimed!(self)
    }

    /// Whom it strikes, to be aimed anew; `None` when that is nobody in particular.
    pub(crate) fn target_mut(&mut self) -> Option<&mut Nodes> {
        aimed!(self)
    }
}

impl Nodes {
    fn named(&self) -> Vec<&NodeId> {
        match self {
            Nodes::These(nodes) | Nodes::Followers(nodes) => nodes.iter().collect(),
            Nodes::Leader => Vec::new(),
        }
    }
}
