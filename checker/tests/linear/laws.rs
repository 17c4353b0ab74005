//! Metamorphic laws: what may be done to a history without changing its verdict, or changing it
//! only one way.

use crate::common::show;
use crate::trial::register;
use ordeal_checker::linear::Linearizable;
use ordeal_checker::models::Register;
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Outcome, Process, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HISTORIES: u64 = 3_000;

fn is_valid(history: &History) -> bool {
    let checker = Linearizable::new(Register::default());
    match checker.check(history, &Limits::default()).verdict {
        Verdict::Valid(_) => true,
        Verdict::Invalid(_) => false,
        Verdict::Unknown(why) => panic!("{why}: {}", show(history)),
    }
}

fn each(mut law: impl FnMut(&mut ChaCha8Rng, &History)) {
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (unique, actual) = (rng.random(), rng.random());
        let history = register(&mut rng, unique, actual);
        law(&mut rng, &history);
    }
}

fn events(history: &History) -> Vec<Event> {
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    history.events_of(&all)
}

fn numbered(mut events: Vec<Event>) -> History {
    for (index, event) in (0..).zip(&mut events) {
        (event.index, event.time) = (index, index);
    }
    History::from_events(events).unwrap()
}

#[test]
fn widening_an_interval_never_makes_a_valid_history_invalid() {
    each(|rng, history| {
        if !is_valid(history) {
            return;
        }
        let mut events = events(history);
        for _ in 0..3 {
            let at = rng.random_range(0..events.len().max(2) - 1);
            let Some([first, second]) = events.get(at..at + 2) else { return };
            // One ends and the other begins: swapped, both are open for longer.
            let widens = first.kind != EventType::Invoke && second.kind == EventType::Invoke;
            if widens && first.process != second.process {
                events.swap(at, at + 1);
            }
        }
        let wider = numbered(events);
        assert!(is_valid(&wider), "{}\nwas valid before", show(&wider));
    });
}

#[test]
fn names_of_values_processes_and_keys_do_not_matter() {
    fn renamed(value: &Value) -> Value {
        match value {
            Value::Int(number) => Value::from(format!("v{}", 1000 - number)),
            Value::Array(items) => Value::Array(items.iter().map(renamed).collect()),
            other => other.clone(),
        }
    }
    each(|_, history| {
        let mut events = events(history);
        for event in &mut events {
            event.value = renamed(&event.value);
            event.actual = event.actual.as_ref().map(renamed);
            event.key = Some(Value::from("a key"));
            if let Process::Client(number) = event.process {
                event.process = Process::Client(5_000 - 3 * number);
            }
        }
        let other = numbered(events);
        assert_eq!(is_valid(history), is_valid(&other), "{}", show(history));
    });
}

#[test]
fn an_indeterminate_write_that_nobody_saw_does_not_matter() {
    each(|_, history| {
        let seen = |value: &Value| {
            history.operations.iter().any(|operation| match &*operation.f {
                "read" => operation.output == *value,
                _ => operation.actual.is_some() || operation.input.as_array().is_some(),
            })
        };
        let kept: Vec<u32> = (0..)
            .zip(&history.operations)
            .filter(|(_, operation)| {
                operation.outcome != Outcome::Info
                    || &*operation.f != "write"
                    || seen(&operation.input)
            })
            .map(|(position, _)| position)
            .collect();
        let without = History::from_events(history.events_of(&kept)).unwrap();
        assert_eq!(is_valid(history), is_valid(&without), "{}", show(history));
    });
}

#[test]
fn every_prefix_of_a_valid_history_is_valid() {
    each(|rng, history| {
        if is_valid(history) {
            let mut events = events(history);
            events.truncate(rng.random_range(0..=events.len()));
            let prefix = numbered(events);
            assert!(is_valid(&prefix), "{}", show(&prefix));
        }
    });
}
