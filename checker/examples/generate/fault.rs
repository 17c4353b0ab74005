//! Faults to plant in a history that was right: what a broken store would have answered.

use ordeal_history::{Event, EventType, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A read of the value that was last seen the longest ago.
    Stale,
    /// A read of some other value.
    Other,
    /// Two reads near each other that exchange what they saw.
    Swapped,
    /// A cas that failed is said to have succeeded.
    Cas,
    /// A cas that failed is said to have seen some other value.
    FailedCas,
}

/// What to plant, how often, and in which part of the history.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub count: usize,
    /// Parts of a hundred of the events.
    pub from_percent: usize,
    pub to_percent: usize,
}

/// The kind, by the name that it has on the command line.
pub fn kind(name: &str) -> Result<Kind, String> {
    Ok(match name {
        "stale" => Kind::Stale,
        "other" => Kind::Other,
        "swapped" => Kind::Swapped,
        "cas" => Kind::Cas,
        "failed-cas" => Kind::FailedCas,
        _ => return Err(format!("there is no fault {name}")),
    })
}

/// Changes `events`, with values from 0 up to `values`; as often as there are places for it.
pub fn plant(events: &mut [Event], fault: Fault, values: i64, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let range = events.len() * fault.from_percent / 100..events.len() * fault.to_percent / 100;
    let is_place = |event: &Event| match fault.kind {
        Kind::Stale | Kind::Other | Kind::Swapped => {
            event.f == "read" && event.kind == EventType::Ok
        }
        Kind::Cas | Kind::FailedCas => event.f == "cas" && event.kind == EventType::Fail,
    };
    let mut places: Vec<usize> = range.filter(|&at| is_place(&events[at])).collect();
    for _ in 0..fault.count.min(places.len() / 2) {
        let place = rng.random_range(0..places.len());
        let at = places.remove(place);
        match fault.kind {
            Kind::Stale => events[at].value = oldest(&events[..at], values),
            Kind::Other => {
                let seen = events[at].value.clone();
                events[at].value = other(&mut rng, values, &[&seen]);
            }
            Kind::Swapped => {
                let fellow = places[place.min(places.len() - 1)];
                let seen = events[at].value.clone();
                events[at].value = std::mem::replace(&mut events[fellow].value, seen);
            }
            Kind::Cas => {
                events[at].kind = EventType::Ok;
                events[at].actual = None;
            }
            Kind::FailedCas => {
                let seen = events[at].actual.take().unwrap_or_default();
                let expected = events[at].value.as_array().and_then(|pair| pair.first().cloned());
                let expected = expected.unwrap_or_default();
                events[at].actual = Some(other(&mut rng, values, &[&seen, &expected]));
            }
        }
    }
}

/// A value that is none of these; there is always one when there are at least three values.
fn other(rng: &mut ChaCha8Rng, values: i64, but: &[&Value]) -> Value {
    let left: Vec<Value> =
        (0..values.max(3)).map(Value::from).filter(|v| !but.contains(&v)).collect();
    left[rng.random_range(0..left.len())].clone()
}

/// Of the values that were read, that whose last read is the furthest back.
fn oldest(events: &[Event], values: i64) -> Value {
    let is_read = |event: &&Event| event.f == "read" && event.kind == EventType::Ok;
    let mut seen: Vec<&Value> = Vec::new();
    for event in events.iter().rev().filter(is_read) {
        if !seen.contains(&&event.value) {
            seen.push(&event.value);
        }
        if seen.len() as i64 > values {
            break;
        }
    }
    seen.last().map_or(Value::Null, |&value| value.clone())
}
