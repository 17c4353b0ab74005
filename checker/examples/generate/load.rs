//! Histories of a register under load, as large as one likes: the benchmarks' input.

use ordeal_history::{Event, EventType, Process, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Operations in all.
    pub operations: usize,
    /// Clients, each always with one operation open.
    pub clients: usize,
    /// Objects; with one, the history names none.
    pub keys: usize,
    /// Of a hundred operations, how many have an unknown outcome.
    pub info_percent: f64,
    /// Values are drawn from 0 up to this; with 0 each is written once.
    pub values: i64,
    /// Of a hundred operations that are no reads, how many are cas.
    pub cas_percent: u32,
    /// The last read is of a value that was overwritten before it began; with few values, of one
    /// that was never written.
    pub stale: bool,
    /// Everything follows from it.
    pub seed: u64,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            operations: 10_000,
            clients: 25,
            keys: 1,
            info_percent: 5.0,
            values: 0,
            cas_percent: 50,
            stale: false,
            seed: 1,
        }
    }
}

#[derive(Clone)]
struct Open {
    event: Event,
    key: usize,
    effect: Option<(EventType, Value, Option<Value>)>,
    is_info: bool,
}

/// What a client does next: its operation takes effect, or it completes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Effect,
    Complete,
}

struct World<'a> {
    load: Load,
    rng: ChaCha8Rng,
    state: Vec<Value>,
    /// Values that the first object held, oldest first.
    past: VecDeque<Value>,
    next: i64,
    /// How many events there were.
    count: u64,
    sink: &'a mut dyn FnMut(Event),
}

impl World<'_> {
    fn fresh(&mut self) -> Value {
        if self.load.values > 0 {
            return Value::from(self.rng.random_range(0..self.load.values));
        }
        self.next += 1;
        Value::from(self.next)
    }

    fn invoke(&mut self, time: u64, process: i64) -> Open {
        let key = self.rng.random_range(0..self.load.keys);
        let (f, value) = if self.rng.random_bool(0.5) {
            ("read", Value::Null)
        } else if self.rng.random_range(0..100) < self.load.cas_percent {
            let old = self.state[key].clone();
            ("cas", Value::from(vec![old, self.fresh()]))
        } else {
            ("write", self.fresh())
        };
        let process = Process::Client(process);
        let mut event = Event::new(0, time, process, EventType::Invoke, f);
        event.key = (self.load.keys > 1).then(|| Value::from(format!("k{key}")));
        event.value = value;
        let is_info = self.rng.random_bool(self.load.info_percent / 100.0);
        self.push(event.clone());
        Open { event, key, effect: None, is_info }
    }

    fn effect(&mut self, open: &mut Open) {
        let state = &mut self.state[open.key];
        let before = state.clone();
        let value = open.event.value.clone();
        open.effect = Some(match open.event.f.as_str() {
            "read" => (EventType::Ok, before, None),
            "write" => {
                *state = value.clone();
                self.remember(open.key, before);
                (EventType::Ok, value, None)
            }
            _ => match value.as_array() {
                Some([old, new]) if *old == before => {
                    *state = new.clone();
                    self.remember(open.key, before);
                    (EventType::Ok, value, None)
                }
                _ => (EventType::Fail, value, Some(before)),
            },
        });
    }

    fn remember(&mut self, key: usize, before: Value) {
        if key == 0 {
            self.past.push_back(before);
        }
        if self.past.len() > 10 * self.load.clients {
            self.past.pop_front();
        }
    }

    fn complete(&mut self, time: u64, open: Open) {
        let mut event = Event { time, ..open.event };
        if open.is_info {
            event.kind = EventType::Info;
        } else if let Some((kind, value, actual)) = open.effect {
            (event.kind, event.value, event.actual) = (kind, value, actual);
        }
        self.push(event);
    }

    fn push(&mut self, mut event: Event) {
        event.index = self.count;
        self.count += 1;
        (self.sink)(event);
    }

    /// A read by a process of its own, after everything else.
    fn last_read(&mut self, time: u64, value: Value) {
        for (kind, value) in [(EventType::Invoke, Value::Null), (EventType::Ok, value)] {
            let mut event = Event::new(0, time, Process::Client(-1), kind, "read");
            event.key = (self.load.keys > 1).then(|| Value::from("k0"));
            event.value = value;
            self.push(event);
        }
    }
}

/// The events of a run under `load`, one by one: linearizable, unless it is to be stale.
pub fn play(load: Load, sink: &mut dyn FnMut(Event)) {
    let mut world = World {
        load,
        rng: ChaCha8Rng::seed_from_u64(load.seed),
        state: vec![Value::Null; load.keys],
        past: VecDeque::new(),
        next: 0,
        count: 0,
        sink,
    };
    let mut queue = BinaryHeap::new();
    let mut open: Vec<Option<Open>> = vec![None; load.clients];
    let mut process: Vec<i64> = (0..load.clients as i64).collect();
    let mut left = load.operations - usize::from(load.stale);
    let mut time = 0;
    for (client, slot) in open.iter_mut().enumerate().take(left) {
        *slot = Some(world.invoke(time, process[client]));
        left -= 1;
        queue.push(Reverse((world.rng.random_range(1..1000_u64), client, Step::Effect)));
    }
    while let Some(Reverse((now, client, step))) = queue.pop() {
        time = now;
        let Some(mut operation) = open[client].take() else { continue };
        let delay = world.rng.random_range(1..1000_u64);
        match step {
            Step::Effect => {
                if !operation.is_info || world.rng.random_bool(0.5) {
                    world.effect(&mut operation);
                }
                open[client] = Some(operation);
                queue.push(Reverse((time + delay, client, Step::Complete)));
            }
            Step::Complete => {
                if operation.is_info {
                    process[client] += load.clients as i64;
                }
                world.complete(time, operation);
                if left > 0 {
                    left -= 1;
                    open[client] = Some(world.invoke(time, process[client]));
                    queue.push(Reverse((time + delay, client, Step::Effect)));
                }
            }
        }
    }
    if load.stale {
        // Of a few values any may come again: only one that was never written is surely wrong.
        let value = match load.values {
            0 => world.past.pop_front().unwrap_or_default(),
            values => Value::from(values),
        };
        world.last_read(time, value);
    }
}
