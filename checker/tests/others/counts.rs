//! Counters, banks and long forks.

use super::random::{agree, before, history, those};
use ordeal_checker::others::{Bank, Counter, LongFork};
use ordeal_history::{History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

#[test]
fn a_counter_lies_between_what_each_choice_of_adds_gives() {
    let draw = |rng: &mut ChaCha8Rng| {
        let count = rng.random_range(1..7);
        history(rng, count, |rng| match rng.random_range(0..2) {
            0 => ("add", Value::from(rng.random_range(-2..4)), Value::Null),
            _ => ("read", Value::Null, Value::from(rng.random_range(-1..4))),
        })
    };
    agree(&Counter, 4000, &["valid", "invalid"], draw, |history| {
        let right = those(history, "read", Outcome::Ok).all(|read| {
            let value = read.output.as_i64().unwrap();
            let sums = sums(history, read);
            sums.iter().any(|sum| *sum <= value) && sums.iter().any(|sum| *sum >= value)
        });
        if right { "valid" } else { "invalid" }
    });
}

/// The sum of every choice of adds that can have counted when `read` was answered.
fn sums(history: &History, read: &Operation) -> Vec<i64> {
    let mut sums = vec![0];
    for add in history.operations.iter().filter(|o| &*o.f == "add") {
        if add.outcome == Outcome::Fail || Some(add.invoke) > read.complete {
            continue;
        }
        let amount = add.input.as_i64().unwrap();
        let certain = add.outcome == Outcome::Ok && before(add, read);
        let with: Vec<i64> = sums.iter().map(|sum| sum + amount).collect();
        sums = if certain { with } else { [sums, with].concat() };
    }
    sums
}

#[test]
fn a_bank_has_one_total() {
    let draw = |rng: &mut ChaCha8Rng| {
        let count = rng.random_range(0..5);
        history(rng, count, |rng| {
            let first = rng.random_range(-1..11);
            let second = if rng.random_range(0..5) == 0 { 3 } else { 10 - first };
            let text = format!(r#"{{"a":{first},"b":{second}}}"#);
            ("read", Value::Null, Value::parse(&text).unwrap())
        })
    };
    for negative_balances in [true, false] {
        let bank = Bank { total: None, negative_balances };
        agree(&bank, 2000, &["valid", "invalid"], draw, |history| {
            let balances = |o: &Operation| match &o.output {
                Value::Object(all) => all.values().map(|v| v.as_i64().unwrap()).collect(),
                _ => Vec::new(),
            };
            let all: Vec<Vec<i64>> = those(history, "read", Outcome::Ok).map(balances).collect();
            let sum = |balances: &Vec<i64>| balances.iter().sum::<i64>();
            let equal = all.iter().all(|one| all.iter().all(|other| sum(one) == sum(other)));
            let below = all.iter().flatten().any(|balance| *balance < 0);
            if equal && (negative_balances || !below) { "valid" } else { "invalid" }
        });
    }
}

#[test]
fn no_two_readers_fork() {
    let draw = |rng: &mut ChaCha8Rng| {
        let count = rng.random_range(0..6);
        history(rng, count, |rng| {
            let group = if rng.random() { ["a", "b", "c"] } else { ["d", "e", "f"] };
            let mut seen = Vec::new();
            // Mostly in the order in which the writes came.
            let many = rng.random_range(0..4);
            for (at, key) in group.iter().enumerate() {
                let there = (at < many) != (rng.random_range(0..20) == 0);
                let value = if there { Value::from(1) } else { Value::Null };
                seen.push(Value::from(vec![Value::from("r"), Value::from(*key), value]));
            }
            ("txn", Value::Null, Value::from(seen))
        })
    };
    agree(&LongFork, 2000, &["valid", "invalid"], draw, |history| {
        let reads: Vec<&[Value]> =
            those(history, "txn", Outcome::Ok).map(|o| o.output.as_array().unwrap()).collect();
        let part = |step: &Value, at: usize| step.as_array().unwrap()[at].clone();
        let same = |one: &[Value], other: &[Value]| {
            one.iter().zip(other).all(|(one, other)| part(one, 1) == part(other, 1))
        };
        let more = |one: &[Value], other: &[Value]| {
            one.iter()
                .zip(other)
                .any(|(one, other)| !part(one, 2).is_null() && part(other, 2).is_null())
        };
        let fork = reads.iter().any(|one| {
            reads.iter().any(|other| same(one, other) && more(one, other) && more(other, one))
        });
        if fork { "invalid" } else { "valid" }
    });
}
