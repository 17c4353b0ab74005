//! What the checkers of this folder share: objects, and the way from a fault to a judgement.

use crate::{Cost, Counterexample, Judgement, Verdict, Witness};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;

/// The operations of one key, with their positions, in the order of their invocations.
pub(super) struct Object<'h> {
    key: Option<&'h Value>,
    pub(super) operations: Vec<(u32, &'h Operation)>,
}

impl<'h> Object<'h> {
    /// The operations called `f`.
    pub(super) fn calls(&self, f: &str) -> impl Iterator<Item = (u32, &'h Operation)> {
        self.operations.iter().copied().filter(move |(_, operation)| &*operation.f == f)
    }

    /// Those of them that succeeded.
    pub(super) fn oks(&self, f: &str) -> impl Iterator<Item = (u32, &'h Operation)> {
        self.calls(f).filter(|(_, operation)| operation.outcome == Outcome::Ok)
    }
}

/// Why an object is not right.
pub(super) enum Fault {
    /// What shows it: positions of operations, and the story.
    Wrong(Vec<u32>, Vec<String>),
    /// What is missing for a verdict.
    Unknown(String),
}

/// Judges each object by itself: invalid if one is wrong, else unknown if one is, else valid with
/// `reason`.
pub(super) fn judge(
    name: &str,
    history: &History,
    reason: &str,
    check: impl Fn(&Object<'_>) -> Result<(), Fault>,
) -> Judgement {
    let mut unknown = None;
    let mut wrong = None;
    for object in objects(history) {
        let of = object.key.map_or(String::new(), |key| format!("key {key}: "));
        match check(&object) {
            Ok(()) => {}
            Err(Fault::Unknown(why)) => unknown = unknown.or(Some(format!("{of}{why}"))),
            Err(Fault::Wrong(operations, story)) => {
                wrong = Some(counterexample(history, object.key, operations, story));
                break;
            }
        }
    }
    let (verdict, reason) = match (wrong, unknown) {
        (Some(wrong), _) => {
            let reason = wrong.story.first().cloned().unwrap_or_default();
            (Verdict::Invalid(wrong), reason)
        }
        (None, Some(why)) => (Verdict::Unknown(why.clone()), why),
        (None, None) => (Verdict::Valid(Witness::default()), reason.to_owned()),
    };
    judgement(name, "count", history, verdict, reason)
}

/// A judgement on all of `history`, by an algorithm that does not search.
pub(super) fn judgement(
    name: &str,
    algorithm: &str,
    history: &History,
    verdict: Verdict,
    reason: String,
) -> Judgement {
    Judgement {
        checker: name.to_owned(),
        verdict,
        algorithm: algorithm.to_owned(),
        reason,
        operations: history.operations.len() as u64,
        cost: Cost::default(),
    }
}

pub(super) fn counterexample(
    history: &History,
    key: Option<&Value>,
    mut operations: Vec<u32>,
    story: Vec<String>,
) -> Counterexample {
    operations.sort_unstable();
    operations.dedup();
    let ends = operations.iter().filter_map(|&at| history.operations[at as usize].complete);
    Counterexample {
        key: key.cloned(),
        broken_at_event: ends.max(),
        operations,
        story,
        anomalies: Vec::new(),
    }
}

/// The history's objects, in the order in which they first appear.
pub(super) fn objects(history: &History) -> Vec<Object<'_>> {
    let mut places: FxHashMap<Option<&Value>, usize> = FxHashMap::default();
    let mut objects: Vec<Object<'_>> = Vec::new();
    for (position, operation) in (0..).zip(&history.operations) {
        let key = operation.key.as_ref();
        let place = *places.entry(key).or_insert_with(|| {
            objects.push(Object { key, operations: Vec::new() });
            objects.len() - 1
        });
        objects[place].operations.push((position, operation));
    }
    objects
}

/// The first few of `values`, for a sentence.
pub(super) fn some<'v>(values: impl IntoIterator<Item = &'v Value>) -> String {
    let mut values = values.into_iter();
    let mut shown: Vec<String> = values.by_ref().take(5).map(Value::to_string).collect();
    let more = values.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// `"event 7"`, where an operation began.
pub(super) fn event(operation: &Operation) -> String {
    format!("event {}", operation.invoke)
}

/// The member of that name, if `value` is an object and has one that is not `null`.
pub(super) fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Object(members) = value else { return None };
    members.get(name).filter(|member| !member.is_null())
}

/// The whole number in the member of that name.
pub(super) fn number(value: &Value, name: &str) -> Option<i64> {
    field(value, name).and_then(Value::as_i64)
}

/// Whether the member of that name is `true`.
pub(super) fn flag(value: &Value, name: &str) -> bool {
    field(value, name) == Some(&Value::Bool(true))
}
