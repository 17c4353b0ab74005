//! Everything that changes no key, put into the order of the changes.
//!
//! The changes and the compactions make a row of moments. An operation that changes nothing can
//! stand at any moment within its interval at which its answer is right. Each takes the earliest
//! that is left to it by those that had ended before it began; since an earlier place never takes
//! anything from a later operation, that finds places for all whenever there are any.

use super::Broken;
use super::order::{FIRST, Op, Order};
use super::wrong::wrong;
use crate::linear::Entry;
use crate::models::etcd_store::Store;

/// What changes the store, in order, and what it leaves.
struct Row {
    /// Indexes into the entries.
    steps: Vec<u32>,
    /// Before each step, and after the last: the revision, and how far it is compacted.
    moments: Vec<(i64, i64)>,
}

/// What came of the placing.
pub(super) enum Placed {
    /// Indexes into the entries: a linearization.
    Order(Vec<u32>),
    /// This has no place. `sure` when nothing of unknown outcome could make one for it.
    Broken { broken: Broken, sure: bool },
}

/// Places everything; `store` is what was left, by `owners` of the revisions.
pub(super) fn place(order: &Order<'_>, store: &Store, owners: &[u32]) -> Placed {
    let row = match Row::of(order, owners) {
        Ok(row) => row,
        Err(broken) => return Placed::Broken { broken, sure: true },
    };
    if let Some(broken) = row.broken_real_time(order) {
        return Placed::Broken { broken, sure: true };
    }
    let mut all: Vec<u32> = order.seers.iter().chain(&order.floating).copied().collect();
    all.sort_unstable_by_key(|&index| order.entry(index).call);
    match row.greedy(order, store, &all) {
        Ok(places) => Placed::Order(row.merge(&all, &places)),
        Err(index) => {
            let mut seers = order.seers.clone();
            seers.sort_unstable_by_key(|&index| order.entry(index).call);
            let sure = row.greedy(order, store, &seers).is_err();
            let (head, _) = row.moments[row.bounds(order, index).0];
            Placed::Broken { broken: misplaced(order, store, owners, index, head), sure }
        }
    }
}

fn misplaced(order: &Order<'_>, store: &Store, owners: &[u32], index: u32, head: i64) -> Broken {
    if store.head == head && order.compactions.is_empty() {
        return wrong(order, store, owners, index);
    }
    let reason = "{0}, and at no moment between its call and its answer was that so";
    Broken::new([index].into_iter().chain(order.compactions.iter().copied().take(1)), reason)
}

impl Row {
    /// The changes by their revisions, and after each the compactions that were answered with it.
    fn of(order: &Order<'_>, owners: &[u32]) -> Result<Row, Broken> {
        let mut row = Row { steps: Vec::new(), moments: vec![(FIRST, -1)] };
        let mut compactions = order.compactions.iter().copied().peekable();
        let mut owners = owners.iter().copied();
        let mut now = (FIRST, -1);
        loop {
            while let Some(index) = compactions.next_if(|&index| order.revision(index) == now.0) {
                let until = order.entry(index).op.compacted().unwrap_or(0);
                if until <= now.1 || until > now.0 {
                    let last = row.steps.iter().rev().find(|step| order.compactions.contains(step));
                    let reason = match last {
                        Some(_) if until <= now.1 => "{0}, though {1}",
                        _ => "{0}, which was not there to be compacted",
                    };
                    return Err(Broken::new([index].into_iter().chain(last.copied()), reason));
                }
                now.1 = until;
                row.steps.push(index);
                row.moments.push(now);
            }
            let Some(owner) = owners.next() else { return Ok(row) };
            now.0 += 1;
            row.steps.push(owner);
            row.moments.push(now);
        }
    }

    /// No step stands before one that had ended when it began.
    fn broken_real_time(&self, order: &Order<'_>) -> Option<Broken> {
        let mut first: Option<u32> = None;
        for &index in self.steps.iter().rev() {
            let Entry { call, ret, .. } = order.entry(index);
            if let Some(first) = first.filter(|&first| order.entry(first).ret < *call) {
                return Some(Broken::new([first, index], "{1}, after {0}"));
            }
            if first.is_none_or(|first| *ret < order.entry(first).ret) {
                first = Some(index);
            }
        }
        None
    }

    /// The first and the last moment at which an operation can stand, going by the steps alone.
    fn bounds(&self, order: &Order<'_>, index: u32) -> (usize, usize) {
        let entry = order.entry(index);
        let after = self.steps.iter().rposition(|&step| order.entry(step).ret < entry.call);
        let before = self.steps.iter().position(|&step| order.entry(step).call > entry.ret);
        (after.map_or(0, |after| after + 1), before.unwrap_or(self.steps.len()))
    }

    /// A moment for each of `all`, which are in the order of their invocations; else the one that
    /// has none.
    fn greedy(&self, order: &Order<'_>, store: &Store, all: &[u32]) -> Result<Vec<usize>, u32> {
        let bounds = self.all_bounds(order, all);
        let mut by_ret: Vec<usize> = (0..all.len()).collect();
        by_ret.sort_unstable_by_key(|&at| order.entry(all[at]).ret);
        let mut ended = by_ret.into_iter().peekable();
        let mut earliest = 0;
        let mut places = vec![0; all.len()];
        for (at, &index) in all.iter().enumerate() {
            let entry = order.entry(index);
            while let Some(before) = ended.next_if(|&b| order.entry(all[b]).ret < entry.call) {
                earliest = earliest.max(places[before]);
            }
            let (first, last) = bounds[at];
            places[at] =
                self.first_right(store, &entry.op, first.max(earliest), last).ok_or(index)?;
        }
        Ok(places)
    }

    /// The first moment in `first..=last` at which `op` can have answered so.
    fn first_right(&self, store: &Store, op: &Op, first: usize, last: usize) -> Option<usize> {
        let (first, last) = match op.revision {
            Some(told) => {
                let from = self.moments.partition_point(|&(head, _)| head < told);
                let until = self.moments.partition_point(|&(head, _)| head <= told);
                let last = if op.is_serializable() { last } else { last.min(until.max(1) - 1) };
                (first.max(from), last)
            }
            None => (first, last),
        };
        (first..=last).find(|&moment| {
            let (head, compacted) = self.moments[moment];
            if op.is_serializable() {
                return op.was_seen(store, head);
            }
            op.changes(store.at(head, compacted)).is_some_and(|changes| changes.is_empty())
        })
    }

    /// [`Row::bounds`] of all, by two sweeps.
    fn all_bounds(&self, order: &Order<'_>, all: &[u32]) -> Vec<(usize, usize)> {
        let count = self.steps.len();
        let mut ends: Vec<(u64, usize)> = Vec::with_capacity(count);
        let mut calls: Vec<(u64, usize)> = Vec::with_capacity(count);
        for (place, &step) in self.steps.iter().enumerate() {
            ends.push((order.entry(step).ret, place + 1));
            calls.push((order.entry(step).call, place));
        }
        ends.sort_unstable();
        calls.sort_unstable();
        let mut latest = 0;
        for (_, place) in &mut ends {
            latest = latest.max(*place);
            *place = latest;
        }
        let mut soonest = count;
        for (_, place) in calls.iter_mut().rev() {
            soonest = soonest.min(*place);
            *place = soonest;
        }
        let bound = |&index: &u32| {
            let entry = order.entry(index);
            let ended = ends.partition_point(|&(ret, _)| ret < entry.call);
            let begun = calls.partition_point(|&(call, _)| call <= entry.ret);
            let first = ended.checked_sub(1).map_or(0, |last| ends[last].1);
            (first, calls.get(begun).map_or(count, |&(_, place)| place))
        };
        all.iter().map(bound).collect()
    }

    /// The steps with the others in their places.
    fn merge(&self, all: &[u32], places: &[usize]) -> Vec<u32> {
        let mut by_place: Vec<usize> = (0..all.len()).collect();
        // Stable: at one moment they stand in the order of their invocations.
        by_place.sort_by_key(|&at| places[at]);
        let mut others = by_place.into_iter().peekable();
        let mut order = Vec::with_capacity(all.len() + self.steps.len());
        for moment in 0..self.moments.len() {
            while let Some(at) = others.next_if(|&at| places[at] == moment) {
                order.push(all[at]);
            }
            order.extend(self.steps.get(moment));
        }
        order
    }
}
