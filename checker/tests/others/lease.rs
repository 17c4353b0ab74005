//! Leases, by real time: whether there is a moment at which the lease can have ended.

use super::random::{agree, operation};
use ordeal_checker::others::Lease;
use ordeal_history::{History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const TTL: u64 = 4;

/// A grant, then keepalives, questions and revocations of three processes.
fn draw(rng: &mut ChaCha8Rng) -> History {
    let mut granted = operation(0, "lease-grant", Outcome::Ok, 0, 1);
    granted.output = Value::parse(r#"{"id":7,"ttl":4}"#).unwrap();
    let count = rng.random_range(1..6);
    let mut end = false;
    let mut history = super::random::history(rng, count, |rng| {
        end |= rng.random_range(0..3) == 0;
        let gone = end != (rng.random_range(0..12) == 0);
        let (f, answer) = match (rng.random_range(0..7), gone) {
            (0, _) => ("lease-revoke", "null"),
            (1..4, false) => ("lease-keepalive", "4"),
            (1..4, true) => ("lease-keepalive", "0"),
            (_, false) => ("lease-ttl", r#"{"ttl":1}"#),
            (_, true) => ("lease-ttl", r#"{"ttl":-1}"#),
        };
        (f, Value::from(7), Value::parse(answer).unwrap())
    });
    for operation in &mut history.operations {
        operation.invoke += 2;
        operation.complete = operation.complete.map(|event| event + 2);
        operation.invoke_time += 2_000_000_000;
        operation.complete_time = operation.complete_time.map(|time| time + 2_000_000_000);
    }
    history.operations.insert(0, granted);
    history.events += 2;
    history
}

/// Whether an answer says that the lease is there (`Some(true)`) or gone.
fn alive(o: &Operation) -> Option<bool> {
    if o.outcome != Outcome::Ok {
        return None;
    }
    match &*o.f {
        "lease-grant" => Some(true),
        "lease-revoke" => Some(false),
        "lease-keepalive" => Some(o.output.as_i64() != Some(0)),
        _ => Some(!o.output.to_string().contains("-1")),
    }
}

/// Whether the lease can have ended between event `end` and the one before it.
fn can_end(history: &History, end: u64) -> bool {
    let all = || history.operations.iter();
    let fits = all().all(|o| match alive(o) {
        Some(true) => o.invoke < end,
        Some(false) => o.complete >= Some(end),
        None => true,
    });
    let revoked =
        all().any(|o| &*o.f == "lease-revoke" && o.outcome != Outcome::Fail && o.invoke < end);
    let refreshed = all().filter(|o| &*o.f != "lease-ttl" && alive(o) == Some(true));
    // Events are a second apart, so it can have ended when event `end` came, at the latest.
    let due = refreshed.map(|o| o.invoke + TTL).max().unwrap_or(0);
    fits && (revoked || end >= due)
}

#[test]
fn a_lease_ends_once_and_not_too_early() {
    let lease = Lease { clock_tolerance_ns: 0, gone_within_ns: None };
    agree(&lease, 4000, &["valid", "invalid", "unknown"], draw, |history| {
        let told: Vec<bool> = history.operations[1..].iter().filter_map(alive).collect();
        let never = !told.contains(&false);
        let some = (0..=history.events).any(|end| can_end(history, end));
        match told.is_empty() {
            true => "unknown",
            false if never || some => "valid",
            false => "invalid",
        }
    });
}
