//! Edges from many transactions to all of a list of others, linear in number.

use super::graph::{EdgeKind, Edges, VIA};
use super::txn::TxnId;

/// Relays that lead to each of a list of transactions.
///
/// Many may enter, and one that is itself in the list must not come back to itself; so there are
/// relays for every beginning and for every end of the list.
pub(super) struct Fan {
    /// Ascending.
    targets: Vec<TxnId>,
    /// By position: the relay to all up to and including it.
    upto: Vec<u32>,
    /// By position: the relay to all from it on.
    from: Vec<u32>,
}

impl Fan {
    /// To `targets`, which ascend. O(targets).
    pub(super) fn new(edges: &mut Edges, targets: Vec<TxnId>) -> Fan {
        debug_assert!(targets.is_sorted());
        let mut chain = |order: &mut dyn Iterator<Item = TxnId>| {
            let mut relays: Vec<u32> = Vec::new();
            for txn in order {
                let relay = edges.relay();
                edges.add(relay, txn, VIA);
                if let Some(&before) = relays.last() {
                    edges.add(relay, before, VIA);
                }
                relays.push(relay);
            }
            relays
        };
        let upto = chain(&mut targets.iter().copied());
        let mut from = chain(&mut targets.iter().rev().copied());
        from.reverse();
        Fan { targets, upto, from }
    }

    /// Edges of `kind` from `txn` to all targets but itself. O(log targets).
    pub(super) fn enter(&self, edges: &mut Edges, txn: TxnId, kind: EdgeKind) {
        match self.targets.binary_search(&txn) {
            Ok(own) => {
                if let Some(before) = own.checked_sub(1) {
                    edges.add(txn, self.upto[before], kind);
                }
                if let Some(&after) = self.from.get(own + 1) {
                    edges.add(txn, after, kind);
                }
            }
            Err(_) => {
                if let Some(&all) = self.from.first() {
                    edges.add(txn, all, kind);
                }
            }
        }
    }
}
