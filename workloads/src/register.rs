//! `register`: read, write and compare-and-set on many keys, each key a register of its own.
//!
//! Every value written in a run is a new number, so each read names the very write that it saw. A
//! key is in play for a bounded number of operations and then replaced, so that the history of each
//! object stays short and new objects are always being born under faults.
//!
//! Half of the clients only read: behind a node that was cut off a write hangs, and a client that
//! waits for it sees nothing of the stale reads that the node may be giving meanwhile.
//!
//! A compare-and-set is a transaction that compares the value and, in its other branch, reads it:
//! one that fails is a read too, and says what it saw.

mod keys;

use crate::form::{decode, encode};
use crate::{
    Answer, Compare, CompareTarget, Completion, Generator, KeyValue, Next, Options, Planned, Put,
    Range, Request, Said, Store, Txn, Workload,
};
use keys::Keys;
use ordeal_checker::linear::Linearizable;
use ordeal_checker::{Checker, models};
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Under which the keys lie in the store.
const PREFIX: &str = "ordeal/register/";
/// Of a hundred operations that are no reads so many are writes; the rest are compare-and-set.
const WRITES_PERCENT: u32 = 55;

/// The workload.
pub struct Register;

impl Workload for Register {
    const NAME: &'static str = "register";
    const SUMMARY: &'static str =
        "reads, writes and compare-and-sets of unique values on many keys, each a register";
    const CHECKS: &'static str =
        "linearizability: stale reads, lost writes, values that nobody wrote";
    const FAULTS: &'static [&'static str] = &["partition", "pause", "kill"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let (keys, few) = (Keys::new(options, slots), i64::from(options.values));
        Box::new(RegisterGenerator { keys, slots, few, values: 0 })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let Some(request) = request(options, operation) else {
            return Completion::unknown(operation);
        };
        match store.send(request).await {
            Ok(answer) => completion(operation, answer),
            Err(error) => Completion::of_error(error),
        }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        // Whatever the reads are: that serializable ones may be stale is what it then shows.
        vec![Box::new(Linearizable::new(models::Register::default()))]
    }
}

struct RegisterGenerator {
    keys: Keys,
    slots: usize,
    /// How many values there are; 0: every one is new.
    few: i64,
    values: i64,
}

impl RegisterGenerator {
    /// The value to write, given a draw.
    fn value(&mut self, draw: i64) -> i64 {
        self.values += 1;
        if self.few > 0 { draw % self.few } else { self.values }
    }

    /// Whether the slot reads, given a draw below a hundred: the second half of the slots always
    /// do, and one that is alone does so every other time.
    fn reads(&self, slot: usize, draw: u32) -> bool {
        if self.slots < 2 { draw < 50 } else { slot >= self.slots.div_ceil(2) }
    }
}

impl Generator for RegisterGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        // Always as many draws, so that what one operation chose does not shift the next.
        let (which, kind, write, back) = (
            rng.random::<u32>(),
            rng.random_range(0..100_u32),
            rng.random_range(0..100_u32),
            rng.random_range(0..8_usize),
        );
        // No draw of its own, so that the other options' runs stay what they were.
        let drawn = i64::from(which.rotate_left(16) ^ write);
        let key = self.keys.take(which);
        let expected = self.keys.recent(key, back);
        let (f, value) = match expected {
            _ if self.reads(slot, kind) => ("read", Value::Null),
            Some(expected) if write >= WRITES_PERCENT => {
                let new = self.value(drawn);
                self.keys.chained(key, expected, new);
                let pair = [Value::Int(expected), Value::Int(new)];
                ("cas", Value::Array(pair.into()))
            }
            _ => ("write", Value::Int(self.value(drawn))),
        };
        Next::Invoke(Planned { f, key: Some(key_name(key)), value })
    }

    fn observe(&mut self, _slot: usize, operation: &Planned, completion: &Completion) {
        let seen = match (&completion.actual, completion.outcome) {
            (Some(actual), _) => actual,
            (None, Outcome::Ok) => &completion.value,
            (None, Outcome::Fail | Outcome::Info) => return,
        };
        let value = match seen {
            Value::Int(value) => Some(*value),
            Value::Array(pair) => match pair.last() {
                Some(Value::Int(value)) => Some(*value),
                _ => None,
            },
            _ => None,
        };
        if let (Some(value), Some(Value::String(name))) = (value, &operation.key) {
            self.keys.saw(name, value);
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        match self.keys.next_final(slot) {
            Some(key) => {
                Next::Invoke(Planned { f: "read", key: Some(key_name(key)), value: Value::Null })
            }
            None => Next::Done,
        }
    }
}

fn key_name(key: u64) -> Value {
    Value::String(format!("k{key}").into())
}

/// The request that stands for an operation; `None` for one that is not of this workload.
fn request(options: &Options, operation: &Planned) -> Option<Request> {
    let Some(Value::String(name)) = &operation.key else {
        return None;
    };
    let key = format!("{PREFIX}{name}").into_bytes();
    match (operation.f, &operation.value) {
        ("read", _) => {
            let serializable = options.serializable;
            Some(Request::Range(Range { serializable, ..Range::of(key) }))
        }
        ("write", Value::Int(value)) => {
            Some(Request::Put(Put::of(key, encode(*value, options.value_bytes))))
        }
        ("cas", Value::Array(pair)) => {
            let [Value::Int(old), Value::Int(new)] = pair[..] else {
                return None;
            };
            let encoded = |value| encode(value, options.value_bytes);
            let target = CompareTarget::Value(encoded(old));
            let read = || Request::Range(Range::of(key.clone()));
            Some(Request::Txn(Txn {
                compares: vec![Compare::equal(key.clone(), target)],
                then: vec![Request::Put(Put::of(key.clone(), encoded(new))), read()],
                otherwise: vec![read()],
            }))
        }
        _ => None,
    }
}

/// What the answer says of the operation.
fn completion(operation: &Planned, answer: Answer) -> Completion {
    let version = |kv: Option<&KeyValue>| kv.map(|kv| kv.version);
    let revision = answer.revision;
    match (operation.f, &answer.said) {
        ("read", Said::Range { kvs, .. }) => {
            let version = version(kvs.first());
            Completion { version, ..Completion::ok(decode(kvs.first()), revision) }
        }
        ("write", Said::Put { .. }) => Completion::ok(operation.value.clone(), revision),
        ("cas", Said::Txn { succeeded, results }) => {
            let read = results.iter().find(|said| matches!(said, Said::Range { .. }));
            let kv = read.and_then(Said::one);
            if *succeeded {
                let done = Completion::ok(operation.value.clone(), revision);
                return Completion { version: version(kv), ..done };
            }
            Completion {
                actual: read.map(|_| decode(kv)),
                revision: Some(revision),
                version: version(kv),
                ..Completion::refused(operation.value.clone())
            }
        }
        _ => Completion::strange(&answer),
    }
}

#[cfg(test)]
mod tests;
