//! What was found out about parts of a history, so that no part is decided twice, and none at all
//! that an order explains which was found for a larger one.

use super::model::Model;
use super::object::Entry;
use super::verify::verify;
use rustc_hash::{FxHashSet, FxHasher};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Orders that are remembered: each costs a look at every operation of a part.
const ORDERS: usize = 12;

/// The orders that were found, the last that was of use first, and the parts that had one.
pub(super) struct Trials<'a, M: Model> {
    model: &'a M,
    entries: &'a [Entry<M::Op>],
    orders: VecDeque<Vec<u32>>,
    valid: FxHashSet<u64>,
}

impl<'a, M: Model> Trials<'a, M> {
    pub(super) fn new(model: &'a M, entries: &'a [Entry<M::Op>]) -> Self {
        Trials { model, entries, orders: VecDeque::new(), valid: FxHashSet::default() }
    }

    /// Whether this part (indexes into the entries, ascending) is known to have an order: because
    /// it was decided, or because one that was found, without what is not in it, is one of it.
    pub(super) fn is_valid(&mut self, part: &[u32]) -> bool {
        let known = fingerprint(part);
        if self.valid.contains(&known) {
            return true;
        }
        let Some(place) = self.orders.iter().position(|order| self.explains(order, part)) else {
            return false;
        };
        let order = self.orders.remove(place).unwrap_or_default();
        self.orders.push_front(order);
        self.valid.insert(known);
        true
    }

    fn explains(&self, order: &[u32], part: &[u32]) -> bool {
        let place = |index: &u32| part.binary_search(index).ok().map(|place| place as u32);
        let order: Vec<u32> = order.iter().filter_map(place).collect();
        let part: Vec<Entry<M::Op>> =
            part.iter().map(|&index| self.entries[index as usize].clone()).collect();
        verify(self.model, &part, &order).is_ok()
    }

    /// Notes an order of this part, given by places in it.
    pub(super) fn found(&mut self, part: &[u32], order: &[u32]) {
        self.valid.insert(fingerprint(part));
        self.orders.push_front(order.iter().map(|&place| part[place as usize]).collect());
        self.orders.truncate(ORDERS);
    }
}

fn fingerprint(part: &[u32]) -> u64 {
    let mut hasher = FxHasher::default();
    part.hash(&mut hasher);
    hasher.finish()
}
