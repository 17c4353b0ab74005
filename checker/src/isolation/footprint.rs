//! What judging transactions holds in memory, so that it can say so before it does.
//!
//! Counted are the structures that grow with the history; they are counted from their lengths, or
//! from the most that they can become. The history itself is not counted: it is the caller's.

use super::graph::{EdgeKind, Graph};
use super::txn::{Mop, Txn, TxnId, Txns};
use ordeal_history::{History, Outcome, Value};
use std::mem::size_of;

/// Bytes of [`Txns`] for `history`. O(operations).
pub(super) fn of_transactions(history: &History) -> usize {
    history.operations.len() * size_of::<Txn>() + steps(history) * size_of::<Mop<'_>>()
}

/// Steps of all transactions of `history`.
pub(super) fn steps(history: &History) -> usize {
    let answers = history.operations.iter().map(|operation| match operation.outcome {
        Outcome::Ok => &operation.output,
        _ => &operation.input,
    });
    answers.map(|answer| answer.as_array().map_or(0, <[Value]>::len)).sum()
}

/// Bytes of what is inferred from `txns`, before the first edge.
pub(super) fn of_inference(txns: &Txns<'_>) -> usize {
    let writes = txns.mops.iter().filter(|mop| mop.write).count();
    let reads = txns.mops.len() - writes;
    // A hash table has at most twice the slots that it needs, of entries and a byte each.
    let writers = 2 * writes * (size_of::<((u32, &Value), u32)>() + 1);
    let by_step = size_of::<u32>() * txns.mops.len() + 3 * size_of::<u32>() * (reads + writes);
    let by_key = size_of::<[usize; 4]>() * txns.keys.len();
    of_kept(txns) + writers + by_step + by_key + 2 * txns.txns.len()
}

/// Bytes of `txns` itself.
fn of_kept(txns: &Txns<'_>) -> usize {
    txns.txns.len() * size_of::<Txn>() + txns.mops.len() * size_of::<Mop<'_>>()
}

/// Bytes of a list of that many edges.
pub(super) fn of_edges(edges: usize) -> usize {
    edges * size_of::<(u32, u32, EdgeKind)>()
}

/// Bytes of a graph of that size, and of looking for its cycles.
pub(super) fn of_graph(nodes: usize, edges: usize) -> usize {
    let graph = edges * (size_of::<u32>() + size_of::<EdgeKind>()) + 2 * nodes * size_of::<u32>();
    let components = 7 * nodes * size_of::<u32>();
    // Of each node two states, each with its round, its distance and what was before it.
    let states = 2 * nodes * (2 * size_of::<u32>() + size_of::<(TxnId, EdgeKind)>());
    graph + components + states
}

/// Bytes of `graph`, and of looking for its cycles.
pub(super) fn of_built(graph: &Graph) -> usize {
    of_graph(graph.nodes(), graph.edge_count())
}
