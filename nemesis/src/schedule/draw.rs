//! Draws one fault of a kind: its target, its topology.
//!
//! The weights lean towards what breaks stores: the leader, and minorities that go on serving.

mod aim;
mod network;
mod operator;

use crate::disk::{Access, Corruption, Files, Survivors};
use crate::{Asked, Cluster, Cut, Fault, Kind, NodeId, Nodes};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;

/// How much a monotonic clock may gain or lose, in parts per million, where a schedule is drawn.
/// Quartz is off by 100, a virtual machine at times by thousands. What counts a lease's time can do
/// no better than its clock, so that much more would be found to be wrong with any store. The wall
/// clock may do anything: nothing that must hold may depend on it.
const MONOTONIC_PPM_MAX: i64 = 20_000;

/// A fault as it is asked for; where nobody in particular is to be struck, the first of its kind
/// strikes the leader.
pub(super) fn fault(
    asked: &Asked,
    cluster: Cluster<'_>,
    first: bool,
    rng: &mut ChaCha8Rng,
) -> Fault {
    let fault = match operator::fault(asked.kind, cluster, first, rng) {
        Some(fault) => fault,
        None => injected(asked.kind, cluster.nodes, first, rng),
    };
    match &asked.target {
        Some(target) => aim::at(fault, target, cluster.nodes, rng),
        None => fault,
    }
}

/// A fault of the machinery under the cluster.
fn injected(kind: Kind, nodes: &[NodeId], first: bool, rng: &mut ChaCha8Rng) -> Fault {
    let victims = |rng| if first { Nodes::Leader } else { victims(nodes, rng) };
    match kind {
        Kind::Kill => Fault::Kill { nodes: victims(rng) },
        Kind::Pause => Fault::Pause { nodes: victims(rng) },
        Kind::Slow => Fault::Slow {
            nodes: victims(rng),
            period_ms: u64::from(network::magnitude(4..8, rng)),
            running_percent: rng.random_range(5..=50),
        },
        Kind::Restart => Fault::Restart { nodes: victims(rng) },
        // One, so that faults beside it leave a majority most of the time.
        Kind::Outage if first => Fault::Outage { nodes: Nodes::Leader },
        Kind::Outage => Fault::Outage { nodes: Nodes::These(some(nodes, 1, rng)) },
        Kind::Flap => Fault::Flap {
            cut: if first { Cut::Isolate(Nodes::Leader) } else { cut(nodes, rng) },
            period_ms: u64::from(network::magnitude(6..11, rng)),
        },
        Kind::Swizzle => network::swizzle(nodes, rng),
        Kind::ClientPartition => {
            Fault::ClientPartition { nodes: victims(rng), way: network::way(rng) }
        }
        Kind::Delay => Fault::Delay {
            links: network::links(nodes, first, rng),
            delay_us: network::magnitude(9..18, rng),
            jitter_us: network::magnitude(7..16, rng),
        },
        Kind::Loss => Fault::Loss {
            links: network::links(nodes, first, rng),
            share_ppm: rng.random_range(10_000..=400_000),
        },
        Kind::Duplicate => Fault::Duplicate {
            links: network::links(nodes, first, rng),
            share_ppm: rng.random_range(50_000..=1_000_000),
        },
        Kind::Reorder => Fault::Reorder {
            links: network::links(nodes, first, rng),
            share_ppm: rng.random_range(50_000..=500_000),
            delay_us: network::magnitude(10..16, rng),
        },
        Kind::PacketCorrupt => Fault::PacketCorrupt {
            links: network::links(nodes, first, rng),
            share_ppm: rng.random_range(10_000..=300_000),
        },
        Kind::Rate => Fault::Rate {
            links: network::links(nodes, first, rng),
            bytes_per_s: u64::from(network::magnitude(13..18, rng)),
        },
        Kind::Reset => Fault::Reset {
            links: network::links(nodes, first, rng),
            share_ppm: if rng.random_bool(0.2) {
                1_000_000
            } else {
                network::magnitude(14..19, rng)
            },
        },
        Kind::SlowClients => Fault::SlowClients {
            nodes: victims(rng),
            delay_us: network::magnitude(12..17, rng),
            jitter_us: network::magnitude(10..15, rng),
            bytes_per_s: u64::from(network::magnitude(14..18, rng)),
        },
        Kind::Partition if first => Fault::Partition { cut: Cut::Isolate(Nodes::Leader) },
        Kind::Partition => Fault::Partition { cut: cut(nodes, rng) },
        Kind::ClockJump => Fault::ClockJump {
            nodes: victims(rng),
            wall_ms: either_way(8..=22, rng),
            monotonic_ms: 0,
        },
        Kind::ClockDrift => Fault::ClockDrift {
            nodes: victims(rng),
            wall_ppm: rng.random_range(-500_000..=1_000_000),
            monotonic_ppm: rng.random_range(-MONOTONIC_PPM_MAX..=MONOTONIC_PPM_MAX),
        },
        Kind::ClockStrobe => Fault::ClockStrobe {
            nodes: victims(rng),
            wall_ms: either_way(6..=14, rng),
            monotonic_ms: 0,
            period_ms: rng.random_range(20..=400),
        },
        Kind::PowerLoss => {
            Fault::PowerLoss { nodes: victims(rng), survivors: survivors(rng), seed: rng.random() }
        }
        Kind::FsyncDelay => Fault::FsyncDelay {
            nodes: victims(rng),
            files: Files::any(),
            delay_ms: rng.random_range(20..=400),
        },
        Kind::DiskFull => Fault::DiskFull {
            nodes: minority(nodes, rng),
            // Little: etcd has most of its space reserved.
            bytes_free: [0, 0, 4096, 65_536][rng.random_range(0..4)],
        },
        Kind::DiskError => Fault::DiskError {
            nodes: minority(nodes, rng),
            files: Files::any(),
            // Not of reads: what a running store reads, the kernel has cached.
            access: if rng.random() { Access::Fsync } else { Access::Write },
        },
        // On all nodes: what a majority still has is not lost.
        Kind::LyingDisk => {
            Fault::LyingDisk { nodes: Nodes::These(nodes.to_vec()), files: Files::any() }
        }
        Kind::Corrupt => Fault::Corrupt {
            nodes: minority(nodes, rng),
            files: if rng.random() { Files::wal() } else { Files::snap() },
            corruption: corruption(rng),
            seed: rng.random(),
        },
        Kind::MemberAdd
        | Kind::MemberRemove
        | Kind::MemberReplace
        | Kind::Wipe
        | Kind::Learner
        | Kind::MoveLeader
        | Kind::Compact
        | Kind::Defrag
        | Kind::Snapshot
        | Kind::Alarm
        | Kind::Restore
        | Kind::RollingRestart
        | Kind::Upgrade => unreachable!("an operator's fault is drawn elsewhere"),
    }
}

fn survivors(rng: &mut ChaCha8Rng) -> Survivors {
    [Survivors::Nothing, Survivors::Prefix, Survivors::Scattered][rng.random_range(0..3)]
}

fn corruption(rng: &mut ChaCha8Rng) -> Corruption {
    let bytes_max = 1 << rng.random_range(3..=14);
    match rng.random_range(0..4) {
        0 => Corruption::FlipBit,
        1 => Corruption::TruncateTail { bytes_max },
        2 => Corruption::ZeroTail { bytes_max },
        _ => Corruption::OldCopy,
    }
}

/// Some milliseconds ahead or back, between two powers of two, all magnitudes alike: a quarter of a
/// second breaks other things than an hour.
fn either_way(powers: RangeInclusive<u32>, rng: &mut ChaCha8Rng) -> i64 {
    let least_ms = 1_i64 << rng.random_range(powers);
    let ms = rng.random_range(least_ms..2 * least_ms);
    if rng.random_bool(0.5) { ms } else { -ms }
}

/// Whom a fault strikes: mostly the leader or a minority, at times more or all its followers, which
/// stops the cluster until the fault ends but never for good.
fn victims(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Nodes {
    let minority = (nodes.len().saturating_sub(1) / 2).max(1);
    let count = match rng.random_range(0..100) {
        0..40 => return Nodes::Leader,
        40..44 => return Nodes::Followers(nodes.to_vec()),
        44..65 => 1,
        65..90 => rng.random_range(1..=minority),
        90..97 => (minority + 1).min(nodes.len()),
        _ => nodes.len(),
    };
    Nodes::These(some(nodes, count, rng))
}

/// A few, and never so many that the others could not go on.
fn minority(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Nodes {
    let most = (nodes.len().saturating_sub(1) / 2).max(1);
    Nodes::These(some(nodes, rng.random_range(1..=most), rng))
}

fn cut(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Cut {
    match rng.random_range(0..100) {
        0..40 => Cut::Isolate(Nodes::Leader),
        40..56 => halves(nodes, rng),
        56..62 => network::minority_third(nodes, rng),
        62..70 => Cut::OneWay(Nodes::Leader),
        70..75 => Cut::OneWay(Nodes::These(some(nodes, 1, rng))),
        75..83 if nodes.len() >= 3 => Cut::MajoritiesRing(shuffled(nodes, rng)),
        83..91 if nodes.len() >= 3 => bridge(nodes, rng),
        _ => Cut::Isolate(Nodes::These(some(nodes, 1, rng))),
    }
}

/// A minority, as large as a minority can be, and the rest.
fn halves(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Cut {
    let mut left = shuffled(nodes, rng);
    let mut right = left.split_off((nodes.len().saturating_sub(1) / 2).max(1));
    left.sort();
    right.sort();
    Cut::Groups(vec![left, right])
}

fn bridge(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Cut {
    let mut rest = shuffled(nodes, rng);
    let over = rest.remove(0);
    let mut right = rest.split_off(rest.len() / 2);
    rest.sort();
    right.sort();
    Cut::Bridge { over, left: rest, right }
}

fn some(nodes: &[NodeId], count: usize, rng: &mut ChaCha8Rng) -> Vec<NodeId> {
    let mut chosen = shuffled(nodes, rng);
    chosen.truncate(count);
    chosen.sort();
    chosen
}

fn shuffled(nodes: &[NodeId], rng: &mut ChaCha8Rng) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.shuffle(rng);
    nodes
}
