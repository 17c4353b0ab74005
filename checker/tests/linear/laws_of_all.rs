//! Metamorphic laws that hold for every model there is.

use crate::common::show;
use crate::revision_trial::revisions;
use crate::store_trial::store;
use crate::trial;
use ordeal_checker::linear::Algorithm;
use ordeal_checker::{Limits, Verdict, registry};
use ordeal_history::{Event, EventType, History, Outcome, Process};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HISTORIES: u64 = 600;

type Generator = fn(&mut ChaCha8Rng) -> History;

/// By the name of the model.
const GENERATORS: [(&str, Generator); 11] = [
    ("register", |rng| trial::register(rng, true, true)),
    ("register", |rng| trial::register(rng, false, false)),
    ("kv-append", trial::strings),
    ("set", trial::set),
    ("queue", trial::queue),
    ("stack", trial::stack),
    ("mutex", trial::mutex),
    ("counter", trial::counter),
    ("multi-register", trial::transactions),
    ("etcd", revisions),
    ("etcd", store),
];

/// `None` when the history is none of the model's.
fn is_valid(model: &str, history: &History) -> Option<bool> {
    let checker = registry::model(model)?.checker(Algorithm::Auto);
    if checker.misfit(history).is_some() {
        return None;
    }
    match checker.check(history, &Limits::default()).verdict {
        Verdict::Valid(_) => Some(true),
        Verdict::Invalid(_) => Some(false),
        Verdict::Unknown(why) => panic!("{model}: {why}{}", show(history)),
    }
}

/// Tries a law on histories of every model: it is given the events of one that has that verdict,
/// changes them, and the verdict must be the same.
fn holds(verdict: &[bool], mut law: impl FnMut(&mut ChaCha8Rng, Vec<Event>) -> Vec<Event>) {
    for (model, generator) in GENERATORS {
        let mut tried = 0;
        for seed in 0..HISTORIES {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let history = generator(&mut rng);
            let Some(before) = is_valid(model, &history) else { continue };
            if !verdict.contains(&before) {
                continue;
            }
            let all: Vec<u32> = (0..history.operations.len() as u32).collect();
            let mut events = law(&mut rng, history.events_of(&all));
            for (index, event) in (0..).zip(&mut events) {
                (event.index, event.time) = (index, index);
            }
            let changed = History::from_events(events).unwrap();
            let after = is_valid(model, &changed);
            let (old, new) = (show(&history), show(&changed));
            assert_eq!(after, Some(before), "{model}, seed {seed}:{old}\nbecame{new}");
            tried += 1;
        }
        assert!(tried > HISTORIES / 50, "{model}: {tried} histories");
    }
}

#[test]
fn longer_intervals_never_make_a_valid_history_invalid() {
    holds(&[true], |rng, mut events| {
        for _ in 0..3 {
            let at = rng.random_range(0..events.len().max(2) - 1);
            let Some([first, second]) = events.get(at..at + 2) else { continue };
            let widens = first.kind != EventType::Invoke && second.kind == EventType::Invoke;
            if widens && first.process != second.process {
                events.swap(at, at + 1);
            }
        }
        events
    });
}

#[test]
fn the_numbers_of_processes_do_not_matter() {
    holds(&[true, false], |_, mut events| {
        for event in &mut events {
            if let Process::Client(number) = event.process {
                event.process = Process::Client(9_000 - 7 * number);
            }
        }
        events
    });
}

#[test]
fn an_answer_that_was_never_heard_makes_no_valid_history_invalid() {
    holds(&[true], |rng, mut events| {
        let last = |at: usize| {
            let later = events[at + 1..].iter().any(|event| event.process == events[at].process);
            events[at].kind == EventType::Ok && !later
        };
        let lasts: Vec<usize> = (0..events.len()).filter(|&at| last(at)).collect();
        if !lasts.is_empty() {
            let at = lasts[rng.random_range(0..lasts.len())];
            events[at].kind = EventType::Info;
            events[at].revision = None;
        }
        events
    });
}

#[test]
fn without_a_request_of_unknown_outcome_no_invalid_history_becomes_valid() {
    holds(&[false], |_, events| {
        let history = History::from_events(events).unwrap();
        let known = |outcome: Outcome| outcome != Outcome::Info;
        let mut left_out = false;
        let kept: Vec<u32> = (0..)
            .zip(&history.operations)
            .filter(|(_, operation)| {
                known(operation.outcome) || std::mem::replace(&mut left_out, true)
            })
            .map(|(position, _)| position)
            .collect();
        history.events_of(&kept)
    });
}

#[test]
fn every_prefix_of_a_valid_history_is_valid() {
    holds(&[true], |rng, mut events| {
        events.truncate(rng.random_range(0..=events.len()));
        events
    });
}
