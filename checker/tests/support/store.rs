//! A simulated store.

use super::{Events, Step, steps_value};
use ordeal_history::{EventType, History, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

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

/// By key: its values, each with the number of the transaction that wrote it.
type State = BTreeMap<i64, Vec<(i64, u64)>>;

/// How many transactions ago the state was that a stale read sees.
const STALENESS: u64 = 8;

struct Client {
    process: i64,
    steps: Vec<(bool, i64, i64)>,
    answer: Option<Vec<Step>>,
}

struct Store {
    simulation: Simulation,
    rng: ChaCha8Rng,
    state: State,
    /// How many transactions have run.
    now: u64,
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
        now: STALENESS,
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
                let answer = Some(store.run(&client.steps));
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
            self.run(&steps);
        }
        events.push(process, EventType::Fail, steps_value(&asked, word, false), None);
    }

    fn run(&mut self, steps: &[(bool, i64, i64)]) -> Vec<Step> {
        let wrongs = self.simulation.wrongs;
        let stale = wrongs.stale > 0.0 && self.rng.random::<f64>() < wrongs.stale;
        let lost = wrongs.lost > 0.0 && self.rng.random::<f64>() < wrongs.lost;
        self.now += 1;
        let seen_until = if stale { self.now - STALENESS } else { self.now };
        let mut wrote = Vec::new();
        let mut answer = Vec::with_capacity(steps.len());
        for &(write, key, value) in steps {
            let list = self.state.entry(key).or_default();
            if write {
                list.push((value, self.now));
                wrote.push(key);
                answer.push(asked((true, key, value)));
                continue;
            }
            let seen = list.iter().filter(|(_, written)| *written <= seen_until);
            let mut seen = seen.map(|&(value, _)| Value::Int(value));
            let value = match self.simulation.append {
                true => Value::from(seen.collect::<Vec<_>>()),
                false => seen.next_back().unwrap_or_default(),
            };
            answer.push(Step { write: false, key: Value::Int(key), value });
        }
        for key in wrote.iter().filter(|_| lost) {
            self.state.entry(*key).or_default().pop();
        }
        answer
    }
}
