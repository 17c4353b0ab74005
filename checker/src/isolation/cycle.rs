//! The shortest cycles of a dependency graph, by the names of their anomalies.
//!
//! A component is searched with the data's edges alone first; only where those have no cycle are
//! the edges of the processes added, and only where those have none the edges of real time. So a
//! suffix says that the cycle needs it. Inside a component the kinds are tried from the most
//! severe on; of the three that have anti-dependencies only the first that is found is reported,
//! because the others follow from it more often than not.

use super::graph::{DATA, EdgeKind, Graph, INFERRED, PROCESS, REALTIME, RW, VIA, WR, WW};
use super::model::{Anomaly, Kind, Order};
use super::scc::{Components, components};
use super::txn::{TxnId, Txns};
use crate::stop::Stop;
use std::collections::{BTreeMap, VecDeque};

/// Edges that a search may look at for one anomaly. A component may be as large as the history;
/// beyond this the cycles found are short, but perhaps not the shortest.
const VISITS_MAX: u64 = 40_000_000;

/// Edges from transaction to transaction; each begins where the one before it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cycle {
    pub(super) anomaly: Anomaly,
    pub(super) edges: Vec<(TxnId, TxnId, EdgeKind)>,
}

/// What [`find`] found.
pub(super) struct Found {
    /// The shortest cycle of each anomaly, the most severe first.
    pub(super) cycles: Vec<Cycle>,
    /// The components of the whole graph, if each is one node: then they are in an order.
    pub(super) order: Option<Components>,
}

/// The shortest cycle of each anomaly that `graph` has; those found so far once the check must
/// end. Most graphs have none, which one pass over all edges tells.
pub(super) fn find(graph: &Graph, txns: &Txns<'_>, stop: &Stop<'_>) -> Found {
    let all = components(graph, DATA | PROCESS | REALTIME | INFERRED);
    if all.cyclic().next().is_none() {
        return Found { cycles: Vec::new(), order: Some(all) };
    }
    drop(all);
    let mut search = Search::new(graph, txns, stop);
    let mut settled = vec![false; graph.nodes()];
    for (order, extra) in
        [(Order::Data, 0), (Order::Process, PROCESS), (Order::Realtime, REALTIME | INFERRED)]
    {
        let found = components(graph, DATA | extra);
        for nodes in found.cyclic() {
            // A cycle was found here already that needs less.
            if !nodes.iter().any(|&node| settled[node as usize]) {
                search.component(&found, nodes, extra, order);
            }
            nodes.iter().for_each(|&node| settled[node as usize] = true);
        }
    }
    Found { cycles: search.best.into_values().collect(), order: None }
}

/// How a class of cycles is looked for: from each edge of kind `start`, a path back.
struct Class {
    start: EdgeKind,
    mask: EdgeKind,
    /// No two anti-dependencies may be adjacent.
    spaced: bool,
}

struct Search<'g> {
    graph: &'g Graph,
    txns: &'g Txns<'g>,
    stop: &'g Stop<'g>,
    best: BTreeMap<Anomaly, Cycle>,
    /// Edges looked at so far.
    visits: BTreeMap<Anomaly, u64>,
    /// By state (node, and whether the last edge was an anti-dependency): the round in which it
    /// was reached, its distance, and the state and edge before it.
    round: Vec<u32>,
    distance: Vec<u32>,
    before: Vec<(u32, EdgeKind)>,
    rounds: u32,
}

impl<'g> Search<'g> {
    fn new(graph: &'g Graph, txns: &'g Txns<'g>, stop: &'g Stop<'g>) -> Self {
        let states = 2 * graph.nodes();
        Search {
            graph,
            txns,
            stop,
            best: BTreeMap::new(),
            visits: BTreeMap::new(),
            round: vec![0; states],
            distance: vec![0; states],
            before: vec![(0, 0); states],
            rounds: 0,
        }
    }

    fn component(&mut self, found: &Components, nodes: &[u32], extra: EdgeKind, order: Order) {
        let class = |start, mask, spaced| Class { start, mask: mask | extra, spaced };
        let certain =
            |start, mask| Class { start, mask: (mask | extra) & !INFERRED, spaced: false };
        let mut any = self.class(found, nodes, order, Kind::G0, &certain(WW, WW));
        any |= self.class(found, nodes, order, Kind::G1c, &certain(WR, WW | WR));
        any |=
            self.class(found, nodes, order, Kind::GSingle, &class(RW | INFERRED, WW | WR, false))
                || self.class(found, nodes, order, Kind::GNonadjacent, &class(RW, DATA, true))
                || self.class(found, nodes, order, Kind::G2Item, &class(RW, DATA, false));
        if !any {
            self.any_cycle(found, nodes, DATA | extra);
        }
    }

    /// Looks for the shortest cycle of a class; whether one was found.
    fn class(
        &mut self,
        found: &Components,
        nodes: &[u32],
        order: Order,
        kind: Kind,
        class: &Class,
    ) -> bool {
        let inside = found.of[nodes[0] as usize];
        let mut starts: Vec<(i128, TxnId, u32, EdgeKind)> = Vec::new();
        for &from in nodes.iter().filter(|&&node| node < self.graph.txns) {
            for (to, edge) in self.graph.edges(from, class.mask | class.start) {
                if edge & class.start != 0 && found.of[to as usize] == inside {
                    starts.push((self.backward(from, to), from, to, edge));
                }
            }
        }
        // An edge that leads back in time most likely closes a short cycle.
        starts.sort_unstable();
        let anomaly = Anomaly { kind, order };
        let mut any = false;
        let mut visits = self.visits.get(&anomaly).copied().unwrap_or(0);
        for (_, from, to, edge) in starts {
            // The first cycle here may be longer than one elsewhere: it says what happened here.
            let best = self.best.get(&anomaly).filter(|_| any);
            let longest = best.map_or(u32::MAX, |best| best.edges.len() as u32);
            if longest <= 2 || visits > VISITS_MAX || self.stop.check().is_err() {
                break;
            }
            if let Some(path) = self.path(found, to, from, class, longest - 1, &mut visits) {
                any |= self.record(from, (to, edge), &path);
            }
        }
        self.visits.insert(anomaly, visits);
        any
    }

    /// How far, in events, an edge leads back in time; the farthest is the least.
    fn backward(&self, from: TxnId, to: u32) -> i128 {
        let invoke = i128::from(self.txns.txns[from as usize].invoke);
        match self.txns.txns.get(to as usize) {
            Some(to) => i128::from(to.complete) - invoke,
            None => 0,
        }
    }

    /// The shortest path from `from` to `to` inside their component that makes, with the edge
    /// before it, a cycle of `class`, of fewer than `longest` edges between transactions.
    fn path(
        &mut self,
        found: &Components,
        from: u32,
        to: TxnId,
        class: &Class,
        longest: u32,
        visits: &mut u64,
    ) -> Option<Vec<(u32, EdgeKind)>> {
        self.rounds += 1;
        let inside = found.of[from as usize];
        let first = 2 * from + u32::from(class.spaced);
        self.reach(first, 0, (first, 0));
        let mut queue = VecDeque::from([(0, first)]);
        while let Some((distance, state)) = queue.pop_front() {
            if distance > self.distance[state as usize] {
                continue;
            }
            if state == 2 * to {
                return Some(self.trace(first, state));
            }
            for (next, kind) in self.graph.edges(state / 2, class.mask) {
                *visits += 1;
                if found.of[next as usize] != inside {
                    continue;
                }
                let anti = kind & RW != 0;
                let after_anti = match (class.spaced, kind) {
                    (false, _) => false,
                    (true, VIA) => state % 2 == 1,
                    (true, _) if anti && state % 2 == 1 => continue,
                    (true, _) => anti,
                };
                let next = 2 * next + u32::from(after_anti);
                let there = distance + u32::from(kind != VIA);
                if there < longest && self.reach(next, there, (state, kind)) {
                    if kind == VIA {
                        queue.push_front((there, next));
                    } else {
                        queue.push_back((there, next));
                    }
                }
            }
        }
        None
    }

    /// Notes that `state` can be reached at `distance`; whether that is news.
    fn reach(&mut self, state: u32, distance: u32, before: (u32, EdgeKind)) -> bool {
        let at = state as usize;
        if self.round[at] == self.rounds && self.distance[at] <= distance {
            return false;
        }
        self.round[at] = self.rounds;
        self.distance[at] = distance;
        self.before[at] = before;
        true
    }

    /// The edges from state `first` to state `last`: where each leads, and its kind.
    fn trace(&self, first: u32, last: u32) -> Vec<(u32, EdgeKind)> {
        let mut path = Vec::new();
        let mut state = last;
        while state != first {
            let (before, kind) = self.before[state as usize];
            path.push((state / 2, kind));
            state = before;
        }
        path.reverse();
        path
    }

    /// Keeps the cycle of `start` and `path` if it is the shortest of its anomaly. False when it
    /// passes a transaction twice, and so is no single cycle.
    fn record(&mut self, from: TxnId, start: (u32, EdgeKind), path: &[(u32, EdgeKind)]) -> bool {
        let mut edges: Vec<(TxnId, TxnId, EdgeKind)> = Vec::new();
        let (mut last, mut pending) = (from, 0);
        for &(to, kind) in std::iter::once(&start).chain(path) {
            pending = if kind == VIA { pending } else { kind };
            if to < self.graph.txns {
                edges.push((last, to, pending));
                last = to;
            }
        }
        let mut passed: Vec<TxnId> = edges.iter().map(|edge| edge.0).collect();
        passed.sort_unstable();
        passed.dedup();
        if passed.len() != edges.len() {
            return false;
        }
        let anomaly = classify(&edges);
        match self.best.get(&anomaly) {
            Some(best) if best.edges.len() <= edges.len() => {}
            _ => {
                self.best.insert(anomaly, Cycle { anomaly, edges });
            }
        }
        true
    }

    /// Records some cycle of a component in which the bounded searches found none.
    fn any_cycle(&mut self, found: &Components, nodes: &[u32], mask: EdgeKind) {
        let class = Class { start: mask, mask, spaced: false };
        let inside = found.of[nodes[0] as usize];
        let first = nodes.iter().copied().filter(|&node| node < self.graph.txns).min();
        let Some(from) = first else { return };
        let edge = self.graph.edges(from, mask).find(|(to, _)| found.of[*to as usize] == inside);
        let Some((to, kind)) = edge else { return };
        if let Some(path) = self.path(found, to, from, &class, u32::MAX, &mut 0) {
            self.record(from, (to, kind), &path);
        }
    }
}

/// The anomaly that a cycle is.
fn classify(edges: &[(TxnId, TxnId, EdgeKind)]) -> Anomaly {
    let has = |bit: EdgeKind| edges.iter().any(|edge| edge.2 & bit != 0);
    let anti = |place: usize| edges[place % edges.len()].2 & RW != 0;
    let kind = match (0..edges.len()).filter(|&place| anti(place)).count() {
        0 if has(INFERRED) => Kind::GSingle,
        0 if has(WR) => Kind::G1c,
        0 => Kind::G0,
        1 => Kind::GSingle,
        _ if (0..edges.len()).any(|place| anti(place) && anti(place + 1)) => Kind::G2Item,
        _ => Kind::GNonadjacent,
    };
    let order = match (has(REALTIME), has(PROCESS)) {
        (true, _) => Order::Realtime,
        (false, true) => Order::Process,
        (false, false) => Order::Data,
    };
    Anomaly { kind, order }
}
