//! Operations: events paired, and the rules that make a history well-formed.

use crate::{Event, Value};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect, and its result is known.
    Ok,
    /// It certainly did not take effect.
    Fail,
    /// Indeterminate: it may have taken effect, at any time since its invocation.
    Info,
}

/// One operation of a client: its invocation and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The logical process.
    pub process: i64,
    /// The function: `read`, `write`, `cas`, …
    pub f: std::sync::Arc<str>,
    /// The object, when the history names objects.
    pub key: Option<Value>,
    /// The invocation's value.
    pub input: Value,
    /// The completion's value; `Null` where there is no completion.
    pub output: Value,
    /// What a failed cas saw.
    pub actual: Option<Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// Index of the invocation's event.
    pub invoke: u64,
    /// Index of the completion's event; `None` when it never came.
    pub complete: Option<u64>,
    /// Nanoseconds since the start of the run.
    pub invoke_time: u64,
    /// Nanoseconds since the start of the run; `None` when no completion came.
    pub complete_time: Option<u64>,
    /// The store's revision in the answer's header.
    pub revision: Option<i64>,
    /// The version of the key in the answer.
    pub version: Option<i64>,
    /// The node that was asked.
    pub node: Option<std::sync::Arc<str>>,
    /// The error's text.
    pub error: Option<std::sync::Arc<str>>,
}

/// A well-formed history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The operations, in the order of their invocations.
    pub operations: Vec<Operation>,
    /// The nemesis' events, in order.
    pub notes: Vec<Event>,
    /// How many events there were, notes included.
    pub events: u64,
}

/// Why a text is no history: the place, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Malformed {
    /// Line, from 1.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
    /// What is wrong, and what was expected.
    pub message: String,
}
