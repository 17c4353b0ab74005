//! Trust: the verdicts of isolation agree with trying every serial order.

use crate::oracle::{list_append, rw_register};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Histories of each kind; `examples/agree` runs as many as one likes.
const HISTORIES: u64 = 10_000;

fn agrees(trial: fn(&mut ChaCha8Rng) -> bool) {
    let valid = (0..HISTORIES).filter(|&seed| trial(&mut ChaCha8Rng::seed_from_u64(seed)));
    let share = valid.count() as u64 * 100 / HISTORIES;
    assert!((15..85).contains(&share), "{share} % valid: the histories test too little");
}

#[test]
fn list_append_agrees_with_trying_every_order() {
    agrees(list_append);
}

#[test]
fn rw_register_agrees_with_trying_every_order() {
    agrees(rw_register);
}
