//! Watches as the history has them: a request, and the responses to it in their order.

use super::super::objects::{event, field, flag, number};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;

/// One watch, from its creation on.
pub(super) struct Stream<'h> {
    /// The operation that asked for it.
    pub(super) position: u32,
    pub(super) request: Request<'h>,
    /// The first revision whose changes it must deliver; `None` if nobody told.
    pub(super) start: Option<i64>,
    pub(super) responses: Vec<Response<'h>>,
    /// The event at which a client first asked to cancel it.
    pub(super) cancel_asked: Option<u64>,
}

/// What a watch covers.
pub(super) struct Request<'h> {
    pub(super) keys: Keys<'h>,
    pub(super) prev_kv: bool,
    no_put: bool,
    no_delete: bool,
}

/// The keys of a watch.
pub(super) enum Keys<'h> {
    One(&'h Value),
    Prefix(&'h str),
    /// From a key on, up to and without another, or to the end.
    Range(&'h str, Option<&'h str>),
}

/// One response.
pub(super) struct Response<'h> {
    pub(super) position: u32,
    pub(super) operation: &'h Operation,
    pub(super) events: Vec<WatchEvent<'h>>,
    /// More of the same revision may follow.
    pub(super) fragment: bool,
    pub(super) canceled: bool,
    /// Not 0 where the watch was cancelled for a compaction.
    pub(super) compact_revision: i64,
    /// Whether the store said why it cancelled.
    pub(super) reasoned: bool,
}

impl Response<'_> {
    /// The event at which it was there.
    pub(super) fn end(&self) -> u64 {
        self.operation.complete.unwrap_or(u64::MAX)
    }

    /// The revision of a progress notification, if this is one.
    pub(super) fn progress(&self) -> Option<i64> {
        self.operation.revision.filter(|_| self.events.is_empty() && !self.canceled)
    }
}

/// A change, as a watch told of it.
#[derive(Clone, Copy)]
pub(super) struct WatchEvent<'h> {
    pub(super) key: &'h Value,
    /// `None` where the key was deleted.
    pub(super) value: Option<&'h Value>,
    pub(super) revision: i64,
    /// Where told.
    pub(super) create: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) prev: Option<&'h Value>,
}

impl Request<'_> {
    /// Whether it asks for changes of `key`.
    pub(super) fn covers(&self, key: &Value) -> bool {
        match (&self.keys, key.as_str()) {
            (Keys::One(one), _) => *one == key,
            (Keys::Prefix(prefix), Some(key)) => key.starts_with(prefix),
            (Keys::Range(from, until), Some(key)) => {
                *from <= key && until.is_none_or(|until| key < until)
            }
            (_, None) => false,
        }
    }

    /// Whether its filters let a change pass.
    pub(super) fn lets_pass(&self, value: Option<&Value>) -> bool {
        if value.is_some() { !self.no_put } else { !self.no_delete }
    }
}

/// The watches of a history that were created, in the order of their requests. O(size).
///
/// An error names the event whose value is none that the form has.
pub(super) fn streams(history: &History) -> Result<Vec<Stream<'_>>, String> {
    let mut streams: Vec<Stream<'_>> = Vec::new();
    let mut named: FxHashMap<&Value, usize> = FxHashMap::default();
    for (position, operation) in (0..).zip(&history.operations) {
        let of = |id: &Value| {
            let none = || format!("{} names watch {id}, which nobody asked for", event(operation));
            named.get(id).copied().ok_or_else(none)
        };
        match (&*operation.f, operation.outcome) {
            ("watch", outcome) => {
                let id = field(&operation.input, "id").unwrap_or(&operation.input);
                let asked = request(operation)?;
                if named.insert(id, streams.len()).is_some() {
                    return Err(format!("{} asks for watch {id} again", event(operation)));
                }
                let start = number(&operation.input, "start").filter(|start| *start > 0);
                let next = operation.revision.filter(|_| outcome == Outcome::Ok);
                streams.push(Stream {
                    position,
                    request: asked,
                    start: start.or(next.map(|revision| revision + 1)),
                    responses: Vec::new(),
                    cancel_asked: None,
                });
            }
            ("watch-next", Outcome::Ok) => {
                let place = of(&operation.input)?;
                streams[place].responses.push(response(position, operation)?);
            }
            ("watch-cancel", outcome) if outcome != Outcome::Fail => {
                let stream = &mut streams[of(&operation.input)?];
                stream.cancel_asked = stream.cancel_asked.or(Some(operation.invoke));
            }
            _ => {}
        }
    }
    Ok(streams)
}

fn request(operation: &Operation) -> Result<Request<'_>, String> {
    let input = &operation.input;
    let text = |name| field(input, name).and_then(Value::as_str);
    let keys = match (text("prefix"), field(input, "key"), text("range_end")) {
        (Some(prefix), ..) => Keys::Prefix(prefix),
        (None, Some(key), None) => Keys::One(key),
        (None, Some(Value::String(from)), Some(end)) => {
            Keys::Range(from, (end != "\0").then_some(end))
        }
        _ => return Err(format!("{} asks to watch no key: {input}", event(operation))),
    };
    let filters = field(input, "filters").and_then(Value::as_array).unwrap_or_default();
    let filtered = |name: &str| filters.iter().any(|filter| filter.as_str() == Some(name));
    let (no_put, no_delete) = (filtered("noput"), filtered("nodelete"));
    Ok(Request { keys, prev_kv: flag(input, "prev_kv"), no_put, no_delete })
}

fn response(position: u32, operation: &Operation) -> Result<Response<'_>, String> {
    let output = &operation.output;
    let events = field(output, "events").and_then(Value::as_array).unwrap_or_default();
    let read =
        |item| read(item).ok_or_else(|| format!("{} has {item}, no event", event(operation)));
    Ok(Response {
        position,
        operation,
        events: events.iter().map(read).collect::<Result<_, _>>()?,
        fragment: flag(output, "fragment"),
        canceled: flag(output, "canceled"),
        compact_revision: number(output, "compact_revision").unwrap_or(0),
        reasoned: field(output, "reason").is_some(),
    })
}

fn read(item: &Value) -> Option<WatchEvent<'_>> {
    static NULL: Value = Value::Null;
    let value = match field(item, "type")?.as_str()? {
        "put" => Some(field(item, "value").unwrap_or(&NULL)),
        "delete" => None,
        _ => return None,
    };
    Some(WatchEvent {
        key: field(item, "key")?,
        value,
        revision: number(item, "mod")?,
        create: number(item, "create"),
        version: number(item, "version"),
        prev: field(item, "prev"),
    })
}
