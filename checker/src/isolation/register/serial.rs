//! Finds a serial order that explains every read.
//!
//! The known dependencies leave open how writes of one key are ordered that no transaction read
//! in turn. So orders are tried: a transaction may run when all that must precede it has run, its
//! reads match, and nobody still has to read what it overwrites. One that only reads runs as soon
//! as it can, for that can never be wrong; among writers the one that completed first is tried
//! first, and a dead end is left by going back. Deciding this is NP-complete (Papadimitriou, JACM
//! 1979), so the trying is bounded.

use super::{NONE, Register};
use crate::isolation::graph::{EdgeKind, Graph, VIA};
use crate::isolation::txn::TxnId;
use crate::stop::Stop;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;

/// Looks at a transaction that may be next, all in all.
const STEPS_MAX: u64 = 100_000_000;

/// Why there is no serial order.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::isolation) enum Stuck {
    /// All were tried.
    Proven,
    /// The reason why the search ended before.
    GaveUp(String),
}

impl Register<'_, '_> {
    /// A serial order of all that happened that respects the edges in `mask`.
    pub(in crate::isolation) fn serial(
        &self,
        graph: &Graph,
        mask: EdgeKind,
        stop: &Stop<'_>,
    ) -> Result<Vec<TxnId>, Stuck> {
        let mut search = Search::new(self, graph, mask);
        search.run(stop)?;
        Ok(search.log.iter().map(|done| done.node).filter(|&node| node < graph.txns).collect())
    }
}

/// A node that has run, and how to take it back.
struct Done {
    node: u32,
    /// Of each key that it wrote: the version before.
    overwrote: Vec<(u32, u32)>,
}

/// A point where several writers could be next.
struct Choice {
    /// What had run then.
    done: usize,
    /// Those not tried yet, the best last.
    others: Vec<TxnId>,
}

struct Search<'s, 'a, 'h> {
    all: &'s Register<'a, 'h>,
    graph: &'s Graph,
    mask: EdgeKind,
    /// Nodes: how many edges from nodes that have not run lead here.
    waits: Vec<u32>,
    /// Transactions that wait for nothing, by completion.
    ready: BTreeSet<(u64, TxnId)>,
    /// Keys: the version that is there, as a write.
    current: Vec<u32>,
    /// Versions by write, initial ones by key: how many reads of it have not run.
    unread: FxHashMap<(u32, u32), u32>,
    log: Vec<Done>,
    choices: Vec<Choice>,
    /// Fingerprints of states at which a choice was made before.
    seen: FxHashSet<u64>,
    fingerprint: u64,
    steps: u64,
    /// How many transactions have run.
    ran: usize,
}

impl<'s, 'a, 'h> Search<'s, 'a, 'h> {
    fn new(all: &'s Register<'a, 'h>, graph: &'s Graph, mask: EdgeKind) -> Self {
        let mut waits = vec![0; graph.nodes()];
        for node in 0..graph.nodes() as u32 {
            graph.edges(node, mask).for_each(|(to, _)| waits[to as usize] += 1);
        }
        let mut unread = FxHashMap::default();
        for read in &all.reads {
            *unread.entry((read.key, read.write)).or_insert(0) += 1;
        }
        Search {
            all,
            graph,
            mask,
            waits,
            ready: BTreeSet::new(),
            current: vec![NONE; all.versions.len()],
            unread,
            log: Vec::new(),
            choices: Vec::new(),
            seen: FxHashSet::default(),
            fingerprint: 0,
            steps: 0,
            ran: 0,
        }
    }

    fn run(&mut self, stop: &Stop<'_>) -> Result<(), Stuck> {
        let total = self.all.included.iter().filter(|&&included| included).count();
        // A relay that runs lets others go, which are no beginnings then.
        let nodes = 0..self.graph.nodes() as u32;
        let first: Vec<u32> = nodes.filter(|&node| self.waits[node as usize] == 0).collect();
        first.into_iter().for_each(|node| self.free(node));
        loop {
            self.run_readers();
            if self.ran == total {
                return Ok(());
            }
            stop.check().map_err(Stuck::GaveUp)?;
            stop.fits(self.seen.capacity() * (size_of::<u64>() + 1)).map_err(Stuck::GaveUp)?;
            if self.steps > STEPS_MAX {
                return Err(Stuck::GaveUp(format!(
                    "no serial order was found in {STEPS_MAX} steps; the last had {} of {total} \
                     transactions",
                    self.ran
                )));
            }
            let mut writers =
                if self.seen.insert(self.fingerprint) { self.eligible() } else { Vec::new() };
            let next = loop {
                if let Some(next) = writers.pop() {
                    if !writers.is_empty() {
                        self.choices.push(Choice { done: self.log.len(), others: writers });
                    }
                    break next;
                }
                let Some(choice) = self.choices.pop() else { return Err(Stuck::Proven) };
                self.back_to(choice.done);
                writers = choice.others;
            };
            self.execute(next);
        }
    }

    /// A node waits for nothing any more: a relay runs at once, a transaction when it is chosen.
    fn free(&mut self, node: u32) {
        let mut relays = vec![node];
        while let Some(node) = relays.pop() {
            if node < self.graph.txns {
                if self.all.included[node as usize] {
                    self.ready.insert((self.all.txns.txns[node as usize].complete, node));
                }
                continue;
            }
            self.log.push(Done { node, overwrote: Vec::new() });
            self.let_go(node, &mut relays);
        }
    }

    fn let_go(&mut self, node: u32, free: &mut Vec<u32>) {
        for (to, _) in self.graph.edges(node, self.mask | VIA) {
            self.waits[to as usize] -= 1;
            if self.waits[to as usize] == 0 {
                free.push(to);
            }
        }
    }

    /// Runs all that only read and may, until there is none.
    fn run_readers(&mut self) {
        loop {
            let ready: Vec<TxnId> = self.ready.iter().map(|&(_, txn)| txn).collect();
            let mut any = false;
            for txn in ready {
                self.steps += 1;
                let reads_only = self.all.txns.steps(txn).iter().all(|mop| !mop.write);
                if reads_only && self.may_run(txn) {
                    self.execute(txn);
                    any = true;
                }
            }
            if !any {
                return;
            }
        }
    }

    /// The writers that may run, the one that completed first last.
    fn eligible(&mut self) -> Vec<TxnId> {
        self.steps += self.ready.len() as u64;
        let may = |&&(_, txn): &&(u64, TxnId)| self.may_run(txn);
        self.ready.iter().filter(may).map(|&(_, txn)| txn).rev().collect()
    }

    fn may_run(&self, txn: TxnId) -> bool {
        let reads = self.all.reads_of(txn);
        let matches = reads.iter().all(|read| self.current[read.key as usize] == read.write);
        let overwrites = |key: u32| {
            let version = (key, self.current[key as usize]);
            let own = reads.iter().any(|read| (read.key, read.write) == version);
            self.unread.get(&version).copied().unwrap_or(0) == u32::from(own)
        };
        matches
            && self.all.txns.steps(txn).iter().filter(|mop| mop.write).all(|m| overwrites(m.key))
    }

    fn execute(&mut self, txn: TxnId) {
        self.ready.remove(&(self.all.txns.txns[txn as usize].complete, txn));
        for read in self.all.reads_of(txn) {
            if let Some(left) = self.unread.get_mut(&(read.key, read.write)) {
                *left -= 1;
            }
        }
        let mut overwrote = Vec::new();
        for id in self.all.txns.range(txn).filter(|&id| self.all.txns.mops[id].write) {
            let key = self.all.txns.mops[id].key;
            let before = std::mem::replace(&mut self.current[key as usize], id as u32);
            self.fingerprint ^= mixed(key, before) ^ mixed(key, id as u32);
            overwrote.push((key, before));
        }
        self.fingerprint ^= mixed(txn, NONE - 1);
        self.log.push(Done { node: txn, overwrote });
        self.ran += 1;
        let mut free = Vec::new();
        self.let_go(txn, &mut free);
        free.into_iter().for_each(|node| self.free(node));
    }

    /// Takes back all that ran after the first `done`.
    fn back_to(&mut self, done: usize) {
        while self.log.len() > done {
            let Some(Done { node, overwrote }) = self.log.pop() else { return };
            for (to, _) in self.graph.edges(node, self.mask | VIA) {
                self.waits[to as usize] += 1;
                if let Some(txn) = self.all.txns.txns.get(to as usize) {
                    self.ready.remove(&(txn.complete, to));
                }
            }
            if node >= self.graph.txns {
                continue;
            }
            self.ran -= 1;
            for &(key, before) in overwrote.iter().rev() {
                let now = std::mem::replace(&mut self.current[key as usize], before);
                self.fingerprint ^= mixed(key, before) ^ mixed(key, now);
            }
            self.fingerprint ^= mixed(node, NONE - 1);
            for read in self.all.reads_of(node) {
                if let Some(left) = self.unread.get_mut(&(read.key, read.write)) {
                    *left += 1;
                }
            }
            self.ready.insert((self.all.txns.txns[node as usize].complete, node));
        }
    }
}

/// A fingerprint's part for a pair (splitmix64's finalizer).
fn mixed(a: u32, b: u32) -> u64 {
    let mut z = ((u64::from(a) << 32) | u64::from(b)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
