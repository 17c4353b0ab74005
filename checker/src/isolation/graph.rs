//! The graph of dependencies between transactions.
//!
//! Real time relates almost every pair of transactions, so its edges go through **relays**: nodes
//! that stand for "everything that completed before this moment". With a relay for each moment at
//! which a completion is followed by an invocation, n transactions need fewer than 4 n edges, and
//! a path over relays is one edge between transactions ([`VIA`] costs nothing).

use super::txn::{Status, TxnId, Txns};
use rustc_hash::FxHashMap;

/// The kind of an edge: one or more of the bits below.
pub(super) type EdgeKind = u8;

/// The first wrote a version, the second the next one.
pub(super) const WW: EdgeKind = 1;
/// The second read what the first wrote.
pub(super) const WR: EdgeKind = 2;
/// The first read a version, the second wrote the next one.
pub(super) const RW: EdgeKind = 4;
/// One process ran the first, then the second.
pub(super) const PROCESS: EdgeKind = 8;
/// The first completed before the second was invoked.
pub(super) const REALTIME: EdgeKind = 16;
/// Goes on from a relay, with the kind of the edge that led to it.
pub(super) const VIA: EdgeKind = 32;
/// One write came before another because a read saw the other one after this one had completed.
/// A cycle with such an edge has no anti-dependency, but each order of the two writes has one.
pub(super) const INFERRED: EdgeKind = 64;
/// What the data alone say.
pub(super) const DATA: EdgeKind = WW | WR | RW;

/// Edges, collected in any order.
#[derive(Default)]
pub(super) struct Edges {
    list: Vec<(u32, u32, EdgeKind)>,
    nodes: u32,
}

impl Edges {
    /// With a node for each of `txns` transactions.
    pub(super) fn new(txns: usize) -> Self {
        Edges { list: Vec::with_capacity(txns * 6), nodes: txns as u32 }
    }

    /// Adds an edge, unless it leads back to where it begins.
    pub(super) fn add(&mut self, from: u32, to: u32, kind: EdgeKind) {
        if from != to {
            self.list.push((from, to, kind));
        }
    }

    /// The order of real time of the transactions that may have happened. O(n log n).
    pub(super) fn realtime(txns: &Txns<'_>) -> Self {
        let list = Vec::with_capacity(txns.txns.len() * 3);
        let mut edges = Edges { list, nodes: txns.txns.len() as u32 };
        let possible: Vec<bool> =
            txns.txns.iter().map(|txn| txn.status != Status::Aborted).collect();
        edges.add_realtime(txns, &possible);
        edges
    }

    /// None yet, with the nodes of `other`, to be joined with it.
    pub(super) fn beside(other: &Edges) -> Self {
        Edges { list: Vec::with_capacity(2 * other.list.len()), nodes: other.nodes }
    }

    /// Adds the edges of one that this was made [`beside`](Edges::beside).
    pub(super) fn join(&mut self, other: Edges) {
        self.list.extend(other.list);
    }

    /// How many nodes and edges there are so far.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.nodes as usize, self.list.len())
    }

    /// A new relay.
    pub(super) fn relay(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// Adds the order of each process' own transactions; `included` are the nodes that count.
    pub(super) fn add_process(&mut self, txns: &Txns<'_>, included: &[bool]) {
        let mut last: FxHashMap<i64, TxnId> = FxHashMap::default();
        for (id, txn) in txns.txns.iter().enumerate().filter(|&(id, _)| included[id]) {
            if let Some(before) = last.insert(txn.process, id as TxnId) {
                self.add(before, id as TxnId, PROCESS);
            }
        }
    }

    /// Adds the order of real time. O(n log n).
    pub(super) fn add_realtime(&mut self, txns: &Txns<'_>, included: &[bool]) {
        let mut completions: Vec<(u64, TxnId)> = (0..)
            .zip(&txns.txns)
            .filter(|(id, txn)| included[*id as usize] && txn.status == Status::Committed)
            .map(|(id, txn)| (txn.complete, id))
            .collect();
        completions.sort_unstable();
        let mut completions = completions.into_iter().peekable();
        let mut relay: Option<u32> = None;
        for (id, txn) in (0..).zip(&txns.txns).filter(|(id, _)| included[*id as usize]) {
            // All that completed since the invocation before goes through one new relay.
            let mut fresh = None;
            while let Some((_, done)) = completions.next_if(|(event, _)| *event < txn.invoke) {
                let to = *fresh.get_or_insert_with(|| self.relay());
                self.add(done, to, REALTIME);
            }
            if let Some(next) = fresh {
                if let Some(before) = relay {
                    self.add(before, next, VIA);
                }
                relay = fresh;
            }
            if let Some(relay) = relay {
                self.add(relay, id, VIA);
            }
        }
    }

    /// The graph, its edges sorted by where they begin, otherwise in the order of their adding.
    pub(super) fn build(self, txns: usize) -> Graph {
        let mut starts = vec![0_u32; self.nodes as usize + 1];
        for &(from, ..) in &self.list {
            starts[from as usize + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; self.list.len()];
        let mut kinds = vec![0; self.list.len()];
        for (from, to, kind) in self.list {
            let place = next[from as usize] as usize;
            next[from as usize] += 1;
            targets[place] = to;
            kinds[place] = kind;
        }
        Graph { txns: txns as u32, starts, targets, kinds }
    }
}

/// A graph; nodes below [`Graph::txns`] are transactions, the others relays.
pub(super) struct Graph {
    /// How many of the nodes are transactions.
    pub(super) txns: u32,
    starts: Vec<u32>,
    targets: Vec<u32>,
    kinds: Vec<EdgeKind>,
}

impl Graph {
    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many edges there are.
    pub(super) fn edge_count(&self) -> usize {
        self.targets.len()
    }

    /// The places of `node`'s edges, for [`Graph::edge`].
    pub(super) fn range(&self, node: u32) -> std::ops::Range<u32> {
        self.starts[node as usize]..self.starts[node as usize + 1]
    }

    /// Target and kind of the edge at `place`.
    pub(super) fn edge(&self, place: u32) -> (u32, EdgeKind) {
        (self.targets[place as usize], self.kinds[place as usize])
    }

    /// The edges from `node` that have no kind but those in `mask`, relayed ones included.
    pub(super) fn edges(
        &self,
        node: u32,
        mask: EdgeKind,
    ) -> impl Iterator<Item = (u32, EdgeKind)> + '_ {
        self.range(node)
            .map(|place| self.edge(place))
            .filter(move |&(_, kind)| kind & !(mask | VIA) == 0)
    }
}
