//! Aims a fault at whom it was asked for.

use super::{shuffled, some};
use crate::{Cut, Fault, NodeId, Nodes, Target};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The same fault, aimed at `target`. A cut becomes one around it, unless it is one-way; what is of
/// one node at a time strikes one of them.
pub(super) fn at(
    mut fault: Fault,
    target: &Target,
    nodes: &[NodeId],
    rng: &mut ChaCha8Rng,
) -> Fault {
    let drawn = choose(target, nodes, rng);
    if let Fault::Swizzle { .. } = fault {
        // Whoever leads when it starts may not lead when his turn comes.
        let whom = drawn.resolve(None);
        let whom = if whom.is_empty() { some(nodes, 1, rng) } else { whom };
        return Fault::Swizzle { cut: shuffled(&whom, rng), heal: shuffled(&whom, rng) };
    }
    if let Fault::Partition { cut } | Fault::Flap { cut, .. } = &mut fault
        && !matches!(cut, Cut::Isolate(_) | Cut::OneWay(_))
    {
        *cut = Cut::Isolate(Nodes::Leader);
    }
    let of_one = fault.kind().is_of_one();
    if let Some(aimed) = fault.target_mut() {
        *aimed = match drawn {
            Nodes::These(these) if of_one => Nodes::These(some(&these, 1, rng)),
            drawn => drawn,
        };
    }
    fault
}

fn choose(target: &Target, nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Nodes {
    let minority = (nodes.len().saturating_sub(1) / 2).max(1);
    let count = match target {
        Target::Leader => return Nodes::Leader,
        Target::Followers => return Nodes::Followers(nodes.to_vec()),
        Target::Named(named) => return Nodes::These(named.clone()),
        Target::One => 1,
        Target::Minority => rng.random_range(1..=minority),
        Target::Majority => nodes.len() / 2 + 1,
        Target::All => nodes.len(),
    };
    Nodes::These(some(nodes, count, rng))
}
