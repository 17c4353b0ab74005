//! Lists: whether there is a course of the store in which each of them is right.

use super::random::{operation, verdict};
use ordeal_checker::others::Lists;
use ordeal_history::{History, Operation, Outcome, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const KEYS: [&str; 2] = ["a", "b"];

/// Of each key the value and the revision of its last change.
type State = BTreeMap<&'static str, (i64, i64)>;

/// One write: the key, on which condition (the revision of its last change), and the value.
#[derive(Clone, Copy)]
struct Write {
    key: &'static str,
    since: Option<i64>,
    value: Option<i64>,
}

impl Write {
    fn steps(self, deleted: i64) -> Value {
        let change = match self.value {
            Some(value) => vec!["w".into(), self.key.into(), Value::Int(value)],
            None => vec!["d".into(), self.key.into(), Value::Int(deleted)],
        };
        let since = self.since.map(|since| vec!["c".into(), self.key.into(), Value::Int(since)]);
        Value::from(since.into_iter().chain([change]).map(Value::from).collect::<Vec<_>>())
    }

    /// Whether its condition holds.
    fn holds(self, state: &State) -> bool {
        let at = state.get(self.key).map_or(0, |(_, at)| *at);
        self.since.is_none_or(|since| since == at)
    }

    fn done(self, state: &mut State, revision: i64) {
        match self.value {
            Some(value) => state.insert(self.key, (value, revision)),
            None => state.remove(self.key),
        };
    }
}

fn listed(state: &State, at: i64) -> Value {
    let item = |(key, (value, changed)): (&&str, &(i64, i64))| {
        format!(r#"{{"key":"{key}","value":{value},"mod":{changed}}}"#)
    };
    let items: Vec<String> = state.iter().map(item).collect();
    Value::parse(&format!(r#"{{"items":[{}],"at":{at}}}"#, items.join(","))).unwrap()
}

/// Operations one after the other on a store that now and then does something wrong; of some
/// nobody hears how they ended.
fn draw(rng: &mut ChaCha8Rng) -> (History, Vec<Option<Write>>) {
    let (mut state, mut head, mut values) = (State::new(), 1, 0);
    let (mut operations, mut writes) = (Vec::new(), Vec::new());
    for step in 0..rng.random_range(3..8_u64) {
        let (invoke, complete) = (2 * step, 2 * step + 1);
        let process = step as i64;
        if rng.random_range(0..3) == 0 {
            let mut seen = state.clone();
            if rng.random_range(0..8) == 0 {
                seen.remove(KEYS[rng.random_range(0..2)]);
            }
            if let Some(first) = seen.values_mut().next().filter(|_| rng.random_range(0..8) == 0) {
                first.0 -= 1;
            }
            let mut list = operation(process, "list", Outcome::Ok, invoke, complete);
            list.input = Value::parse(r#"{"prefix":""}"#).unwrap();
            list.output = listed(&seen, head);
            list.revision = Some(head);
            operations.push(list);
            writes.push(None);
            continue;
        }
        let key = KEYS[rng.random_range(0..2)];
        let there = state.get(key).map(|(_, at)| *at);
        values += 2;
        let value = (there.is_none() || rng.random_range(0..3) > 0).then_some(values);
        let since = (rng.random_range(0..2) == 0).then_some(there.unwrap_or(0));
        let forgets = since.is_some() && rng.random_range(0..10) == 0;
        let since = if forgets { since.map(|since| (since - 1).max(0)) } else { since };
        let write = Write { key, since, value };
        let is_known = rng.random_range(0..5) > 0;
        if is_known || rng.random_range(0..2) == 0 {
            head += 1;
            write.done(&mut state, head);
        }
        let outcome = if is_known { Outcome::Ok } else { Outcome::Info };
        let mut txn = operation(process, "txn", outcome, invoke, complete);
        txn.input = write.steps(0);
        if is_known {
            txn.output = write.steps(1);
            txn.revision = Some(head);
        }
        operations.push(txn);
        writes.push(Some(write));
    }
    let events = 2 * operations.len() as u64;
    (History { operations, notes: Vec::new(), events }, writes)
}

/// Whether all is right if the writes come in this order of revisions.
fn is_right(history: &History, log: &BTreeMap<i64, (usize, Write)>) -> bool {
    let conditions = || {
        let mut state = State::new();
        log.iter().all(|(revision, (_, write))| {
            let holds = write.holds(&state);
            write.done(&mut state, *revision);
            holds
        })
    };
    let right = |list: &Operation| {
        let at = list.revision.unwrap_or(0);
        let mut state = State::new();
        log.range(..=at).for_each(|(revision, (_, write))| write.done(&mut state, *revision));
        listed(&state, at) == list.output
    };
    conditions() && history.operations.iter().filter(|o| &*o.f == "list").all(right)
}

/// Tries every revision, or none, for each write that nobody heard of.
fn search(
    history: &History,
    unknown: &[(usize, Write)],
    log: &mut BTreeMap<i64, (usize, Write)>,
) -> bool {
    let Some(((place, write), rest)) = unknown.split_first() else {
        return is_right(history, log);
    };
    if search(history, rest, log) {
        return true;
    }
    // Later than all that was acknowledged before it began.
    let known = history.operations[..*place].iter().filter(|o| o.outcome == Outcome::Ok);
    let floor = known.filter_map(|o| o.revision).max().unwrap_or(1);
    (floor + 1..=10).any(|revision| {
        if log.contains_key(&revision) {
            return false;
        }
        log.insert(revision, (*place, *write));
        let found = search(history, rest, log);
        log.remove(&revision);
        found
    })
}

#[test]
fn what_is_called_wrong_has_no_course_and_all_is_found_where_every_outcome_is_known() {
    let (mut found, mut fine, mut sure) = (0, 0, 0);
    for seed in 0..3000 {
        let (history, writes) = draw(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut log = BTreeMap::new();
        let mut unknown = Vec::new();
        for (place, write) in writes.iter().enumerate() {
            let Some(write) = write else { continue };
            match history.operations[place].revision {
                Some(revision) => drop(log.insert(revision, (place, *write))),
                None => unknown.push((place, *write)),
            }
        }
        let verdict = verdict(&Lists, &history);
        let possible = search(&history, &unknown, &mut log);
        found += usize::from(verdict == "invalid");
        fine += usize::from(verdict == "valid");
        sure += usize::from(unknown.is_empty() && !possible);
        assert!(verdict != "invalid" || !possible, "seed {seed}: {history:#?}");
        let all = unknown.is_empty() && verdict != "unknown";
        assert!(!all || possible == (verdict == "valid"), "seed {seed}: {history:#?}");
    }
    assert!(found > 300 && fine > 300 && sure > 100, "{found} {fine} {sure}");
}
