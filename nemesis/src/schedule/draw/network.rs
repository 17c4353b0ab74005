//! Draws what goes wrong on links: which, and by how much.
//!
//! Numbers are drawn so that all magnitudes are alike. The worst are bad enough to cost elections
//! at the default timeouts, and mild enough for some operations to succeed.

use super::{shuffled, some, victims};
use crate::{Cut, Fault, Links, NodeId, Nodes, Way, With};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How often a fault of links is about clients' links rather than those between nodes.
const CLIENTS_PROBABILITY: f64 = 0.25;
/// How often it is about one direction alone.
const ONE_WAY_PROBABILITY: f64 = 0.3;

/// The links that a fault is about; the first of its kind is about the leader's, with its peers.
pub(super) fn links(nodes: &[NodeId], first: bool, rng: &mut ChaCha8Rng) -> Links {
    if nodes.len() == 1 {
        return Links { of: Nodes::Leader, with: With::Clients, way: Way::Both };
    }
    if first {
        return Links { of: Nodes::Leader, with: With::Peers, way: Way::Both };
    }
    let with = match rng.random_bool(CLIENTS_PROBABILITY) {
        true => With::Clients,
        false => With::Peers,
    };
    Links { of: victims(nodes, rng), with, way: way(rng) }
}

pub(super) fn way(rng: &mut ChaCha8Rng) -> Way {
    if !rng.random_bool(ONE_WAY_PROBABILITY) {
        return Way::Both;
    }
    if rng.random() { Way::Out } else { Way::In }
}

/// Between two powers of two, all magnitudes alike.
pub(super) fn magnitude(powers: std::ops::Range<u32>, rng: &mut ChaCha8Rng) -> u32 {
    let least = 1_u32 << rng.random_range(powers);
    rng.random_range(least..2 * least)
}

/// Each one, two or more nodes, in one order and then in another; never all, so that it is seen
/// what those do that stay.
pub(super) fn swizzle(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Fault {
    let count = rng.random_range(1..nodes.len().max(2));
    let chosen = some(nodes, count, rng);
    Fault::Swizzle { cut: shuffled(&chosen, rng), heal: shuffled(&chosen, rng) }
}

/// A third of the nodes, rounded so that it is always a minority, and the rest.
pub(super) fn minority_third(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Cut {
    let mut left = shuffled(nodes, rng);
    let mut right = left.split_off((nodes.len().saturating_sub(1) / 3).max(1));
    left.sort();
    right.sort();
    Cut::Groups(vec![left, right])
}
