//! The changes that the operations of a history make to the keys of a store, by revision.
//!
//! Shared by the checkers of what etcd does besides reading and writing: watches and leases. The
//! operations are `write` v, `put` `{"value","lease"}`, `cas` `[old,new]`, `delete` → how many,
//! `txn` of `["w",k,v]` and `["d",k,how many]`, each with the `revision` of its answer, and
//! `compact` r. Deliberately absent: the deletion of a range by one request (record it as a `txn`
//! of what it deleted), and writers that the history does not have.

use super::objects::{field, number};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// One key's change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change<'h> {
    pub(super) key: &'h Value,
    /// The new value; `None` where the key was deleted.
    pub(super) value: Option<&'h Value>,
    /// The operation, and when it began.
    pub(super) position: u32,
    pub(super) invoke: u64,
    /// The lease that the key hangs on from then on; 0 is none.
    pub(super) lease: i64,
    /// The key's version after it, where the answer told.
    pub(super) version: Option<i64>,
    /// No change before this operation began has a greater revision than this one; 0 if none is
    /// known.
    pub(super) floor: i64,
}

/// All that is known of changes.
#[derive(Default)]
pub(super) struct Changes<'h> {
    /// Acknowledged, with a revision.
    pub(super) known: BTreeMap<i64, Vec<Change<'h>>>,
    /// Those that may have happened, or whose revision nobody told, by key.
    pub(super) maybe: FxHashMap<&'h Value, Vec<Change<'h>>>,
    /// Compactions that may have happened: the revision, and the event of the request.
    pub(super) compactions: Vec<(i64, u64)>,
}

impl<'h> Changes<'h> {
    /// Gathers them. O(n log n).
    pub(super) fn gather(history: &'h History) -> Self {
        let mut changes = Changes::default();
        let floors = floors(history);
        for (position, operation) in (0..).zip(&history.operations) {
            if operation.outcome == Outcome::Fail {
                continue;
            }
            if &*operation.f == "compact" {
                let revision = operation.input.as_i64();
                changes.compactions.extend(revision.map(|at| (at, operation.invoke)));
            }
            let certain = operation.outcome == Outcome::Ok;
            let is_put = &*operation.f == "put";
            let lease = is_put.then(|| number(&operation.input, "lease")).flatten().unwrap_or(0);
            for (key, value) in made(operation) {
                let (invoke, version) = (operation.invoke, operation.version);
                let floor = floors[position as usize];
                let change = Change { key, value, position, invoke, lease, version, floor };
                match operation.revision.filter(|_| certain) {
                    Some(revision) => changes.known.entry(revision).or_default().push(change),
                    None => changes.maybe.entry(key).or_default().push(change),
                }
            }
        }
        changes
    }

    /// Those of `key` that may have happened.
    pub(super) fn maybe(&self, key: &Value) -> &[Change<'h>] {
        self.maybe.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether revisions up to `revision` may have been compacted before event `before`.
    pub(super) fn may_be_compacted(&self, revision: i64, before: u64) -> bool {
        self.compactions.iter().any(|(at, invoke)| *at >= revision && *invoke < before)
    }
}

/// For each operation the greatest revision acknowledged before it began.
fn floors(history: &History) -> Vec<i64> {
    let changed = |operation: &&Operation| {
        operation.outcome == Outcome::Ok && made(operation).next().is_some()
    };
    let mut ends: Vec<(u64, i64)> = history
        .operations
        .iter()
        .filter(changed)
        .filter_map(|operation| Some((operation.complete?, operation.revision?)))
        .collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut floor = 0;
    let at = |operation: &Operation| {
        while let Some((_, revision)) = ends.next_if(|(end, _)| *end < operation.invoke) {
            floor = floor.max(revision);
        }
        floor
    };
    history.operations.iter().map(at).collect()
}

/// What an operation changes, or may change: the keys, and their new values (`None`: deleted).
pub(super) fn made(operation: &Operation) -> impl Iterator<Item = (&Value, Option<&Value>)> {
    static NO_KEY: Value = Value::Null;
    let key = operation.key.as_ref().unwrap_or(&NO_KEY);
    let answered = operation.outcome == Outcome::Ok;
    let nothing = answered && operation.output.as_i64() == Some(0);
    let single = match &*operation.f {
        "write" => Some((key, Some(&operation.input))),
        "put" => Some((key, field(&operation.input, "value").or(Some(&operation.input)))),
        "cas" => {
            let new = operation.input.as_array().and_then(|pair| pair.get(1));
            new.map(|new| (key, Some(new)))
        }
        "delete" if !nothing => Some((key, None)),
        _ => None,
    };
    let steps = if answered { &operation.output } else { &operation.input };
    let steps = (&*operation.f == "txn").then(|| steps.as_array().unwrap_or_default());
    single.into_iter().chain(steps.unwrap_or_default().iter().filter_map(move |step| {
        let step = step.as_array()?;
        let (word, key, value) = (step.first()?.as_str()?, step.get(1)?, step.get(2));
        match (word, value) {
            ("w", Some(value)) => Some((key, Some(value))),
            ("d", count) if !answered || count.and_then(Value::as_i64) != Some(0) => {
                Some((key, None))
            }
            _ => None,
        }
    }))
}
