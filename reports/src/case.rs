//! A counterexample as the page and the terminal need it: its operations found again in the
//! history, numbered, each with its story in prose.

use crate::results::CounterexampleResult;
use crate::text::{NAME_MAX, clean, duration, moment};
use crate::value::{bare, label, label_with_key, show, steps};
use ordeal_history::{History, Operation, Outcome, Value};

/// A counterexample of more operations is shown by its first ones only.
pub(crate) const SHOWN_MAX: usize = 60;
/// Values in prose are cut after so many characters.
const VALUE_MAX: usize = 64;

/// An operation of a counterexample.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    /// From 1, in the order of the invocations.
    pub number: usize,
    /// What is shown.
    pub operation: &'a Operation,
    /// Whether the history became wrong with its completion.
    pub breaks: bool,
}

/// A counterexample with its operations.
#[derive(Clone, Debug)]
pub(crate) struct Case<'a> {
    /// At most [`SHOWN_MAX`] operations, in the order of their invocations.
    pub shown: Vec<Shown<'a>>,
    /// How many operations it has in all.
    pub total: usize,
    /// What stands in the results.
    pub found: &'a CounterexampleResult,
}

impl<'a> Case<'a> {
    /// Finds the operations by their events. O(k log n).
    pub fn new(found: &'a CounterexampleResult, history: &'a History) -> Case<'a> {
        let by_invoke = |event: u64| {
            let found = history.operations.binary_search_by_key(&event, |o| o.invoke);
            found.ok().and_then(|at| history.operations.get(at))
        };
        let mut events = found.events.clone();
        events.sort_unstable();
        events.dedup();
        let all: Vec<&Operation> = events.into_iter().filter_map(by_invoke).collect();
        let breaks = breaking(&all, found.broken_at_event);
        let breaks = |o: &Operation| breaks == Some(o.invoke);
        // The operation that breaks must be seen, however many come before it.
        let at = all.iter().position(|o| breaks(o)).unwrap_or(0);
        let kept = all.iter().enumerate().filter(|&(i, _)| {
            i < SHOWN_MAX - usize::from(at >= SHOWN_MAX) || (at >= SHOWN_MAX && i == at)
        });
        let shown = kept
            .map(|(i, operation)| Shown { number: i + 1, operation, breaks: breaks(operation) })
            .collect();
        Case { shown, total: all.len(), found }
    }

    /// When the first of its operations was invoked, in nanoseconds since the start of the run.
    pub fn start_ns(&self) -> u64 {
        self.shown.first().map_or(0, |s| s.operation.invoke_time)
    }

    /// An operation in a few characters, with its key where the case is about several.
    pub fn label(&self, operation: &Operation, max: usize) -> String {
        match self.found.key.is_null() {
            true => label_with_key(operation, max),
            false => label(operation, max),
        }
    }

    /// The object, for a person; empty for a history without keys.
    pub fn key(&self) -> String {
        match self.shown.iter().find_map(|s| s.operation.key.as_ref()) {
            Some(key) if !self.found.key.is_null() => bare(key, NAME_MAX),
            _ => String::new(),
        }
    }
}

/// The invocation of that of `operations` with which they became wrong, if that is known.
///
/// The event at which the whole history became wrong may belong to another operation, one that a
/// smaller part could do without. Nothing can be left out of that part, so it became wrong with
/// the last answer in it.
fn breaking(operations: &[&Operation], broken_at_event: Option<u64>) -> Option<u64> {
    let event = broken_at_event?;
    let at = operations.iter().find(|o| o.complete == Some(event) || o.invoke == event);
    let certain = operations.iter().filter(|o| o.outcome == Outcome::Ok);
    let last = || certain.max_by_key(|o| o.complete);
    at.or_else(last).map(|o| o.invoke)
}

/// One operation in prose: who asked what of whom, when, and what came of it. `zero_ns` is the
/// moment that times are told from.
pub(crate) fn story(operation: &Operation, zero_ns: u64) -> String {
    let object = operation.key.as_ref().map(|key| bare(key, NAME_MAX));
    let node = operation.node.as_deref().map(|n| format!(" at {}", clean(n, NAME_MAX)));
    let mut out = format!(
        "Process {} {}{}",
        operation.process,
        deed(operation, object.as_deref()),
        node.unwrap_or_default()
    );
    out.push_str(&format!(": asked at +{}", moment(operation.invoke_time.saturating_sub(zero_ns))));
    out.push_str(&match operation.complete_time {
        None => ", and never answered".to_owned(),
        Some(end) => format!(
            ", {} {} later",
            if operation.outcome == Outcome::Info { "given up" } else { "answered" },
            duration(end.saturating_sub(operation.invoke_time))
        ),
    });
    if let Some(error) = &operation.error {
        out.push_str(&format!(" ({})", clean(error, 200)));
    }
    out.push_str(match operation.outcome {
        Outcome::Ok => "",
        Outcome::Fail => "; it certainly did not take effect",
        Outcome::Info => "; it may have taken effect at any time since",
    });
    match (operation.revision, operation.version) {
        (Some(r), Some(v)) => out.push_str(&format!("; revision {r}, version {v}")),
        (Some(r), None) => out.push_str(&format!("; revision {r}")),
        (None, Some(v)) => out.push_str(&format!("; version {v}")),
        (None, None) => {}
    }
    out.push('.');
    out
}

/// What was done, from the verb on.
fn deed(operation: &Operation, object: Option<&str>) -> String {
    let ok = operation.outcome == Outcome::Ok;
    let the = |preposition: &str| match object {
        Some(object) => format!(" {preposition}{object}"),
        None => String::new(),
    };
    let value = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        other => show(other, VALUE_MAX),
    };
    let done = if ok { &operation.output } else { &operation.input };
    if &*operation.f == "txn"
        && let Some(steps) = steps(done, VALUE_MAX, ok)
    {
        let verb = if ok { "ran" } else { "tried" };
        return format!("{verb} the transaction {}", steps.join(", "));
    }
    match (&*operation.f, &operation.input) {
        ("read" | "get", _) if ok => {
            format!("read{} and saw {}", the(""), value(&operation.output))
        }
        ("read" | "get", _) => format!("tried to read{}", the("")),
        ("write" | "put", input) if ok => format!("wrote {}{}", value(input), the("to ")),
        ("write" | "put", input) => format!("tried to write {}{}", value(input), the("to ")),
        ("cas", Value::Array(pair)) if pair.len() == 2 => {
            let (old, new) = (value(&pair[0]), value(&pair[1]));
            match (operation.outcome, &operation.actual) {
                (Outcome::Ok, _) => format!("found {old}{} and set {new}", the("in ")),
                (Outcome::Fail, Some(saw)) => format!(
                    "would have set {new}{} in place of {old}, but saw {}",
                    the("in "),
                    value(saw)
                ),
                _ => format!("tried to set {new}{} in place of {old}", the("in ")),
            }
        }
        (_, input) => {
            let mut out = format!("called {}", clean(&operation.f, NAME_MAX));
            if *input != Value::Null {
                out.push_str(&format!(" with {}", show(input, VALUE_MAX)));
            }
            out.push_str(&the("on "));
            if ok && operation.output != *input {
                out.push_str(&format!(" and got {}", value(&operation.output)));
            }
            out
        }
    }
}
