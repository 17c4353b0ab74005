//! Sets, queues and identifiers.

use super::random::{agree, before, history, those};
use ordeal_checker::others::{Set, SetFull, TotalQueue, UniqueIds};
use ordeal_history::{History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Some of the whole numbers below `count`.
fn some(rng: &mut ChaCha8Rng, count: i64, percent: u32) -> Value {
    let kept = (0..count).filter(|_| rng.random_range(0..100) < percent).map(Value::from);
    Value::from(kept.collect::<Vec<_>>())
}

/// Adds of 0, 1, 2, …, and reads that see some of what there can be, sometimes one thing twice.
fn adds_and_reads(rng: &mut ChaCha8Rng) -> History {
    let mut next = 0;
    let count = rng.random_range(1..8);
    history(rng, count, |rng| {
        if rng.random() {
            next += 1;
            return ("add", Value::from(next - 1), Value::Null);
        }
        let mut seen = some(rng, next, 90);
        if rng.random_range(0..20) == 0 {
            let twice = [seen.as_array().unwrap(), seen.as_array().unwrap()].concat();
            seen = Value::from(twice);
        }
        ("read", Value::Null, seen)
    })
}

/// Whether `read` has `value`.
fn has(read: &Operation, value: &Value) -> bool {
    read.output.as_array().unwrap().contains(value)
}

/// Whether somebody can have added `value` before `read` ended.
fn addable(history: &History, value: &Value, read: &Operation) -> bool {
    history.operations.iter().any(|add| {
        &*add.f == "add"
            && add.input == *value
            && add.outcome != Outcome::Fail
            && Some(add.invoke) < read.complete
    })
}

#[test]
fn a_set_is_what_its_last_read_says() {
    agree(&Set, 4000, &["valid", "invalid", "unknown"], adds_and_reads, |history| {
        let reads = those(history, "read", Outcome::Ok);
        let last = |read: &&Operation| reads.clone().all(|other| other.invoke <= read.invoke);
        let Some(read) = reads.clone().find(last) else { return "unknown" };
        let mut adds = those(history, "add", Outcome::Ok);
        let kept = adds.all(|add| !before(add, read) || has(read, &add.input));
        let all = read.output.as_array().unwrap();
        let meant = all.iter().all(|value| addable(history, value, read));
        if kept && meant { "valid" } else { "invalid" }
    });
}

/// The oracle of a set that is read all along; `linearizable` asks for no stale read either.
fn fates(history: &History, linearizable: bool) -> &'static str {
    let reads = || those(history, "read", Outcome::Ok);
    for read in reads() {
        let all = read.output.as_array().unwrap();
        let once = all.iter().all(|v| all.iter().filter(|other| *other == v).count() == 1);
        if !once || !all.iter().all(|value| addable(history, value, read)) {
            return "invalid";
        }
    }
    let mut ever = false;
    let adds: Vec<&Operation> = history
        .operations
        .iter()
        .filter(|o| &*o.f == "add" && o.outcome != Outcome::Fail)
        .collect();
    for add in &adds {
        let value = &add.input;
        let known = |read: &Operation| {
            let by_add = add.outcome == Outcome::Ok && before(add, read);
            by_add || reads().any(|other| has(other, value) && before(other, read))
        };
        for missing in reads().filter(|read| !has(read, value) && known(read)) {
            let again = reads().any(|read| has(read, value) && read.invoke > missing.invoke);
            if !again || linearizable {
                return "invalid";
            }
        }
        ever |= reads().any(|read| has(read, value));
    }
    let added = those(history, "add", Outcome::Ok).next().is_some();
    if added && !ever { "unknown" } else { "valid" }
}

#[test]
fn every_element_of_a_set_has_its_fate() {
    for linearizable in [true, false] {
        let words = ["valid", "invalid", "unknown"];
        agree(&SetFull { linearizable }, 4000, &words, adds_and_reads, |history| {
            fates(history, linearizable)
        });
    }
}

#[test]
fn what_goes_into_a_queue_comes_out() {
    let draw = |rng: &mut ChaCha8Rng| {
        let mut next = 0;
        let count = rng.random_range(1..8);
        history(rng, count, |rng| match rng.random_range(0..9) {
            0..4 => {
                next += 1;
                ("enqueue", Value::from(next - 1), Value::Null)
            }
            4..8 => ("dequeue", Value::Null, Value::from(rng.random_range(0..next + 1))),
            _ => ("drain", Value::Null, some(rng, next, 80)),
        })
    };
    for exactly_once in [false, true] {
        let words = ["valid", "invalid", "unknown"];
        agree(&TotalQueue { exactly_once }, 4000, &words, draw, |history| {
            queue(history, exactly_once)
        });
    }
}

fn queue(history: &History, exactly_once: bool) -> &'static str {
    let out: Vec<&Value> = those(history, "dequeue", Outcome::Ok)
        .map(|o| &o.output)
        .chain(those(history, "drain", Outcome::Ok).flat_map(|o| o.output.as_array().unwrap()))
        .collect();
    let put = |v: &Value| {
        let same = |o: &&Operation| &*o.f == "enqueue" && o.input == *v;
        history.operations.iter().filter(same).any(|o| o.outcome != Outcome::Fail)
    };
    let twice = |v: &Value| out.iter().filter(|other| **other == v).count() > 1;
    if out.iter().any(|v| !put(v) || (exactly_once && twice(v))) {
        return "invalid";
    }
    let left = || those(history, "enqueue", Outcome::Ok).filter(|o| !out.contains(&&o.input));
    let empty = |o: &&Operation| {
        let failed = &*o.f == "dequeue" && o.outcome == Outcome::Fail;
        failed || (&*o.f == "drain" && o.outcome == Outcome::Ok)
    };
    let missed =
        |put: &&Operation| history.operations.iter().filter(empty).any(|empty| before(put, empty));
    let lost = left().filter(missed).count();
    let drains = those(history, "drain", Outcome::Info).count();
    if drains == 0 && lost > those(history, "dequeue", Outcome::Info).count() {
        "invalid"
    } else if left().count() > 0 {
        "unknown"
    } else {
        "valid"
    }
}

#[test]
fn identifiers_are_given_once() {
    let draw = |rng: &mut ChaCha8Rng| {
        let count = rng.random_range(0..7);
        history(rng, count, |rng| ("generate", Value::Null, Value::from(rng.random_range(0..20))))
    };
    agree(&UniqueIds, 2000, &["valid", "invalid"], draw, |history| {
        let given: Vec<_> = those(history, "generate", Outcome::Ok).map(|o| &o.output).collect();
        let once = |at: usize| !given[..at].contains(&given[at]);
        if (0..given.len()).all(once) { "valid" } else { "invalid" }
    });
}
