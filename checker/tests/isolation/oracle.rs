//! Small random histories, judged by trying every order of every subset that could have happened.

use crate::support::{Events, Step, steps_value};
use ordeal_checker::isolation::{ListAppend, RwRegister};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{EventType, History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

/// Whether some order of all committed and some indeterminate transactions explains every read
/// and respects real time.
fn strictly_serializable(history: &History, append: bool) -> bool {
    fn extend(
        rest: &mut Vec<&Operation>,
        state: &BTreeMap<Value, Vec<Value>>,
        append: bool,
    ) -> bool {
        if rest.iter().all(|operation| operation.outcome != Outcome::Ok) {
            return true;
        }
        let earliest_end = rest.iter().filter(|o| o.outcome == Outcome::Ok);
        let earliest_end = earliest_end.filter_map(|o| o.complete).min().unwrap_or(u64::MAX);
        for at in 0..rest.len() {
            let operation = rest[at];
            if operation.invoke > earliest_end {
                continue;
            }
            if let Some(after) = run(operation, state, append) {
                rest.remove(at);
                let found = extend(rest, &after, append);
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
    extend(&mut rest, &BTreeMap::new(), append)
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
    while invoked < transactions || !open.is_empty() {
        let at = rng.random_range(0..open.len() + 1);
        if at == open.len() {
            if invoked == transactions || open.len() == 4 {
                continue;
            }
            let mut steps = Vec::new();
            for _ in 0..rng.random_range(1..4) {
                value += 1;
                let write = rng.random_bool(0.5);
                let key = Value::Int(rng.random_range(0..keys));
                steps.push(Step { write, key, value: Value::Int(value) });
            }
            events.push(invoked, EventType::Invoke, steps_value(&steps, word, false), None);
            open.push((invoked, steps, false));
            invoked += 1;
            continue;
        }
        let (process, mut steps, ran) = open.swap_remove(at);
        if ran {
            let kind = if rng.random_bool(0.15) { EventType::Info } else { EventType::Ok };
            events.push(process, kind, steps_value(&steps, word, true), None);
            continue;
        }
        if rng.random_bool(0.1) {
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
        if events.0.iter().any(|e| e.kind == EventType::Fail && e.process == process_of(process)) {
            continue;
        }
        open.push((process, steps, true));
    }
    events.history()
}

fn process_of(process: i64) -> ordeal_history::Process {
    ordeal_history::Process::Client(process)
}

fn agrees_with_the_oracle(checker: &dyn Checker, append: bool, histories: u64) {
    let mut invalid = 0;
    for seed in 0..histories {
        let history = random_history(&mut ChaCha8Rng::seed_from_u64(seed), append);
        let expected = strictly_serializable(&history, append);
        let judgement = checker.check(&history, &Limits::default());
        let found = match &judgement.verdict {
            Verdict::Valid(_) => true,
            Verdict::Invalid(_) => false,
            Verdict::Unknown(reason) => panic!("seed {seed}: unknown, {reason}: {history:#?}"),
        };
        assert_eq!(found, expected, "seed {seed}: {judgement:#?} {:#?}", history.operations);
        invalid += u64::from(!expected);
        if let (Verdict::Invalid(wrong), true) = (&judgement.verdict, seed % 10 == 0) {
            let worst = judgement.reason.split(" breaks").next().expect("the worst anomaly");
            nothing_can_be_left_out(checker, &history, &wrong.operations, worst);
        }
    }
    let share = invalid * 100 / histories;
    assert!((15..85).contains(&share), "{share} % invalid: the histories test too little");
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

#[test]
fn list_append_agrees_with_trying_every_order() {
    agrees_with_the_oracle(&ListAppend::default(), true, 20_000);
}

#[test]
fn rw_register_agrees_with_trying_every_order() {
    agrees_with_the_oracle(&RwRegister::default(), false, 20_000);
}
