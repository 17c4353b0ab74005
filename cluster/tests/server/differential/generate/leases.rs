//! Requests about leases.

use ordeal_cluster::proto::etcdserverpb::{LeaseGrantRequest, LeaseTimeToLiveRequest};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::differential::ask::{Ask, chosen};

/// Ids that the client chooses. None may lie among those that a store chooses.
const IDS: &[i64] = &[77, 7, 1, -5, i64::MIN];

/// Seconds; those below a minute are too short to be waited for, and are revoked at once.
const TTLS: &[i64] =
    &[60, 3_600, 3_600, 1_000_000, 9_000_000_000, 9_000_000_001, i64::MAX, 0, -1, i64::MIN, 1];

/// A lease of a client's choice or of a store's, granted or not.
pub fn any(rng: &mut ChaCha8Rng) -> i64 {
    if rng.random_ratio(1, 3) {
        chosen(rng.random_range(0..3))
    } else {
        *IDS.choose(rng).expect("some")
    }
}

/// `granted` counts the leases whose id the store chooses.
pub fn ask(rng: &mut ChaCha8Rng, granted: &mut i64) -> Ask {
    match rng.random_range(0..100) {
        0..40 => Ask::Grant(grant(rng, granted)),
        40..55 => Ask::Revoke(any(rng)),
        55..65 => Ask::KeepAlive(any(rng)),
        65..90 => {
            Ask::TimeToLive(LeaseTimeToLiveRequest { id: any(rng), keys: rng.random_ratio(3, 4) })
        }
        _ => Ask::Leases,
    }
}

fn grant(rng: &mut ChaCha8Rng, granted: &mut i64) -> LeaseGrantRequest {
    let id = if rng.random_ratio(1, 3) {
        *granted += 1;
        chosen(*granted - 1)
    } else {
        *IDS.choose(rng).expect("some")
    };
    LeaseGrantRequest { id, ttl: *TTLS.choose(rng).expect("some") }
}
