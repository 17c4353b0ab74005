//! Random histories, and the oracle that they are held against.

use ordeal_checker::linear::{Entry, Model};
use ordeal_history::{Event, EventType, History, Process, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Whether any linearization exists, by trying all: the specification, word for word.
pub fn oracle<M: Model>(model: &M, entries: &[Entry<M::Op>]) -> bool {
    fn extend<M: Model>(
        model: &M,
        entries: &[Entry<M::Op>],
        placed: &mut Vec<bool>,
        state: &M::State,
    ) -> bool {
        let left = |placed: &[bool], i: usize| !placed[i] && entries[i].is_certain();
        if (0..entries.len()).all(|i| !left(placed, i)) {
            return true;
        }
        for i in 0..entries.len() {
            let too_early = (0..entries.len())
                .any(|other| left(placed, other) && entries[other].ret < entries[i].call);
            if placed[i] || too_early {
                continue;
            }
            if let Some(next) = model.step(state, &entries[i].op) {
                placed[i] = true;
                if extend(model, entries, placed, &next) {
                    return true;
                }
                placed[i] = false;
            }
        }
        false
    }
    extend(model, entries, &mut vec![false; entries.len()], &model.initial())
}

/// A random small history: what each step does is drawn, and the answers come from `answer`,
/// which sees the operations so far.
pub struct Shape {
    pub processes: usize,
    pub operations: usize,
    /// Of a hundred operations, how many have an unknown outcome.
    pub info_percent: u32,
}

/// Draws events: `invoke` gives `(f, value)`, `complete` gives what the completion says.
pub fn random_history(
    rng: &mut ChaCha8Rng,
    shape: &Shape,
    mut invoke: impl FnMut(&mut ChaCha8Rng) -> (&'static str, Value),
    mut complete: impl FnMut(&mut ChaCha8Rng, &Event) -> (EventType, Value, Option<Value>),
) -> History {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Vec<Option<Event>> = vec![None; shape.processes];
    let mut names: Vec<i64> = (0..shape.processes as i64).collect();
    let mut left = shape.operations;
    while left > 0 || open.iter().any(Option::is_some) {
        let slot = rng.random_range(0..shape.processes);
        let index = events.len() as u64;
        match open[slot].take() {
            None if left > 0 => {
                left -= 1;
                let (f, value) = invoke(rng);
                let process = Process::Client(names[slot]);
                let mut event = Event::new(index, index, process, EventType::Invoke, f);
                event.value = value;
                open[slot] = Some(event.clone());
                events.push(event);
            }
            None => {}
            Some(invoked) => {
                let mut event = Event { index, time: index, ..invoked.clone() };
                if rng.random_range(0..100) < shape.info_percent {
                    event.kind = EventType::Info;
                    names[slot] += 100;
                } else {
                    let (kind, value, actual) = complete(rng, &invoked);
                    (event.kind, event.value, event.actual) = (kind, value, actual);
                }
                events.push(event);
            }
        }
    }
    History::from_events(events).unwrap()
}

/// The history as a person reads it.
pub fn show(history: &History) -> String {
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    let line = |event: &Event| {
        let mut actual = event.actual.as_ref().map_or(String::new(), |v| format!(" actual {v}"));
        if let Some(revision) = event.revision {
            actual.push_str(&format!(" at {revision}"));
        }
        if let Some(error) = &event.error {
            actual.push_str(&format!(" {error}"));
        }
        let kind = event.kind.as_str();
        format!("\n{} {:?} {kind} {} {}{actual}", event.index, event.process, event.f, event.value)
    };
    history.events_of(&all).iter().map(line).collect()
}
