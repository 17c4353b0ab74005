//! `watch`: some clients write, others watch what they write.
//!
//! Watches begin now, in the past, in the future, and at the very revision that was compacted last;
//! of one key, of a range, of everything; with previous values, with filters, in fragments; several
//! on one connection. Every fourth client is slow in reading. One that was lost with its
//! connection is resumed from the revision after the last that it told of.

use crate::form::encode;
use crate::rotation::pick;
use crate::watching::{self, Manner, Watching, is_watching};
use crate::{
    Answer, Completion, Delete, Generator, Next, Options, Patience, Planned, Put, Request, Said,
    Store, Txn, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::Watch;
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Under which the keys lie in the store.
const PREFIX: &str = "ordeal/watch/";
/// How many watches share a connection, at most.
const WATCHES_MAX: usize = 3;
/// How far into the past watches reach.
const PAST: i64 = 200;

/// The workload.
pub struct Watches;

impl Workload for Watches {
    const NAME: &'static str = "watch";
    const SUMMARY: &'static str = "watches of keys, ranges and prefixes, from the past, now and \
                                   the future, while others write, delete and compact";
    const CHECKS: &'static str =
        "watches tell all changes, once, in order, whole; what progress notifications promise";
    const FAULTS: &'static [&'static str] = &["pause", "kill", "partition"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(WatchGenerator {
            options: options.clone(),
            slots,
            watching: Watching::default(),
            values: 0,
            head: 1,
            compacted: 0,
            deleted: None,
        })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        if is_watching(operation.f) {
            return watching::send(PREFIX, store, operation).await;
        }
        let Some(request) = request(options, operation) else {
            return Completion::unknown(operation);
        };
        match store.send(request).await {
            Ok(answer) => completion(operation, &answer),
            Err(error) => Completion::of_error(error),
        }
    }

    fn patience(operation: &Planned) -> Patience {
        if operation.f == "watch-next" { Patience::Open } else { Patience::Usual }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Watch::default())]
    }
}

fn stored(key: &Value) -> Option<Vec<u8>> {
    key.as_str().map(|key| format!("{PREFIX}{key}").into_bytes())
}

fn request(options: &Options, operation: &Planned) -> Option<Request> {
    let put = |key: &Value, value: &Value| {
        Some(Request::Put(Put::of(stored(key)?, encode(value.as_i64()?, options.value_bytes))))
    };
    let delete = |key: &Value| Some(Request::Delete(Delete::of(stored(key)?)));
    match (operation.f, &operation.key, &operation.value) {
        ("write", Some(key), value) => put(key, value),
        ("delete", Some(key), _) => delete(key),
        ("compact", _, Value::Int(revision)) => Some(Request::Compact(*revision)),
        ("txn", _, Value::Array(steps)) => {
            let step = |step: &Value| match step.as_array()? {
                [word, key, value] if word.as_str() == Some("w") => put(key, value),
                [_, key, _] => delete(key),
                _ => None,
            };
            let then: Option<Vec<Request>> = steps.iter().map(step).collect();
            Some(Request::Txn(Txn { then: then?, ..Txn::default() }))
        }
        _ => None,
    }
}

fn completion(operation: &Planned, answer: &Answer) -> Completion {
    let value = match (&answer.said, &operation.value) {
        (Said::Put { .. }, value) => value.clone(),
        (Said::Done, value) => return Completion::ok(value.clone(), 0),
        (Said::Delete { deleted, .. }, _) => Value::Int(*deleted),
        (Said::Txn { results, .. }, Value::Array(steps)) => {
            let told =
                steps.iter().zip(results).map(|(step, said)| match (said, step.as_array()) {
                    (Said::Delete { deleted, .. }, Some([word, key, _])) => {
                        Value::from(vec![word.clone(), key.clone(), Value::Int(*deleted)])
                    }
                    _ => step.clone(),
                });
            Value::from(told.collect::<Vec<_>>())
        }
        _ => return Completion::strange(answer),
    };
    Completion::ok(value, answer.revision)
}

struct WatchGenerator {
    options: Options,
    slots: usize,
    watching: Watching,
    values: i64,
    head: i64,
    compacted: i64,
    /// A deletion's revision, at which a compaction is due.
    deleted: Option<i64>,
}

impl WatchGenerator {
    fn key(&self, rng: &mut ChaCha8Rng) -> String {
        let place = pick(rng.random(), self.options.keys.max(1) as usize, self.options.skew);
        format!("k{place:04}")
    }

    fn write(&mut self, rng: &mut ChaCha8Rng) -> Planned {
        let (key, other) = (self.key(rng), self.key(rng));
        self.values += 1;
        let (name, value) = (Value::from(key.clone()), Value::Int(self.values));
        match rng.random_range(0..100) {
            // A key that was just deleted, compacted at that very revision: etcd issue #18089.
            0..4 if self.deleted.is_some_and(|at| at < self.head) => {
                let at = self.deleted.take().unwrap_or_default();
                Planned { f: "compact", key: None, value: Value::Int(at) }
            }
            4..20 => Planned { f: "delete", key: Some(name), value: Value::Null },
            20..35 if key != other => {
                let steps = [
                    Value::from(vec!["w".into(), name, value]),
                    Value::from(vec!["d".into(), other.into(), Value::Null]),
                ];
                Planned { f: "txn", key: None, value: Value::from(steps.to_vec()) }
            }
            _ => Planned { f: "write", key: Some(name), value },
        }
    }

    fn add_watch(&mut self, slot: usize, rng: &mut ChaCha8Rng) {
        let (key, other) = (self.key(rng), self.key(rng));
        let (from, until) = match rng.random_range(0..4) {
            0 => (key, None),
            1 if key < other => (key, Some(other)),
            _ => ("k".to_owned(), Some(String::new())),
        };
        let filter = match rng.random_range(0..12) {
            0 => Some("noput"),
            1 => Some("nodelete"),
            _ => None,
        };
        let start = match rng.random_range(0..8) {
            0..3 => 0,
            3 | 4 => (self.head - rng.random_range(0..PAST)).max(1),
            5 => self.head + rng.random_range(1..PAST / 4),
            _ => self.compacted,
        };
        let (prev_kv, fragment) = (rng.random_range(0..3) == 0, rng.random_range(0..6) == 0);
        let manner = Manner { from, until, prev_kv, fragment, filter };
        self.watching.add(slot, manner, start);
    }

    /// The second half of the slots watch.
    fn watches(&self, slot: usize) -> bool {
        slot >= self.slots.div_ceil(2)
    }
}

impl Generator for WatchGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        if !self.watches(slot) {
            return Next::Invoke(self.write(rng));
        }
        let wanted = 1 + slot % WATCHES_MAX;
        while self.watching.count(slot) < wanted {
            self.add_watch(slot, rng);
        }
        // A slow reader takes a rest now and then, and then has much to read.
        if slot % 4 == 3 && rng.random_range(0..3) > 0 {
            return Next::Wait;
        }
        Next::Invoke(self.watching.next(slot, rng))
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        if is_watching(operation.f) {
            return self.watching.observe(slot, operation, completion);
        }
        self.head = self.head.max(completion.revision.unwrap_or(0));
        if completion.outcome != Outcome::Ok {
            return;
        }
        match (operation.f, &operation.value) {
            ("compact", Value::Int(at)) => self.compacted = self.compacted.max(*at),
            ("delete", _) if completion.value == Value::Int(1) => {
                self.deleted = completion.revision;
            }
            _ => {}
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        self.watching.next_final(slot, self.head)
    }
}
