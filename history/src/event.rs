//! One line of a history.

use crate::Value;

/// Who an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A logical single-threaded client; retired after an indeterminate outcome.
    Client(i64),
    /// The nemesis; its events are notes and are never judged.
    Nemesis,
}

/// What an event says of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// The operation begins.
    Invoke,
    /// It took effect between its invocation and now.
    Ok,
    /// It certainly did not take effect.
    Fail,
    /// It may have taken effect, at any time since its invocation, also after this event.
    Info,
}

/// One event, in Jepsen's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// 0, 1, 2, … in the order of the file.
    pub index: u64,
    /// Nanoseconds since the start of the run, monotonic.
    pub time: u64,
    /// Whose event it is.
    pub process: Process,
    /// Invocation, or the kind of completion.
    pub kind: EventType,
    /// The function: `read`, `write`, `cas`, `txn`, or a fault's name.
    pub f: String,
    /// The object that it concerns; a history without keys is about one object.
    pub key: Option<Value>,
    /// Argument of an invocation, result of a completion.
    pub value: Value,
    /// What a failed cas saw in place of its expected value.
    pub actual: Option<Value>,
    /// The store's revision in the answer's header.
    pub revision: Option<i64>,
    /// The version of the key in the answer.
    pub version: Option<i64>,
    /// The node that was asked.
    pub node: Option<String>,
    /// The error, in the store's or the client's words.
    pub error: Option<String>,
}

impl Event {
    /// An event with the fields that every event has, and `null` for its value.
    pub fn new(
        index: u64,
        time: u64,
        process: Process,
        kind: EventType,
        f: impl Into<String>,
    ) -> Event {
        Event {
            index,
            time,
            process,
            kind,
            f: f.into(),
            key: None,
            value: Value::Null,
            actual: None,
            revision: None,
            version: None,
            node: None,
            error: None,
        }
    }
}
