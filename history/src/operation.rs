//! Operations: events paired, and the rules that make a history well-formed.

use crate::assemble::{Assembler, KeyPart, Parts};
use crate::{Event, EventType, Process, Value};

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

impl History {
    /// Pairs events that are already in memory, under the same rules as a file's.
    ///
    /// An error names the event by its place (from 1) as the line. O(events).
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<History, Malformed> {
        let mut assembler = Assembler::default();
        for (place, event) in events.into_iter().enumerate() {
            let parts = Parts {
                index: event.index,
                time: event.time,
                process: event.process,
                kind: event.kind,
                f: &event.f,
                key: event.key.map_or(KeyPart::Absent, KeyPart::Other),
                value: event.value,
                actual: event.actual,
                revision: event.revision,
                version: event.version,
                node: event.node.as_deref(),
                error: event.error.as_deref(),
            };
            assembler.push(parts).map_err(|broken| Malformed {
                line: place as u64 + 1,
                column: 1,
                message: format!("`{}`: {}", broken.field, broken.message),
            })?;
        }
        Ok(assembler.finish())
    }

    /// The events of the operations at `positions`, numbered 0, 1, 2, … afresh: a history of its
    /// own, in the order of this one. O(n log n) in the positions.
    pub fn events_of(&self, positions: &[u32]) -> Vec<Event> {
        let mut events: Vec<Event> = positions
            .iter()
            .filter_map(|&position| self.operations.get(position as usize))
            .flat_map(Operation::events)
            .collect();
        events.sort_by_key(|event| event.index);
        for (index, event) in events.iter_mut().enumerate() {
            event.index = index as u64;
        }
        events
    }
}

impl Operation {
    /// Its invocation and, if it came, its completion; what is known of the answer stands in the
    /// last of them.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        let process = Process::Client(self.process);
        let mut invoke =
            Event::new(self.invoke, self.invoke_time, process, EventType::Invoke, &*self.f);
        invoke.key.clone_from(&self.key);
        invoke.value = self.input.clone();
        let mut complete = self.complete.map(|index| {
            let kind = match self.outcome {
                Outcome::Ok => EventType::Ok,
                Outcome::Fail => EventType::Fail,
                Outcome::Info => EventType::Info,
            };
            let time = self.complete_time.unwrap_or(self.invoke_time);
            let (value, actual) = (self.output.clone(), self.actual.clone());
            Event { index, time, kind, value, actual, ..invoke.clone() }
        });
        let last = complete.as_mut().unwrap_or(&mut invoke);
        last.revision = self.revision;
        last.version = self.version;
        last.node = self.node.as_deref().map(str::to_owned);
        last.error = self.error.as_deref().map(str::to_owned);
        std::iter::once(invoke).chain(complete)
    }
}
