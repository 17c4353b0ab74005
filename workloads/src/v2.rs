//! `v2`: registers by etcd's first keys API, over HTTP: where Jepsen found etcd's first stale read.
//!
//! What is done is what `register` does, so that the two can be compared. A compare-and-set is one
//! request on condition of the value, or, as clients of v2 do it too, a read and then a request on
//! condition of the index that it saw. A key that nobody has seen yet is created, on condition that
//! it is not there.
//!
//! A read without quorum (`--read serializable`) is v2's plain GET, which a member answers from
//! what it has itself.

use crate::form::{decode_bytes, encode};
use crate::{
    Completion, Generator, Next, Options, Planned, Register, Request, Said, Store, StoreError, V2,
    V2Condition, V2Said, Workload,
};
use ordeal_checker::Checker;
use ordeal_history::{Outcome, Value};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Under which the keys lie in the store.
const PREFIX: &str = "ordeal/v2/";
/// How many keys are remembered as created, for each that is in play at once.
const KNOWN_TIMES: usize = 8;

/// The workload.
pub struct OldApi;

impl Workload for OldApi {
    const NAME: &'static str = "v2";
    const SUMMARY: &'static str = "reads, writes, creations and compare-and-sets by etcd's v2 API \
                                   over HTTP, on many keys, each a register";
    const CHECKS: &'static str = "linearizability: stale reads of plain GETs (--read \
                                  serializable), and of those with quorum";
    const FAULTS: &'static [&'static str] = &["partition", "pause", "kill"];
    const V2: bool = true;

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let known_max = KNOWN_TIMES * options.keys.max(1) as usize;
        let register = Register::generator(options, slots);
        Box::new(Creating { register, known: BTreeSet::new(), known_max })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let Some(name) = operation.key.as_ref().and_then(Value::as_str) else {
            return Completion::unknown(operation);
        };
        let mut client = Client { store, options, key: format!("{PREFIX}{name}") };
        let done = match (operation.f, &operation.value) {
            ("read", _) => client.read().await.map(|(value, _)| Completion::ok(value, 0)),
            ("write", value @ Value::Int(new)) => {
                client.set(*new, None).await.map(|_| Completion::ok(value.clone(), 0))
            }
            ("cas", pair) => match pair.as_array() {
                Some([Value::Null, Value::Int(new)]) => client.create(*new, pair).await,
                Some([Value::Int(old), Value::Int(new)]) => client.cas(*old, *new, pair).await,
                _ => return Completion::unknown(operation),
            },
            _ => return Completion::unknown(operation),
        };
        done.unwrap_or_else(Completion::of_error)
    }

    fn checkers(options: &Options) -> Vec<Box<dyn Checker>> {
        Register::checkers(options)
    }
}

/// One key, through one connection.
struct Client<'a, S> {
    store: &'a mut S,
    options: &'a Options,
    key: String,
}

impl<S: Store> Client<'_, S> {
    async fn ask(&mut self, asked: V2) -> Result<V2Said, StoreError> {
        let answer = self.store.send(Request::V2(asked)).await?;
        match answer.said {
            Said::V2(said) => Ok(said),
            other => Err(strange(&other)),
        }
    }

    /// What the key holds, and the index of its last change.
    async fn read(&mut self) -> Result<(Value, Option<u64>), StoreError> {
        let quorum = !self.options.serializable;
        match self.ask(V2::Get { key: self.key.clone(), quorum }).await? {
            V2Said::Node { value, modified } => {
                Ok((decode_bytes(value.as_bytes()), Some(modified)))
            }
            V2Said::Missing => Ok((Value::Null, None)),
            other => Err(strange(&other)),
        }
    }

    async fn set(
        &mut self,
        new: i64,
        condition: Option<V2Condition>,
    ) -> Result<V2Said, StoreError> {
        let value = self.encoded(new);
        self.ask(V2::Set { key: self.key.clone(), value, condition }).await
    }

    fn encoded(&self, value: i64) -> String {
        String::from_utf8_lossy(&encode(value, self.options.value_bytes)).into()
    }

    async fn create(&mut self, new: i64, pair: &Value) -> Result<Completion, StoreError> {
        match self.set(new, Some(V2Condition::PrevExist(false))).await? {
            V2Said::Node { .. } => Ok(Completion::ok(pair.clone(), 0)),
            V2Said::Exists => Ok(Completion::refused(pair.clone())),
            other => Err(strange(&other)),
        }
    }

    /// By the value or by the index, every other time; which is told by the new value, so that a
    /// plan that is played again does the same.
    async fn cas(&mut self, old: i64, new: i64, pair: &Value) -> Result<Completion, StoreError> {
        let saw = |actual| Completion { actual, ..Completion::refused(pair.clone()) };
        if new % 2 == 0 {
            return self.cas_by_index(old, new, pair).await;
        }
        let condition = V2Condition::PrevValue(self.encoded(old));
        match self.set(new, Some(condition)).await? {
            V2Said::Node { .. } => Ok(Completion::ok(pair.clone(), 0)),
            V2Said::Missing => Ok(saw(Some(Value::Null))),
            // The words name both values. Without them what is certain is that it was not `old`.
            said @ V2Said::Differs { .. } => {
                Ok(saw(said.actual().map(|actual| decode_bytes(actual.as_bytes()))))
            }
            other => Err(strange(&other)),
        }
    }

    async fn cas_by_index(
        &mut self,
        old: i64,
        new: i64,
        pair: &Value,
    ) -> Result<Completion, StoreError> {
        let (value, modified) = self.read().await?;
        let modified = match modified {
            Some(modified) if value == Value::Int(old) => modified,
            // It is as any read, and judged as one.
            _ => {
                return Ok(Completion { actual: Some(value), ..Completion::refused(pair.clone()) });
            }
        };
        match self.set(new, Some(V2Condition::PrevIndex(modified))).await? {
            V2Said::Node { .. } => Ok(Completion::ok(pair.clone(), 0)),
            V2Said::Differs { cause } => {
                // Another index, but where values come again perhaps no other value.
                let error = format!("the key was written since it was read: {cause}");
                Err(StoreError::DidNotHappen(error))
            }
            other => Err(strange(&other)),
        }
    }
}

/// An answer to another question: who knows what happened.
fn strange(said: &impl std::fmt::Debug) -> StoreError {
    StoreError::Indeterminate(format!("the store answered another question: {said:?}"))
}

/// What `register` does, with creations.
struct Creating {
    register: Box<dyn Generator>,
    /// Keys that are there; only the latest are kept.
    known: BTreeSet<u64>,
    known_max: usize,
}

/// The number in a key's name.
fn number(key: &Option<Value>) -> Option<u64> {
    key.as_ref()?.as_str()?.strip_prefix('k')?.parse().ok()
}

impl Generator for Creating {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let next = self.register.next(slot, rng);
        match next {
            Next::Invoke(Planned { f: "write", key, value })
                if number(&key).is_some_and(|number| !self.known.contains(&number)) =>
            {
                let pair = Value::Array([Value::Null, value].into());
                Next::Invoke(Planned { f: "cas", key, value: pair })
            }
            next => next,
        }
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        let seen = match (operation.f, completion.outcome) {
            ("read", Outcome::Ok) => !completion.value.is_null(),
            (_, Outcome::Ok) => true,
            // A creation that failed without an error found the key there.
            ("cas", Outcome::Fail) => {
                completion.error.is_none() && completion.actual != Some(Value::Null)
            }
            _ => false,
        };
        if let Some(number) = number(&operation.key).filter(|_| seen) {
            self.known.insert(number);
            if self.known.len() > self.known_max {
                self.known.pop_first();
            }
        }
        self.register.observe(slot, operation, completion);
    }

    fn next_final(&mut self, slot: usize) -> Next {
        self.register.next_final(slot)
    }
}

#[cfg(test)]
mod tests;
