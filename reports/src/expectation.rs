//! What the operation that broke a history should have answered, found by asking the checker.
//!
//! A read is answered by a value that the others could explain, or it is not: so each value that
//! was in play is put into its place, and the part is judged again. Those that hold are what was
//! expected, and the order that explains one of them tells the state before and after.

use crate::case::{Case, SHOWN_MAX};
use crate::value::show;
use ordeal_checker::linear::Algorithm;
use ordeal_checker::registry::{MODELS, NamedModel};
use ordeal_checker::{Limits, Verdict};
use ordeal_history::{History, Operation, Outcome, Value};
use std::time::Duration;

/// More values in play than these are not tried.
const VALUES_MAX: usize = 32;
/// What one of these questions may take; they are small.
const LIMIT: Duration = Duration::from_millis(250);

/// What was expected of an operation, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expectation {
    /// The number of the operation in the case.
    pub number: usize,
    /// Every value in play that would have been right.
    pub expected: Vec<Value>,
    /// What was seen instead.
    pub seen: Value,
    /// An order of the operations that explains the first of them, step by step.
    pub order: Vec<Step>,
}

/// A step of an order that holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The number of the operation in the case.
    pub number: usize,
    /// What the object held before and after, where that is known of the model.
    pub states: Option<(Value, Value)>,
    /// Whether it is the operation whose answer was wrong.
    pub breaks: bool,
}

/// What should have been seen; `None` where that cannot be told: the operation that broke the
/// history is no read, the case has too many operations, or the checker is not one that can be
/// asked again.
pub(crate) fn expectation(checker: &str, case: &Case<'_>) -> Option<Expectation> {
    let model = MODELS.iter().find(|m| checker.strip_prefix("linearizable-") == Some(m.name))?;
    let broken = case.shown.iter().position(|shown| shown.breaks)?;
    let wrong = case.shown[broken].operation;
    if !matches!(&*wrong.f, "read" | "get") || wrong.outcome != Outcome::Ok {
        return None;
    }
    if case.total > SHOWN_MAX || case.shown.len() != case.total {
        return None;
    }
    let mut expected = Vec::new();
    let mut order = Vec::new();
    for value in in_play(case).into_iter().filter(|value| *value != wrong.output) {
        if let Some(found) = order_with(model, case, broken, &value) {
            if expected.is_empty() {
                order = found;
            }
            expected.push(value);
        }
    }
    let steps = steps(case, broken, &order, expected.first()?);
    let seen = wrong.output.clone();
    Some(Expectation { number: case.shown[broken].number, expected, seen, order: steps })
}

/// A value that an object held, in words.
pub(crate) fn held(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        value => show(value, 64),
    }
}

/// `428`, or `415 or 428`: any of them would have been right.
pub(crate) fn alternatives(values: &[Value]) -> String {
    let told: Vec<String> = values.iter().take(6).map(held).collect();
    let more = values.len() - told.len();
    let more = if more > 0 { format!(", or one of {more} more") } else { String::new() };
    told.join(" or ") + &more
}

/// The values that the case's object could ever hold: nothing, and what was written.
fn in_play(case: &Case<'_>) -> Vec<Value> {
    let mut values = vec![Value::Null];
    for operation in case.shown.iter().map(|shown| shown.operation) {
        let written = match (&*operation.f, &operation.input) {
            ("cas", Value::Array(pair)) if pair.len() == 2 => Some(&pair[1]),
            ("read" | "get", _) => Some(&operation.output),
            (_, input) => Some(input),
        };
        values.extend(written.filter(|value| !values.contains(value)).cloned());
    }
    values.truncate(VALUES_MAX);
    values
}

/// An order that explains the case, had its broken operation answered `value`: places in the case.
fn order_with(
    model: &NamedModel,
    case: &Case<'_>,
    broken: usize,
    value: &Value,
) -> Option<Vec<usize>> {
    let told = |(at, shown): (usize, &crate::case::Shown<'_>)| {
        let mut operation = shown.operation.clone();
        if at == broken {
            operation.output = value.clone();
        }
        operation
    };
    let operations: Vec<Operation> = case.shown.iter().enumerate().map(told).collect();
    let events = operations.iter().map(|o| 1 + o.complete.map_or(0, |_| 1)).sum();
    let part = History { operations, notes: Vec::new(), events };
    let limits = Limits { time: Some(LIMIT), threads: 1, ..Limits::default() };
    match model.checker(Algorithm::Auto).check(&part, &limits).verdict {
        Verdict::Valid(witness) => {
            let orders = witness.orders.into_iter().flat_map(|(_, order)| order);
            Some(orders.map(|place| place as usize).collect())
        }
        _ => None,
    }
}

fn steps(case: &Case<'_>, broken: usize, order: &[usize], expected: &Value) -> Vec<Step> {
    let mut state = Value::Null;
    let mut known = true;
    let mut steps = Vec::new();
    for &at in order {
        let Some(shown) = case.shown.get(at) else { return Vec::new() };
        let before = state.clone();
        let operation = shown.operation;
        match (&*operation.f, &operation.input) {
            ("read" | "get", _) => {
                let told = if at == broken { expected } else { &operation.output };
                known &= *told == state;
            }
            ("write" | "put", value) => state = value.clone(),
            ("cas", Value::Array(pair)) if pair.len() == 2 => {
                known &= pair[0] == state;
                state = pair[1].clone();
            }
            _ => known = false,
        }
        let states = known.then(|| (before, state.clone()));
        steps.push(Step { number: shown.number, states, breaks: at == broken });
    }
    steps
}
