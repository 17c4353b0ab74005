//! Anomalies in prose.

use super::graph::{EdgeKind, INFERRED, PROCESS, REALTIME, RW, WR, WW};
use super::model::{Anomaly, Kind};
use super::txn::{Mop, Status, TxnId, Txns};
use ordeal_history::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Elements of a list that are written out; of a longer one, the first two and the last four.
const ELEMENTS_MAX: usize = 8;

/// One anomaly, with what shows it.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) anomaly: Anomaly,
    /// The transactions that it takes to see it.
    pub(super) txns: Vec<TxnId>,
    /// One sentence an entry.
    pub(super) story: Vec<String>,
    /// The key, where it is about one.
    pub(super) key: Option<Value>,
}

/// Names transactions `T1`, `T2`, … in the order in which they are first spoken of.
pub(super) struct Cast<'a, 'h> {
    txns: &'a Txns<'h>,
    verb: &'static str,
    names: BTreeMap<TxnId, usize>,
    order: Vec<TxnId>,
}

impl<'a, 'h> Cast<'a, 'h> {
    /// Without anyone yet; `verb` is the word for a write.
    pub(super) fn new(txns: &'a Txns<'h>, verb: &'static str) -> Self {
        Cast { txns, verb, names: BTreeMap::new(), order: Vec::new() }
    }

    /// The name of `txn`.
    pub(super) fn name(&mut self, txn: TxnId) -> String {
        let next = self.names.len() + 1;
        let number = *self.names.entry(txn).or_insert(next);
        if number == next {
            self.order.push(txn);
        }
        format!("T{number}")
    }

    /// `story`, after a sentence on each transaction that was named.
    pub(super) fn tell(self, anomaly: Anomaly, story: Vec<String>, key: Option<&Value>) -> Finding {
        let mut told: Vec<String> =
            self.order.iter().enumerate().map(|(at, &txn)| self.introduce(at + 1, txn)).collect();
        told.extend(story);
        Finding { anomaly, txns: self.order, story: told, key: key.cloned() }
    }

    fn introduce(&self, number: usize, id: TxnId) -> String {
        let txn = &self.txns.txns[id as usize];
        let steps: Vec<String> =
            self.txns.steps(id).iter().map(|mop| self.step(mop, txn.status)).collect();
        let (process, invoke) = (txn.process, txn.invoke);
        let end = match txn.status {
            Status::Committed => format!("to {}", txn.complete),
            Status::Aborted => format!("to {}, aborted", txn.complete),
            Status::Indeterminate => "on, its outcome unknown".to_owned(),
        };
        let steps = steps.join(", ");
        format!("T{number} is process {process}'s, events {invoke} {end}: {steps}.")
    }

    fn step(&self, mop: &Mop<'_>, status: Status) -> String {
        let key = shown(self.txns.keys[mop.key as usize]);
        match (mop.write, status) {
            (true, _) => format!("{} {} to {key}", self.verb, shown(mop.value)),
            (false, Status::Committed) => format!("read {key} as {}", shown(mop.value)),
            (false, _) => format!("read {key}"),
        }
    }

    /// What orders two transactions besides the data.
    pub(super) fn outside(&mut self, from: TxnId, to: TxnId, kind: EdgeKind) -> String {
        let (before, after) = (self.name(from), self.name(to));
        let (first, second) = (&self.txns.txns[from as usize], &self.txns.txns[to as usize]);
        if kind & PROCESS != 0 {
            return format!("process {} ran {before} before {after}", first.process);
        }
        format!(
            "{before} had completed (event {}) before {after} was invoked (event {})",
            first.complete, second.invoke
        )
    }
}

/// What an edge is called in the field.
pub(super) fn edge_name(kind: EdgeKind) -> &'static str {
    match kind {
        kind if kind & (WW | INFERRED) != 0 => "write depends on write",
        kind if kind & WR != 0 => "read depends on write",
        kind if kind & RW != 0 => "read was overwritten",
        kind if kind & REALTIME != 0 => "real time",
        _ => "one process",
    }
}

/// A value for a person: lists with blanks, long ones abridged, strings without needless quotes.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(items) => {
            let mut out = String::from("[");
            for (at, item) in items.iter().enumerate() {
                let hidden = items.len() > ELEMENTS_MAX && (2..items.len() - 4).contains(&at);
                match (hidden, at) {
                    (true, 2) => out.push_str(" …"),
                    (true, _) => {}
                    (false, 0) => out.push_str(&shown(item)),
                    // Writing to a string cannot fail.
                    (false, _) => drop(write!(out, " {}", shown(item))),
                }
            }
            out.push(']');
            out
        }
        Value::String(text)
            if !text.is_empty()
                && text.chars().all(|c| c.is_alphanumeric() || "-_./:".contains(c)) =>
        {
            text.to_string()
        }
        other => other.to_string(),
    }
}

/// What an anomaly is, in a few words.
pub(super) fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::GarbageRead => "a value was read that nobody wrote.",
        Kind::DuplicateElements => "an element was read twice.",
        Kind::G0 => "writes of several transactions are interleaved (write cycle).",
        Kind::IncompatibleOrder => "two reads disagree on the order of the appends.",
        Kind::DirtyUpdate => "a committed write was built on an aborted one.",
        Kind::G1a => "an aborted transaction's write was read (aborted read).",
        Kind::G1b => "a state from the middle of a transaction was read (intermediate read).",
        Kind::FutureRead => "a transaction read its own later write.",
        Kind::G1c => "transactions saw each other's effects in a circle.",
        Kind::Internal => "a transaction's reads contradict its own earlier steps.",
        Kind::LostUpdate => "two transactions updated one version, and one update was lost.",
        Kind::GSingle => "a transaction saw a part of the state and missed another (read skew).",
        Kind::GNonadjacent => "readers disagree on the order of writers (long fork).",
        Kind::G2Item => "transactions each missed what another wrote (write skew).",
        Kind::CycleExists => "every serial order was tried, and none holds.",
    }
}
