//! Requests on streams of watches.

use ordeal_cluster::proto::etcdserverpb::WatchCreateRequest;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::kv;
use crate::differential::ask::{Ask, at};

/// Streams of one sequence.
const STREAMS: u8 = 2;

/// Ids that a client chooses (0 leaves it to the store), and one that it may cancel.
const IDS: &[i64] = &[0, 0, 0, 0, 1, 2, 5, -3];

pub fn ask(rng: &mut ChaCha8Rng) -> Ask {
    let stream = rng.random_range(0..STREAMS);
    match rng.random_range(0..100) {
        0..60 => Ask::Watch(stream, create(rng)),
        60..85 => Ask::Cancel(stream, rng.random_range(-3..6)),
        _ => Ask::Progress(stream),
    }
}

fn create(rng: &mut ChaCha8Rng) -> WatchCreateRequest {
    let key = kv::key(rng);
    let start_revision = match rng.random_range(0..10) {
        0..4 => 0,
        4..8 => at(rng.random_range(-15..=1)),
        8 => at(rng.random_range(2..=4)),
        _ => *[1, -1, -2, at(1_000)].choose(rng).expect("some"),
    };
    // Both kinds, twice the same, and one that is not known.
    let filters: &[&[i32]] = &[&[], &[], &[], &[0], &[1], &[0, 1], &[1, 1], &[7]];
    let filters = filters.choose(rng).expect("some").to_vec();
    // One that tells nothing cannot be waited for, and in etcd a compaction may overtake it.
    let start_revision = if filters == [0, 1] { 0 } else { start_revision };
    WatchCreateRequest {
        range_end: kv::range_end(rng, &key),
        key,
        start_revision,
        progress_notify: rng.random_ratio(1, 4),
        filters,
        prev_kv: rng.random_ratio(1, 3),
        watch_id: *IDS.choose(rng).expect("some"),
        fragment: rng.random_ratio(1, 4),
    }
}
