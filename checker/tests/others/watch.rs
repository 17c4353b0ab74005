//! Watches against every log that the store can have had.

use super::random::{agree, operation};
use ordeal_checker::others::Watch;
use ordeal_history::{History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// A change at a revision: the key, and the value, or nothing where it was deleted.
type Entry = (i64, &'static str, Option<i64>);

const KEYS: [&str; 2] = ["a", "b"];

/// Two watches from some revision on, and the next event.
fn watches(rng: &mut ChaCha8Rng) -> (Vec<Operation>, u64) {
    let mut operations: Vec<Operation> = Vec::new();
    let mut event = 0;
    for watch in 0..2 {
        let mut asked = operation(10 + watch, "watch", Outcome::Ok, event, event + 1);
        let start = if rng.random() { 2 } else { rng.random_range(2..5) };
        let (key, end) = if rng.random() { ("a", "b") } else { ("a", "c") };
        let text = format!(r#"{{"id":{watch},"key":"{key}","range_end":"{end}","start":{start}}}"#);
        asked.input = Value::parse(&text).unwrap();
        operations.push(asked);
        event += 2;
    }
    (operations, event)
}

/// Writes of unique values to two keys, some of unknown outcome, and two watches of them that are
/// told of the changes, most of the time.
fn draw(rng: &mut ChaCha8Rng) -> History {
    let mut log: Vec<Entry> = Vec::new();
    let (mut operations, mut event) = watches(rng);
    let mut told = [0_usize; 2];
    for value in 0..rng.random_range(1..5) {
        let key = KEYS[rng.random_range(0..2)];
        let unsure = rng.random_range(0..3) == 0;
        let outcome = if unsure { Outcome::Info } else { Outcome::Ok };
        // Of what is deleted nobody can tell which request did it, so those are all certain.
        let delete = !unsure && rng.random_range(0..4) == 0;
        let f = if delete { "delete" } else { "write" };
        let mut write = operation(value, f, outcome, event, event + 1);
        (write.key, write.input) = (Some(Value::from(key)), Value::from(value));
        if !unsure || rng.random() {
            log.push((log.len() as i64 + 2, key, (!delete).then_some(value)));
            write.revision = (!unsure).then_some(log.len() as i64 + 1);
        }
        operations.push(write);
        event += 2;
        event = hear(rng, &mut operations, &log, &mut told, event);
    }
    History { operations, notes: Vec::new(), events: event }
}

/// Lets each of the two watches, the first operations, hear of the log, or not; the next event.
fn hear(
    rng: &mut ChaCha8Rng,
    operations: &mut Vec<Operation>,
    log: &[Entry],
    told: &mut [usize; 2],
    mut event: u64,
) -> u64 {
    for (watch, told) in told.iter_mut().enumerate() {
        if rng.random() {
            let watched = operations[watch].clone();
            operations.push(respond(rng, &watched, log, told, event));
            event += 2;
        }
    }
    event
}

/// The next response of a watch: what is due, and sometimes a mistake.
fn respond(
    rng: &mut ChaCha8Rng,
    watch: &Operation,
    log: &[Entry],
    told: &mut usize,
    event: u64,
) -> Operation {
    let mut due: Vec<Entry> = log[*told..].iter().copied().filter(|e| asked(watch, e)).collect();
    *told = log.len();
    match rng.random_range(0..16) {
        0 => drop(due.pop()),
        1 => due.reverse(),
        2 => due.truncate(1),
        3 => *told = told.saturating_sub(1),
        4 => due.iter_mut().for_each(|entry| entry.2 = Some(rng.random_range(0..5))),
        6 => due.iter_mut().for_each(|entry| entry.2 = None),
        5 => due.iter_mut().for_each(|entry| entry.0 += 1),
        _ => {}
    }
    let mut response = operation(watch.process, "watch-next", Outcome::Ok, event, event + 1);
    response.input = Value::from(watch.process - 10);
    response.revision = Some(log.len() as i64 + 1);
    let events = due.iter().map(|(revision, key, value)| {
        let kind = if value.is_some() { "put" } else { "delete" };
        let value = value.map_or("null".to_owned(), |value| value.to_string());
        format!(r#"{{"type":"{kind}","key":"{key}","value":{value},"mod":{revision}}}"#)
    });
    let events = events.collect::<Vec<_>>().join(",");
    response.output = Value::parse(&format!(r#"{{"events":[{events}]}}"#)).unwrap();
    response
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Object(members) = value else { panic!("{value} is no object") };
    members.get(name)
}

fn number(value: &Value, name: &str) -> i64 {
    member(value, name).and_then(Value::as_i64).unwrap()
}

/// Whether the watch asks for a change.
fn asked(watch: &Operation, (revision, key, _): &Entry) -> bool {
    let end = member(&watch.input, "range_end").and_then(Value::as_str).unwrap();
    *revision >= number(&watch.input, "start") && *key < end
}

/// Whether some choice of revisions for the writes of unknown outcome explains all that is told.
fn explained(history: &History, unsure: &[&Operation], log: &mut Vec<Entry>) -> bool {
    let Some((write, rest)) = unsure.split_first() else {
        log.sort_unstable();
        let streams = history.operations.iter().filter(|o| &*o.f == "watch");
        return streams.clone().count() > 0 && streams.clone().all(|w| told_right(history, w, log));
    };
    if explained(history, rest, &mut log.clone()) {
        return true;
    }
    let acked = |o: &&Operation| o.complete.is_some_and(|end| end < write.invoke);
    let writes = history.operations.iter().filter(|o| matches!(&*o.f, "write" | "delete"));
    let floor = writes.filter(acked).filter_map(|o| o.revision).max().unwrap_or(1);
    (floor + 1..9).any(|revision| {
        if log.iter().any(|(taken, ..)| *taken == revision) {
            return false;
        }
        let mut log = log.clone();
        log.push(entry(write, revision));
        explained(history, rest, &mut log)
    })
}

/// What a put or write wrote.
fn written(operation: &Operation) -> Option<i64> {
    match &*operation.f {
        "write" => operation.input.as_i64(),
        "put" => Some(number(&operation.input, "value")),
        _ => None,
    }
}

fn entry(write: &Operation, revision: i64) -> Entry {
    let key = KEYS.into_iter().find(|key| write.key == Some(Value::from(*key))).unwrap();
    (revision, key, written(write))
}

/// Whether the responses of `watch` tell `log`, in order, from its start on to where they end.
fn told_right(history: &History, watch: &Operation, log: &[Entry]) -> bool {
    let mut next = 0;
    let due: Vec<&Entry> = log.iter().filter(|entry| asked(watch, entry)).collect();
    for response in
        history.operations.iter().filter(|o| &*o.f == "watch-next" && o.process == watch.process)
    {
        let events = member(&response.output, "events").and_then(Value::as_array).unwrap();
        if !events.is_sorted_by_key(|event| number(event, "mod")) {
            return false;
        }
        // The keys of one revision stand in no order.
        let mut events = events.to_vec();
        events.sort_by_key(|event| (number(event, "mod"), member(event, "key").cloned()));
        for event in &events {
            let Some((revision, key, value)) = due.get(next).copied() else { return false };
            let same = number(event, "mod") == *revision
                && member(event, "key") == Some(&Value::from(*key))
                && member(event, "value") == Some(&value.map_or(Value::Null, Value::from));
            let made = |o: &&Operation| match value {
                Some(value) => written(o) == Some(*value),
                None => &*o.f == "delete" && o.revision == Some(*revision),
            };
            let mut writes = history.operations.iter().filter(made).peekable();
            // What nobody deleted went with its lease.
            let by_lease = value.is_none() && writes.peek().is_none();
            let begun = by_lease || writes.any(|write| Some(write.invoke) < response.complete);
            if !same || !begun {
                return false;
            }
            next += 1;
        }
        let last = events.last().map(|event| number(event, "mod"));
        let reached = last.or(response.revision);
        if due.get(next).is_some_and(|(revision, ..)| Some(*revision) <= reached) {
            return false;
        }
    }
    true
}

#[test]
fn watches_tell_the_log() {
    agree(&Watch::default(), 6000, &["valid", "invalid", "unknown"], draw, |history| {
        let changes = |o: &&Operation| matches!(&*o.f, "write" | "delete");
        let writes = || history.operations.iter().filter(changes);
        let known = writes().filter_map(|o| Some(entry(o, o.revision?)));
        let unsure: Vec<&Operation> = writes().filter(|o| o.revision.is_none()).collect();
        if history.operations.iter().all(|o| &*o.f != "watch-next") {
            "unknown"
        } else if explained(history, &unsure, &mut known.collect()) {
            "valid"
        } else {
            "invalid"
        }
    });
}

const LEASES: [i64; 2] = [7, 8];

/// Puts of unique values to two keys, many of them tied to leases; the leases end, and once in a
/// while another thing happens to their keys.
fn draw_leased(rng: &mut ChaCha8Rng) -> History {
    let mut log: Vec<Entry> = Vec::new();
    let (mut operations, mut event) = watches(rng);
    let mut told = [0_usize; 2];
    let mut ended: Vec<i64> = Vec::new();
    // The lease of each key that is there.
    let mut ties: BTreeMap<&'static str, i64> = BTreeMap::new();
    let mut head = 1;
    for value in 0..rng.random_range(1..6) {
        let lease = LEASES[rng.random_range(0..2)];
        head += 1;
        if rng.random_range(0..3) == 0 && ties.values().any(|tied| *tied == lease) {
            ended.push(lease);
            let mut keys: Vec<&str> =
                KEYS.into_iter().filter(|k| ties.get(k) == Some(&lease)).collect();
            match rng.random_range(0..8) {
                0 => keys = vec![KEYS[rng.random_range(0..2)]],
                1 if keys.len() == 2 => {
                    log.push((head, keys.remove(0), None));
                    head += 1;
                }
                _ => {}
            }
            log.extend(keys.iter().map(|key| (head, *key, None)));
            ties.retain(|_, tied| *tied != lease);
        } else {
            let key = KEYS[rng.random_range(0..2)];
            let is_usable = !ended.contains(&lease) || rng.random_range(0..8) == 0;
            let lease = if is_usable && rng.random_range(0..4) > 0 { lease } else { 0 };
            let mut put = operation(value, "put", Outcome::Ok, event, event + 1);
            let text = format!(r#"{{"value":{value},"lease":{lease}}}"#);
            (put.key, put.input) = (Some(Value::from(key)), Value::parse(&text).unwrap());
            put.revision = Some(head);
            operations.push(put);
            log.push((head, key, Some(value)));
            ties.insert(key, lease);
            event += 2;
        }
        event = hear(rng, &mut operations, &log, &mut told, event);
    }
    History { operations, notes: Vec::new(), events: event }
}

/// Whether some choice of the revisions at which leases ended, if they did, explains what is told.
fn explained_by_ends(history: &History, leases: &[i64], log: &[Entry]) -> bool {
    let puts = || history.operations.iter().filter(|o| &*o.f == "put");
    let Some((&lease, rest)) = leases.split_first() else {
        let mut log = log.to_vec();
        log.sort_unstable();
        return history
            .operations
            .iter()
            .filter(|o| &*o.f == "watch")
            .all(|watch| told_right(history, watch, &log));
    };
    let uses = puts().filter(|put| number(&put.input, "lease") == lease);
    let last_use = uses.filter_map(|put| put.revision).max().unwrap_or(1);
    let ends = (last_use + 1..12).filter(|end| log.iter().all(|(taken, ..)| taken != end));
    explained_by_ends(history, rest, log)
        || ends.into_iter().any(|end| {
            let tied = |key: &&str| {
                let before = log.iter().filter(|(at, changed, _)| at < &end && changed == key);
                let put =
                    before.max().and_then(|(at, ..)| puts().find(|p| p.revision == Some(*at)));
                put.is_some_and(|put| number(&put.input, "lease") == lease)
            };
            let gone = KEYS.into_iter().filter(tied).map(|key| (end, key, None));
            let log: Vec<Entry> = log.iter().copied().chain(gone).collect();
            explained_by_ends(history, rest, &log)
        })
}

#[test]
fn watches_tell_the_log_of_keys_that_hang_on_leases() {
    agree(&Watch::default(), 20_000, &["valid", "invalid", "unknown"], draw_leased, |history| {
        let puts = history.operations.iter().filter(|o| &*o.f == "put");
        let log: Vec<Entry> = puts.filter_map(|o| Some(entry(o, o.revision?))).collect();
        if history.operations.iter().all(|o| &*o.f != "watch-next") {
            "unknown"
        } else if explained_by_ends(history, &LEASES, &log)
            || explained_by_ends(history, &[LEASES[1], LEASES[0]], &log)
        {
            "valid"
        } else {
            "invalid"
        }
    });
}
