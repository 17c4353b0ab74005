//! Small random histories, judged by trying every order of every subset that could have happened.

use crate::support::{Events, Step, steps_value};
use ordeal_checker::isolation::{ListAppend, Model, RwRegister};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{EventType, History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Whether some order of all committed and some indeterminate transactions explains every read
/// and respects what `model` asks for: nothing, the order of each process, or real time.
fn serializable(history: &History, model: Model, append: bool) -> bool {
    fn extend(
        rest: &mut Vec<&Operation>,
        state: &BTreeMap<Value, Vec<Value>>,
        model: Model,
        append: bool,
    ) -> bool {
        if rest.iter().all(|operation| operation.outcome != Outcome::Ok) {
            return true;
        }
        for at in 0..rest.len() {
            let operation = rest[at];
            let mut committed = rest.iter().filter(|other| other.outcome == Outcome::Ok);
            if committed.any(|other| comes_before(other, operation, model)) {
                continue;
            }
            if let Some(after) = run(operation, state, append) {
                rest.remove(at);
                let found = extend(rest, &after, model, append);
                rest.insert(at, operation);
                if found {
                    return true;
                }
            }
        }
        false
    }
    let mut rest: Vec<&Operation> =
        history.operations.iter().filter(|o| o.outcome != Outcome::Fail).collect();
    extend(&mut rest, &BTreeMap::new(), model, append)
}

/// Whether `model` has the one before the other, whatever they do.
fn comes_before(one: &Operation, other: &Operation, model: Model) -> bool {
    let ended = one.complete.is_some_and(|end| end < other.invoke);
    ended
        && match model {
            Model::StrictSerializable => true,
            Model::StrongSessionSerializable => one.process == other.process,
            Model::Serializable => false,
            other => panic!("{} is no model of serial orders", other.name()),
        }
}

fn run(
    operation: &Operation,
    state: &BTreeMap<Value, Vec<Value>>,
    append: bool,
) -> Option<BTreeMap<Value, Vec<Value>>> {
    let ok = operation.outcome == Outcome::Ok;
    let steps = if ok { &operation.output } else { &operation.input };
    let mut state = state.clone();
    for step in steps.as_array()? {
        let [word, key, value] = step.as_array()? else { return None };
        let list = state.entry(key.clone()).or_default();
        if word.as_str() != Some("r") {
            if !append {
                list.clear();
            }
            list.push(value.clone());
        } else if ok {
            let seen = match append {
                true => value.as_array().unwrap_or_default() == list.as_slice(),
                false => *value == list.last().cloned().unwrap_or_default(),
            };
            if !seen {
                return None;
            }
        }
    }
    Some(state)
}

/// A few transactions of a store that is sometimes wrong.
fn random_history(rng: &mut ChaCha8Rng, append: bool) -> History {
    let word = if append { "append" } else { "w" };
    let transactions = rng.random_range(3..8);
    let wrong = rng.random_bool(0.9);
    let keys = rng.random_range(1..4_i64);
    let mut events = Events::default();
    let mut state: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut past = vec![state.clone()];
    // Process, steps with answers, whether it has run.
    let mut open: Vec<(i64, Vec<Step>, bool)> = Vec::new();
    let (mut invoked, mut value) = (0, 0);
    // A process ends with a transaction of unknown outcome.
    let mut idle: Vec<i64> = (0..4).collect();
    while invoked < transactions || !open.is_empty() {
        let at = rng.random_range(0..open.len() + 1);
        if at == open.len() {
            if invoked == transactions || idle.is_empty() {
                continue;
            }
            let process = idle.swap_remove(rng.random_range(0..idle.len()));
            let mut steps = Vec::new();
            for _ in 0..rng.random_range(1..4) {
                value += 1;
                let write = rng.random_bool(0.5);
                let key = Value::Int(rng.random_range(0..keys));
                steps.push(Step { write, key, value: Value::Int(value) });
            }
            events.push(process, EventType::Invoke, steps_value(&steps, word, false), None);
            open.push((process, steps, false));
            invoked += 1;
            continue;
        }
        let (process, mut steps, ran) = open.swap_remove(at);
        if ran {
            let is_unknown = rng.random_bool(0.15);
            let kind = if is_unknown { EventType::Info } else { EventType::Ok };
            idle.push(process + if is_unknown { 4 } else { 0 });
            events.push(process, kind, steps_value(&steps, word, true), None);
            continue;
        }
        let failed = rng.random_bool(0.1);
        if failed {
            idle.push(process);
            events.push(process, EventType::Fail, steps_value(&steps, word, false), None);
            if !(wrong && rng.random_bool(0.3)) {
                continue;
            }
        }
        let stale = wrong && rng.random_bool(0.5);
        let mut view = match stale {
            true => past[rng.random_range(0..past.len())].clone(),
            false => state.clone(),
        };
        for step in &mut steps {
            let Value::Int(key) = step.key else { continue };
            let list = view.entry(key).or_default();
            if !step.write {
                let mut list: Vec<Value> = list.iter().map(|&v| Value::Int(v)).collect();
                if wrong && rng.random_bool(0.05) {
                    list.pop();
                }
                step.value = match append {
                    true => Value::from(list),
                    false => list.last().cloned().unwrap_or_default(),
                };
                continue;
            }
            let Value::Int(value) = step.value else { continue };
            for list in [list, state.entry(key).or_default()] {
                if !append {
                    list.clear();
                }
                list.push(value);
            }
        }
        past.push(state.clone());
        if !failed {
            open.push((process, steps, true));
        }
    }
    events.history()
}

/// The models that promise a serial order.
const MODELS: [Model; 3] =
    [Model::Serializable, Model::StrongSessionSerializable, Model::StrictSerializable];

/// Judges a random history under each model, against the oracle; returns whether it is strictly
/// serializable.
///
/// Lists are all read, so the verdicts agree both ways. The order of a register's versions can be
/// out of reach where real time does not tell it: then the verdict may be unknown.
fn trial(rng: &mut ChaCha8Rng, append: bool) -> bool {
    let history = random_history(rng, append);
    let mut is_strict = false;
    for model in MODELS {
        let checker: &dyn Checker =
            if append { &ListAppend { model } } else { &RwRegister { model } };
        is_strict = serializable(&history, model, append);
        let judgement = checker.check(&history, &Limits::default());
        let found = match &judgement.verdict {
            Verdict::Valid(_) => true,
            Verdict::Invalid(_) => false,
            Verdict::Unknown(_) if !append && model != Model::StrictSerializable => continue,
            Verdict::Unknown(reason) => panic!("{}: unknown, {reason}: {history:#?}", model.name()),
        };
        let name = model.name();
        assert_eq!(found, is_strict, "{name}: {judgement:#?} {:#?}", history.operations);
        if let (Verdict::Invalid(wrong), true) = (&judgement.verdict, rng.random_bool(0.05)) {
            let worst = judgement.reason.split(" breaks").next().expect("the worst anomaly");
            nothing_can_be_left_out(checker, &history, &wrong.operations, worst);
        }
    }
    is_strict
}

/// Transactions over lists against every serial order; whether the history is valid.
pub fn list_append(rng: &mut ChaCha8Rng) -> bool {
    trial(rng, true)
}

/// The same over registers.
pub fn rw_register(rng: &mut ChaCha8Rng) -> bool {
    trial(rng, false)
}

/// The part has the anomaly `worst`, and none of its parts with one operation less has.
fn nothing_can_be_left_out(
    checker: &dyn Checker,
    history: &History,
    operations: &[u32],
    worst: &str,
) {
    let has = |operations: &[u32]| {
        let part = History::from_events(history.events_of(operations)).expect("a part");
        match checker.check(&part, &Limits::default()).verdict {
            Verdict::Invalid(wrong) => wrong.anomalies.iter().any(|anomaly| anomaly == worst),
            _ => false,
        }
    };
    assert!(has(operations), "{worst}: {operations:?} {history:?}");
    for left_out in 0..operations.len() {
        let mut fewer = operations.to_vec();
        fewer.remove(left_out);
        assert!(!has(&fewer), "{worst} without {left_out}: {operations:?} {history:?}");
    }
}
