//! Pairs events into operations, and holds them to the rules of a history.

use crate::brief::brief;
use crate::{Event, EventType, History, Operation, Outcome, Process, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Beyond this many different error texts each keeps its own copy.
const ERRORS_SHARED_MAX: usize = 4096;

/// An event whose texts are borrowed from wherever they stand.
pub(crate) struct Parts<'a> {
    pub(crate) index: u64,
    pub(crate) time: u64,
    pub(crate) process: Process,
    pub(crate) kind: EventType,
    pub(crate) f: &'a str,
    pub(crate) key: KeyPart<'a>,
    pub(crate) value: Value,
    pub(crate) actual: Option<Value>,
    pub(crate) revision: Option<i64>,
    pub(crate) version: Option<i64>,
    pub(crate) node: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

/// A key, which most often is a string that was seen before.
pub(crate) enum KeyPart<'a> {
    Absent,
    Name(&'a str),
    Other(Value),
}

/// A rule that an event breaks, and the field that shows it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

fn broken<T>(field: &'static str, message: String) -> Result<T, Broken> {
    Err(Broken { field, message })
}

#[derive(Clone, Copy)]
enum State {
    Idle,
    /// Position of its open operation.
    Open(usize),
    /// Index of the info event that retired it.
    Retired(u64),
}

/// Builds a history event by event; O(1) each.
#[derive(Default)]
pub(crate) struct Assembler {
    history: History,
    states: FxHashMap<i64, State>,
    names: FxHashMap<Box<str>, Arc<str>>,
    errors: FxHashMap<Box<str>, Arc<str>>,
    keys: FxHashMap<Box<str>, Value>,
    last_time: u64,
}

impl Assembler {
    pub(crate) fn push(&mut self, parts: Parts<'_>) -> Result<(), Broken> {
        let expected = self.history.events;
        if parts.index != expected {
            return broken(
                "index",
                format!(
                    "expected index {expected}, found {}: indexes count 0, 1, 2, …",
                    parts.index
                ),
            );
        }
        if parts.time < self.last_time {
            return broken(
                "time",
                format!("time goes back, from {} to {} ns", self.last_time, parts.time),
            );
        }
        match (parts.process, parts.kind) {
            (Process::Nemesis, _) => self.note(parts),
            (Process::Client(process), EventType::Invoke) => self.invoke(process, parts)?,
            (Process::Client(process), kind) => self.complete(process, kind, parts)?,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> History {
        self.history
    }

    /// Takes note of an event that was accepted.
    fn accepted(&mut self, time: u64) {
        self.history.events += 1;
        self.last_time = time;
    }

    fn note(&mut self, parts: Parts<'_>) {
        self.accepted(parts.time);
        let event = Event {
            index: parts.index,
            time: parts.time,
            process: parts.process,
            kind: parts.kind,
            f: parts.f.to_owned(),
            key: self.key(parts.key),
            value: parts.value,
            actual: parts.actual,
            revision: parts.revision,
            version: parts.version,
            node: parts.node.map(str::to_owned),
            error: parts.error.map(str::to_owned),
        };
        self.history.notes.push(event);
    }

    fn invoke(&mut self, process: i64, parts: Parts<'_>) -> Result<(), Broken> {
        let position = self.history.operations.len();
        let state = self.states.entry(process).or_insert(State::Idle);
        match *state {
            State::Idle => *state = State::Open(position),
            State::Open(open) => {
                let since = self.history.operations[open].invoke;
                return broken(
                    "process",
                    format!(
                        "process {process} invokes while its operation of event {since} is open"
                    ),
                );
            }
            State::Retired(at) => {
                return broken(
                    "process",
                    format!("process {process} invokes after its info of event {at} retired it"),
                );
            }
        }
        self.accepted(parts.time);
        let operation = Operation {
            process,
            f: self.name(parts.f),
            key: self.key(parts.key),
            input: parts.value,
            output: Value::Null,
            actual: None,
            outcome: Outcome::Info,
            invoke: parts.index,
            complete: None,
            invoke_time: parts.time,
            complete_time: None,
            revision: parts.revision,
            version: parts.version,
            node: parts.node.map(|node| self.name(node)),
            error: parts.error.map(|error| self.error(error)),
        };
        self.history.operations.push(operation);
        Ok(())
    }

    fn complete(&mut self, process: i64, kind: EventType, parts: Parts<'_>) -> Result<(), Broken> {
        let open = match self.states.get(&process) {
            Some(State::Open(open)) => *open,
            Some(State::Retired(at)) => {
                return broken(
                    "process",
                    format!("process {process} completes after its info of event {at} retired it"),
                );
            }
            Some(State::Idle) => {
                return broken(
                    "process",
                    format!("process {process} completes an operation that was completed before"),
                );
            }
            None => {
                return broken(
                    "process",
                    format!("process {process} completes an operation that it never invoked"),
                );
            }
        };
        let key = self.key(parts.key);
        let node = parts.node.map(|node| self.name(node));
        let error = parts.error.map(|error| self.error(error));
        let operation = &mut self.history.operations[open];
        if *operation.f != *parts.f {
            return broken(
                "f",
                format!(
                    "completes `{}` of event {} as `{}`",
                    brief(&operation.f),
                    operation.invoke,
                    brief(parts.f)
                ),
            );
        }
        if operation.key != key {
            return broken(
                "key",
                format!("the key is not that of its invocation, event {}", operation.invoke),
            );
        }
        let (outcome, state) = match kind {
            EventType::Ok => (Outcome::Ok, State::Idle),
            EventType::Fail => (Outcome::Fail, State::Idle),
            _ => (Outcome::Info, State::Retired(parts.index)),
        };
        operation.outcome = outcome;
        operation.complete = Some(parts.index);
        operation.complete_time = Some(parts.time);
        // One copy of what stands in both.
        operation.output =
            if operation.input == parts.value { operation.input.clone() } else { parts.value };
        operation.actual = parts.actual;
        operation.revision = parts.revision.or(operation.revision);
        operation.version = parts.version.or(operation.version);
        operation.node = node.or(operation.node.take());
        operation.error = error.or(operation.error.take());
        self.states.insert(process, state);
        self.accepted(parts.time);
        Ok(())
    }

    fn name(&mut self, text: &str) -> Arc<str> {
        shared(&mut self.names, text)
    }

    fn error(&mut self, text: &str) -> Arc<str> {
        if self.errors.len() >= ERRORS_SHARED_MAX {
            return self.errors.get(text).cloned().unwrap_or_else(|| text.into());
        }
        shared(&mut self.errors, text)
    }

    fn key(&mut self, key: KeyPart<'_>) -> Option<Value> {
        match key {
            KeyPart::Absent => None,
            KeyPart::Other(value) => Some(value),
            KeyPart::Name(name) => Some(match self.keys.get(name) {
                Some(value) => value.clone(),
                None => {
                    let value = Value::from(name);
                    self.keys.insert(name.into(), value.clone());
                    value
                }
            }),
        }
    }
}

fn shared(pool: &mut FxHashMap<Box<str>, Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = pool.get(text) {
        return known.clone();
    }
    let name: Arc<str> = text.into();
    pool.insert(text.into(), name.clone());
    name
}
