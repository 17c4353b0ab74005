//! Histories of a simulated store: right ones are valid, wrong ones are caught.

use crate::support::store::{Simulation, Wrongs, simulate};
use ordeal_checker::isolation::{ListAppend, RwRegister};
use ordeal_checker::{Checker, Limits, Verdict};

const SMALL: Simulation = Simulation {
    seed: 0,
    operations: 2_000,
    clients: 8,
    keys: 5,
    writes_a_key: 16,
    steps_max: 4,
    info: 0.05,
    fail: 0.05,
    append: true,
    wrongs: Wrongs { stale: 0.0, lost: 0.0, dirty: 0.0 },
};

#[test]
fn histories_of_a_serializable_store_are_valid() {
    for seed in 0..40 {
        for append in [true, false] {
            let history = simulate(Simulation { seed, append, ..SMALL });
            let checker: &dyn Checker =
                if append { &ListAppend::default() } else { &RwRegister::default() };
            let judgement = checker.check(&history, &Limits::default());
            let Verdict::Valid(witness) = &judgement.verdict else {
                panic!("seed {seed}, append {append}: {}", judgement.reason)
            };
            assert_eq!(witness.orders.len(), 1);
        }
    }
}

#[test]
fn stores_with_a_seeded_wrong_are_caught() {
    let rows = [
        ("stale", Wrongs { stale: 0.05, ..Wrongs::default() }),
        ("lost", Wrongs { lost: 0.05, ..Wrongs::default() }),
        ("dirty", Wrongs { dirty: 0.5, ..Wrongs::default() }),
    ];
    for (name, wrongs) in rows {
        for append in [true, false] {
            for seed in 0..10 {
                let history = simulate(Simulation { seed, append, wrongs, ..SMALL });
                let checker: &dyn Checker =
                    if append { &ListAppend::default() } else { &RwRegister::default() };
                let judgement = checker.check(&history, &Limits::default());
                let Verdict::Invalid(counterexample) = &judgement.verdict else {
                    panic!("{name}, seed {seed}, append {append}: {}", judgement.reason)
                };
                assert!(!counterexample.anomalies.is_empty());
                assert!(counterexample.operations.len() <= 12, "{:#?}", counterexample.story);
            }
        }
    }
}
