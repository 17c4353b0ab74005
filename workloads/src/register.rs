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

use crate::{
    Answer, Compare, CompareOp, CompareTarget, Completion, Generator, KeyValue, Next, Options,
    Planned, Request, Store, TxnOp, TxnResult, Workload,
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

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(RegisterGenerator { keys: Keys::new(options.keys, slots), slots, values: 0 })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let Some(request) = request(options, operation) else {
            let error = format!("register has no operation {operation:?}");
            return Completion::of_error(crate::StoreError::DidNotHappen(error));
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
    values: i64,
}

impl RegisterGenerator {
    fn unique(&mut self) -> i64 {
        self.values += 1;
        self.values
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
        let key = self.keys.take(which);
        let expected = self.keys.recent(key, back);
        let (f, value) = match expected {
            _ if self.reads(slot, kind) => ("read", Value::Null),
            Some(expected) if write >= WRITES_PERCENT => {
                let new = self.unique();
                self.keys.chained(key, expected, new);
                let pair = [Value::Int(expected), Value::Int(new)];
                ("cas", Value::Array(pair.into()))
            }
            _ => ("write", Value::Int(self.unique())),
        };
        Next::Invoke(Planned { f, key: Some(key_name(key)), value })
    }

    fn observe(&mut self, operation: &Planned, completion: &Completion) {
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
        ("read", _) => Some(Request::Get { key, serializable: options.serializable }),
        ("write", Value::Int(value)) => Some(Request::Put { key, value: encode(*value) }),
        ("cas", Value::Array(pair)) => {
            let [Value::Int(old), Value::Int(new)] = pair[..] else {
                return None;
            };
            let target = CompareTarget::Value(encode(old));
            Some(Request::Txn {
                compares: vec![Compare { key: key.clone(), op: CompareOp::Equal, target }],
                then: vec![TxnOp::Put(key.clone(), encode(new)), TxnOp::Get(key.clone())],
                otherwise: vec![TxnOp::Get(key)],
            })
        }
        _ => None,
    }
}

/// What the answer says of the operation.
fn completion(operation: &Planned, answer: Answer) -> Completion {
    let ok = |value: Value, revision: i64, version: Option<i64>| Completion {
        outcome: Outcome::Ok,
        value,
        actual: None,
        revision: Some(revision),
        version,
        error: None,
    };
    match (operation.f, answer) {
        ("read", Answer::Got { revision, kv }) => ok(seen(kv.as_ref()), revision, version(&kv)),
        ("write", Answer::Put { revision }) => ok(operation.value.clone(), revision, None),
        ("cas", Answer::Txn { revision, succeeded: true, results }) => {
            let kv = results.into_iter().find_map(got).flatten();
            ok(operation.value.clone(), revision, version(&kv))
        }
        ("cas", Answer::Txn { revision, succeeded: false, results }) => {
            let kv = results.into_iter().find_map(got);
            Completion {
                outcome: Outcome::Fail,
                value: operation.value.clone(),
                actual: kv.as_ref().map(|kv| seen(kv.as_ref())),
                revision: Some(revision),
                version: kv.as_ref().and_then(version),
                error: None,
            }
        }
        (_, answer) => Completion::of_error(crate::StoreError::Indeterminate(format!(
            "the store answered another question: {answer:?}"
        ))),
    }
}

fn got(result: TxnResult) -> Option<Option<KeyValue>> {
    if let TxnResult::Got(kv) = result { Some(kv) } else { None }
}

fn version(kv: &Option<KeyValue>) -> Option<i64> {
    kv.as_ref().map(|kv| kv.version)
}

fn encode(value: i64) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A value as it goes into the history: the number, or the text if somebody made something else
/// of it, which then is a value that nobody wrote.
fn seen(kv: Option<&KeyValue>) -> Value {
    let Some(kv) = kv else {
        return Value::Null;
    };
    let text = String::from_utf8_lossy(&kv.value);
    match text.parse() {
        Ok(number) if encode(number) == kv.value => Value::Int(number),
        _ => Value::String(text.into()),
    }
}

#[cfg(test)]
mod tests;
