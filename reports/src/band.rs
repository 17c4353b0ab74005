//! What the nemesis noted, and the stretches of time in which a fault lay on the cluster.
//!
//! A note's `f` is the kind of fault, and its value an object:
//! `{"id":3,"phase":"start","what":"isolate n2 (the leader)","nodes":["n2"]}` at injection,
//! `{"id":3,"phase":"end","landed":true,"seen":{"dropped":412}}` when it is over, and
//! `{"id":3,"phase":"failed","error":"…"}` when it could not be injected. Notes of another form are
//! left alone: they may come from another tool.

use crate::clocks::readings;
use crate::text::{clean, counted, listed};
use crate::value::{bare, show};
use ordeal_history::{Event, History, Value};

/// A stretch of time in which a fault lay on the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// The fault's number in the schedule.
    pub id: i64,
    /// Its kind: `kill`, `pause`, `partition`.
    pub kind: String,
    /// What was done, in words; may be empty.
    pub what: String,
    /// The nodes that it was aimed at.
    pub nodes: Vec<String>,
    /// Nanoseconds since the start of the run.
    pub start_ns: u64,
    /// Nanoseconds since the start of the run; the end of the history where no end was noted.
    pub end_ns: u64,
    /// Whether an end was noted.
    pub ended: bool,
    /// Whether it was seen to have an effect.
    pub landed: bool,
    /// What showed that it landed, as noted.
    pub seen: Option<Value>,
    /// What of it could not be injected or undone.
    pub error: Option<String>,
}

/// What a note says of its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was injected.
    Start,
    /// It is over.
    End,
    /// It could not be injected.
    Failed,
}

/// A note of the nemesis, read.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// The kind of fault.
    pub kind: &'a str,
    /// The fault's number in the schedule.
    pub id: i64,
    /// What the note says.
    pub phase: Phase,
    /// Whether it was seen to have an effect; only ends say so.
    pub landed: bool,
    /// The whole event.
    pub event: &'a Event,
}

/// The notes of `history` that speak of faults, in order.
pub fn notes(history: &History) -> impl Iterator<Item = Note<'_>> {
    history.notes.iter().filter_map(note)
}

/// What `event`, one of the nemesis, says of a fault; `None` when it says nothing of one.
pub fn note(event: &Event) -> Option<Note<'_>> {
    let id = match member(&event.value, "id") {
        Some(Value::Int(id)) => *id,
        _ => return None,
    };
    let phase = match text(&event.value, "phase")? {
        "start" => Phase::Start,
        "end" => Phase::End,
        "failed" => Phase::Failed,
        _ => return None,
    };
    let landed = member(&event.value, "landed") == Some(&Value::Bool(true));
    Some(Note { kind: &event.f, id, phase, landed, event })
}

impl Note<'_> {
    /// What was done, in words, short and harmless; the kind where the note does not say.
    pub fn what(&self) -> String {
        match text(&self.event.value, "what").unwrap_or_default() {
            "" => clean(self.kind, 16),
            what => clean(what, 120),
        }
    }
}

/// The bands of `history`, by their starts. O(notes).
///
/// A second start of the same fault opens a band of its own.
pub fn bands(history: &History) -> Vec<Band> {
    let end_ns = end_of(history);
    let mut bands: Vec<Band> = Vec::new();
    let mut open = std::collections::BTreeMap::new();
    for note in notes(history) {
        match note.phase {
            Phase::Failed => {}
            Phase::Start => {
                open.insert((note.kind, note.id), bands.len());
                bands.push(Band {
                    id: note.id,
                    kind: note.kind.to_owned(),
                    what: text(&note.event.value, "what").unwrap_or_default().to_owned(),
                    nodes: nodes(&note.event.value),
                    start_ns: note.event.time,
                    end_ns: end_ns.max(note.event.time),
                    ended: false,
                    landed: false,
                    seen: None,
                    error: text(&note.event.value, "error").map(str::to_owned),
                });
            }
            Phase::End => {
                let Some(at) = open.remove(&(note.kind, note.id)) else { continue };
                let band = &mut bands[at];
                band.end_ns = note.event.time.max(band.start_ns);
                band.ended = true;
                band.landed = note.landed;
                band.seen = member(&note.event.value, "seen").cloned();
                let error = text(&note.event.value, "error").map(str::to_owned);
                band.error = error.or(band.error.take());
            }
        }
    }
    bands
}

/// A fault in a few words: `partition: isolate n2 (the leader)`.
pub(crate) fn band_name(band: &Band, max: usize) -> String {
    let kind = clean(&band.kind, 16);
    let what = band.what.strip_prefix(band.kind.as_str()).unwrap_or(&band.what).trim();
    if what.is_empty() && !band.nodes.is_empty() {
        return format!("{kind} {}", clean(&band.nodes.join(", "), max));
    }
    match (what.is_empty(), what.len() == band.what.trim().len()) {
        (true, _) => kind,
        (false, true) => format!("{kind}: {}", clean(what, max)),
        (false, false) => format!("{kind} {}", clean(what, max)),
    }
}

/// The class that gives a kind of fault its colour and its pattern.
pub(crate) fn band_class(kind: &str) -> &'static str {
    match kind {
        "kill" | "restart" | "outage" | "power-loss" => "kill",
        "pause" | "slow" => "pause",
        "partition" | "flap" | "swizzle" | "client-partition" => "partition",
        "delay" | "loss" | "duplicate" | "reorder" | "packet-corrupt" | "rate" | "reset"
        | "slow-clients" => "link",
        _ => "fault",
    }
}

/// What showed that a fault landed, in words: `412 packets dropped`, `killed n2`.
pub(crate) fn evidence(seen: &Value) -> String {
    let Value::Object(members) = seen else { return show(seen, 80) };
    let told = members.iter().map(|(name, value)| match (&**name, value) {
        (
            name @ ("dropped" | "carried" | "delayed" | "lost" | "duplicated" | "reordered"
            | "corrupted" | "throttled" | "reset"),
            Value::Int(n),
        ) => {
            format!("{} {name}", counted(u64::try_from(*n).unwrap_or(0), "packet", "packets"))
        }
        ("times", Value::Int(n)) => counted(u64::try_from(*n).unwrap_or(0), "time", "times"),
        ("bytes", Value::Int(n)) => counted(u64::try_from(*n).unwrap_or(0), "byte", "bytes"),
        (name, Value::Array(items)) if items.iter().all(|i| matches!(i, Value::String(_))) => {
            let names: Vec<String> = items.iter().map(|item| bare(item, 24)).collect();
            format!("{} {}", clean(name, 24), clean(&listed(&names), 80))
        }
        (name, Value::Bool(true)) => clean(name, 24),
        ("clocks", value) => readings(value).unwrap_or_else(|| show(value, 40)),
        (name, value) => format!("{} {}", clean(name, 24), show(value, 40)),
    });
    let told: Vec<String> = told.take(8).collect();
    told.join(", ")
}

/// The last moment that `history` speaks of, in nanoseconds since the start. O(operations).
pub fn end_of(history: &History) -> u64 {
    let operations = history.operations.iter().map(|o| o.complete_time.unwrap_or(o.invoke_time));
    operations.chain(history.notes.iter().map(|n| n.time)).max().unwrap_or(0)
}

/// The member `name` of an object.
pub(crate) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name),
        _ => None,
    }
}

/// The member `name` of an object, when it is a string.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    match member(value, name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn nodes(value: &Value) -> Vec<String> {
    match member(value, "nodes") {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| match item {
                Value::String(name) => Some(name.to_string()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
