//! The smallest part of a history that shows by itself what is wrong.
//!
//! Most rules are broken by a few operations, whatever others did at the revisions between
//! ([`contradicts`]). Where it matters what others did, those who had the revisions are in the
//! part too: from the last change that has to be known up to the wrong answer, or from the
//! beginning, with all of unknown outcome who may have had some. Then no revision is left for
//! others, and a part without one of these would only have a gap.

use super::Broken;
use super::order::{FIRST, Op, Order, Sorted};
use super::part::contradicts;
use super::store::{Ruling, rule};
use crate::linear::Entry;
use crate::linear::search::{Answer, Budget, search};
use crate::models::EtcdStore;
use crate::models::etcd_store::{Refusal, Request};
use crate::stop::Stop;
use std::cell::Cell;

/// A part that is wrong by itself; indexes into the entries, ascending.
pub(super) struct Wrong {
    pub(super) operations: Vec<u32>,
    /// Those of them that the broken rule is about.
    pub(super) core: Vec<u32>,
    /// Whether it is known that nothing can be left out.
    pub(super) is_minimal: bool,
}

/// Operations that may be looked at in all when a part is tried without each of some.
const TRIED_MAX: usize = 1_000_000;

/// How many of the last changes are tried first as an interval.
const INTERVAL_FIRST: usize = 16;

/// A part up to this long is searched where the revisions do not decide it.
const SEARCHED_MAX: usize = 1_000;

/// What such a search may cost.
const BUDGET: Budget<'_> =
    Budget { deadline: None, memory_bytes: 64 << 20, configurations: 20_000, cancel: None };

/// The part for a rule that is broken; `event` is the one with which the history went wrong.
pub(super) fn counterexample(
    entries: &[Entry<Op>],
    broken: &Broken,
    event: Option<u64>,
    stop: &Stop<'_>,
) -> Wrong {
    let mut core = broken.operations.clone();
    core.sort_unstable();
    core.dedup();
    let case = Case { entries, core, stop, is_sure: Cell::new(true) };
    let (operations, is_minimal) = match broken.needs_whole {
        true => None,
        false => case.of_few().or_else(|| case.of_an_interval()),
    }
    .unwrap_or_else(|| case.complete(event));
    let mut core = case.core;
    core.retain(|index| operations.binary_search(index).is_ok());
    Wrong { operations, core, is_minimal }
}

struct Case<'a> {
    entries: &'a [Entry<Op>],
    core: Vec<u32>,
    stop: &'a Stop<'a>,
    /// Whether every part that was tried was decided.
    is_sure: Cell<bool>,
}

/// Indexes into the entries, and whether none of them can be left out for sure.
type Part = (Vec<u32>, bool);

impl Case<'_> {
    fn entry(&self, index: u32) -> &Entry<Op> {
        &self.entries[index as usize]
    }

    fn revision(&self, index: u32) -> Option<i64> {
        self.entry(index).op.revision.filter(|_| self.entry(index).is_certain())
    }

    fn part(&self, operations: &[u32]) -> Vec<Entry<Op>> {
        operations.iter().map(|&index| self.entry(index).clone()).collect()
    }

    /// Whether these are wrong, whatever others did.
    fn contradict(&self, operations: &[u32]) -> bool {
        let part = self.part(operations);
        match Order::of(&part) {
            Sorted::Broken(Broken { needs_whole: false, .. }) => true,
            _ => contradicts(&part.iter().collect::<Vec<_>>()),
        }
    }

    /// Whether these are wrong, if nobody did anything else.
    fn is_wrong(&self, operations: &[u32]) -> bool {
        let part = self.part(operations);
        match rule(&part, self.stop) {
            Ruling::Invalid(_) => true,
            Ruling::Valid(_) => false,
            Ruling::Open if part.len() <= SEARCHED_MAX => {
                let answer = search(&EtcdStore, &part, BUDGET).answer;
                if let Answer::Unknown { .. } = answer {
                    self.is_sure.set(false);
                }
                matches!(answer, Answer::Invalid(_))
            }
            Ruling::Open | Ruling::Stopped(_) => {
                self.is_sure.set(false);
                false
            }
        }
    }

    /// The operations that the rule is about, if they are enough.
    fn of_few(&self) -> Option<Part> {
        let few = || self.tried(self.core.clone(), &self.core, Case::contradict);
        self.contradict(&self.core).then(few)
    }

    /// Changes that name a revision.
    fn changes(&self) -> impl Iterator<Item = (i64, u32)> + '_ {
        let all = (0..self.entries.len() as u32).filter(|&index| self.entry(index).op.changed());
        all.filter_map(|index| Some((self.revision(index)?, index)))
    }

    /// Those, and all who had the revisions from some change on.
    fn of_an_interval(&self) -> Option<Part> {
        let last = self.core.iter().filter_map(|&index| self.revision(index)).max()?;
        let mut changes: Vec<(i64, u32)> =
            self.changes().filter(|&(revision, _)| revision <= last).collect();
        changes.sort_unstable();
        let since = |first: usize| {
            let interval = changes[first..].iter().map(|&(_, index)| index);
            union(&self.core, interval)
        };
        // With more operations a contradiction stays one; mostly a few of the last are enough.
        let (mut few, mut width) = (changes.len(), INTERVAL_FIRST);
        let mut enough = loop {
            let first = changes.len().saturating_sub(width);
            match (self.contradict(&since(first)), first) {
                (true, _) => break first,
                (false, 0) => return None,
                (false, _) => (few, width) = (first, 4 * width),
            }
        };
        while few - enough > 1 {
            let middle = enough + (few - enough) / 2;
            if self.contradict(&since(middle)) {
                enough = middle;
            } else {
                few = middle;
            }
        }
        let part = since(enough);
        Some(self.tried(part.clone(), &part, Case::contradict))
    }

    /// Everything that may have had a revision up to the last that matters, else everything that
    /// began before it went wrong; only answers that change nothing can be left out of it.
    fn complete(&self, event: Option<u64>) -> Part {
        let complete = self.who_may_have_had();
        if self.is_wrong(&complete) {
            return self.without_observers(complete, &self.core);
        }
        let end = event.map_or(u64::MAX, |event| event + 1);
        let all = 0..self.entries.len() as u32;
        let begun: Vec<u32> = all.filter(|&index| self.entry(index).call <= end).collect();
        let changes = begun.iter().copied().filter(|&index| !self.observes(index));
        let few = union(&self.core, changes);
        if self.is_wrong(&few) {
            return self.without_observers(few, &self.core);
        }
        self.without_observers(begun.clone(), &begun)
    }

    /// The core, and all who had or may have had a revision up to the last that matters to it.
    fn who_may_have_had(&self) -> Vec<u32> {
        let answered = || self.core.iter().copied().filter(|&index| self.entry(index).is_certain());
        let end = answered().map(|index| self.entry(index).ret).max().unwrap_or(u64::MAX);
        // A refusal can be of any moment at which it was under way.
        let is_untold = answered().any(|index| self.revision(index).is_none());
        let told = self.core.iter().filter_map(|&index| self.revision(index));
        let begun = self.changes().filter(|&(_, index)| is_untold && self.entry(index).call < end);
        let last = told.chain(begun.map(|(revision, _)| revision)).max().unwrap_or(FIRST);
        let had = self.changes().filter(|&(revision, _)| revision <= last);
        let had: Vec<u32> = had.map(|(_, index)| index).collect();
        let is_full = !is_untold && had.len() as i64 == last - FIRST;
        // Compactions do nothing but refuse.
        let is_compacted = self.core.iter().any(|&index| self.is_compacted(index));
        let may_have = (0..self.entries.len() as u32).filter(|&index| {
            let Entry { call, op, .. } = self.entry(index);
            let matters = match self.compacts(index) {
                true => is_compacted,
                false => !is_full && op.answer.is_none() && op.request.may_change(),
            };
            *call < end && matters
        });
        union(&self.core, had.into_iter().chain(may_have))
    }

    /// Whether it compacted the store, or may have.
    fn compacts(&self, index: u32) -> bool {
        let op = &self.entry(index).op;
        matches!((&op.request, &op.answer), (Request::Compact(_), None | Some(Ok(_))))
    }

    /// Whether it was refused because the store had been compacted.
    fn is_compacted(&self, index: u32) -> bool {
        self.entry(index).op.answer == Some(Err(Refusal::Compacted))
    }

    /// `part` without those of `some` that change nothing and are not needed: without a change its
    /// revision would be nobody's.
    fn without_observers(&self, part: Vec<u32>, some: &[u32]) -> Part {
        let (compactions, observers): (Vec<u32>, Vec<u32>) = some
            .iter()
            .filter(|&&index| self.observes(index) || self.compacts(index))
            .partition(|&&index| self.compacts(index));
        let (part, is_minimal) = self.tried(part, &observers, Case::is_wrong);
        if !is_minimal || part.iter().any(|&index| self.is_compacted(index)) {
            return (part, is_minimal);
        }
        self.tried(part, &compactions, Case::is_wrong)
    }

    /// Whether it changed nothing.
    fn observes(&self, index: u32) -> bool {
        let op = &self.entry(index).op;
        op.answer.is_some() && !op.changed() && op.compacted().is_none()
    }

    /// `part` without those of `some` that can be left out, tried one after the other.
    fn tried(&self, mut part: Vec<u32>, some: &[u32], is_wrong: fn(&Self, &[u32]) -> bool) -> Part {
        if part.len().saturating_mul(some.len()) > TRIED_MAX {
            return (part, false);
        }
        self.is_sure.set(true);
        for &index in some.iter().rev() {
            let without: Vec<u32> = part.iter().copied().filter(|&other| other != index).collect();
            if !without.is_empty() && is_wrong(self, &without) {
                part = without;
            }
        }
        let is_minimal = self.is_sure.get();
        (part, is_minimal)
    }
}

fn union(a: &[u32], b: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut all: Vec<u32> = a.iter().copied().chain(b).collect();
    all.sort_unstable();
    all.dedup();
    all
}
