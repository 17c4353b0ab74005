//! What a workload is.

use crate::{Answer, Store, StoreError};
use ordeal_checker::Checker;
use ordeal_history::{Outcome, Value};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::future::Future;

/// The options of a workload, as they stand in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How many objects are in play at once.
    pub keys: u32,
    /// Serializable reads, which may be stale, in place of linearizable ones.
    pub serializable: bool,
    /// So many values there are; 0: every value that is written is a new one.
    #[serde(default)]
    pub values: u32,
    /// How much more often the first objects are chosen than the last; 0: all alike.
    #[serde(default)]
    pub skew: u32,
    /// The least length of a value, in bytes.
    #[serde(default)]
    pub value_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 8, serializable: false, values: 0, skew: 0, value_bytes: 0 }
    }
}

impl Options {
    /// The options for the reads after the last heal: those are linearizable in any case.
    pub fn for_final_reads(&self) -> Options {
        Options { serializable: false, ..self.clone() }
    }
}

/// An operation that is to be invoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The function.
    pub f: &'static str,
    /// The object.
    pub key: Option<Value>,
    /// The argument.
    pub value: Value,
}

/// What a generator says when a process is free.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this.
    Invoke(Planned),
    /// Nothing now: ask again when another operation has ended.
    Wait,
    /// This process has nothing more to do.
    Done,
}

/// How an operation ended, as it goes into the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// Ok, fail or info.
    pub outcome: Outcome,
    /// The result.
    pub value: Value,
    /// What a failed cas saw.
    pub actual: Option<Value>,
    /// Header revision.
    pub revision: Option<i64>,
    /// The key's version.
    pub version: Option<i64>,
    /// The error's text.
    pub error: Option<String>,
}

/// How long an operation may wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as this client waits for any.
    Usual,
    /// So many times the longest that clients of this run wait.
    Long(u32),
    /// For what may never come, until the work is over. Such an operation is due at once, and one
    /// that is cut off has lost nothing: the connection is kept.
    Open,
}

impl Completion {
    /// It happened, and this is what came of it, at this revision.
    pub fn ok(value: Value, revision: i64) -> Completion {
        let revision = Some(revision).filter(|revision| *revision > 0);
        Completion { revision, ..Completion::bare(Outcome::Ok, value) }
    }

    /// It did not happen, and that is an answer, no error.
    pub fn refused(value: Value) -> Completion {
        Completion::bare(Outcome::Fail, value)
    }

    /// Nothing came while it was waited for, and nothing was lost by that.
    pub fn cut_off() -> Completion {
        Completion::bare(Outcome::Info, Value::Null)
    }

    /// The store answered something else than was asked: who knows what happened.
    pub fn strange(answer: &Answer) -> Completion {
        let error = format!("the store answered another question: {answer:?}");
        Completion::of_error(StoreError::Indeterminate(error))
    }

    /// An operation that the workload does not have.
    pub fn unknown(operation: &Planned) -> Completion {
        let error = format!("this workload has no operation {operation:?}");
        Completion::of_error(StoreError::DidNotHappen(error))
    }

    fn bare(outcome: Outcome, value: Value) -> Completion {
        Completion { outcome, value, actual: None, revision: None, version: None, error: None }
    }

    /// The completion that an error stands for.
    pub fn of_error(error: StoreError) -> Completion {
        let outcome = match &error {
            StoreError::DidNotHappen(_) => Outcome::Fail,
            StoreError::Indeterminate(_) => Outcome::Info,
        };
        let error = Some(error.to_string());
        Completion { error, ..Completion::bare(outcome, Value::Null) }
    }
}

/// Chooses operations. All its draws come from the generator it is given.
pub trait Generator {
    /// The next operation for a free process (its slot, from 0; slots outlive retired processes).
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next;
    /// Tells how an operation ended that it chose, so that it can choose with knowledge.
    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion);
    /// The reads after the last heal: each process slot asks until `Done`.
    fn next_final(&mut self, slot: usize) -> Next;
}

/// A workload: generator, sender and checkers under one name.
pub trait Workload: 'static {
    /// Its name on the command line.
    const NAME: &'static str;
    /// What it does, in one sentence.
    const SUMMARY: &'static str;
    /// What it would notice.
    const CHECKS: &'static str;
    /// The names of the faults that bring that out.
    const FAULTS: &'static [&'static str];
    /// Whether it needs users and roles, whatever the options say.
    const AUTH: bool = false;
    /// Whether it speaks etcd's v2 API, which not every store has, and which has users of its own.
    const V2: bool = false;
    /// Whether it works on two clusters, where a place has room for a second one.
    const TWO_CLUSTERS: bool = false;
    /// A generator for a cluster of `slots` concurrent processes.
    fn generator(options: &Options, slots: usize) -> Box<dyn Generator>;
    /// Sends one operation, and tells how it ended.
    fn send<S: Store>(
        store: &mut S,
        options: &Options,
        operation: &Planned,
    ) -> impl Future<Output = Completion>;
    /// Whether the second cluster is asked, where there is one. What is told of it has no revision:
    /// it counts its own.
    fn is_elsewhere(_operation: &Planned) -> bool {
        false
    }
    /// How long the operation may wait for its answer.
    fn patience(_operation: &Planned) -> Patience {
        Patience::Usual
    }
    /// The checkers that judge its histories.
    fn checkers(options: &Options) -> Vec<Box<dyn Checker>>;
}
