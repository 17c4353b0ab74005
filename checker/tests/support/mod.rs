//! Histories of transactions: written by hand, and from a simulated store.

use ordeal_history::{Event, EventType, History, Process, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, VecDeque};

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub write: bool,
    pub key: Value,
    pub value: Value,
}

/// A list of steps as the history has it; `write` is the word for a write. Reads are empty in an
/// invocation.
pub fn steps_value(steps: &[Step], write: &str, answered: bool) -> Value {
    let step = |step: &Step| {
        let word = if step.write { write } else { "r" };
        let value = if step.write || answered { step.value.clone() } else { Value::Null };
        Value::from(vec![Value::from(word), step.key.clone(), value])
    };
    Value::from(steps.iter().map(step).collect::<Vec<_>>())
}

/// Events in the making.
#[derive(Default)]
pub struct Events(pub Vec<Event>);

impl Events {
    pub fn push(&mut self, process: i64, kind: EventType, value: Value, revision: Option<i64>) {
        let index = self.0.len() as u64;
        let mut event = Event::new(index, index, Process::Client(process), kind, "txn");
        event.value = value;
        event.revision = revision;
        self.0.push(event);
    }

    pub fn history(self) -> History {
        History::from_events(self.0).expect("the events are well-formed")
    }
}

/// A history from one line a transaction, such as `a x 1; r y [1 2]` or `w x 1; r y nil`.
///
/// All lines are concurrent; a line `|` lets those before it complete before those after it are
/// invoked. `!` before a line aborts it, `?` leaves it open for ever, `~` until the end; `p3:` names
/// its process, `@7:` its revision. A line without a process has its own.
pub fn transactions(lines: &[&str]) -> History {
    let mut events = Events::default();
    let (mut open, mut late) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if *line == "|" {
            complete(&mut events, &mut open);
            continue;
        }
        let (mark, rest) = match line.chars().next() {
            Some(mark @ ('!' | '?' | '~')) => (mark, &line[1..]),
            _ => (' ', *line),
        };
        let named = rest.strip_prefix('p').and_then(|rest| rest.split_once(": "));
        let dated = rest.strip_prefix('@').and_then(|rest| rest.split_once(": "));
        let process = named.map_or(100 + at as i64, |(id, _)| id.parse().expect("a process"));
        let revision = dated.map(|(revision, _)| revision.parse().expect("a revision"));
        let text = named.or(dated).map_or(rest, |(_, text)| text);
        let write = if text.contains("w ") { "w" } else { "append" };
        let steps: Vec<Step> = text.split("; ").map(step).collect();
        events.push(process, EventType::Invoke, steps_value(&steps, write, false), None);
        let kind = if mark == '!' { EventType::Fail } else { EventType::Ok };
        match mark {
            '?' => {}
            '~' => late.push((process, kind, steps_value(&steps, write, true), revision)),
            _ => open.push((process, kind, steps_value(&steps, write, true), revision)),
        }
    }
    complete(&mut events, &mut open);
    complete(&mut events, &mut late);
    events.history()
}

fn complete(events: &mut Events, open: &mut Vec<(i64, EventType, Value, Option<i64>)>) {
    for (process, kind, value, revision) in open.drain(..) {
        events.push(process, kind, value, revision);
    }
}

fn step(text: &str) -> Step {
    let mut parts = text.splitn(3, ' ');
    let (word, key, value) = (parts.next(), parts.next(), parts.next());
    let value = value.expect(text).replace("nil", "null");
    let value = if value.starts_with('[') { value.replace(' ', ",") } else { value };
    Step {
        write: word != Some("r"),
        key: Value::from(key.expect(text)),
        value: Value::parse(&value).expect(text),
    }
}

/// What a simulated store does wrong, with which probability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wrongs {
    /// A transaction reads from a state of a while ago.
    pub stale: f64,
    /// A transaction's writes are lost, though it is said to have committed.
    pub lost: f64,
    /// An aborted transaction's writes stay.
    pub dirty: f64,
}

/// How to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    pub seed: u64,
    /// Micro-operations, in about as many as the history shall have.
    pub operations: usize,
    pub clients: i64,
    /// Keys in use at one moment.
    pub keys: usize,
    /// After so many writes a key is retired for a fresh one.
    pub writes_a_key: usize,
    /// Micro-operations of a transaction, at most.
    pub steps_max: usize,
    /// Of indeterminate and of aborted transactions.
    pub info: f64,
    pub fail: f64,
    /// Lists, else registers.
    pub append: bool,
    pub wrongs: Wrongs,
}

type State = BTreeMap<i64, Vec<i64>>;

struct Client {
    process: i64,
    steps: Vec<(bool, i64, i64)>,
    answer: Option<Vec<Step>>,
}

struct Store {
    simulation: Simulation,
    rng: ChaCha8Rng,
    state: State,
    /// States of a while ago, kept only when something stale may be read.
    past: VecDeque<State>,
    keys: Vec<(i64, usize)>,
    next_key: i64,
    next_value: i64,
}

/// A history of a store that runs each transaction at one moment between its invocation and its
/// completion, but for the [`Wrongs`].
pub fn simulate(simulation: Simulation) -> History {
    let mut store = Store {
        simulation,
        rng: ChaCha8Rng::seed_from_u64(simulation.seed),
        state: State::new(),
        past: VecDeque::new(),
        keys: (0..simulation.keys as i64).map(|key| (key, 0)).collect(),
        next_key: simulation.keys as i64,
        next_value: 0,
    };
    let mut events = Events::default();
    let mut clients: Vec<Option<Client>> = (0..simulation.clients).map(|_| None).collect();
    let mut processes: Vec<i64> = (0..simulation.clients).collect();
    let word = if simulation.append { "append" } else { "w" };
    let mut made = 0;
    while made < simulation.operations || clients.iter().any(Option::is_some) {
        let at = store.rng.random_range(0..clients.len());
        match clients[at].take() {
            None if made < simulation.operations => {
                let steps = store.draw();
                made += steps.len();
                let asked: Vec<Step> = steps.iter().map(|&step| asked(step)).collect();
                let process = processes[at];
                events.push(process, EventType::Invoke, steps_value(&asked, word, false), None);
                clients[at] = Some(Client { process, steps, answer: None });
            }
            None => {}
            Some(client) if client.answer.is_none() => {
                let answer = Some(store.run(&client.steps, true));
                clients[at] = Some(Client { answer, ..client });
            }
            Some(client) => {
                let (info, fail) = (simulation.info, simulation.fail);
                let answer = steps_value(&client.answer.unwrap_or_default(), word, true);
                let kind = match store.rng.random::<f64>() {
                    draw if draw < info => {
                        processes[at] += simulation.clients;
                        EventType::Info
                    }
                    _ => EventType::Ok,
                };
                events.push(client.process, kind, answer, None);
                if store.rng.random::<f64>() < fail {
                    store.abort(&mut events, processes[at], word);
                }
            }
        }
    }
    events.history()
}

fn asked((write, key, value): (bool, i64, i64)) -> Step {
    Step { write, key: Value::Int(key), value: Value::Int(value) }
}

impl Store {
    fn draw(&mut self) -> Vec<(bool, i64, i64)> {
        let count = self.rng.random_range(1..=self.simulation.steps_max);
        let mut steps = Vec::with_capacity(count);
        for _ in 0..count {
            let at = self.rng.random_range(0..self.keys.len());
            let write = self.rng.random_bool(0.5);
            let key = self.keys[at].0;
            if write {
                self.next_value += 1;
                self.keys[at].1 += 1;
                if self.keys[at].1 >= self.simulation.writes_a_key {
                    self.keys[at] = (self.next_key, 0);
                    self.next_key += 1;
                }
            }
            steps.push((write, key, self.next_value));
        }
        steps
    }

    /// A transaction that is aborted at once.
    fn abort(&mut self, events: &mut Events, process: i64, word: &str) {
        let steps = self.draw();
        let asked: Vec<Step> = steps.iter().map(|&step| asked(step)).collect();
        events.push(process, EventType::Invoke, steps_value(&asked, word, false), None);
        if self.rng.random::<f64>() < self.simulation.wrongs.dirty {
            self.run(&steps, true);
        }
        events.push(process, EventType::Fail, steps_value(&asked, word, false), None);
    }

    fn run(&mut self, steps: &[(bool, i64, i64)], writes: bool) -> Vec<Step> {
        let wrongs = self.simulation.wrongs;
        let stale = wrongs.stale > 0.0 && self.rng.random::<f64>() < wrongs.stale;
        let lost = wrongs.lost > 0.0 && self.rng.random::<f64>() < wrongs.lost;
        let mut base = None;
        if wrongs.stale > 0.0 {
            self.past.push_back(self.state.clone());
            if self.past.len() > 8 {
                self.past.pop_front();
            }
            base = self.past.front().filter(|_| stale).cloned();
        }
        let lost_state = (lost || !writes).then(|| self.state.clone());
        let mut answer = Vec::with_capacity(steps.len());
        for &(write, key, value) in steps {
            if write {
                let list = self.state.entry(key).or_default();
                if !self.simulation.append {
                    list.clear();
                }
                list.push(value);
                answer.push(asked((true, key, value)));
                continue;
            }
            let seen = base.as_ref().unwrap_or(&self.state).get(&key);
            let list = || seen.map(|list| list.iter().map(|&v| Value::Int(v)).collect::<Vec<_>>());
            let value = match self.simulation.append {
                true => Value::from(list().unwrap_or_default()),
                false => list().and_then(|list| list.last().cloned()).unwrap_or_default(),
            };
            answer.push(Step { write: false, key: Value::Int(key), value });
        }
        if let Some(state) = lost_state {
            self.state = state;
        }
        answer
    }
}
