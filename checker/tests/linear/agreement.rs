//! Trust: every algorithm agrees with exhaustive search on random small histories of each model.

use crate::trial::{TRIALS, run};

/// Histories of each kind; `examples/agree` runs as many as one likes.
const HISTORIES: u64 = 5_000;

#[test]
fn every_algorithm_agrees_with_exhaustive_search_on_every_model() {
    for (label, trial) in TRIALS {
        let valid = run(trial, HISTORIES);
        // Both verdicts must have been put to the test.
        assert!((HISTORIES / 50..HISTORIES * 49 / 50).contains(&valid), "{label}: {valid} valid");
    }
}
