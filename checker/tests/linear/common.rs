//! What the tests of the checker share: tiny histories as text, random ones, and the oracle.

use ordeal_checker::linear::{Entry, Model};
use ordeal_history::{Event, EventType, History, Process, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A history from lines such as `1 invoke write 5`, `1 ok`, `2 invoke read`, `2 ok 5`,
/// `3 fail actual 7`, `k2 1 invoke write 5`. A completion without a value repeats the argument.
pub fn history(lines: &str) -> History {
    let mut open: std::collections::BTreeMap<i64, Event> = Default::default();
    let mut events = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let mut first = words.next().unwrap();
        let mut rest = line;
        let mut key = None;
        if first.starts_with('k') {
            key = Some(Value::from(first));
            rest = &line[first.len() + 1..];
            words = rest.splitn(3, ' ');
            first = words.next().unwrap();
        }
        let process: i64 = first.parse().unwrap_or_else(|_| panic!("{rest}"));
        let kind = words.next().unwrap();
        let rest = words.next().unwrap_or("");
        let index = events.len() as u64;
        let event = if kind == "invoke" {
            let (f, value) = rest.split_once(' ').unwrap_or((rest, "null"));
            let process = Process::Client(process);
            let mut event = Event::new(index, index * 1000, process, EventType::Invoke, f);
            event.key = key;
            event.value = Value::parse(value).unwrap();
            event
        } else {
            let mut event = open[&process].clone();
            event.index = index;
            event.time = index * 1000;
            event.kind = match kind {
                "ok" => EventType::Ok,
                "fail" => EventType::Fail,
                _ => EventType::Info,
            };
            match rest.strip_prefix("actual ") {
                Some(actual) => event.actual = Some(Value::parse(actual).unwrap()),
                None if rest.is_empty() => {}
                None => event.value = Value::parse(rest).unwrap(),
            }
            event
        };
        open.insert(process, event.clone());
        events.push(event);
    }
    History::from_events(events).unwrap()
}

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
        let actual = event.actual.as_ref().map_or(String::new(), |v| format!(" actual {v}"));
        let kind = event.kind.as_str();
        format!("\n{} {:?} {kind} {} {}{actual}", event.index, event.process, event.f, event.value)
    };
    history.events_of(&all).iter().map(line).collect()
}
