//! Histories of etcd's store under load: ranges, puts, deletes and transactions on a few keys.

use crate::load::Load;
use ordeal_history::{Event, EventType, Process, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a key holds: value, created, modified, version.
type Held = (i64, i64, i64, i64);

/// A request under way, and its answer once it took effect.
struct Open {
    event: Event,
    key: usize,
    value: i64,
    answer: Option<(Value, i64)>,
}

struct World {
    load: Load,
    rng: ChaCha8Rng,
    keys: Vec<Option<Held>>,
    head: i64,
    next: i64,
    events: Vec<Event>,
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.into_iter().map(|(name, value)| (Arc::from(name), value));
    Value::Object(Arc::new(members.collect::<BTreeMap<_, _>>()))
}

fn name(key: usize) -> Value {
    Value::from(format!("k{key}"))
}

impl World {
    fn invoke(&mut self, process: i64) -> Open {
        let key = self.rng.random_range(0..self.load.keys);
        self.next += 1;
        let value = self.next;
        let asked = ("key", name(key));
        let put = object([asked.clone(), ("value", Value::from(value))]);
        let (f, request) = match self.rng.random_range(0..100) {
            0..50 => ("range", object([asked])),
            50..75 => ("put", put),
            75..78 => ("delete-range", object([asked])),
            _ => {
                let version = self.keys[key].map_or(0, |held| held.3);
                let compare = [
                    asked,
                    ("target", Value::from("version")),
                    ("result", Value::from("equal")),
                    ("value", Value::from(version)),
                ];
                let txn = [
                    ("compare", Value::from(vec![object(compare)])),
                    ("success", Value::from(vec![object([("put", put)])])),
                ];
                ("txn", object(txn))
            }
        };
        let mut event = Event::new(0, 0, Process::Client(process), EventType::Invoke, f);
        event.value = request;
        self.push(event.clone());
        Open { event, key, value, answer: None }
    }

    fn put(&mut self, key: usize, value: i64) {
        self.head += 1;
        let (_, create, _, version) = self.keys[key].unwrap_or((0, self.head, 0, 0));
        self.keys[key] = Some((value, create, self.head, version + 1));
    }

    fn effect(&mut self, open: &mut Open) {
        let Open { event, key, value, .. } = open;
        let held = self.keys[*key];
        let answer = match event.f.as_str() {
            "range" => range(*key, held),
            "put" => {
                self.put(*key, *value);
                object([])
            }
            "delete-range" => {
                self.keys[*key] = None;
                self.head += i64::from(held.is_some());
                object([("deleted", Value::from(i64::from(held.is_some())))])
            }
            _ => {
                let version = held.map_or(0, |held| held.3);
                let succeeded =
                    event.value.to_string().contains(&format!("\"value\":{version}}}]"));
                if succeeded {
                    self.put(*key, *value);
                }
                let done = object([("put", object([]))]);
                let responses = if succeeded { vec![done] } else { Vec::new() };
                object([("succeeded", succeeded.into()), ("responses", responses.into())])
            }
        };
        open.answer = Some((answer, self.head));
    }

    fn push(&mut self, mut event: Event) {
        event.index = self.events.len() as u64;
        event.time = event.index * 1000;
        self.events.push(event);
    }
}

fn range(key: usize, held: Option<Held>) -> Value {
    let kv = |(value, create, modified, version): Held| {
        object([
            ("key", name(key)),
            ("value", Value::from(value)),
            ("create_revision", Value::from(create)),
            ("mod_revision", Value::from(modified)),
            ("version", Value::from(version)),
        ])
    };
    let kvs: Vec<Value> = held.map(kv).into_iter().collect();
    object([("count", Value::from(kvs.len() as i64)), ("kvs", Value::from(kvs))])
}

/// The events of a run under `load`; with `stale` the last range's revision is off by one.
pub fn events(load: Load) -> Vec<Event> {
    let mut world = World {
        load,
        rng: ChaCha8Rng::seed_from_u64(load.seed),
        keys: vec![None; load.keys],
        head: 1,
        next: 0,
        events: Vec::with_capacity(2 * load.operations),
    };
    let mut open: Vec<Option<Open>> = (0..load.clients).map(|_| None).collect();
    let mut processes: Vec<i64> = (0..load.clients as i64).collect();
    let mut left = load.operations;
    while left > 0 || open.iter().any(Option::is_some) {
        let at = world.rng.random_range(0..open.len());
        match open[at].take() {
            None if left > 0 => {
                left -= 1;
                open[at] = Some(world.invoke(processes[at]));
            }
            None => {}
            Some(mut operation) if operation.answer.is_none() => {
                world.effect(&mut operation);
                open[at] = Some(operation);
            }
            Some(Open { event, answer, .. }) => {
                let mut event = event;
                event.kind = EventType::Info;
                match answer.filter(|_| !world.rng.random_bool(load.info_percent / 100.0)) {
                    Some((value, revision)) => {
                        event.kind = EventType::Ok;
                        (event.value, event.revision) = (value, Some(revision));
                    }
                    None => processes[at] += load.clients as i64,
                }
                world.push(event);
            }
        }
    }
    if load.stale {
        let last = world.events.iter_mut().rev();
        let mut answers = last.filter(|event| event.f == "range" && event.revision.is_some());
        if let Some(answer) = answers.next() {
            answer.revision = answer.revision.map(|revision| revision - 1);
        }
    }
    world.events
}
