//! Jepsen's operations, whatever they were written in: from a map to an [`Event`].
//!
//! The rules for what Jepsen leaves open are in one place here. `:index` may be missing; where it
//! stands it must rise. `:time` may be missing, and old versions stamped it on the workers'
//! threads, so that it goes back by microseconds: it is for people, so it is held, not refused.
//! Unknown members are ignored.

use super::form::Form;
use crate::brief::brief;
use crate::{Event, EventType, Process, Value};
use rustc_hash::FxHashMap;

/// An event, with the place in the text where it begins (in bytes).
pub(super) struct Placed {
    pub(super) at: usize,
    pub(super) event: Event,
    /// Whether its key came from a tagged tuple or a member `:key`.
    pub(super) keyed: bool,
}

/// Turns one map after the other into events.
#[derive(Default)]
pub(super) struct Events {
    placed: Vec<Placed>,
    last_index: Option<i64>,
}

impl Events {
    /// Adds the operation `form`, which begins at byte `at`. Errors say what is wrong with it.
    pub(super) fn push(&mut self, at: usize, form: Form) -> Result<(), String> {
        let raw = match form {
            Form::Map(members) => Raw::new(members)?,
            Form::Json(Value::Object(members)) => {
                Raw::new(members.iter().map(|(name, value)| {
                    (Form::Text(name.to_string()), Form::from(value.clone()))
                }))?
            }
            other => {
                let kind = other.kind();
                return Err(format!("an operation is a map with process, type and f, not {kind}"));
            }
        };
        if let Some(index) = raw.index {
            if self.last_index.is_some_and(|last| index <= last) {
                return Err(format!("index {index} does not come after the index before it"));
            }
            self.last_index = Some(index);
        }
        let earliest = self.placed.last().map_or(0, |last| last.event.time);
        let time = raw.time.map_or(earliest, |time| time.max(earliest));
        let index = self.placed.len() as u64;
        let placed = raw.place(at, index, time)?;
        self.placed.push(placed);
        Ok(())
    }

    /// The events, keys taken out of untagged tuples where the history uses them.
    ///
    /// A completion without a key has its invocation's: a timeout often has no value left, and
    /// so no tuple.
    pub(super) fn finish(mut self) -> Vec<Placed> {
        if uses_plain_tuples(&self.placed) {
            self.placed.iter_mut().for_each(split_plain_tuple);
        }
        let mut open: FxHashMap<i64, Option<Value>> = FxHashMap::default();
        for Placed { event, .. } in &mut self.placed {
            match (event.process, event.kind) {
                (Process::Nemesis, _) => {}
                (Process::Client(id), EventType::Invoke) => {
                    open.insert(id, event.key.clone());
                }
                (Process::Client(id), _) if event.key.is_none() => {
                    event.key = open.get(&id).cloned().flatten();
                }
                (Process::Client(_), _) => {}
            }
        }
        self.placed
    }
}

/// The members of an operation that count, as they were written.
#[derive(Default)]
struct Raw {
    process: Option<Form>,
    kind: Option<Form>,
    f: Option<Form>,
    value: Option<Form>,
    key: Option<Form>,
    node: Option<Form>,
    error: Option<Form>,
    index: Option<i64>,
    time: Option<u64>,
}

impl Raw {
    fn new(members: impl IntoIterator<Item = (Form, Form)>) -> Result<Raw, String> {
        let mut raw = Raw::default();
        for (name, form) in members {
            let Form::Text(name) = name else { continue };
            let slot = match name.as_str() {
                "process" => &mut raw.process,
                "type" => &mut raw.kind,
                "f" => &mut raw.f,
                "value" => &mut raw.value,
                "key" => &mut raw.key,
                "node" => &mut raw.node,
                "error" => &mut raw.error,
                "index" => {
                    raw.index = whole("index", form)?;
                    continue;
                }
                "time" => {
                    raw.time = whole("time", form)?.map(|time| u64::try_from(time).unwrap_or(0));
                    continue;
                }
                _ => continue,
            };
            if slot.replace(form).is_some() {
                return Err(format!(":{name} stands twice in this operation"));
            }
        }
        Ok(raw)
    }

    fn place(self, at: usize, index: u64, time: u64) -> Result<Placed, String> {
        let process = match self.process {
            Some(Form::Int(id)) => Process::Client(id),
            Some(Form::Text(name)) if name == "nemesis" => Process::Nemesis,
            Some(_) => return Err(":process is neither an integer nor :nemesis".into()),
            None => return Err("this operation has no :process".into()),
        };
        let kind = match self.kind {
            Some(Form::Text(kind)) => kind_named(&kind)?,
            Some(_) => return Err(":type is none of :invoke, :ok, :fail and :info".into()),
            None => return Err("this operation has no :type".into()),
        };
        let f = match self.f {
            Some(Form::Text(f)) => f,
            // Nemeses without a name for what they do are notes all the same.
            None | Some(Form::Nil) if process == Process::Nemesis => String::new(),
            Some(_) => return Err(":f is not a word".into()),
            None => return Err("this operation has no :f".into()),
        };
        let (key, value) = match (self.key, self.value.unwrap_or(Form::Nil)) {
            (None | Some(Form::Nil), Form::Tuple(pair)) => (Some(pair.0), pair.1),
            (None | Some(Form::Nil), value) => (None, value),
            (key, value) => (key, value),
        };
        let keyed = key.is_some();
        let text = |form: Option<Form>| match form {
            None | Some(Form::Nil) => Ok(None),
            Some(form) => form.into_text().map(Some),
        };
        let event = Event {
            index,
            time,
            process,
            kind,
            f,
            // An object named null is the one object of a history that names none.
            key: key.map(Form::into_value).transpose()?.filter(|key| !key.is_null()),
            value: value.into_value()?,
            actual: None,
            revision: None,
            version: None,
            node: text(self.node)?,
            error: text(self.error)?,
        };
        Ok(Placed { at, keyed, event })
    }
}

/// The type of an event by its name.
pub(super) fn kind_named(name: &str) -> Result<EventType, String> {
    match name {
        "invoke" => Ok(EventType::Invoke),
        "ok" => Ok(EventType::Ok),
        "fail" => Ok(EventType::Fail),
        "info" => Ok(EventType::Info),
        other => Err(format!(":type {} is none of :invoke, :ok, :fail and :info", brief(other))),
    }
}

fn whole(name: &str, form: Form) -> Result<Option<i64>, String> {
    match form {
        Form::Int(number) => Ok(Some(number)),
        Form::Nil => Ok(None),
        other => Err(format!(":{name} is {}, where an integer must stand", other.kind())),
    }
}

/// Whether this history writes `[k v]` for "value v of object k" without a tag, as older versions
/// of `jepsen.independent` do (a map's entry prints as a vector).
///
/// It does when every client's invocation is such a pair, and one of them can be nothing else:
/// `[k nil]` of a read, which has no argument; `[k [old new]]` of a cas; `[k [[:r 1 nil]]]` of a
/// transaction. A cas without keys is a pair of plain values, and so says nothing.
fn uses_plain_tuples(placed: &[Placed]) -> bool {
    let invocations = || {
        placed.iter().filter(|p| {
            matches!(p.event.process, Process::Client(_)) && p.event.kind == EventType::Invoke
        })
    };
    let all_pairs = invocations().all(|p| !p.keyed && pair(&p.event.value).is_some());
    all_pairs
        && invocations().any(|p| match (p.event.f.as_str(), pair(&p.event.value)) {
            ("read" | "get", Some((_, value))) => *value == Value::Null,
            ("cas", Some((key, value))) => !is_array(key) && pair(value).is_some(),
            ("txn", Some((key, value))) => !is_array(key) && is_array(value),
            _ => false,
        })
}

fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::Array(items) => match &**items {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

fn is_array(value: &Value) -> bool {
    matches!(value, Value::Array(_))
}

fn split_plain_tuple(placed: &mut Placed) {
    if placed.event.process == Process::Nemesis {
        return;
    }
    if let Some((key, value)) = pair(&placed.event.value) {
        let (key, value) = (key.clone(), value.clone());
        placed.event.key = Some(key).filter(|key| !key.is_null());
        placed.event.value = value;
    }
}
