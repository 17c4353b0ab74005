//! `rollout`: a configuration that is rolled out, and those who act on it.
//!
//! An operator changes all parts of the machines' state in one transaction. A service that
//! provisions, one that answers DHCP, and the machines, each with a role of its own that may only
//! read, look at it through different members and act. Some render files as confd does: a watch
//! wakes them, and then they read all parts. Nobody may act on a configuration that is older than
//! one somebody has acted on, nor on parts of two.

use crate::form::{decode, encode, member, number};
use crate::people::{ROLLOUT, operator, readers};
use crate::rotation::Once;
use crate::watching::{self, Manner, Watching, is_watching};
use crate::{
    Compare, CompareTarget, Completion, Generator, Login, Next, Options, Patience, Planned, Put,
    Range, Request, Said, Store, StoreError, Txn, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::Rollout as Judge;
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// At most so many parts: a transaction holds no more than 128 operations.
const PARTS_MAX: u32 = 100;

/// The workload.
pub struct Rollouts;

impl Workload for Rollouts {
    const NAME: &'static str = "rollout";
    const SUMMARY: &'static str = "an operator changes a configuration in transactions; services \
                                   and machines of several roles read it, or watch, and act";
    const CHECKS: &'static str = "acting on a configuration that is torn, or older than one acted \
                                  on; writing without the right to";
    const FAULTS: &'static [&'static str] = &["partition", "pause", "kill"];
    const AUTH: bool = true;

    fn generator(_options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(People {
            watching: Watching::default(),
            told: BTreeMap::new(),
            made: 0,
            head: 0,
            finals: Once::new(slots),
        })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        if is_watching(operation.f) {
            return watching::send_watching(ROLLOUT, store, operation).await;
        }
        let sent = match (operation.f, operation.value.as_i64()) {
            ("change", Some(made)) => change(store, options, made).await,
            ("act", _) => act(store, options, operation).await,
            ("meddle", _) => meddle(store, operation).await,
            _ => Ok(Completion::unknown(operation)),
        };
        sent.unwrap_or_else(Completion::of_error)
    }

    fn patience(operation: &Planned) -> Patience {
        watching::patience(operation)
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Judge)]
    }
}

fn part(number: u32) -> String {
    format!("{ROLLOUT}machines/m{number:03}")
}

/// The operator makes the next configuration, on condition that the one that it sees is still
/// there: so an earlier change whose outcome nobody knows cannot come after it.
async fn change<S: Store>(
    store: &mut S,
    options: &Options,
    made: i64,
) -> Result<Completion, StoreError> {
    let ask = |request| Request::As(operator(), Box::new(request));
    let seen = store.send(ask(Request::Range(Range::of(part(0))))).await;
    // Nothing was asked but a question.
    let seen = seen.map_err(|error| StoreError::DidNotHappen(error.to_string()))?;
    let since = seen.said.one().map_or(0, |kv| kv.mod_revision);
    let put = |number| Request::Put(Put::of(part(number), encode(made, options.value_bytes)));
    let txn = Txn {
        compares: vec![Compare::equal(part(0), CompareTarget::ModRevision(since))],
        then: (0..options.keys.clamp(1, PARTS_MAX)).map(put).collect(),
        otherwise: Vec::new(),
    };
    let answer = store.send(ask(Request::Txn(txn))).await?;
    Ok(match answer.said {
        Said::Txn { succeeded: true, .. } => Completion::ok(Value::Int(made), answer.revision),
        Said::Txn { .. } => Completion::refused(Value::Int(made)),
        _ => Completion::strange(&answer),
    })
}

/// Who acts.
fn actor(operation: &Planned) -> Login {
    let name = operation.key.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut readers = readers();
    let place = readers.iter().position(|reader| reader.user == name).unwrap_or(0);
    readers.swap_remove(place)
}

/// Somebody reads all parts, and acts on what they say.
async fn act<S: Store>(
    store: &mut S,
    options: &Options,
    operation: &Planned,
) -> Result<Completion, StoreError> {
    let serializable = options.serializable;
    let all = Range { serializable, ..Range::prefix(format!("{ROLLOUT}machines/")) };
    let request = Request::As(actor(operation), Box::new(Request::Range(all)));
    let answer = store.send(request).await?;
    let parts: Vec<Value> = answer.said.kvs().iter().map(|kv| decode(Some(kv))).collect();
    Ok(Completion::ok(Value::from(parts), answer.revision))
}

/// Somebody who may only read tries to write: told in the result is whether that was done.
async fn meddle<S: Store>(store: &mut S, operation: &Planned) -> Result<Completion, StoreError> {
    let put = Request::Put(Put::of(part(0), encode(-1, 0)));
    match store.send(Request::As(actor(operation), Box::new(put))).await {
        Ok(answer) => Ok(Completion::ok(Value::Bool(true), answer.revision)),
        Err(StoreError::DidNotHappen(why)) if why.contains("permission denied") => {
            Ok(Completion::ok(Value::Bool(false), 0))
        }
        Err(error) => Err(error),
    }
}

struct People {
    watching: Watching,
    /// The newest configuration that a slot was told of and has not acted on.
    told: BTreeMap<usize, i64>,
    made: i64,
    head: i64,
    finals: Once,
}

impl People {
    fn act(slot: usize, told: Option<i64>) -> Planned {
        let readers = readers();
        let key = Some(Value::from(readers[slot % readers.len()].user.clone()));
        Planned { f: "act", key, value: told.map_or(Value::Null, Value::Int) }
    }

    /// As confd: woken by a watch, it reads all parts.
    fn render(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Planned {
        if let Some(told) = self.told.remove(&slot) {
            return Self::act(slot, Some(told));
        }
        if self.watching.count(slot) == 0 {
            let parts = Manner { from: "machines/".to_owned(), ..Manner::prefix() };
            self.watching.add(slot, parts, 0);
        }
        self.watching.next(slot, rng)
    }
}

impl Generator for People {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let draw = rng.random_range(0..100);
        Next::Invoke(match slot % 4 {
            // One operator, or each would be in the other's way.
            0 if slot == 0 && draw < 50 => {
                self.made += 1;
                Planned { f: "change", key: None, value: Value::Int(self.made) }
            }
            2 => self.render(slot, rng),
            _ if draw < 2 => Planned { f: "meddle", ..Self::act(slot, None) },
            _ => Self::act(slot, None),
        })
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        self.head = self.head.max(completion.revision.unwrap_or(0));
        if !is_watching(operation.f) {
            return;
        }
        self.watching.observe(slot, operation, completion);
        if completion.outcome == Outcome::Ok {
            let events = member(&completion.value, "events").and_then(Value::as_array);
            let told = events.unwrap_or_default().iter().filter_map(|item| number(item, "value"));
            if let Some(newest) = told.max() {
                self.told.insert(slot, newest);
            }
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        if self.finals.is_first(slot) { Next::Invoke(Self::act(slot, None)) } else { Next::Done }
    }
}
