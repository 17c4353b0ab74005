//! Trials of trust: every algorithm agrees with exhaustive search on random small histories,
//! witnesses and counterexamples are what they claim to be, and the metamorphic laws hold.

use super::common::{Shape, oracle, random_history, show};
use super::{revision_trial, store_trial};
use ordeal_checker::linear::search::{Answer, Budget, Hint};
use ordeal_checker::linear::{
    Algorithm, Entry, Gaps, Linearizable, Model, Removal, layers, split, verify,
};
use ordeal_checker::models::{
    Counter, KvAppend, MultiRegister, Mutex, Queue, Register, RegisterOp, Set, Stack,
};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Holds `history` against the oracle under every algorithm; returns whether it is valid.
fn agree<M: Model + Clone>(model: &M, history: &History, label: &str) -> bool {
    let objects = split(model, history, None).unwrap();
    let expected = objects.iter().all(|object| oracle(model, &object.entries));
    for algorithm in [Algorithm::Auto, Algorithm::Layers, Algorithm::Search] {
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

/// The same with what the game about prices says, to which other passes seldom leave the word.
fn agree_priced(history: &History, label: &str) -> bool {
    let objects = split(&Register::default(), history, None).unwrap();
    for object in &objects {
        priced_agrees(&object.entries, label);
    }
    agree(&Register::default(), history, label)
}

/// Holds the game about prices, and what refutes parts, against the oracle.
fn priced_agrees(entries: &[Entry<RegisterOp>], label: &str) {
    let model = Register::default();
    let registers: Vec<_> = entries
        .iter()
        .map(|entry| Entry {
            position: entry.position,
            call: entry.call,
            ret: entry.ret,
            op: &entry.op,
        })
        .collect();
    let budget =
        Budget { deadline: None, memory_bytes: 1 << 30, configurations: u64::MAX, cancel: None };
    match layers::priced(&registers, budget).answer {
        Answer::Valid(order) => verify(&model, entries, &order).unwrap(),
        Answer::Invalid(_) => assert!(!oracle(&model, entries), "{label}: {entries:?} is valid"),
        Answer::Unknown { why, .. } => panic!("{label}: {why}"),
    }
    if oracle(&model, entries) {
        nothing_is_refuted(&registers, budget, label);
        gaps_leave_it_valid(entries, &registers, label);
    }
    thin_is_invalid(entries, &registers, budget, label);
}

/// A valid history without any of its gaps is valid, and so it is without one after the other.
fn gaps_leave_it_valid(
    entries: &[Entry<RegisterOp>],
    registers: &[Entry<&RegisterOp>],
    label: &str,
) {
    for length in 1..6 {
        let mut all_gone = vec![false; entries.len()];
        for gap in Gaps::new(registers).of(length) {
            let mut gone = vec![false; entries.len()];
            gap.iter().for_each(|&place| gone[place as usize] = true);
            gap.iter().for_each(|&place| all_gone[place as usize] = true);
            for gone in [&gone, &all_gone] {
                let rest = entries.iter().zip(gone).filter(|(_, gone)| !**gone);
                let rest: Vec<_> = rest.map(|(entry, _)| entry.clone()).collect();
                let is_valid = oracle(&Register::default(), &rest);
                assert!(is_valid, "{label}: {entries:?} without {gone:?} is not valid");
            }
        }
    }
}

/// What is left of an invalid history by [`layers::thin`] is invalid, whatever is tried, with
/// prices and without; and of a valid one nothing goes.
fn thin_is_invalid(
    entries: &[Entry<RegisterOp>],
    registers: &[Entry<&RegisterOp>],
    budget: Budget<'_>,
    label: &str,
) {
    let even = registers.iter().map(|entry| (entry.position, 1 << 10));
    for hint in [Hint::default(), Hint { times: None, prices: even.collect() }] {
        for length in 1..3 {
            let all: Vec<u32> = (0..entries.len() as u32).collect();
            let trials = all.chunks(length).map(<[u32]>::to_vec);
            let gone = layers::thin(registers, &hint, budget, trials);
            let rest = entries.iter().zip(&gone).filter(|(_, gone)| !**gone);
            let rest: Vec<_> = rest.map(|(entry, _)| entry.clone()).collect();
            let is_less = rest.len() < entries.len();
            assert!(
                !is_less || !oracle(&Register::default(), &rest),
                "{label}: {entries:?} without {gone:?} is valid"
            );
        }
    }
}

/// Of a valid history nothing is refuted, however much is forgotten, in any part, at any prices
/// that do not rise.
fn nothing_is_refuted(registers: &[Entry<&RegisterOp>], budget: Budget<'_>, label: &str) {
    let dear = registers.iter().map(|entry| (entry.position, 1000 / (entry.position + 1)));
    for width in 1..3 {
        for hint in [Hint::default(), Hint { times: None, prices: dear.clone().collect() }] {
            let is_refuted = layers::refutes(registers, width, &hint, budget);
            assert!(!is_refuted, "{label}: {registers:?} is valid, width {width}");
        }
        for place in 0..2 * registers.len() {
            let around = (place, 1 + place % 4);
            let is_refuted = layers::refutes_around(registers, around, width, budget);
            assert!(!is_refuted, "{label}: {registers:?} is valid, {around:?}");
        }
    }
}

/// The part is invalid, and leaving any one of it out (with those who saw its value) is valid.
pub fn minimal<M: Model>(model: &M, history: &History, operations: &[u32], label: &str) {
    let part = History::from_events(history.events_of(operations)).unwrap();
    let entries = split(model, &part, None).unwrap().remove(0).entries;
    assert!(!oracle(model, &entries), "{label}: {operations:?} is valid: {}", show(history));
    for leave in 0..entries.len() {
        if model.removal(&entries[leave].op) == Removal::Never {
            continue;
        }
        let mut gone = vec![leave];
        while let Some(more) = (0..entries.len()).find(|other| {
            !gone.contains(other)
                && gone.iter().any(|&gone| match model.removal(&entries[gone].op) {
                    Removal::Unseen(values) => {
                        let sees = model.sees(&entries[*other].op);
                        // It may be why one that names nothing that it saw did not see something.
                        let is_blind =
                            sees.is_empty() && !model.avoids(&entries[*other].op).is_empty();
                        is_blind || sees.iter().any(|seen| values.contains(seen))
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
pub fn broken_there<M: Model>(model: &M, history: &History, event: u64, label: &str) {
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
pub fn register(rng: &mut ChaCha8Rng, unique: bool, actual: bool) -> History {
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

/// A register history of few values and many indeterminate operations, which are often too few.
fn scarce(rng: &mut ChaCha8Rng) -> History {
    let shape = Shape {
        processes: rng.random_range(1..4),
        operations: rng.random_range(4..11),
        info_percent: 40,
    };
    let value = |rng: &mut ChaCha8Rng| Value::from(rng.random_range(0..3_i64));
    let actual = rng.random_bool(0.5);
    random_history(
        rng,
        &shape,
        |rng| match rng.random_range(0..5) {
            0 | 1 => ("read", Value::Null),
            2 | 3 => ("write", value(rng)),
            _ => ("cas", Value::from(vec![value(rng), value(rng)])),
        },
        |rng, invoked| match invoked.f.as_str() {
            "read" => (EventType::Ok, value(rng), None),
            "cas" if rng.random_bool(0.3) => {
                (EventType::Fail, invoked.value.clone(), actual.then(|| value(rng)))
            }
            _ => (EventType::Ok, invoked.value.clone(), None),
        },
    )
}

/// A history of strings.
pub fn strings(rng: &mut ChaCha8Rng) -> History {
    let shape = Shape {
        processes: rng.random_range(1..4),
        operations: rng.random_range(1..7),
        info_percent: [0, 30][rng.random_range(0..2)],
    };
    let mut written = vec![String::new()];
    let known = std::cell::RefCell::new(&mut written);
    random_history(
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
    )
}

/// A history of one of the models that hold many values: `put` and `take` with small answers.
fn many(
    rng: &mut ChaCha8Rng,
    invoke: fn(&mut ChaCha8Rng) -> (&'static str, Value),
    complete: fn(&mut ChaCha8Rng, &Event) -> (EventType, Value, Option<Value>),
) -> History {
    let shape = Shape {
        processes: rng.random_range(1..4),
        operations: rng.random_range(1..8),
        info_percent: [0, 25][rng.random_range(0..2)],
    };
    random_history(rng, &shape, invoke, complete)
}

fn small(rng: &mut ChaCha8Rng) -> Value {
    Value::from(rng.random_range(0..3_i64))
}

/// A history for the model that its name tells.
pub fn counter(rng: &mut ChaCha8Rng) -> History {
    many(
        rng,
        |rng| match rng.random_range(0..2) {
            0 => ("add", Value::from(rng.random_range(-1..3_i64))),
            _ => ("read", Value::Null),
        },
        |rng, invoked| match invoked.f.as_str() {
            "add" => (EventType::Ok, invoked.value.clone(), None),
            _ => (EventType::Ok, small(rng), None),
        },
    )
}

/// A history for the model that its name tells.
pub fn mutex(rng: &mut ChaCha8Rng) -> History {
    many(
        rng,
        |rng| (["acquire", "release"][rng.random_range(0..2)], Value::Null),
        |rng, _| match rng.random_range(0..4) {
            0 => (EventType::Fail, Value::Null, None),
            _ => (EventType::Ok, Value::Null, None),
        },
    )
}

/// A history for the model that its name tells.
pub fn set(rng: &mut ChaCha8Rng) -> History {
    many(
        rng,
        |rng| match rng.random_range(0..3) {
            0 => ("read", Value::Null),
            _ => ("add", small(rng)),
        },
        |rng, invoked| match invoked.f.as_str() {
            "add" => (EventType::Ok, invoked.value.clone(), None),
            _ => {
                let list = (0..3).filter(|_| rng.random_bool(0.5)).map(Value::from).collect();
                (EventType::Ok, Value::Array(list), None)
            }
        },
    )
}

/// A history for the model that its name tells.
pub fn queue(rng: &mut ChaCha8Rng) -> History {
    many(
        rng,
        |rng| match rng.random_range(0..2) {
            0 => ("enqueue", small(rng)),
            _ => ("dequeue", Value::Null),
        },
        |rng, invoked| match (invoked.f.as_str(), rng.random_range(0..5)) {
            ("dequeue", 0 | 1) => (EventType::Fail, Value::Null, None),
            ("dequeue", _) => (EventType::Ok, small(rng), None),
            _ => (EventType::Ok, invoked.value.clone(), None),
        },
    )
}

/// The same history with the words of a stack.
pub fn stack(rng: &mut ChaCha8Rng) -> History {
    let history = queue(rng);
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    let events = history.events_of(&all).into_iter().map(|mut event| {
        event.f = if event.f == "enqueue" { "push".to_owned() } else { "pop".to_owned() };
        event
    });
    History::from_events(events).unwrap()
}

fn txn(rng: &mut ChaCha8Rng) -> Value {
    let steps = (0..rng.random_range(1..3)).map(|_| {
        let key = Value::from(["x", "y"][rng.random_range(0..2)]);
        match rng.random_range(0..2) {
            0 => Value::from(vec![Value::from("r"), key, Value::Null]),
            _ => Value::from(vec![Value::from("w"), key, small(rng)]),
        }
    });
    Value::Array(steps.collect())
}

/// A history for the model that its name tells.
pub fn transactions(rng: &mut ChaCha8Rng) -> History {
    many(
        rng,
        |rng| ("txn", txn(rng)),
        |rng, invoked| {
            let fill = |step: &Value| match step.as_array().unwrap() {
                [f, key, _] if f.as_str() == Some("r") => {
                    let seen = [Value::Null, small(rng)][rng.random_range(0..2)].clone();
                    Value::from(vec![f.clone(), key.clone(), seen])
                }
                _ => step.clone(),
            };
            let steps = invoked.value.as_array().unwrap().iter().map(fill).collect();
            (EventType::Ok, Value::Array(steps), None)
        },
    )
}

/// Draws a history, judges it in every way, and says whether it is valid.
pub type Trial = fn(&mut ChaCha8Rng) -> bool;

/// Every kind of trial, by name.
pub const TRIALS: [(&str, Trial); 13] = [
    ("unique", |rng| agree(&Register::default(), &register(rng, true, true), "unique")),
    ("blind", |rng| agree(&Register::default(), &register(rng, true, false), "blind")),
    ("few", |rng| {
        let actual = rng.random_bool(0.5);
        agree_priced(&register(rng, false, actual), "few")
    }),
    ("scarce", |rng| agree_priced(&scarce(rng), "scarce")),
    ("kv-append", |rng| agree(&KvAppend, &strings(rng), "kv-append")),
    ("counter", |rng| agree(&Counter, &counter(rng), "counter")),
    ("mutex", |rng| agree(&Mutex, &mutex(rng), "mutex")),
    ("set", |rng| agree(&Set, &set(rng), "set")),
    ("queue", |rng| agree(&Queue, &queue(rng), "queue")),
    ("stack", |rng| agree(&Stack, &stack(rng), "stack")),
    ("multi-register", |rng| agree(&MultiRegister, &transactions(rng), "multi-register")),
    ("etcd", |rng| {
        let history = revision_trial::revisions(rng);
        revision_trial::agree(rng, &history)
    }),
    ("etcd store", |rng| store_trial::agree(&store_trial::store(rng))),
];

/// Runs `count` trials of a kind, with seeds from 0; returns how many histories were valid.
pub fn run(trial: Trial, count: u64) -> u64 {
    (0..count).filter(|&seed| trial(&mut ChaCha8Rng::seed_from_u64(seed))).count() as u64
}
