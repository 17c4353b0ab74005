//! Accepts or rejects a serial order, by running it.
//!
//! Shares no code with the inference: it knows only what a transaction means, and runs one after
//! the other.

use ordeal_history::{History, Outcome, Value};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// Threads that run an order at most, each the steps on its own keys.
const SHARDS_MAX: usize = 4;

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
    let in_order = || stands_in_order(history, order, realtime);
    // No key says anything of another.
    let shards = rayon::current_num_threads().min(SHARDS_MAX) as u64;
    let by_keys = || {
        let mistakes = (0..shards).into_par_iter().map(|shard| {
            let is_ours = |key: &Value| shards == 1 || place_of(key) % shards == shard;
            first_mistake(history, order, meaning, is_ours)
        });
        mistakes.flatten().min().map_or(Ok(()), |(_, wrong)| Err(wrong))
    };
    let (in_order, by_keys) = rayon::join(in_order, by_keys);
    in_order.and(by_keys)
}

/// A number that a key always has.
fn place_of(key: &Value) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    // The upper bits are the better mixed.
    hasher.finish() >> 32
}

/// Whether the order has what it must have, once, and, with `realtime`, keeps to real time.
fn stands_in_order(history: &History, order: &[u32], realtime: bool) -> Result<(), String> {
    let mut seen = vec![false; history.operations.len()];
    let mut latest_invoke = 0;
    for &position in order {
        let Some(operation) = history.operations.get(position as usize) else {
            return Err(format!("the order names operation {position}, which is not there"));
        };
        if std::mem::replace(&mut seen[position as usize], true) {
            return Err(format!("the order has operation {position} twice"));
        }
        if operation.outcome == Outcome::Fail {
            return Err(format!("operation {position} aborted, yet it is run"));
        }
        let ended = operation.complete.filter(|_| operation.outcome == Outcome::Ok);
        if realtime && ended.is_some_and(|ended| ended < latest_invoke) {
            return Err(format!("operation {position} stands after a later one"));
        }
        latest_invoke = latest_invoke.max(operation.invoke);
    }
    let missing = history
        .operations
        .iter()
        .zip(&seen)
        .position(|(operation, seen)| operation.outcome == Outcome::Ok && !seen);
    missing.map_or(Ok(()), |position| Err(format!("operation {position} is not in the order")))
}

/// Runs the steps on the keys that `is_ours` tells: the place in the order of the first mistake,
/// and what it is.
fn first_mistake(
    history: &History,
    order: &[u32],
    meaning: Meaning,
    is_ours: impl Fn(&Value) -> bool,
) -> Option<(usize, String)> {
    let mut lists: FxHashMap<&Value, Vec<&Value>> = FxHashMap::default();
    let operations = order
        .iter()
        .filter_map(|&position| Some((position, history.operations.get(position as usize)?)));
    operations.enumerate().find_map(|(place, (position, operation))| {
        let checked = operation.outcome == Outcome::Ok;
        let value = if checked { &operation.output } else { &operation.input };
        let ran = run(value, &mut lists, meaning, checked, &is_ours);
        ran.err().map(|wrong| (place, format!("operation {position}: {wrong}")))
    })
}

fn run<'h>(
    steps: &'h Value,
    lists: &mut FxHashMap<&'h Value, Vec<&'h Value>>,
    meaning: Meaning,
    checked: bool,
    is_ours: &impl Fn(&Value) -> bool,
) -> Result<(), String> {
    for step in steps.as_array().ok_or("it has no steps")? {
        let Some([word, key, value]) = step.as_array() else {
            return Err("a step has three parts".into());
        };
        if !is_ours(key) {
            continue;
        }
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
