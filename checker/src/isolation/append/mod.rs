//! What a list-append history says of the order of its versions (Elle, VLDB 2020, § 4 and 5).
//!
//! A read of a list names every version that came before it, so the longest read of a key is the
//! key's version order, and every other read of it must be a beginning of that one. What was
//! appended by a transaction that certainly committed, but is in no read, must come after all
//! that was read: lists only grow.

mod edges;
mod findings;

use super::story::Finding;
use super::txn::{Status, TxnId, Txns};
use ordeal_history::Value;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

pub(super) const NONE: u32 = u32::MAX;

/// Versions and their writers, as places in [`Txns::mops`] where they are micro-operations.
pub(super) struct Append<'a, 'h> {
    pub(super) txns: &'a Txns<'h>,
    /// The append of each element of each key; [`NONE`] where two transactions claim it.
    writers: FxHashMap<(u32, &'h Value), u32>,
    /// Each key's longest committed read.
    longest: Vec<u32>,
    /// Where each key's versions begin in `versions`.
    starts: Vec<u32>,
    /// The appends that made each key's versions, in order; [`NONE`] where it is not known.
    versions: Vec<u32>,
    /// Each append's place in its key's order; [`NONE`] if it is in no read.
    place: Vec<u32>,
    /// By step: whether it is a committed read that is a beginning of its key's longest.
    fits: Vec<bool>,
    /// Keys with two reads of which neither is the other's beginning.
    branched: Vec<bool>,
    /// Transactions that happened.
    pub(super) included: Vec<bool>,
    /// One of each kind of anomaly that was seen without looking for cycles.
    pub(super) findings: Vec<Finding>,
    /// Why the inference is not complete, if it is not.
    pub(super) gap: Option<String>,
}

impl<'a, 'h> Append<'a, 'h> {
    /// Infers what can be inferred. O(size of all reads).
    pub(super) fn new(txns: &'a Txns<'h>) -> Self {
        let mut all = Append {
            txns,
            writers: FxHashMap::default(),
            longest: vec![NONE; txns.keys.len()],
            starts: Vec::new(),
            versions: Vec::new(),
            place: vec![NONE; txns.mops.len()],
            fits: Vec::new(),
            branched: vec![false; txns.keys.len()],
            included: txns.txns.iter().map(|txn| txn.status == Status::Committed).collect(),
            findings: Vec::new(),
            gap: None,
        };
        all.index_writers();
        all.find_longest();
        all.order_versions();
        all.compare_reads();
        all.find_anomalies();
        all
    }

    fn index_writers(&mut self) {
        let appends = self.txns.mops.iter().filter(|mop| mop.write).count();
        self.writers.reserve(appends);
        let txns = self.txns;
        let aborted = |id: u32| {
            let txn = txns.mops[id as usize].txn;
            txns.txns[txn as usize].status == Status::Aborted
        };
        let mut writers = std::mem::take(&mut self.writers);
        for (id, mop) in (0..).zip(&self.txns.mops).filter(|(_, mop)| mop.write) {
            let known = *writers.entry((mop.key, mop.value)).or_insert(id);
            if known == id || aborted(id) {
                continue;
            }
            // An append that aborted may be tried again; two that may both have happened leave
            // open which of them a reader saw.
            let unclear = known == NONE || !aborted(known);
            writers.insert((mop.key, mop.value), if unclear { NONE } else { id });
            if unclear && self.gap.is_none() {
                let key = self.txns.keys[mop.key as usize];
                self.gap = Some(format!(
                    "{} is appended to {key} by two transactions, so a read does not say which",
                    mop.value
                ));
            }
        }
        self.writers = writers;
    }

    fn find_longest(&mut self) {
        for (id, mop) in (0..).zip(&self.txns.mops) {
            let txn = &self.txns.txns[mop.txn as usize];
            if mop.write || txn.status != Status::Committed {
                continue;
            }
            let longest = self.longest[mop.key as usize];
            if longest == NONE || list(mop.value).len() > self.read(longest).len() {
                self.longest[mop.key as usize] = id;
            }
        }
    }

    fn order_versions(&mut self) {
        self.starts.push(0);
        for key in 0..self.txns.keys.len() as u32 {
            let longest = self.longest[key as usize];
            let elements: &'h [Value] = if longest == NONE { &[] } else { self.read(longest) };
            for (at, element) in (0..).zip(elements) {
                let writer = self.writer(key, element).unwrap_or(NONE);
                // Of an element that is there twice, the first counts.
                let first = writer != NONE && self.place[writer as usize] == NONE;
                self.versions.push(if first { writer } else { NONE });
                if first {
                    self.place[writer as usize] = at;
                    self.happened(writer);
                }
            }
            self.starts.push(self.versions.len() as u32);
        }
    }

    /// The transaction of this append was seen, so it happened, unless the store says otherwise.
    fn happened(&mut self, append: u32) {
        let txn = self.txn(append) as usize;
        self.included[txn] |= self.txns.txns[txn].status == Status::Indeterminate;
    }

    /// Finds the keys whose committed reads are not all beginnings of one list.
    fn compare_reads(&mut self) {
        let steps = 0..self.txns.mops.len() as u32;
        self.fits = steps.into_par_iter().map(|id| self.is_beginning(id)).collect();
        for id in 0..self.txns.mops.len() as u32 {
            let mop = &self.txns.mops[id as usize];
            if mop.write || self.txns.txns[mop.txn as usize].status != Status::Committed {
                continue;
            }
            if !self.fits(id) {
                self.branched[mop.key as usize] = true;
                for element in list(mop.value) {
                    if let Some(writer) = self.writer(mop.key, element).filter(|&w| w != NONE) {
                        self.happened(writer);
                    }
                }
                self.incompatible(id);
            }
        }
    }

    fn is_beginning(&self, step: u32) -> bool {
        let mop = &self.txns.mops[step as usize];
        let committed = self.txns.txns[mop.txn as usize].status == Status::Committed;
        let longest = self.longest[mop.key as usize];
        committed && !mop.write && self.read(longest).starts_with(list(mop.value))
    }

    /// Whether the read is a beginning of its key's longest.
    fn fits(&self, read: u32) -> bool {
        self.fits[read as usize]
    }

    fn writer(&self, key: u32, element: &'h Value) -> Option<u32> {
        self.writers.get(&(key, element)).copied()
    }

    fn txn(&self, mop: u32) -> TxnId {
        self.txns.mops[mop as usize].txn
    }

    fn read(&self, mop: u32) -> &'h [Value] {
        list(self.txns.mops[mop as usize].value)
    }

    /// The key's version order, as appends.
    fn versions(&self, key: u32) -> &[u32] {
        &self.versions[self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize]
    }

    /// Whether the append's transaction happened.
    fn counts(&self, append: u32) -> bool {
        append != NONE && self.included[self.txn(append) as usize]
    }

    /// The reads of `txn` that saw what others had left: of each key the first, unless the
    /// transaction had appended to it before.
    fn external_reads(&self, txn: TxnId) -> impl Iterator<Item = u32> + '_ {
        let range = self.txns.range(txn);
        let steps = self.txns.steps(txn);
        let committed = self.txns.txns[txn as usize].status == Status::Committed;
        steps.iter().enumerate().filter_map(move |(at, mop)| {
            let first = || steps[..at].iter().all(|earlier| earlier.key != mop.key);
            (committed && !mop.write && first()).then_some((range.start + at) as u32)
        })
    }
}

/// The elements that a read saw; `null` is the empty list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_default()
}
