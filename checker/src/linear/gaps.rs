//! Gaps: stretches of a register's history that can be left out whole, operations of unknown
//! outcome and all that they may have done within notwithstanding.
//!
//! In any order of the whole, what follows a certain write does not depend on what came before it.
//! So everything that surely ended before a write began may go, back to some moment, if with it go
//! the observers that overlap either edge, for these may have seen what went; and if no cas that
//! succeeded overlaps an edge. What is left has an order if the whole has one: the same without
//! what went, and without those operations of unknown outcome that it has between the edges. They
//! need not have happened, and nobody who is left saw what they did there.

use super::object::Entry;
use crate::models::RegisterOp;

/// Operations after a stretch among which the write at its end is sought.
const REACH: usize = 64;

/// The operations of a register whose end is known, by their places in a part of its history.
pub struct Gaps<'a> {
    part: &'a [Entry<&'a RegisterOp>],
    certain: Vec<u32>,
    /// For each of these, the first of them that may overlap it.
    oldest: Vec<usize>,
}

impl<'a> Gaps<'a> {
    /// Of a part sorted by invocation. O(n).
    pub fn new(part: &'a [Entry<&'a RegisterOp>]) -> Self {
        let certain: Vec<u32> =
            (0..).zip(part).filter(|(_, entry)| entry.is_certain()).map(|(at, _)| at).collect();
        let mut first = 0;
        let oldest = certain.iter().map(|&place| {
            while part[certain[first] as usize].ret < part[place as usize].call {
                first += 1;
            }
            first
        });
        let oldest = oldest.collect();
        Gaps { part, certain, oldest }
    }

    /// The gaps of about so many operations, first to last, as places in the part.
    pub fn of(&self, length: usize) -> impl Iterator<Item = Vec<u32>> {
        (0..self.certain.len()).step_by(length).filter_map(move |at| self.gap(at, at + length))
    }

    /// The operations whose end is known and that only observe, so many at a time.
    pub(super) fn observers(&self, length: usize) -> impl Iterator<Item = Vec<u32>> {
        let observes = |place: &u32| !self.is_cas(*place) && !self.is_write(*place);
        let observers: Vec<u32> = self.certain.iter().copied().filter(observes).collect();
        (0..observers.len())
            .step_by(length)
            .map(move |at| observers[at..(at + length).min(observers.len())].to_vec())
    }

    fn entry(&self, at: usize) -> &Entry<&'a RegisterOp> {
        &self.part[self.certain[at] as usize]
    }

    fn is_write(&self, place: u32) -> bool {
        matches!(self.part[place as usize].op, RegisterOp::Write(_))
    }

    fn is_cas(&self, place: u32) -> bool {
        matches!(self.part[place as usize].op, RegisterOp::Cas(..))
    }

    /// Those from `first` on up to a write at or after `end`.
    fn gap(&self, first: usize, end: usize) -> Option<Vec<u32>> {
        let until = self.certain.len().min(end.saturating_add(REACH));
        let write = (end..until).find(|&at| self.is_edge(at))?;
        // A cas that overlaps the first goes too, and whatever began after it.
        let mut first = first;
        let overlaps = |at: usize, first: usize| self.entry(at).ret > self.entry(first).call;
        while let Some(at) = (self.oldest[first]..first)
            .find(|&at| self.is_cas(self.certain[at]) && overlaps(at, first))
        {
            first = at;
        }
        let (call, ret) = (self.entry(write).call, self.entry(write).ret);
        let last = (write..self.certain.len()).find(|&at| self.entry(at).call > ret);
        let goes = |&at: &usize| {
            let place = self.certain[at];
            let observes = !self.is_cas(place) && !self.is_write(place);
            let is_within = at >= first && self.entry(at).ret < call;
            is_within || (observes && (at >= first || overlaps(at, first)))
        };
        let gone = (self.oldest[first]..last.unwrap_or(self.certain.len())).filter(goes);
        Some(gone.map(|at| self.certain[at]).collect())
    }

    /// Whether it is a write that no cas overlaps.
    fn is_edge(&self, at: usize) -> bool {
        let Entry { call, ret, .. } = *self.entry(at);
        let mut beside = (self.oldest[at]..self.certain.len())
            .take_while(|&other| self.entry(other).call < ret)
            .filter(|&other| self.entry(other).ret > call);
        self.is_write(self.certain[at]) && !beside.any(|other| self.is_cas(self.certain[other]))
    }
}
