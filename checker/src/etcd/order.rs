//! The order that the revisions tell: who changed the store at which revision, and who saw which.
//!
//! These rules need no replay: they hold whatever is asked and answered.

use super::Broken;
use crate::linear::{Entry, NEVER};
use crate::models::etcd_store::{Request, StoreOp};
use std::sync::Arc;

pub(super) type Op = Arc<StoreOp>;

/// The operations of a history by their part in the order; all are indexes into the entries.
pub(super) struct Order<'a> {
    pub(super) entries: &'a [Entry<Op>],
    /// By revision: who changed the store at it. Known changes alone; `None` is a gap.
    pub(super) changes: Vec<Option<u32>>,
    /// Answers that name a revision and change nothing, in the order of those.
    pub(super) seers: Vec<u32>,
    /// By revision: where those begin among the seers that name it or a later one.
    first_seers: Vec<u32>,
    /// Refusals and answers without a revision, by invocation.
    pub(super) floating: Vec<u32>,
    /// Compactions, in the order in which they can have succeeded.
    pub(super) compactions: Vec<u32>,
    /// Operations of unknown outcome with the last revision that was shown before they began, in
    /// the order of those.
    pub(super) maybes: Vec<(u32, i64)>,
}

/// What is found when the operations are sorted out.
pub(super) enum Sorted<'a> {
    Order(Order<'a>),
    Broken(Broken),
    /// Without revisions there is no order in the answers.
    Unordered,
}

/// The revision of a store that nobody has changed yet.
pub(super) const FIRST: i64 = 1;

impl<'a> Order<'a> {
    /// Sorts out `entries` and checks revisions against one another and against real time.
    /// O(n log n).
    pub(super) fn of(entries: &'a [Entry<Op>]) -> Sorted<'a> {
        let mut order = Order {
            entries,
            changes: Vec::new(),
            seers: Vec::new(),
            first_seers: Vec::new(),
            floating: Vec::new(),
            compactions: Vec::new(),
            maybes: Vec::new(),
        };
        let mut changes: Vec<u32> = Vec::new();
        for (index, entry) in (0..).zip(entries) {
            let op = &entry.op;
            let known = op.revision.is_some();
            match () {
                () if entry.ret == NEVER => order.maybes.push((index, FIRST)),
                () if !known && (op.changed() || op.compacted().is_some()) => {
                    return Sorted::Unordered;
                }
                () if op.changed() => changes.push(index),
                () if op.compacted().is_some() => order.compactions.push(index),
                () if known => order.seers.push(index),
                () => order.floating.push(index),
            }
        }
        let revision = |index: u32| entries[index as usize].op.revision;
        sort(&mut changes, revision);
        sort(&mut order.seers, revision);
        sort(&mut order.compactions, |index| {
            (revision(index), entries[index as usize].op.compacted())
        });
        let mut by_ret: Vec<u32> = order.revisioned(&changes).collect();
        sort(&mut by_ret, |index| entries[index as usize].ret);
        let shown = order.shown(&by_ret);
        let broken = order
            .broken_number(&changes)
            .or_else(|| order.broken_real_time(by_ret))
            .or_else(|| order.broken_account(&changes, &shown));
        if let Some(broken) = broken {
            return Sorted::Broken(broken);
        }
        order.lay_out(&changes);
        Sorted::Order(order)
    }

    pub(super) fn entry(&self, index: u32) -> &'a Entry<Op> {
        &self.entries[index as usize]
    }

    /// The revision that an answer names; of those that do.
    pub(super) fn revision(&self, index: u32) -> i64 {
        self.entry(index).op.revision.unwrap_or(0)
    }

    /// Every answer that names a revision.
    fn revisioned<'b>(&'b self, changes: &'b [u32]) -> impl Iterator<Item = u32> + 'b {
        changes.iter().chain(&self.seers).chain(&self.compactions).copied()
    }

    /// The last revision that answers had shown, by their ends; fills in that of the maybes.
    fn shown(&mut self, by_ret: &[u32]) -> Vec<(u64, i64)> {
        let end = |&index: &u32| (self.entry(index).ret, self.revision(index));
        let mut shown: Vec<(u64, i64)> = by_ret.iter().map(end).collect();
        let mut last = FIRST;
        for (_, revision) in &mut shown {
            last = last.max(*revision);
            *revision = last;
        }
        let mut maybes = std::mem::take(&mut self.maybes);
        for (index, least) in &mut maybes {
            let call = self.entry(*index).call;
            let ended = shown.partition_point(|&(ret, _)| ret < call);
            *least = ended.checked_sub(1).map_or(FIRST, |last| shown[last].1);
        }
        maybes.sort_by_key(|&(_, least)| least);
        self.maybes = maybes;
        shown
    }

    /// No two changes have one revision, and the first has the second.
    fn broken_number(&self, changes: &[u32]) -> Option<Broken> {
        let low = self.revisioned(changes).find(|&index| {
            self.revision(index) < FIRST + i64::from(self.entry(index).op.changed())
        });
        if let Some(index) = low {
            let reason = "{0}, but a store begins at revision 1, and its first change has 2";
            return Some(Broken::new([index], reason));
        }
        let pair = changes.windows(2).find(|pair| {
            let [a, b] = [pair[0], pair[1]];
            self.revision(a) == self.revision(b)
        })?;
        Some(Broken::new([pair[0], pair[1]], "{0}, and {1}: two changes cannot have one revision"))
    }

    /// What ended before another began has no later revision, and no change has an earlier one.
    fn broken_real_time(&self, by_ret: Vec<u32>) -> Option<Broken> {
        // The entries stand in the order of their calls.
        let mut by_call = by_ret.clone();
        by_call.sort_unstable();
        let mut ended = by_ret.into_iter().peekable();
        let mut latest: Option<u32> = None;
        for index in by_call {
            let Entry { call, op, .. } = self.entry(index);
            while let Some(before) = ended.next_if(|&before| self.entry(before).ret < *call) {
                if latest.is_none_or(|latest| self.revision(before) > self.revision(latest)) {
                    latest = Some(before);
                }
            }
            let Some(before) = latest.filter(|_| !op.is_serializable()) else { continue };
            let (shown, revision) = (self.revision(before), self.revision(index));
            if revision < shown || (op.changed() && revision == shown) {
                return Some(Broken::new([before, index], "{1}, after {0}"));
            }
        }
        None
    }

    /// Every revision belongs to a known change, or to one of unknown outcome that began before
    /// any answer had shown that revision.
    fn broken_account(&self, changes: &[u32], shown: &[(u64, i64)]) -> Option<Broken> {
        let last = shown.last().map_or(FIRST, |&(_, revision)| revision);
        let may_change = |index: u32| match &self.entry(index).op.request {
            Request::Compact(_) => false,
            request => request.may_change(),
        };
        let able: Vec<i64> =
            self.maybes.iter().filter(|maybe| may_change(maybe.0)).map(|maybe| maybe.1).collect();
        let mut filled = 0;
        let mut next = FIRST + 1;
        let known = changes.iter().map(|&index| self.revision(index));
        for revision in known.chain([last + 1]) {
            while next < revision {
                if able.partition_point(|&least| least < next) <= filled {
                    return Some(self.gap(changes, next));
                }
                filled += 1;
                next += 1;
            }
            next = revision + 1;
        }
        None
    }

    /// "No request can have had revision 7".
    pub(super) fn gap(&self, changes: &[u32], gap: i64) -> Broken {
        let below = changes.iter().rev().find(|&&index| self.revision(index) < gap).copied();
        let above = self
            .revisioned(changes)
            .filter(|&index| self.revision(index) >= gap)
            .min_by_key(|&i| {
                let Entry { ret, .. } = self.entry(i);
                (self.revision(i), *ret)
            });
        let reason = match (below, above) {
            (Some(_), Some(_)) => "no request can have had revision {gap}: {0}, and {1}",
            _ => "no request can have had revision {gap}: nothing was changed before, and {0}",
        };
        let reason = reason.replace("{gap}", &gap.to_string());
        Broken { needs_whole: true, ..Broken::new(below.into_iter().chain(above), &reason) }
    }

    /// The same for a gap for which nobody was found.
    pub(super) fn gap_at(&self, gap: i64) -> Broken {
        let changes: Vec<u32> = self.changes.iter().flatten().copied().collect();
        self.gap(&changes, gap)
    }

    /// Puts the changes in their places; there are no more gaps than requests to fill them.
    fn lay_out(&mut self, changes: &[u32]) {
        let revisions = self.revisioned(changes).map(|index| self.revision(index));
        let last = revisions.max().unwrap_or(FIRST);
        let mut places = vec![None; (last - FIRST) as usize];
        for &index in changes {
            places[(self.revision(index) - FIRST - 1) as usize] = Some(index);
        }
        self.changes = places;
        let mut first = 0;
        for revision in FIRST..=last + 1 {
            let seers = self.seers[first..].iter();
            first += seers.take_while(|&&index| self.revision(index) < revision).count();
            self.first_seers.push(first as u32);
        }
    }

    /// Those that name a revision and changed nothing.
    pub(super) fn seers_of(&self, revision: i64) -> &[u32] {
        let place = (revision - FIRST) as usize;
        &self.seers[self.first_seers[place] as usize..self.first_seers[place + 1] as usize]
    }
}

/// Sorts by a key that is looked up once for each; those of one key by their index.
fn sort<K: Ord>(indexes: &mut Vec<u32>, key: impl Fn(u32) -> K) {
    let mut pairs: Vec<(K, u32)> = indexes.drain(..).map(|index| (key(index), index)).collect();
    pairs.sort_unstable();
    indexes.extend(pairs.into_iter().map(|(_, index)| index));
}
