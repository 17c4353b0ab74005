//! What an rw-register history says of the order of its versions (Elle, VLDB 2020, § 5.2).
//!
//! A read names one version and says nothing of those before it. What is known nevertheless:
//! nothing (`null`) comes before all; a transaction that reads a version and writes the key makes
//! the next one; revisions order the writes that have them. With real time also: a write that
//! completed before another was invoked comes before it, and one that completed before a read was
//! invoked is not newer than what that read saw. The last two make edges that bear the bit of real
//! time, so that a cycle that needs them is named `-realtime`.

mod edges;
mod findings;
mod serial;

pub(super) use serial::Stuck;

use super::story::Finding;
use super::txn::{Status, TxnId, Txns};
use ordeal_history::Value;
use rustc_hash::FxHashMap;

pub(super) const NONE: u32 = u32::MAX;

/// One committed read of what others had left.
#[derive(Clone, Copy, Debug)]
struct External {
    txn: TxnId,
    key: u32,
    /// The write that was read; [`NONE`] for the initial `null`.
    write: u32,
}

/// Writes are places in [`Txns::mops`].
pub(super) struct Register<'a, 'h> {
    txns: &'a Txns<'h>,
    /// The write of each value of each key; [`NONE`] where two transactions claim it.
    writers: FxHashMap<(u32, &'h Value), u32>,
    /// The reads whose version is known, in the order of the transactions.
    reads: Vec<External>,
    /// Where each transaction's begin, and a last entry for the end.
    read_starts: Vec<u32>,
    /// By key: each writing transaction that happened, with its last write, in order of invocation.
    versions: Vec<Vec<(TxnId, u32)>>,
    /// Transactions that happened.
    pub(super) included: Vec<bool>,
    /// One of each kind of anomaly that was seen without looking for cycles.
    pub(super) findings: Vec<Finding>,
    /// Why the inference is not complete, if it is not.
    pub(super) gap: Option<String>,
}

impl<'a, 'h> Register<'a, 'h> {
    /// Infers what can be inferred. O(micro-operations).
    pub(super) fn new(txns: &'a Txns<'h>) -> Self {
        let mut all = Register {
            txns,
            writers: FxHashMap::default(),
            reads: Vec::new(),
            read_starts: vec![0],
            versions: vec![Vec::new(); txns.keys.len()],
            included: txns.txns.iter().map(|txn| txn.status == Status::Committed).collect(),
            findings: Vec::new(),
            gap: None,
        };
        all.index_writers();
        all.collect_reads();
        for (id, mop) in (0..).zip(&txns.mops).filter(|(_, mop)| mop.write) {
            if !all.included[mop.txn as usize] {
                continue;
            }
            let versions = &mut all.versions[mop.key as usize];
            match versions.last_mut() {
                Some((txn, last)) if *txn == mop.txn => *last = id,
                _ => versions.push((mop.txn, id)),
            }
        }
        all.find_anomalies();
        all
    }

    fn index_writers(&mut self) {
        let txns = self.txns;
        let aborted = |id: u32| {
            let txn = txns.mops[id as usize].txn;
            txns.txns[txn as usize].status == Status::Aborted
        };
        for (id, mop) in (0..).zip(&txns.mops).filter(|(_, mop)| mop.write) {
            let known = *self.writers.entry((mop.key, mop.value)).or_insert(id);
            if known == id || aborted(id) {
                continue;
            }
            let unclear = known == NONE || !aborted(known);
            self.writers.insert((mop.key, mop.value), if unclear { NONE } else { id });
            if unclear && self.gap.is_none() {
                let key = self.txns.keys[mop.key as usize];
                self.gap = Some(format!(
                    "{} is written to {key} twice, so a read does not say which write it saw",
                    mop.value
                ));
            }
        }
    }

    fn collect_reads(&mut self) {
        for txn in 0..self.txns.txns.len() as TxnId {
            if self.txns.txns[txn as usize].status == Status::Committed {
                self.collect_reads_of(txn);
            }
            self.read_starts.push(self.reads.len() as u32);
        }
    }

    fn collect_reads_of(&mut self, txn: TxnId) {
        let txns = self.txns;
        let steps = txns.steps(txn);
        for (at, mop) in steps.iter().enumerate().filter(|(_, mop)| !mop.write) {
            let write = match self.writer(mop.key, mop.value) {
                Some(NONE) => continue,
                Some(write) => write,
                None if mop.value.is_null() => NONE,
                None => continue,
            };
            if write != NONE {
                let writer = self.txn(write) as usize;
                self.included[writer] |= txns.txns[writer].status == Status::Indeterminate;
            }
            if steps[..at].iter().all(|earlier| earlier.key != mop.key) {
                self.reads.push(External { txn, key: mop.key, write });
            }
        }
    }

    fn writer(&self, key: u32, value: &'h Value) -> Option<u32> {
        self.writers.get(&(key, value)).copied()
    }

    /// The transaction of a write.
    fn txn(&self, write: u32) -> TxnId {
        self.txns.mops[write as usize].txn
    }

    /// `txn`'s last write of `key`.
    fn last_write(&self, txn: TxnId, key: u32) -> Option<u32> {
        let versions = &self.versions[key as usize];
        let at = versions.binary_search_by_key(&txn, |&(txn, _)| txn).ok()?;
        Some(versions[at].1)
    }

    /// The reads of `txn`.
    fn reads_of(&self, txn: TxnId) -> &[External] {
        let bounds = &self.read_starts[txn as usize..txn as usize + 2];
        &self.reads[bounds[0] as usize..bounds[1] as usize]
    }
}
