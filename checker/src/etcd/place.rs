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
use crate::stop::Stop;

/// What changes the store, in order, and what it leaves.
struct Row {
    /// Indexes into the entries.
    steps: Vec<u32>,
    /// Before each step, and after the last: the revision, and how far it is compacted.
    moments: Vec<(i64, i64)>,
    /// By revision: its first moment.
    starts: Vec<usize>,
}

/// What came of the placing.
pub(super) enum Placed {
    /// Indexes into the entries: a linearization.
    Order(Vec<u32>),
    /// This has no place. `sure` when nothing of unknown outcome could make one for it.
    Broken { broken: Broken, sure: bool },
    /// It had to end: why, and how far it had come.
    Stopped(String),
}

/// Why there are no places for all.
enum Failed {
    /// This one has none.
    Operation(u32),
    Stopped(String),
}

/// Steps between two looks at the limits.
const STEPS_UNCHECKED: usize = 1 << 10;

/// Places everything; `store` is what was left, by `owners` of the revisions, in a replay that
/// found every answer right that names a revision.
pub(super) fn place(order: &Order<'_>, store: &Store, owners: &[u32], stop: &Stop<'_>) -> Placed {
    let row = match Row::of(order, owners) {
        Ok(row) => row,
        Err(broken) => return Placed::Broken { broken, sure: true },
    };
    if let Some(broken) = row.broken_real_time(order) {
        return Placed::Broken { broken, sure: true };
    }
    // The entries stand in the order of their calls.
    let mut all: Vec<u32> = order.seers.iter().chain(&order.floating).copied().collect();
    all.sort_unstable();
    match row.greedy(order, store, &all, stop) {
        Ok(places) => Placed::Order(row.merge(&all, &places)),
        Err(Failed::Stopped(why)) => Placed::Stopped(why),
        Err(Failed::Operation(index)) => {
            let mut seers = order.seers.clone();
            seers.sort_unstable();
            let sure = match row.greedy(order, store, &seers, stop) {
                Err(Failed::Stopped(why)) => return Placed::Stopped(why),
                found => found.is_err(),
            };
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
    let had_begun = |compaction: &u32| order.entry(*compaction).call < order.entry(index).ret;
    let compaction = order.compactions.iter().copied().find(had_begun);
    Broken::new([index].into_iter().chain(compaction), reason)
}

impl Row {
    /// The changes by their revisions, and after each the compactions that were answered with it.
    fn of(order: &Order<'_>, owners: &[u32]) -> Result<Row, Broken> {
        let mut row = Row { steps: Vec::new(), moments: vec![(FIRST, -1)], starts: vec![0] };
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
            let Some(owner) = owners.next() else {
                row.starts.push(row.moments.len());
                return Ok(row);
            };
            now.0 += 1;
            row.steps.push(owner);
            row.starts.push(row.moments.len());
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
    fn greedy(
        &self,
        order: &Order<'_>,
        store: &Store,
        all: &[u32],
        stop: &Stop<'_>,
    ) -> Result<Vec<usize>, Failed> {
        let mut by_ret: Vec<(u64, usize)> =
            (0..all.len()).map(|at| (order.entry(all[at]).ret, at)).collect();
        by_ret.sort_unstable();
        let bounds = self.all_bounds(order, all, &by_ret);
        let mut ended = by_ret.into_iter().peekable();
        let mut earliest = 0;
        let mut places = vec![0; all.len()];
        for (at, &index) in all.iter().enumerate() {
            if at % STEPS_UNCHECKED == 0 {
                stop.check().map_err(|why| {
                    let count = all.len();
                    Failed::Stopped(format!("{why}, with {at} of {count} answers in their places"))
                })?;
            }
            let entry = order.entry(index);
            while let Some((_, before)) = ended.next_if(|&(ret, _)| ret < entry.call) {
                earliest = earliest.max(places[before]);
            }
            let (first, last) = bounds[at];
            places[at] = self
                .first_right(store, &entry.op, first.max(earliest), last)
                .ok_or(Failed::Operation(index))?;
        }
        Ok(places)
    }

    /// The first moment in `first..=last` at which `op` can have answered so.
    fn first_right(&self, store: &Store, op: &Op, first: usize, last: usize) -> Option<usize> {
        let Some(told) = op.revision else { return self.first_floating(store, op, first, last) };
        let place = usize::try_from(told - FIRST).ok().filter(|&p| p + 1 < self.starts.len())?;
        let first = first.max(self.starts[place]);
        // The replay has seen that the answer is right at the revision that it names.
        if op.is_serializable() {
            return (first <= last).then_some(first);
        }
        let last = last.min(self.starts[place + 1] - 1);
        (first..=last).find(|&moment| {
            let (head, compacted) = self.moments[moment];
            compacted < 0 || op.changes(store.at(head, compacted)).is_some()
        })
    }

    /// The same for an answer without a revision.
    fn first_floating(&self, store: &Store, op: &Op, first: usize, last: usize) -> Option<usize> {
        let mut moments = first..=last;
        if op.is_serializable() {
            if op.was_seen(store, self.moments[moments.next()?].0) {
                return Some(first);
            }
            // The past is the same but for one revision more.
            return moments
                .find(|&moment| op.changes(store.at(self.moments[moment].0, -1)).is_some());
        }
        moments.find(|&moment| {
            let (head, compacted) = self.moments[moment];
            op.changes(store.at(head, compacted)).is_some_and(|changes| changes.is_empty())
        })
    }

    /// [`Row::bounds`] of all, by two sweeps: in the order of their calls, and of their ends.
    fn all_bounds(
        &self,
        order: &Order<'_>,
        all: &[u32],
        by_ret: &[(u64, usize)],
    ) -> Vec<(usize, usize)> {
        let count = self.steps.len();
        let mut ends: Vec<(u64, usize)> = Vec::with_capacity(count);
        let mut calls: Vec<(u64, usize)> = Vec::with_capacity(count);
        for (place, &step) in self.steps.iter().enumerate() {
            ends.push((order.entry(step).ret, place + 1));
            calls.push((order.entry(step).call, place));
        }
        ends.sort_unstable();
        calls.sort_unstable();
        let mut bounds = vec![(0, count); all.len()];
        let mut ends = ends.into_iter().peekable();
        let mut latest = 0;
        for (&index, bound) in all.iter().zip(&mut bounds) {
            while let Some((_, place)) = ends.next_if(|&(ret, _)| ret < order.entry(index).call) {
                latest = latest.max(place);
            }
            bound.0 = latest;
        }
        let mut calls = calls.into_iter().rev().peekable();
        let mut soonest = count;
        for &(ret, at) in by_ret.iter().rev() {
            while let Some((_, place)) = calls.next_if(|&(call, _)| call > ret) {
                soonest = soonest.min(place);
            }
            bounds[at].1 = soonest;
        }
        bounds
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
