//! What a workload is.

use crate::{Store, StoreError};
use ordeal_checker::Checker;
use ordeal_history::Value;
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
    pub outcome: ordeal_history::Outcome,
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

impl Completion {
    /// The completion that an error stands for.
    pub fn of_error(error: StoreError) -> Completion {
        let outcome = match &error {
            StoreError::DidNotHappen(_) => ordeal_history::Outcome::Fail,
            StoreError::Indeterminate(_) => ordeal_history::Outcome::Info,
        };
        Completion {
            outcome,
            value: Value::Null,
            actual: None,
            revision: None,
            version: None,
            error: Some(error.to_string()),
        }
    }
}

/// Chooses operations. All its draws come from the generator it is given.
pub trait Generator {
    /// The next operation for a free process (its slot, from 0; slots outlive retired processes).
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next;
    /// Tells how an operation ended that it chose, so that it can choose with knowledge.
    fn observe(&mut self, operation: &Planned, completion: &Completion);
    /// The reads after the last heal: each process slot asks until `Done`.
    fn next_final(&mut self, slot: usize) -> Next;
}

/// A workload: generator, sender and checkers under one name.
pub trait Workload: 'static {
    /// Its name on the command line.
    const NAME: &'static str;
    /// What it does, in one sentence.
    const SUMMARY: &'static str;
    /// A generator for a cluster of `slots` concurrent processes.
    fn generator(options: &Options, slots: usize) -> Box<dyn Generator>;
    /// Sends one operation, and tells how it ended.
    fn send<S: Store>(
        store: &mut S,
        options: &Options,
        operation: &Planned,
    ) -> impl Future<Output = Completion>;
    /// The checkers that judge its histories.
    fn checkers(options: &Options) -> Vec<Box<dyn Checker>>;
}
