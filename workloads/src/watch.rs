//! `watch`: some clients write, others watch what they write.
//!
//! Watches begin now, in the past, in the future, and at the very revision that was compacted last;
//! of one key, of a range, of everything; with previous values, with filters, in fragments; several
//! on one connection. One that was lost with its connection is resumed from the revision after the
//! last that it told of.
//!
//! Every fourth client is slow in reading: it rests at times, while so much is written that the
//! store must keep the rest back, and what it asks first then is how far its watches are.

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
use std::collections::BTreeMap;

/// Under which the keys lie in the store.
const PREFIX: &str = "ordeal/watch/";
/// How many watches share a connection, for one slot after another.
const WATCHES: [usize; 7] = [1, 2, 3, 1, 2, 3, 12];
/// How far into the past watches reach.
const PAST: i64 = 200;

/// How far into the future.
const FUTURE: i64 = 2_500;

/// The key whose values are large, so that responses are.
const LARGE: &str = "klarge";
/// How large they are.
const LARGE_BYTES: u32 = 128 << 10;
/// So many of them are written while a slow reader rests: more than stores send ahead.
const LARGE_VALUES: u32 = 72;
/// For so many turns a slow reader reads, and then rests.
const READS: u32 = 400;
/// For so many turns it rests, and for three times as many at most while those are not written.
const RESTS: u32 = 200;

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
            turns: BTreeMap::new(),
            large_left: 0,
        })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let own = watching::Own { request, completion };
        watching::send(PREFIX, own, store, options, operation).await
    }

    fn patience(operation: &Planned) -> Patience {
        watching::patience(operation)
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
        let bytes = if key.as_str() == Some(LARGE) { LARGE_BYTES } else { options.value_bytes };
        Some(Request::Put(Put::of(stored(key)?, encode(value.as_i64()?, bytes))))
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
    /// How far each slow reader is in its reading and resting.
    turns: BTreeMap<usize, u32>,
    /// Large values that are to be written yet.
    large_left: u32,
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
        let resting = self.turns.values().any(|turn| *turn > READS);
        match rng.random_range(0..100) {
            // A key that was just deleted, compacted at that very revision: etcd issue #18089. Who
            // rests is to find there what it has not read.
            0..4 if !resting && self.deleted.is_some_and(|at| at < self.head) => {
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
            35..80 if self.large_left > 0 => {
                self.large_left -= 1;
                Planned { f: "write", key: Some(LARGE.into()), value }
            }
            _ => Planned { f: "write", key: Some(name), value },
        }
    }

    /// What a slow reader does in place of reading.
    fn slow(&mut self, slot: usize) -> Option<Next> {
        let turn = self.turns.entry(slot).or_default();
        *turn += 1;
        let rested = turn.saturating_sub(READS);
        if rested == 1 {
            self.large_left = LARGE_VALUES;
        }
        if rested > 3 * RESTS || (rested > RESTS && self.large_left == 0) {
            *turn = 0;
            return Some(Next::Invoke(Watching::ask()));
        }
        (rested > 0).then_some(Next::Wait)
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
            // Near ones begin soon; far ones wait while much is written (etcd issue #20221).
            5 => {
                let reach = if rng.random() { FUTURE / 50 } else { FUTURE };
                self.head + rng.random_range(1..reach)
            }
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
        let wanted = WATCHES[slot % WATCHES.len()];
        let is_slow = slot % 4 == 3;
        if is_slow && self.watching.count(slot) == 0 {
            let all = Manner { from: "k".to_owned(), ..Manner::prefix() };
            self.watching.add(slot, all, 0);
        }
        while self.watching.count(slot) < wanted {
            self.add_watch(slot, rng);
        }
        if is_slow && let Some(next) = self.slow(slot) {
            return next;
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
