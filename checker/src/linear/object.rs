//! One object's part of a history, in the model's terms.

use super::model::{Misfit, Model};
use ordeal_history::{History, Outcome, Value};
use rustc_hash::FxHashMap;

/// The end of an operation that never surely ended.
pub const NEVER: u64 = u64::MAX;

/// An operation on one object.
#[derive(Clone, Debug)]
pub struct Entry<Op> {
    /// Position in `History::operations`.
    pub position: u32,
    /// When it began: the index of its event, plus one, so that 0 is before everything.
    pub call: u64,
    /// When it ended, likewise; [`NEVER`] when it is indeterminate.
    pub ret: u64,
    /// What it did.
    pub op: Op,
}

impl<Op> Entry<Op> {
    /// Whether it surely happened.
    pub fn is_certain(&self) -> bool {
        self.ret != NEVER
    }
}

/// One object and its operations, in the order of their invocations.
#[derive(Clone, Debug)]
pub struct Object<Op> {
    /// The key, if the history names objects and the model tells them apart.
    pub key: Option<Value>,
    /// Its operations.
    pub entries: Vec<Entry<Op>>,
}

/// An operation that the model does not understand, and the event that shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event}: {message}")]
pub struct MisfitAt {
    /// Index of the event.
    pub event: u64,
    /// What is wrong there.
    pub message: String,
}

/// Splits `history` by object; objects stand in the order of their first operation.
///
/// With `until`, events after that one are taken as not there yet: what began later is left out,
/// what ended later is indeterminate. O(operations).
pub fn split<M: Model>(
    model: &M,
    history: &History,
    until: Option<u64>,
) -> Result<Vec<Object<M::Op>>, MisfitAt> {
    let mut objects: Vec<Object<M::Op>> = Vec::new();
    let mut places: FxHashMap<Option<&Value>, usize> = FxHashMap::default();
    for (position, operation) in history.operations.iter().enumerate() {
        let Some(entry) = entry(model, history, position as u32, until)? else { continue };
        let key = operation.key.as_ref().filter(|_| !model.spans_keys());
        let place = *places.entry(key).or_insert_with(|| {
            objects.push(Object { key: key.cloned(), entries: Vec::new() });
            objects.len() - 1
        });
        objects[place].entries.push(entry);
    }
    Ok(objects)
}

/// The operation at `position`, in the model's terms; `None` when it says nothing.
pub fn entry<M: Model>(
    model: &M,
    history: &History,
    position: u32,
    until: Option<u64>,
) -> Result<Option<Entry<M::Op>>, MisfitAt> {
    let operation = &history.operations[position as usize];
    let until = until.unwrap_or(NEVER);
    if operation.invoke > until {
        return Ok(None);
    }
    let open = operation.complete.is_some_and(|event| event > until);
    let compiled = if open {
        let mut cut = operation.clone();
        cut.outcome = Outcome::Info;
        cut.output = Value::Null;
        cut.actual = None;
        cut.error = None;
        cut.complete = None;
        model.compile(&cut)
    } else {
        model.compile(operation)
    };
    let op = match compiled {
        Ok(Some(op)) => op,
        Ok(None) => return Ok(None),
        Err(Misfit { in_completion, message }) => {
            let event = if in_completion { operation.complete } else { None };
            return Err(MisfitAt { event: event.unwrap_or(operation.invoke), message });
        }
    };
    let ret = match (operation.outcome, operation.complete) {
        (Outcome::Ok | Outcome::Fail, Some(event)) if !open => event + 1,
        _ => NEVER,
    };
    Ok(Some(Entry { position, call: operation.invoke + 1, ret, op }))
}
