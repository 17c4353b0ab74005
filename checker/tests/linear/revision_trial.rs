//! Random histories of the register's form of `etcd`: reads, writes and cas that bear revisions
//! and versions, held against exhaustive search on a model that counts both.

use super::common::{oracle, show};
use ordeal_checker::etcd::EtcdRevisions;
use ordeal_checker::linear::{Misfit, Model, split};
use ordeal_checker::models::{Register, RegisterOp};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Operation, Outcome, Process, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Registers by key, each with its version, and the revision that is common to all.
struct Numbered;

/// The last revision, whether a change had it, and by key the value and the version.
type State = (i64, bool, BTreeMap<Value, (Value, i64)>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Op {
    key: Value,
    op: RegisterOp,
    revision: Option<i64>,
    version: Option<i64>,
}

impl Model for Numbered {
    type State = State;
    type Op = Op;

    fn name(&self) -> &str {
        "numbered"
    }

    fn summary(&self) -> &str {
        "registers with revisions and versions"
    }

    fn initial(&self) -> State {
        (0, false, BTreeMap::new())
    }

    fn compile(&self, operation: &Operation) -> Result<Option<Op>, Misfit> {
        let op = Register::default().compile(operation)?;
        let known = operation.outcome != Outcome::Info;
        Ok(op.map(|op| Op {
            key: operation.key.clone().unwrap_or_default(),
            op,
            revision: operation.revision.filter(|_| known),
            version: operation.version.filter(|_| known),
        }))
    }

    fn step(&self, (head, begun, keys): &State, op: &Op) -> Option<State> {
        let nothing = (Value::Null, 0);
        let (value, version) = keys.get(&op.key).unwrap_or(&nothing);
        let (next, changes) = match &op.op {
            RegisterOp::Read(seen) => ((seen == value).then(|| value.clone())?, false),
            RegisterOp::CasSaw(old, seen) => {
                ((seen == value && old != seen).then(|| value.clone())?, false)
            }
            RegisterOp::CasNot(old) => ((old != value).then(|| value.clone())?, false),
            RegisterOp::Write(new) => (new.clone(), true),
            RegisterOp::Cas(old, new) => ((old == value).then(|| new.clone())?, true),
        };
        let version = version + i64::from(changes);
        if op.version.is_some_and(|told| told != version) {
            return None;
        }
        let due = head + i64::from(changes);
        let revision = op.revision.unwrap_or(due);
        // Whatever came before the first change is not known.
        if revision < due || (*begun && revision != due) {
            return None;
        }
        let mut keys = keys.clone();
        keys.insert(op.key.clone(), (next, version));
        Some((revision, *begun || changes, keys))
    }

    fn spans_keys(&self) -> bool {
        true
    }
}

/// What a store of registers answers, one operation after the other, with gaps in time between
/// call, effect and answer; then often one number or value is another.
pub fn revisions(rng: &mut ChaCha8Rng) -> History {
    let mut keys: BTreeMap<i64, (Value, i64)> = BTreeMap::new();
    let (mut head, mut left, mut next) = (1, rng.random_range(1..8), 0);
    let mut open: Vec<Option<(Event, Option<Event>)>> =
        (0..rng.random_range(1..4)).map(|_| None).collect();
    let mut events: Vec<Event> = Vec::new();
    while left > 0 || open.iter().any(Option::is_some) {
        let slot = rng.random_range(0..open.len());
        match open[slot].take() {
            None if left > 0 => {
                left -= 1;
                next += 1;
                let process = Process::Client(slot as i64);
                let f = ["read", "write", "cas"][rng.random_range(0..3)];
                let mut event = Event::new(0, 0, process, EventType::Invoke, f);
                let key = rng.random_range(0..2);
                event.key = Some(Value::from(key));
                let there = keys.get(&key).map_or(Value::Null, |held| held.0.clone());
                event.value = match f {
                    "read" => Value::Null,
                    "write" => Value::from(next),
                    _ => Value::from(vec![there, Value::from(next)]),
                };
                events.push(event.clone());
                open[slot] = Some((event, None));
            }
            None => {}
            Some((invoke, None)) => {
                let key = invoke.key.as_ref().and_then(Value::as_i64).unwrap();
                let held = keys.entry(key).or_insert((Value::Null, 0));
                let mut event = invoke.clone();
                event.kind = EventType::Ok;
                let new = match (invoke.f.as_str(), invoke.value.as_array()) {
                    ("write", _) => Some(invoke.value.clone()),
                    (_, Some([old, new])) if *old == held.0 => Some(new.clone()),
                    (_, Some(_)) => {
                        event.kind = EventType::Fail;
                        event.actual = Some(held.0.clone());
                        None
                    }
                    _ => {
                        event.value = held.0.clone();
                        None
                    }
                };
                if let Some(new) = new {
                    head += 1;
                    *held = (new, held.1 + 1);
                }
                (event.revision, event.version) = (Some(head), Some(held.1));
                open[slot] = Some((invoke, Some(event)));
            }
            Some((_, Some(event))) => events.push(event),
        }
    }
    disturb(rng, &mut events);
    for (index, event) in (0..).zip(&mut events) {
        (event.index, event.time) = (index, index);
    }
    History::from_events(events).unwrap()
}

fn disturb(rng: &mut ChaCha8Rng, events: &mut [Event]) {
    let ends: Vec<usize> =
        (0..events.len()).filter(|&at| events[at].kind != EventType::Invoke).collect();
    let (at, other) = (ends[rng.random_range(0..ends.len())], rng.random_range(0..ends.len()));
    let step = [-1, 1][rng.random_range(0..2)];
    match rng.random_range(0..6) {
        0 => events[at].revision = events[at].revision.map(|revision| revision + step),
        1 => events[at].version = events[at].version.map(|version| version + step),
        2 => events[at].revision = events[ends[other]].revision,
        3 if events[at].f == "read" => events[at].value = Value::from(rng.random_range(1..4_i64)),
        _ => {}
    }
}

/// Holds a history against the oracle, and again with one answer that was never heard: a verdict
/// of invalid must be right then too, but versions are only bounded, so valid need not be.
pub fn agree(rng: &mut ChaCha8Rng, history: &History) -> bool {
    let verdict = |history: &History| {
        let objects = split(&Numbered, history, None).unwrap();
        let expected = objects.iter().all(|object| oracle(&Numbered, &object.entries));
        let judgement = EtcdRevisions::default().check(history, &Limits::default());
        let found = match judgement.verdict {
            Verdict::Valid(_) => true,
            Verdict::Invalid(_) => false,
            Verdict::Unknown(why) => panic!("{why}{}", show(history)),
        };
        (expected, found, judgement.reason)
    };
    let (expected, found, reason) = verdict(history);
    assert_eq!(expected, found, "{reason}{}", show(history));
    // What comes out right was never wrong on the way.
    for until in (0..history.events as usize).filter(|_| expected && rng.random_bool(0.2)) {
        let all: Vec<u32> = (0..history.operations.len() as u32).collect();
        let part = History::from_events(history.events_of(&all).drain(..until)).unwrap();
        let judgement = EtcdRevisions::default().check(&part, &Limits::default());
        let is_wrong = matches!(judgement.verdict, Verdict::Invalid(_));
        assert!(!is_wrong, "at event {until}: {}{}", judgement.reason, show(history));
    }
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    let mut events = history.events_of(&all);
    // The process is retired with it.
    if let Some(lost) = events.iter().rposition(|event| event.kind != EventType::Invoke)
        && rng.random_bool(0.5)
    {
        events[lost].kind = EventType::Info;
        let (expected, found, reason) = verdict(&History::from_events(events).unwrap());
        assert!(found || !expected, "{reason}{}", show(history));
    }
    expected
}
