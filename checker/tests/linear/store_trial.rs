//! Random histories of etcd's store: what a store answers, and then often one thing is wrong.

use super::common::{oracle, show};
use super::trial::{broken_there, minimal};
use ordeal_checker::etcd::EtcdHistory;
use ordeal_checker::linear::{Algorithm, split};
use ordeal_checker::models::EtcdStore;
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Process, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// By key: value, created, modified, version.
type Keys = BTreeMap<&'static str, (i64, i64, i64, i64)>;

/// A store of its own, as small as can be: it is only to give answers that are mostly right.
#[derive(Clone, Default)]
struct Toy {
    keys: Keys,
    /// As they were at each revision before the last.
    past: Vec<Keys>,
    compacted: i64,
}

const KEYS: [&str; 3] = ["a", "b", "c"];

/// A request, in small.
#[derive(Clone, Copy)]
enum Ask {
    Range {
        from: usize,
        to: usize,
        revision: i64,
        serializable: bool,
    },
    Put {
        key: usize,
        value: i64,
        ignore_value: bool,
    },
    Delete {
        from: usize,
        to: usize,
    },
    /// If the key has this version: put, else: read.
    Txn {
        key: usize,
        version: i64,
        value: i64,
        twice: bool,
    },
    Compact {
        revision: i64,
    },
}

fn draw(rng: &mut ChaCha8Rng) -> Ask {
    let key = rng.random_range(0..3);
    let value = rng.random_range(0..3);
    let revision = rng.random_range(1..6);
    let to = rng.random_range(key..4);
    match rng.random_range(0..20) {
        0..3 => Ask::Range { from: key, to, revision: 0, serializable: rng.random_bool(0.3) },
        3..6 => Ask::Range { from: key, to: key, revision: 0, serializable: false },
        6..8 => Ask::Range { from: key, to, revision, serializable: false },
        8..13 => Ask::Put { key, value, ignore_value: rng.random_bool(0.1) },
        13..15 => Ask::Delete { from: key, to },
        15..19 => {
            let version = rng.random_range(0..3);
            Ask::Txn { key, version, value, twice: rng.random_bool(0.1) }
        }
        _ => Ask::Compact { revision: rng.random_range(1..4) },
    }
}

fn object(text: String) -> Value {
    Value::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn span(from: usize, to: usize) -> String {
    let end = if to == from { String::new() } else { format!(r#","range_end":"{}""#, end(to)) };
    format!(r#""key":"{}"{end}"#, KEYS[from])
}

/// The first key that is beyond.
fn end(to: usize) -> &'static str {
    KEYS.get(to).copied().unwrap_or("\\u0000")
}

impl Ask {
    fn event(self) -> (&'static str, Value) {
        let (f, text) = match self {
            Ask::Range { from, to, revision, serializable } => {
                let span = span(from, to);
                let text =
                    format!(r#"{{{span},"revision":{revision},"serializable":{serializable}}}"#);
                ("range", text)
            }
            Ask::Put { key, ignore_value: true, .. } => {
                ("put", format!(r#"{{"key":"{}","ignore_value":true}}"#, KEYS[key]))
            }
            Ask::Put { key, value, .. } => {
                let key = KEYS[key];
                ("put", format!(r#"{{"key":"{key}","value":{value},"prev_kv":true}}"#))
            }
            Ask::Delete { from, to } => ("delete-range", format!("{{{}}}", span(from, to))),
            Ask::Txn { key, version, value, twice } => {
                let key = KEYS[key];
                let put = format!(r#"{{"put":{{"key":"{key}","value":{value}}}}}"#);
                let puts = if twice { format!("{put},{put}") } else { put };
                let text = format!(
                    r#"{{"compare":[{{"key":"{key}","target":"version","result":"equal",
                    "value":{version}}}],"success":[{puts}],
                    "failure":[{{"range":{{"key":"{key}"}}}}]}}"#
                );
                ("txn", text)
            }
            Ask::Compact { revision } => ("compact", format!(r#"{{"revision":{revision}}}"#)),
        };
        (f, object(text))
    }
}

fn kv(key: &str, (value, create, modified, version): (i64, i64, i64, i64)) -> String {
    format!(
        r#"{{"key":"{key}","value":{value},"create_revision":{create},
        "mod_revision":{modified},"version":{version},"lease":0}}"#
    )
}

type Answer = Result<(Value, i64), &'static str>;

impl Toy {
    fn head(&self) -> i64 {
        self.past.len() as i64 + 1
    }

    fn put(&mut self, key: &'static str, value: i64) {
        self.past.push(self.keys.clone());
        let head = self.head();
        let entry = self.keys.entry(key).or_insert((value, head, head, 0));
        *entry = (value, entry.1, head, entry.3 + 1);
    }

    fn read(&self, from: usize, to: usize, revision: i64) -> String {
        let keys = match self.past.get((revision - 1).max(0) as usize) {
            Some(past) if revision > 0 => past,
            _ => &self.keys,
        };
        let within = |key: &str| {
            if from == to { key == KEYS[from] } else { KEYS[from..to.min(3)].contains(&key) }
        };
        let all = |to: usize| to == 3 && from != to;
        let kvs: Vec<String> = keys
            .iter()
            .filter(|(key, _)| within(key) || (all(to) && **key >= KEYS[from]))
            .map(|(key, held)| kv(key, *held))
            .collect();
        format!(r#"{{"kvs":[{}],"count":{},"more":false}}"#, kvs.join(","), kvs.len())
    }

    fn run(&mut self, ask: Ask) -> Answer {
        const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
        const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
        let text = match ask {
            Ask::Range { revision, .. } if revision > self.head() => return Err(FUTURE),
            Ask::Range { revision, .. } if revision > 0 && revision < self.compacted => {
                return Err(COMPACTED);
            }
            Ask::Range { from, to, revision, .. } => self.read(from, to, revision),
            Ask::Put { key, value, ignore_value } => {
                let before = self.keys.get(KEYS[key]).copied();
                let value = match before {
                    None if ignore_value => return Err("etcdserver: key not found"),
                    Some(before) if ignore_value => before.0,
                    _ => value,
                };
                self.put(KEYS[key], value);
                match before.filter(|_| !ignore_value) {
                    Some(before) => format!(r#"{{"prev_kv":{}}}"#, kv(KEYS[key], before)),
                    None => "{}".to_owned(),
                }
            }
            Ask::Delete { from, to } => {
                let gone = if from == to { from..from + 1 } else { from..to.min(3) };
                let before = self.keys.clone();
                self.keys.retain(|key, _| !KEYS[gone.clone()].contains(key));
                let deleted = before.len() - self.keys.len();
                if deleted > 0 {
                    self.past.push(before);
                }
                format!(r#"{{"deleted":{deleted}}}"#)
            }
            Ask::Txn { twice: true, .. } => {
                return Err("etcdserver: duplicate key given in txn request");
            }
            Ask::Txn { key, version, value, .. } => {
                if self.keys.get(KEYS[key]).map_or(0, |held| held.3) == version {
                    self.put(KEYS[key], value);
                    r#"{"succeeded":true,"responses":[{"put":{}}]}"#.to_owned()
                } else {
                    let read = self.read(key, key, 0);
                    format!(r#"{{"succeeded":false,"responses":[{{"range":{read}}}]}}"#)
                }
            }
            Ask::Compact { revision } if revision > self.head() => return Err(FUTURE),
            Ask::Compact { revision } if revision <= self.compacted => return Err(COMPACTED),
            Ask::Compact { revision } => {
                self.compacted = revision;
                "{}".to_owned()
            }
        };
        Ok((object(text), self.head()))
    }
}

/// An operation under way, and its answer once it took effect.
struct Open {
    event: Event,
    ask: Ask,
    answer: Option<Answer>,
}

/// A history of the toy: right, but for operations of unknown outcome.
fn right(rng: &mut ChaCha8Rng) -> Vec<Event> {
    let mut toy = Toy { compacted: -1, ..Toy::default() };
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
                if judgement.algorithm != "revisions" {
                    minimal(&EtcdStore, history, &counterexample.operations, &label);
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
