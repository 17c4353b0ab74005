//! Watches, as clients keep them: begun, read response by response, lost with their connection,
//! and resumed from the revision after the last that they told of.
//!
//! Shared by the workloads that watch. How a history tells of watches stands in `docs/checker.md`.

use crate::form::{decode_bytes, fields, member, number, object, text};
use crate::store::{Change, Told};
use crate::{
    Answer, Completion, Next, Options, Patience, Planned, Request, Said, Store, WatchRequest, after,
};
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How many requests a slot makes at the end, at most, before it gives up.
const FINAL_MAX: u32 = 2_000;
/// After so many waits at the end in which nothing came it gives up as well.
const SILENCES_MAX: u32 = 2;

/// The keys and manners of a watch, which stay what they are when it is resumed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// The first key and the first beyond; or a prefix alone.
    pub(crate) from: String,
    /// `None`: one key. Empty: `from` is a prefix.
    pub(crate) until: Option<String>,
    pub(crate) prev_kv: bool,
    pub(crate) fragment: bool,
    pub(crate) filter: Option<&'static str>,
}

impl Manner {
    /// Of all keys that begin as `from` does.
    pub(crate) fn prefix() -> Manner {
        Manner { until: Some(String::new()), ..Manner::default() }
    }
}

struct Watched {
    manner: Manner,
    /// The id in the history; `None` while it is not begun.
    id: Option<i64>,
    /// Where it goes on; 0: from now on.
    next: i64,
}

#[derive(Default)]
struct Slot {
    watches: Vec<Watched>,
    turn: usize,
    final_left: u32,
    /// How often nothing came for as long as it was waited for.
    silences: u32,
    /// Whether the work is over and the rest is being read.
    ending: bool,
    /// Whether it was asked how far the watches are, since the last of them began.
    asked: bool,
}

/// The watches of all slots that watch.
#[derive(Default)]
pub(crate) struct Watching {
    slots: BTreeMap<usize, Slot>,
    ids: i64,
}

impl Watching {
    /// How many watches the slot has, begun or not.
    pub(crate) fn count(&self, slot: usize) -> usize {
        self.slots.get(&slot).map_or(0, |slot| slot.watches.len())
    }

    /// Another watch for the slot, from this revision on; 0: from now on.
    pub(crate) fn add(&mut self, slot: usize, manner: Manner, start: i64) {
        let state = self.slots.entry(slot).or_default();
        state.watches.push(Watched { manner, id: None, next: start });
    }

    /// The slot has no watch any more.
    pub(crate) fn forget(&mut self, slot: usize) {
        self.slots.remove(&slot);
    }

    /// What the slot does next; it must have a watch.
    pub(crate) fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Planned {
        let draw = rng.random_range(0..400);
        let state = self.slots.entry(slot).or_default();
        if let Some(begin) = state.begin(&mut self.ids) {
            return begin;
        }
        state.turn = (state.turn + 1) % state.watches.len().max(1);
        let id = state.watches.get(state.turn).and_then(|watch| watch.id);
        match draw {
            0..40 => Self::ask(),
            40..44 => plain("watch-cancel", id.map_or(Value::Null, Value::Int)),
            _ => plain("watch-next", id.map_or(Value::Null, Value::Int)),
        }
    }

    /// The question how far all watches of a slot are.
    pub(crate) fn ask() -> Planned {
        plain("watch-progress", Value::Null)
    }

    /// What became of it.
    pub(crate) fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        let Some(state) = self.slots.get_mut(&slot) else { return };
        if completion.error.is_some() {
            // The connection is gone, and all that was on it.
            state.watches.iter_mut().for_each(|watch| watch.id = None);
            return;
        }
        let id = match operation.f {
            "watch" => number(&operation.value, "id"),
            _ => operation.value.as_i64(),
        };
        let place = state.watches.iter().position(|watch| watch.id == id);
        let (Some(place), Outcome::Ok) = (place.filter(|_| id.is_some()), completion.outcome)
        else {
            if completion.outcome == Outcome::Info {
                // A question how far the watches are is passed over while some of them are behind.
                (state.silences, state.asked) = (state.silences + 1, false);
            }
            return;
        };
        match operation.f {
            "watch-cancel" => {
                state.watches.remove(place);
            }
            "watch" => {
                let watch = &mut state.watches[place];
                if watch.next == 0 {
                    watch.next = completion.revision.unwrap_or(0) + 1;
                }
            }
            "watch-next" => state.told(place, completion),
            _ => {}
        }
    }

    /// At the end: until each watch has told of everything up to `goal`.
    pub(crate) fn next_final(&mut self, slot: usize, goal: i64) -> Next {
        let Some(state) = self.slots.get_mut(&slot) else { return Next::Done };
        if !std::mem::replace(&mut state.ending, true) {
            // What was cut off at the end of the work is no reason to give up.
            (state.silences, state.final_left) = (0, FINAL_MAX);
        }
        let behind = state.watches.iter().position(|watch| watch.next <= goal);
        let Some(behind) = behind else { return Next::Done };
        if state.silences == SILENCES_MAX || state.final_left == 0 {
            return Next::Done;
        }
        state.final_left -= 1;
        if let Some(begin) = state.begin(&mut self.ids) {
            state.asked = false;
            return Next::Invoke(begin);
        }
        // While one waits for a revision to come nobody is told how far the others are.
        if let Some(ahead) = state.watches.iter().find(|watch| watch.next > goal + 1) {
            return Next::Invoke(plain("watch-cancel", ahead.id.map_or(Value::Null, Value::Int)));
        }
        if !state.asked || state.final_left % 50 == 0 {
            state.asked = true;
            return Next::Invoke(Self::ask());
        }
        let id = state.watches[behind].id.unwrap_or_default();
        Next::Invoke(plain("watch-next", Value::Int(id)))
    }
}

impl Slot {
    /// Begins the first watch that is not begun.
    fn begin(&mut self, ids: &mut i64) -> Option<Planned> {
        let watch = self.watches.iter_mut().find(|watch| watch.id.is_none())?;
        *ids += 1;
        watch.id = Some(*ids);
        Some(plain("watch", watch.manner.request(*ids, watch.next)))
    }

    fn told(&mut self, place: usize, completion: &Completion) {
        let watch = &mut self.watches[place];
        let value = &completion.value;
        if is_canceled(completion) {
            let compacted = number(value, "compact_revision").unwrap_or(0);
            watch.id = None;
            watch.next = watch.next.max(compacted);
            return;
        }
        let events = member(value, "events").and_then(Value::as_array).unwrap_or_default();
        let last = events.iter().filter_map(|event| number(event, "mod")).max();
        // More of a fragment's revision is to come, and would be lost with the connection.
        let whole = member(value, "fragment").is_none();
        let told = last.map(|last| last + i64::from(whole));
        let next = told.or(completion.revision.map(|revision| revision + 1));
        watch.next = watch.next.max(next.unwrap_or(0));
    }
}

impl Manner {
    fn request(&self, id: i64, start: i64) -> Value {
        let mut members = vec![("id", Value::Int(id))];
        match self.until.as_deref() {
            None => members.push(("key", self.from.as_str().into())),
            Some("") => members.push(("prefix", self.from.as_str().into())),
            Some(until) => {
                members.extend([("key", self.from.as_str().into()), ("range_end", until.into())]);
            }
        }
        if start > 0 {
            members.push(("start", Value::Int(start)));
        }
        if self.prev_kv {
            members.push(("prev_kv", true.into()));
        }
        if self.fragment {
            members.push(("fragment", true.into()));
        }
        if let Some(filter) = self.filter {
            members.push(("filters", Value::from(vec![filter.into()])));
        }
        fields(members)
    }
}

fn plain(f: &'static str, value: Value) -> Planned {
    Planned { f, key: None, value }
}

/// Whether the operation is one of those that [`Watching`] chooses.
pub(crate) fn is_watching(f: &str) -> bool {
    f.starts_with("watch")
}

/// Whether that was the last response of a watch.
pub(crate) fn is_canceled(completion: &Completion) -> bool {
    matches!(member(&completion.value, "canceled"), Some(Value::Bool(true)))
}

/// How long such an operation may wait: what a watch tells next may never come.
pub(crate) fn patience(operation: &Planned) -> Patience {
    if operation.f == "watch-next" { Patience::Open } else { Patience::Usual }
}

/// The operations that a workload has besides watches: what each asks, and what the answer means.
pub(crate) struct Own {
    pub(crate) request: fn(&Options, &Planned) -> Option<Request>,
    pub(crate) completion: fn(&Planned, &Answer) -> Completion,
}

/// Sends an operation of a workload that watches; its keys lie under `prefix` in the store.
pub(crate) async fn send<S: Store>(
    prefix: &str,
    own: Own,
    store: &mut S,
    options: &Options,
    operation: &Planned,
) -> Completion {
    if is_watching(operation.f) {
        return send_watching(prefix, store, operation).await;
    }
    let Some(request) = (own.request)(options, operation) else {
        return Completion::unknown(operation);
    };
    match store.send(request).await {
        Ok(answer) => (own.completion)(operation, &answer),
        Err(error) => Completion::of_error(error),
    }
}

/// Sends one of the operations that [`Watching`] chooses.
pub(crate) async fn send_watching<S: Store>(
    prefix: &str,
    store: &mut S,
    operation: &Planned,
) -> Completion {
    let id = operation.value.as_i64();
    let request = match (operation.f, id) {
        ("watch", _) => request(prefix, &operation.value).map(Request::Watch),
        ("watch-next", Some(id)) => Some(Request::WatchNext(id)),
        ("watch-cancel", Some(id)) => Some(Request::WatchCancel(id)),
        ("watch-progress", _) => Some(Request::WatchProgress),
        _ => None,
    };
    let Some(request) = request else { return Completion::unknown(operation) };
    match store.send(request).await {
        Ok(answer) => match &answer.said {
            Said::Watching => Completion::ok(object([]), answer.revision),
            Said::Done => Completion::ok(operation.value.clone(), 0),
            Said::Told(told) => {
                // The revision of a header means something in a notification of progress alone.
                let progress = told.changes.is_empty() && !told.canceled;
                let revision = if progress { answer.revision } else { 0 };
                Completion::ok(shown(prefix, told), revision)
            }
            _ => Completion::strange(&answer),
        },
        Err(error) => Completion::of_error(error),
    }
}

fn request(prefix: &str, value: &Value) -> Option<WatchRequest> {
    let flag = |name| matches!(member(value, name), Some(Value::Bool(true)));
    let word = |name| member(value, name).and_then(Value::as_str);
    let full = |name: &str| format!("{prefix}{name}").into_bytes();
    let (key, range_end) = match (word("prefix"), word("key"), word("range_end")) {
        (Some(begins), ..) => (full(begins), after(&full(begins))),
        (None, Some(key), Some(end)) => (full(key), full(end)),
        (None, Some(key), None) => (full(key), Vec::new()),
        _ => return None,
    };
    let filters = member(value, "filters").and_then(Value::as_array).unwrap_or_default();
    let filtered = |name| filters.iter().any(|filter| filter.as_str() == Some(name));
    Some(WatchRequest {
        number: number(value, "id")?,
        key,
        range_end,
        start: number(value, "start").unwrap_or(0),
        prev_kv: flag("prev_kv"),
        progress_notify: true,
        fragment: flag("fragment"),
        no_put: filtered("noput"),
        no_delete: filtered("nodelete"),
    })
}

fn shown(prefix: &str, told: &Told) -> Value {
    let mut members = Vec::new();
    if !told.changes.is_empty() {
        let events: Vec<Value> = told.changes.iter().map(|c| event(prefix, c)).collect();
        members.push(("events", Value::from(events)));
    }
    if told.fragment {
        members.push(("fragment", true.into()));
    }
    if told.canceled {
        members.push(("canceled", true.into()));
        if told.compact_revision > 0 {
            members.push(("compact_revision", Value::Int(told.compact_revision)));
        }
        if !told.reason.is_empty() {
            members.push(("reason", told.reason.as_str().into()));
        }
    }
    fields(members)
}

fn event(prefix: &str, change: &Change) -> Value {
    let kv = &change.kv;
    let key = text(kv.key.strip_prefix(prefix.as_bytes()).unwrap_or(&kv.key));
    let mut members = vec![("key", key), ("mod", Value::Int(kv.mod_revision))];
    if change.deleted {
        members.push(("type", "delete".into()));
    } else {
        members.extend([
            ("type", "put".into()),
            ("value", decode_bytes(&kv.value)),
            ("create", Value::Int(kv.create_revision)),
            ("version", Value::Int(kv.version)),
        ]);
    }
    if let Some(prev) = &change.prev {
        let (value, at) = (decode_bytes(&prev.value), Value::Int(prev.mod_revision));
        members.push(("prev", object([("value", value), ("mod", at)])));
    }
    fields(members)
}
