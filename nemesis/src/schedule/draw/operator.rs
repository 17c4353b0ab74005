//! Draws what an operator does.

use super::{shuffled, some, victims};
use crate::{Cluster, Fault, Kind, Nodes};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How often a member that changes is the one that leads.
const LEADER_PROBABILITY: f64 = 0.4;

/// A fault of this kind; `None` when it is none of an operator's. The first strikes the leader.
pub(super) fn fault(
    kind: Kind,
    cluster: Cluster<'_>,
    first: bool,
    rng: &mut ChaCha8Rng,
) -> Option<Fault> {
    let nodes = cluster.nodes;
    let one = |rng: &mut ChaCha8Rng| match first || rng.random_bool(LEADER_PROBABILITY) {
        true => Nodes::Leader,
        false => Nodes::These(some(nodes, 1, rng)),
    };
    let any = |rng: &mut ChaCha8Rng| if first { Nodes::Leader } else { victims(nodes, rng) };
    Some(match kind {
        Kind::MemberAdd => Fault::MemberAdd { node: cluster.spares.first()?.clone() },
        Kind::MemberRemove => Fault::MemberRemove { nodes: one(rng) },
        Kind::MemberReplace => Fault::MemberReplace { nodes: one(rng) },
        Kind::Wipe => Fault::Wipe { nodes: one(rng) },
        Kind::Learner => Fault::Learner { nodes: one(rng) },
        Kind::MoveLeader => Fault::MoveLeader { nodes: Nodes::These(shuffled(nodes, rng)) },
        Kind::Compact => Fault::Compact {},
        Kind::Defrag => Fault::Defrag { nodes: any(rng) },
        Kind::Snapshot => Fault::Snapshot { nodes: one(rng) },
        Kind::Alarm => Fault::Alarm { nodes: one(rng) },
        Kind::Restore => Fault::Restore { nodes: one(rng) },
        Kind::RollingRestart => Fault::RollingRestart { order: shuffled(nodes, rng) },
        Kind::Upgrade => Fault::Upgrade { order: shuffled(nodes, rng) },
        _ => return None,
    })
}
