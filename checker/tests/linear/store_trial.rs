//! Random histories of etcd's store: what a store answers, and then often one thing is wrong.

use super::common::{oracle, show};
use super::toy::{Answer, Ask, KEYS, Toy, draw};
use super::trial::{broken_there, minimal};
use ordeal_checker::etcd::EtcdHistory;
use ordeal_checker::linear::{Algorithm, Entry, Model, split};
use ordeal_checker::models::EtcdStore;
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Process, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// An operation under way, and its answer once it took effect.
struct Open {
    event: Event,
    ask: Ask,
    answer: Option<Answer>,
}

/// A history of the toy: right, but for operations of unknown outcome.
fn right(rng: &mut ChaCha8Rng) -> Vec<Event> {
    let mut toy = Toy::new();
    let mut left = rng.random_range(2..8);
    let info = [0.0, 0.15, 0.4][rng.random_range(0..3)];
    let mut open: Vec<Option<Open>> = (0..rng.random_range(1..4)).map(|_| None).collect();
    let mut names: Vec<i64> = (0..open.len() as i64).collect();
    let mut events: Vec<Event> = Vec::new();
    while left > 0 || open.iter().any(Option::is_some) {
        let slot = rng.random_range(0..open.len());
        let index = events.len() as u64;
        match open[slot].take() {
            None if left > 0 => {
                left -= 1;
                let ask = draw(rng);
                let (f, value) = ask.event();
                let process = Process::Client(names[slot]);
                let mut event = Event::new(index, index, process, EventType::Invoke, f);
                event.value = value;
                events.push(event.clone());
                open[slot] = Some(Open { event, ask, answer: None });
            }
            None => {}
            Some(mut at) if at.answer.is_none() && !rng.random_bool(info / 2.0) => {
                at.answer = Some(toy.run(at.ask));
                open[slot] = Some(at);
            }
            Some(at) => {
                let mut event = Event { index, time: index, ..at.event };
                match at.answer {
                    Some(Ok((value, revision))) if !rng.random_bool(info / 2.0) => {
                        event.kind = EventType::Ok;
                        (event.value, event.revision) = (value, Some(revision));
                    }
                    Some(Err(told)) => {
                        event.kind = EventType::Fail;
                        event.error = Some(told.to_owned());
                    }
                    _ => {
                        event.kind = EventType::Info;
                        names[slot] += 100;
                    }
                }
                events.push(event);
            }
        }
    }
    events
}

/// One number, flag or list in an answer is not what it was.
fn disturb(rng: &mut ChaCha8Rng, value: &Value) -> Value {
    match value {
        Value::Int(number) => Value::Int(number + [-1, 1][rng.random_range(0..2)]),
        Value::Bool(truth) => Value::Bool(!truth),
        Value::String(_) => Value::from(KEYS[rng.random_range(0..3)]),
        Value::Array(items) if !items.is_empty() => {
            let mut items = items.to_vec();
            let at = rng.random_range(0..items.len());
            match rng.random_range(0..4) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => items[at] = disturb(rng, &items[at]),
            }
            Value::from(items)
        }
        Value::Object(members) if !members.is_empty() => {
            let mut members = (**members).clone();
            let at = rng.random_range(0..members.len());
            if let Some((_, member)) = members.iter_mut().nth(at) {
                *member = disturb(rng, member);
            }
            Value::Object(std::sync::Arc::new(members))
        }
        other => other.clone(),
    }
}

/// A random small history of the whole store.
pub fn store(rng: &mut ChaCha8Rng) -> History {
    let mut events = right(rng);
    if rng.random_bool(0.1) {
        events.iter_mut().for_each(|event| event.revision = None);
    }
    let ends: Vec<usize> =
        (0..events.len()).filter(|&at| events[at].kind != EventType::Invoke).collect();
    if !ends.is_empty() && rng.random_bool(0.6) {
        let (at, other) =
            (ends[rng.random_range(0..ends.len())], ends[rng.random_range(0..ends.len())]);
        let before = events.clone();
        match rng.random_range(0..7) {
            0 => {
                let step = [-1, 1][rng.random_range(0..2)];
                events[at].revision = events[at].revision.map(|revision| revision + step);
            }
            1 => events[at].revision = before[other].revision,
            2 if before[at].f == before[other].f && before[at].kind == before[other].kind => {
                events[at].value = before[other].value.clone();
                events[other].value = before[at].value.clone();
            }
            3 if before[at].kind == EventType::Fail => {
                events[at].error = before.iter().rev().find_map(|event| event.error.clone());
            }
            4 if before[at].kind == EventType::Ok => {
                events[at].kind = EventType::Fail;
                let told = ["key not found", "mvcc: required revision has been compacted"];
                events[at].error = Some(format!("etcdserver: {}", told[rng.random_range(0..2)]));
            }
            _ if before[at].kind == EventType::Ok => {
                events[at].value = disturb(rng, &before[at].value);
            }
            _ => {}
        }
    }
    History::from_events(events).unwrap()
}

/// The part is invalid, and without any one operation it is valid, or has a gap in its revisions
/// that nobody in it can have had.
fn irreducible(history: &History, operations: &[u32], label: &str) {
    let part = History::from_events(history.events_of(operations)).unwrap();
    let entries = split(&EtcdStore, &part, None).unwrap().remove(0).entries;
    assert!(!oracle(&EtcdStore, &entries), "{label}: {operations:?} is valid: {}", show(history));
    // A refusal can be of any moment at which it was under way, so every change is about it.
    let is_untold = |entry: &Entry<<EtcdStore as Model>::Op>| {
        entry.is_certain() && revision_of(entry).is_none()
    };
    let any_untold = entries.iter().any(is_untold);
    for leave in 0..entries.len() {
        // One of unknown outcome may have had a revision that it takes along.
        let op = &entries[leave].op;
        let may_matter = op.changed() || op.compacted().is_some();
        if !entries[leave].is_certain() || (any_untold && may_matter) {
            continue;
        }
        let mut rest = entries.clone();
        let left = rest.remove(leave);
        let last = rest.iter().filter_map(revision_of).max();
        let leaves_gap = left.op.changed() && revision_of(&left) <= last;
        assert!(
            leaves_gap || has_gap(&rest) || oracle(&EtcdStore, &rest),
            "{label}: {leave} of {operations:?} could go: {}",
            show(history)
        );
    }
}

fn revision_of(entry: &Entry<<EtcdStore as Model>::Op>) -> Option<i64> {
    entry.op.revision
}

/// Whether there are more revisions up to the last that was told than operations to have them.
fn has_gap(entries: &[Entry<<EtcdStore as Model>::Op>]) -> bool {
    let last = entries.iter().filter_map(revision_of).max().unwrap_or(1);
    let can_have = |entry: &&Entry<<EtcdStore as Model>::Op>| match entry.is_certain() {
        true => entry.op.changed(),
        false => entry.op.request.may_change(),
    };
    (entries.iter().filter(can_have).count() as i64) < last - 1
}

/// Holds a history against the oracle, by its revisions and by the search.
pub fn agree(history: &History) -> bool {
    // A disturbed key may be no key any more.
    let Ok(objects) = split(&EtcdStore, history, None) else { return false };
    let expected = objects.iter().all(|object| oracle(&EtcdStore, &object.entries));
    for algorithm in [Algorithm::Auto, Algorithm::Search] {
        let judgement = EtcdHistory::new(algorithm).check(history, &Limits::default());
        let label = format!("{algorithm:?}: {}", judgement.reason);
        match &judgement.verdict {
            Verdict::Valid(_) => assert!(expected, "{label}{}", show(history)),
            Verdict::Invalid(counterexample) => {
                assert!(!expected, "{label}{}", show(history));
                match &*judgement.algorithm {
                    "revisions" => irreducible(history, &counterexample.operations, &label),
                    _ => minimal(&EtcdStore, history, &counterexample.operations, &label),
                }
                if let Some(event) = counterexample.broken_at_event {
                    broken_there(&EtcdStore, history, event, &label);
                }
                assert!(counterexample.story.len() > counterexample.operations.len(), "{label}");
            }
            Verdict::Unknown(why) => panic!("{label} {why}{}", show(history)),
        }
    }
    expected
}
