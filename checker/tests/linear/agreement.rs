//! Trust: every algorithm agrees with exhaustive search on random small histories, witnesses and
//! counterexamples are what they claim to be, and the metamorphic laws hold.

use crate::common::{Shape, oracle, random_history, show};
use ordeal_checker::linear::{Algorithm, Linearizable, Model, Removal, split};
use ordeal_checker::models::{KvAppend, Register};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{EventType, History, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Histories of each kind; `examples/agree.rs` runs many more.
const HISTORIES: u64 = 4_000;

/// Holds `history` against the oracle under every algorithm; returns whether it is valid.
fn agree<M: Model + Clone>(model: &M, history: &History, label: &str) -> bool {
    let objects = split(model, history, None).unwrap();
    let expected = objects.iter().all(|object| oracle(model, &object.entries));
    for algorithm in [Algorithm::Auto, Algorithm::Search] {
        let checker = Linearizable::new(model.clone()).with_algorithm(algorithm);
        let judgement = checker.check(history, &Limits::default());
        match &judgement.verdict {
            Verdict::Valid(_) => assert!(expected, "{label} {algorithm:?}: {}", show(history)),
            Verdict::Invalid(counterexample) => {
                assert!(!expected, "{label} {algorithm:?}: {}", show(history));
                minimal(model, history, &counterexample.operations, label);
                broken_there(model, history, counterexample.broken_at_event.unwrap(), label);
            }
            Verdict::Unknown(why) => panic!("{label} {algorithm:?}: {why}"),
        }
    }
    expected
}

/// The part is invalid, and leaving any one of it out (with those who saw its value) is valid.
fn minimal<M: Model>(model: &M, history: &History, operations: &[u32], label: &str) {
    let part = History::from_events(history.events_of(operations)).unwrap();
    let entries = split(model, &part, None).unwrap().remove(0).entries;
    assert!(!oracle(model, &entries), "{label}: {operations:?} is valid: {}", show(history));
    if entries.iter().any(|entry| model.is_negative(&entry.op)) {
        return;
    }
    for leave in 0..entries.len() {
        if model.removal(&entries[leave].op) == Removal::Never {
            continue;
        }
        let mut gone = vec![leave];
        while let Some(more) = (0..entries.len()).find(|other| {
            !gone.contains(other)
                && gone.iter().any(|&gone| match model.removal(&entries[gone].op) {
                    Removal::Unseen(values) => {
                        model.sees(&entries[*other].op).iter().any(|seen| values.contains(seen))
                    }
                    Removal::Together(_) => {
                        model.removal(&entries[gone].op) == model.removal(&entries[*other].op)
                    }
                    _ => false,
                })
        }) {
            gone.push(more);
        }
        let rest: Vec<_> = (0..entries.len())
            .filter(|index| !gone.contains(index))
            .map(|index| entries[index].clone())
            .collect();
        assert!(
            oracle(model, &rest),
            "{label}: {leave} of {operations:?} could go: {}",
            show(history)
        );
    }
}

/// What was known before the event is valid, and with it is not.
fn broken_there<M: Model>(model: &M, history: &History, event: u64, label: &str) {
    let valid_until = |event| {
        let objects = split(model, history, Some(event)).unwrap();
        objects.iter().all(|object| oracle(model, &object.entries))
    };
    assert!(!valid_until(event), "{label}: not broken at {event}: {}", show(history));
    assert!(
        event == 0 || valid_until(event - 1),
        "{label}: broken before {event}: {}",
        show(history)
    );
}

/// A register history in which each completion says something plausible.
fn register(rng: &mut ChaCha8Rng, unique: bool, actual: bool) -> History {
    let shape = Shape {
        processes: rng.random_range(1..5),
        operations: rng.random_range(1..9),
        info_percent: [0, 10, 40][rng.random_range(0..3)],
    };
    let mut written = vec![Value::Null];
    let domain = rng.random_range(1..4);
    let known = std::cell::RefCell::new(&mut written);
    let pick = |rng: &mut ChaCha8Rng| {
        let known = known.borrow();
        known[known.len() - 1 - rng.random_range(0..known.len().min(3))].clone()
    };
    let fresh = |rng: &mut ChaCha8Rng| {
        let mut known = known.borrow_mut();
        let number = if unique { known.len() as i64 } else { rng.random_range(0..domain) };
        known.push(Value::from(number));
        Value::from(number)
    };
    random_history(
        rng,
        &shape,
        |rng| match rng.random_range(0..4) {
            0 | 1 => ("read", Value::Null),
            2 => ("write", fresh(rng)),
            _ => {
                let old = pick(rng);
                ("cas", Value::from(vec![old, fresh(rng)]))
            }
        },
        |rng, invoked| match invoked.f.as_str() {
            "read" => (EventType::Ok, pick(rng), None),
            "cas" if rng.random_bool(0.4) => {
                (EventType::Fail, invoked.value.clone(), actual.then(|| pick(rng)))
            }
            _ => (EventType::Ok, invoked.value.clone(), None),
        },
    )
}

fn run(label: &str, mut check: impl FnMut(&mut ChaCha8Rng) -> bool) {
    let mut valid = 0;
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        valid += u64::from(check(&mut rng));
    }
    // Both verdicts must have been put to the test.
    assert!(valid > HISTORIES / 20 && valid < HISTORIES * 19 / 20, "{label}: {valid} valid");
}

#[test]
fn registers_with_unique_values_agree_with_exhaustive_search() {
    run("unique", |rng| {
        let history = register(rng, true, true);
        agree(&Register::default(), &history, "unique")
    });
}

#[test]
fn registers_with_unique_values_and_blind_cas_agree_with_exhaustive_search() {
    run("blind", |rng| {
        let history = register(rng, true, false);
        agree(&Register::default(), &history, "blind")
    });
}

#[test]
fn registers_with_few_values_agree_with_exhaustive_search() {
    run("few", |rng| {
        let actual = rng.random_bool(0.5);
        let history = register(rng, false, actual);
        agree(&Register::default(), &history, "few")
    });
}

#[test]
fn strings_with_append_agree_with_exhaustive_search() {
    run("kv-append", |rng| {
        let shape = Shape {
            processes: rng.random_range(1..4),
            operations: rng.random_range(1..7),
            info_percent: [0, 30][rng.random_range(0..2)],
        };
        let mut written = vec![String::new()];
        let known = std::cell::RefCell::new(&mut written);
        let history = random_history(
            rng,
            &shape,
            |rng| {
                let mut known = known.borrow_mut();
                let letter = ["a", "b"][rng.random_range(0..2)];
                let base = known[rng.random_range(0..known.len())].clone();
                match rng.random_range(0..5) {
                    0 | 1 => ("get", Value::Null),
                    2 => {
                        known.push(letter.to_owned());
                        ("put", Value::from(letter))
                    }
                    _ => {
                        known.push(base + letter);
                        ("append", Value::from(letter))
                    }
                }
            },
            |rng, invoked| match invoked.f.as_str() {
                "get" => {
                    let known = known.borrow();
                    let seen = known[rng.random_range(0..known.len())].clone();
                    (EventType::Ok, Value::from(seen), None)
                }
                _ => (EventType::Ok, invoked.value.clone(), None),
            },
        );
        agree(&KvAppend, &history, "kv-append")
    });
}
