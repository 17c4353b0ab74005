//! Which request comes next.

use crate::form::{fields, number};
use crate::rotation::pick;
use crate::{Completion, Generator, Next, Options, Planned};
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How far back reads of the past go, and how much a compaction leaves.
const PAST: i64 = 60;
/// How deep transactions are nested.
const DEPTH_MAX: u32 = 2;

/// Chooses requests, with knowledge of the revisions that were seen.
pub(super) struct Chooser {
    options: Options,
    /// Whether some transactions put a key and read at a revision that is not there yet.
    mixed: bool,
    values: u64,
    head: i64,
    compacted: i64,
    /// Whether each slot has still to read everything at the end.
    finals: Vec<bool>,
}

type Members = Vec<(&'static str, Value)>;

impl Chooser {
    pub(super) fn new(options: &Options, slots: usize, mixed: bool) -> Chooser {
        let (options, finals) = (options.clone(), vec![true; slots]);
        Chooser { options, mixed, values: 0, head: 1, compacted: 0, finals }
    }

    fn key(&self, rng: &mut ChaCha8Rng) -> String {
        let place = pick(rng.random(), self.options.keys.max(1) as usize, self.options.skew);
        format!("k{place:04}")
    }

    /// A key, or keys: one, a range, a prefix, all from one on.
    fn span(&self, rng: &mut ChaCha8Rng) -> Members {
        let (key, other) = (self.key(rng), self.key(rng));
        let (from, until) = if key <= other { (key, other) } else { (other, key) };
        let end = match rng.random_range(0..10) {
            0..6 => return vec![("key", from.into())],
            6 | 7 if from < until => until,
            8 => "\0".to_owned(),
            _ => return vec![("key", "k".into()), ("range_end", "l".into())],
        };
        vec![("key", from.into()), ("range_end", end.into())]
    }

    fn range(&self, rng: &mut ChaCha8Rng, past: bool) -> Value {
        let mut members = self.span(rng);
        let mut sometimes = |chance: u32, name, value: Value| {
            if rng.random_range(0..chance) == 0 {
                members.push((name, value));
            }
        };
        sometimes(4, "limit", Value::Int(2));
        sometimes(8, "keys_only", true.into());
        sometimes(8, "count_only", true.into());
        sometimes(10, "serializable", true.into());
        sometimes(8, "min_mod_revision", Value::Int(self.head - PAST / 2));
        sometimes(8, "max_create_revision", Value::Int(self.head - PAST / 4));
        if self.options.serializable {
            members.retain(|(name, _)| *name != "serializable");
            members.push(("serializable", true.into()));
        }
        if rng.random_range(0..3) == 0 {
            let order = ["ascend", "descend"][rng.random_range(0..2)];
            let target = ["key", "version", "create", "mod", "value"][rng.random_range(0..5)];
            members.extend([("sort_order", order.into()), ("sort_target", target.into())]);
        }
        if past && rng.random_range(0..4) == 0 {
            // Mostly there, at times compacted, and at times yet to come.
            let ahead = if rng.random_range(0..10) == 0 { 1_000_000 } else { 0 };
            let at = self.head - rng.random_range(0..2 * PAST) + ahead;
            members.push(("revision", Value::Int(at.max(1))));
        }
        fields(members)
    }

    fn put(&mut self, rng: &mut ChaCha8Rng) -> Value {
        self.values += 1;
        let mut members = vec![("key", self.key(rng).into())];
        let mut value = format!("v{}", self.values);
        while value.len() < self.options.value_bytes as usize {
            value.push('.');
        }
        match rng.random_range(0..40) {
            0 => members.push(("ignore_value", true.into())),
            // These three are to be refused.
            1 => members.extend([("ignore_value", true.into()), ("value", value.into())]),
            2 => members = vec![("key", "".into()), ("value", value.into())],
            3 => {
                let lease = ("lease", Value::Int(1));
                members.extend([("value", value.into()), ("ignore_lease", true.into()), lease]);
            }
            4 => members.extend([("value", value.into()), ("ignore_lease", true.into())]),
            _ => members.push(("value", value.into())),
        }
        if rng.random_range(0..3) == 0 {
            members.push(("prev_kv", true.into()));
        }
        fields(members)
    }

    fn delete(&self, rng: &mut ChaCha8Rng) -> Value {
        let mut members = self.span(rng);
        if rng.random_range(0..3) == 0 {
            members.push(("prev_kv", true.into()));
        }
        fields(members)
    }

    fn compare(&self, rng: &mut ChaCha8Rng) -> Value {
        let result = ["equal", "not-equal", "greater", "less"][rng.random_range(0..4)];
        let (target, value) = match rng.random_range(0..5) {
            0 => {
                let value = format!("v{}", rng.random_range(0..self.values + 2));
                ("value", Value::String(value.into()))
            }
            1 => ("version", Value::Int(rng.random_range(0..4))),
            2 => ("create", Value::Int(self.head - rng.random_range(0..PAST))),
            3 => ("lease", Value::Int(0)),
            _ => ("mod", Value::Int(self.head - rng.random_range(0..PAST))),
        };
        let mut members = if target == "mod" || target == "version" {
            self.span(rng)
        } else {
            vec![("key", self.key(rng).into())]
        };
        members.extend([("target", target.into()), ("result", result.into()), ("value", value)]);
        fields(members)
    }

    fn branch(&mut self, rng: &mut ChaCha8Rng, depth: u32) -> Value {
        let requests = (0..rng.random_range(0..4)).map(|_| match rng.random_range(0..10) {
            0..4 => fields(vec![("range", self.range(rng, false))]),
            4..8 => fields(vec![("put", self.put(rng))]),
            8 if depth < DEPTH_MAX => fields(vec![("txn", self.txn(rng, depth + 1))]),
            _ => fields(vec![("delete-range", self.delete(rng))]),
        });
        Value::from(requests.collect::<Vec<_>>())
    }

    fn txn(&mut self, rng: &mut ChaCha8Rng, depth: u32) -> Value {
        let compares: Vec<Value> = (0..rng.random_range(0..3)).map(|_| self.compare(rng)).collect();
        let (success, failure) = (self.branch(rng, depth), self.branch(rng, depth));
        fields(vec![("compare", Value::from(compares)), ("success", success), ("failure", failure)])
    }

    /// etcd issue #18667: the member that is asked refuses it, and the others apply it.
    fn future(&mut self, rng: &mut ChaCha8Rng) -> Value {
        let key = self.key(rng);
        // At times it is there by the time that the request arrives.
        let ahead = if rng.random_range(0..2) == 0 { 1_000_000 } else { 3 };
        let ahead = Value::Int(self.head + ahead);
        let read = fields(vec![("key", key.into()), ("revision", ahead)]);
        self.values += 1;
        let value = Value::String(format!("v{}", self.values).into());
        let put = fields(vec![("key", self.key(rng).into()), ("value", value)]);
        let both = vec![fields(vec![("put", put)]), fields(vec![("range", read)])];
        fields(vec![("success", Value::from(both))])
    }

    fn compact(&self, rng: &mut ChaCha8Rng) -> Value {
        let at = match rng.random_range(0..8) {
            // Refused: compacted already, or not there yet.
            0 => self.compacted,
            1 => self.head + 1_000_000,
            _ => (self.head - rng.random_range(0..PAST)).max(1),
        };
        fields(vec![("revision", Value::Int(at))])
    }
}

impl Generator for Chooser {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        // Every third slot only reads: see the register.
        let kind = rng.random_range(0..1_000);
        let kind = if slot % 3 == 2 { 0 } else { kind };
        let (f, value) = match kind {
            0..300 => ("range", self.range(rng, true)),
            300..650 => ("put", self.put(rng)),
            650..750 => ("delete-range", self.delete(rng)),
            750..765 => ("compact", self.compact(rng)),
            765..785 if self.mixed => ("txn", self.future(rng)),
            _ => ("txn", self.txn(rng, 0)),
        };
        Next::Invoke(Planned { f, key: None, value })
    }

    fn observe(&mut self, _slot: usize, operation: &Planned, completion: &Completion) {
        self.head = self.head.max(completion.revision.unwrap_or(0));
        if operation.f == "compact" && completion.outcome == Outcome::Ok {
            let at = number(&operation.value, "revision").unwrap_or(0);
            self.compacted = self.compacted.max(at);
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        match self.finals.get_mut(slot) {
            Some(due) if *due => {
                *due = false;
                let all = fields(vec![("key", "k".into()), ("range_end", "l".into())]);
                Next::Invoke(Planned { f: "range", key: None, value: all })
            }
            _ => Next::Done,
        }
    }
}
