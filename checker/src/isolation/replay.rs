//! Accepts or rejects a serial order, by running it.
//!
//! Shares no code with the inference: it knows only what a transaction means, and runs one after
//! the other.

use ordeal_history::{History, Outcome, Value};
use rustc_hash::FxHashMap;

/// What a write does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// `append`: the value goes to the end of the key's list.
    Append,
    /// `w`: the value becomes the key's value.
    Write,
}

/// Whether running the transactions of `history` in `order` gives every answer that was seen.
///
/// `order` holds positions in `History::operations`: each committed transaction once, no aborted
/// one, of the indeterminate ones those that happened. With `realtime`, one that completed before
/// another was invoked must also stand before it. Errors with the sentence that says what is
/// wrong. O(size of all reads).
pub(super) fn accepts(
    history: &History,
    order: &[u32],
    meaning: Meaning,
    realtime: bool,
) -> Result<(), String> {
    let mut seen = vec![false; history.operations.len()];
    let mut latest_invoke = 0;
    let mut lists: FxHashMap<&Value, Vec<&Value>> = FxHashMap::default();
    for &position in order {
        let Some(operation) = history.operations.get(position as usize) else {
            return Err(format!("the order names operation {position}, which is not there"));
        };
        if std::mem::replace(&mut seen[position as usize], true) {
            return Err(format!("the order has operation {position} twice"));
        }
        let value = match operation.outcome {
            Outcome::Ok => &operation.output,
            Outcome::Info => &operation.input,
            Outcome::Fail => return Err(format!("operation {position} aborted, yet it is run")),
        };
        let ended = operation.complete.filter(|_| operation.outcome == Outcome::Ok);
        if realtime && ended.is_some_and(|ended| ended < latest_invoke) {
            return Err(format!("operation {position} stands after a later one"));
        }
        latest_invoke = latest_invoke.max(operation.invoke);
        let checked = operation.outcome == Outcome::Ok;
        run(value, &mut lists, meaning, checked)
            .map_err(|wrong| format!("operation {position}: {wrong}"))?;
    }
    let missing = history
        .operations
        .iter()
        .zip(&seen)
        .position(|(operation, seen)| operation.outcome == Outcome::Ok && !seen);
    missing.map_or(Ok(()), |position| Err(format!("operation {position} is not in the order")))
}

fn run<'h>(
    steps: &'h Value,
    lists: &mut FxHashMap<&'h Value, Vec<&'h Value>>,
    meaning: Meaning,
    checked: bool,
) -> Result<(), String> {
    for step in steps.as_array().ok_or("it has no steps")? {
        let Some([word, key, value]) = step.as_array() else {
            return Err("a step has three parts".into());
        };
        let state = lists.entry(key).or_default();
        if word.as_str() != Some("r") {
            if meaning == Meaning::Write {
                state.clear();
            }
            state.push(value);
            continue;
        }
        let right = match (meaning, value) {
            _ if !checked => true,
            (Meaning::Append, Value::Null) => state.is_empty(),
            (Meaning::Append, Value::Array(list)) => list.iter().eq(state.iter().copied()),
            (Meaning::Append, _) => false,
            (Meaning::Write, value) => *value == *state.last().copied().unwrap_or(&Value::Null),
        };
        if !right {
            return Err(format!("key {key} was read as {value}, which is not its state"));
        }
    }
    Ok(())
}
