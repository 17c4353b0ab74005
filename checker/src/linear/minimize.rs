//! Makes a counterexample small: what can be left out, is.
//!
//! A part of a history is fair when it would be valid if the whole were: a read may always go, a
//! write only together with those who may have seen it, for a read of a value that nobody in the
//! part wrote proves nothing ([`Removal`]). Where a value replaces another, nobody saw a write who
//! began when a later one had ended. Among fair parts that are still invalid this finds
//! one from which nothing more can be left out.

use super::model::{Model, Removal};
use super::object::Entry;
use ordeal_history::Value;
use rustc_hash::{FxHashMap, FxHashSet};

/// Shrinks `kept` (indexes into `entries`, ascending) while `is_invalid` stays true.
///
/// `is_invalid` may answer `false` for "cannot tell"; then the result may not be minimal. With
/// `None` it ends the search, and the result is the smallest so far. It is called O(k log n) times
/// in the usual case, for k operations of the result.
///
/// Operations of unknown outcome take all that saw their values ever after with them, so at first
/// they stay, and whole stretches of time go without them; then all that are equal go together.
pub fn minimize<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    kept: Vec<u32>,
    is_invalid: impl FnMut(&[u32]) -> Option<bool>,
) -> Vec<u32> {
    let mut shrinking = Shrinking::new(model, entries, kept, is_invalid);
    let is_certain = |entry: &Entry<M::Op>| entry.is_certain();
    let half = shrinking.part.kept.len() / 2;
    if entries.iter().all(is_certain) || shrinking.part.kept.len() < LARGE {
        shrinking.halve(half, |_| true);
    } else {
        shrinking.halve(half, is_certain);
        shrinking.equal_ones();
        shrinking.halve(shrinking.part.kept.len() / 2, |_| true);
    }
    shrinking.part.kept
}

/// The same where stretches of certain operations were tried already: one by one.
pub(super) fn minimize_singly<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    kept: Vec<u32>,
    is_invalid: impl FnMut(&[u32]) -> Option<bool>,
) -> Vec<u32> {
    let mut shrinking = Shrinking::new(model, entries, kept, is_invalid);
    shrinking.equal_ones();
    shrinking.halve(1, |_| true);
    shrinking.part.kept
}

/// Fewer operations are not worth being left out by their kind first.
pub(super) const LARGE: usize = 64;

/// What is kept, and who stands and falls with whom in it.
struct Part<'a, M: Model> {
    model: &'a M,
    entries: &'a [Entry<M::Op>],
    kept: Vec<u32>,
    ties: Ties,
}

struct Shrinking<'a, M: Model, F> {
    part: Part<'a, M>,
    is_invalid: F,
    is_ended: bool,
}

impl<'a, M: Model, F: FnMut(&[u32]) -> Option<bool>> Shrinking<'a, M, F> {
    fn new(model: &'a M, entries: &'a [Entry<M::Op>], kept: Vec<u32>, is_invalid: F) -> Self {
        let part = Part { model, entries, ties: Ties::new(model, entries, &kept), kept };
        Shrinking { part, is_invalid, is_ended: false }
    }

    /// Leaves out stretches of so many, by halves down to single ones, of those that `may_go`.
    fn halve(&mut self, length: usize, may_go: impl Fn(&Entry<M::Op>) -> bool) {
        let mut chunk = length.max(1);
        while !self.is_ended {
            let mut changed = false;
            let mut at = 0;
            while at < self.part.kept.len() && !self.is_ended {
                let end = (at + chunk).min(self.part.kept.len());
                let entry = |place: usize| &self.part.entries[self.part.kept[place] as usize];
                let places = (at..end).filter(|&place| may_go(entry(place))).collect();
                if self.try_without(places) {
                    changed = true;
                } else {
                    at = end;
                }
            }
            if chunk == 1 && !changed {
                return;
            }
            if !changed {
                chunk = (chunk / 2).max(1);
            }
        }
    }

    /// Leaves out operations of unknown outcome that are equal, all at once.
    fn equal_ones(&mut self) {
        let mut tried: FxHashSet<M::Op> = FxHashSet::default();
        let mut at = 0;
        while at < self.part.kept.len() && !self.is_ended {
            let Part { kept, entries, .. } = &self.part;
            let op = &entries[kept[at] as usize].op;
            if !entries[kept[at] as usize].is_certain() && tried.insert(op.clone()) {
                let is_equal = |place: &usize| {
                    let entry = &entries[kept[*place] as usize];
                    !entry.is_certain() && entry.op == *op
                };
                let places = (0..kept.len()).filter(is_equal).collect();
                if self.try_without(places) {
                    at = 0;
                    continue;
                }
            }
            at += 1;
        }
    }

    /// Leaves those out, and all that must go with them, if what is left is still invalid.
    fn try_without(&mut self, places: Vec<usize>) -> bool {
        let without = self.part.without(places);
        if without.len() == self.part.kept.len() {
            return false;
        }
        match (self.is_invalid)(&without) {
            None => {
                self.is_ended = true;
                false
            }
            Some(false) => false,
            Some(true) => {
                self.part.ties = Ties::new(self.part.model, self.part.entries, &without);
                self.part.kept = without;
                true
            }
        }
    }
}

impl<M: Model> Part<'_, M> {
    /// What is kept without those at `places`.
    fn without(&self, places: Vec<usize>) -> Vec<u32> {
        let gone = self.gone(places);
        self.kept.iter().zip(gone).filter(|(_, gone)| !gone).map(|(&index, _)| index).collect()
    }

    /// Those places, the places of those that lose their ground with them, and not of those that
    /// cannot go.
    fn gone(&self, mut queue: Vec<usize>) -> Vec<bool> {
        let Part { entries, kept, ties, .. } = self;
        let mut gone = vec![false; kept.len()];
        queue.retain(|&place| ties.removal[place] != Removal::Never);
        queue.iter().for_each(|&place| gone[place] = true);
        while let Some(place) = queue.pop() {
            let mut drop = |other: usize| {
                if !std::mem::replace(&mut gone[other], true) {
                    queue.push(other);
                }
            };
            match &ties.removal[place] {
                Removal::Unseen(values) => {
                    let seers = values.iter().filter_map(|value| ties.seers.get(value));
                    let writer = &entries[kept[place] as usize];
                    let covered = covered_from(&ties.covers, writer.ret);
                    // The only write there is stays, to say that it came too late or was gone.
                    let is_only = values.iter().all(|value| ties.makers.get(value) == Some(&1));
                    let may_see = |seer: &&usize| {
                        let seer = &entries[kept[**seer] as usize];
                        is_only || (seer.ret > writer.call && seer.call <= covered)
                    };
                    seers.flatten().filter(may_see).for_each(|&seer| drop(seer));
                    self.blind_to(writer).for_each(drop);
                }
                Removal::Together(group) => {
                    ties.groups.get(group).into_iter().flatten().for_each(|&member| drop(member));
                }
                Removal::Free | Removal::Never => {}
            }
        }
        gone
    }

    /// The negative answers whose reason the writer may be.
    ///
    /// It is not when it began after their end, or when another writer came surely between.
    fn blind_to(&self, writer: &Entry<M::Op>) -> impl Iterator<Item = usize> {
        let covered = covered_from(&self.ties.changes, writer.ret);
        self.ties.blind.iter().copied().filter(move |&blind| {
            let blind = &self.entries[self.kept[blind] as usize];
            writer.call < blind.ret && blind.call <= covered
        })
    }
}

/// Who stands and falls with whom; numbers are places in the kept part.
struct Ties {
    removal: Vec<Removal>,
    seers: FxHashMap<Value, Vec<usize>>,
    groups: FxHashMap<Value, Vec<usize>>,
    /// How many make the value.
    makers: FxHashMap<Value, usize>,
    blind: Vec<usize>,
    /// For a register: by invocation of a certain write or cas, the first end among those that
    /// began no earlier. Whoever begins after that end sees nothing of what ended before them.
    covers: Vec<(u64, u64)>,
    /// The same of all that do not only observe, in any model.
    changes: Vec<(u64, u64)>,
}

impl Ties {
    fn new<M: Model>(model: &M, entries: &[Entry<M::Op>], kept: &[u32]) -> Ties {
        let ops = || kept.iter().map(|&index| &entries[index as usize]);
        // Nothing for models in which one value does not replace another.
        let is_register = model.shows(&model.initial()).is_some();
        let replaces = |entry: &&Entry<M::Op>| is_register && !model.makes(&entry.op).is_empty();
        let mut ties = Ties {
            removal: ops().map(|entry| model.removal(&entry.op)).collect(),
            seers: FxHashMap::default(),
            groups: FxHashMap::default(),
            makers: FxHashMap::default(),
            blind: Vec::new(),
            covers: covers(ops().filter(replaces)),
            changes: covers(ops().filter(|entry| !model.observes(&entry.op))),
        };
        for (place, entry) in ops().enumerate() {
            let sees = model.sees(&entry.op);
            if sees.is_empty() && !model.avoids(&entry.op).is_empty() {
                ties.blind.push(place);
            }
            for value in sees {
                ties.seers.entry(value).or_default().push(place);
            }
            for value in model.makes(&entry.op) {
                *ties.makers.entry(value).or_default() += 1;
            }
            if let Removal::Together(group) = &ties.removal[place] {
                ties.groups.entry(group.clone()).or_default().push(place);
            }
        }
        ties
    }
}

/// See [`Ties::covers`].
fn covers<'a, Op: 'a>(writers: impl Iterator<Item = &'a Entry<Op>>) -> Vec<(u64, u64)> {
    let mut covers: Vec<(u64, u64)> =
        writers.filter(|entry| entry.is_certain()).map(|entry| (entry.call, entry.ret)).collect();
    covers.sort_unstable();
    let mut first = u64::MAX;
    for (_, end) in covers.iter_mut().rev() {
        first = first.min(*end);
        *end = first;
    }
    covers
}

/// The moment from which nobody who begins can see any more what ended at `ret`.
fn covered_from(covers: &[(u64, u64)], ret: u64) -> u64 {
    let later = covers.partition_point(|&(call, _)| call < ret);
    covers.get(later).map_or(u64::MAX, |&(_, end)| end)
}
