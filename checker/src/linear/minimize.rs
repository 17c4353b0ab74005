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
use rustc_hash::FxHashMap;

/// Shrinks `kept` (indexes into `entries`, ascending) while `is_invalid` stays true.
///
/// `is_invalid` may answer `false` for "cannot tell"; then the result may not be minimal. With
/// `None` it ends the search, and the result is the smallest so far. It is called O(k log n) times
/// in the usual case, for k operations of the result.
pub fn minimize<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    mut kept: Vec<u32>,
    mut is_invalid: impl FnMut(&[u32]) -> Option<bool>,
) -> Vec<u32> {
    let mut chunk = (kept.len() / 2).max(1);
    loop {
        let mut changed = false;
        let mut at = 0;
        while at < kept.len() {
            let end = (at + chunk).min(kept.len());
            let without = leave_out(model, entries, &kept, at..end);
            let is_smaller = without.len() < kept.len();
            match if is_smaller { is_invalid(&without) } else { Some(false) } {
                None => return kept,
                Some(true) => {
                    kept = without;
                    changed = true;
                }
                Some(false) => at = end,
            }
        }
        if chunk == 1 && !changed {
            return kept;
        }
        if !changed {
            chunk = (chunk / 2).max(1);
        }
    }
}

/// `kept` without those in `range`, without those that lose their ground with them, and with those
/// in `range` that cannot go.
fn leave_out<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    kept: &[u32],
    range: std::ops::Range<usize>,
) -> Vec<u32> {
    let removal: Vec<Removal> =
        kept.iter().map(|&index| model.removal(&entries[index as usize].op)).collect();
    let mut gone = vec![false; kept.len()];
    let mut queue: Vec<usize> = range.filter(|&place| removal[place] != Removal::Never).collect();
    queue.iter().for_each(|&place| gone[place] = true);
    let ties = Ties::new(model, entries, kept, &removal);
    while let Some(place) = queue.pop() {
        let mut drop = |other: usize| {
            if !std::mem::replace(&mut gone[other], true) {
                queue.push(other);
            }
        };
        match &removal[place] {
            Removal::Unseen(values) => {
                let seers = values.iter().filter_map(|value| ties.seers.get(value));
                let covered = ties.covered_from(entries, kept[place]);
                let may_see = |seer: &&usize| {
                    let seer = &entries[kept[**seer] as usize];
                    // The only write there is stays, to say that it came too late or was gone.
                    let is_only = values.iter().all(|value| ties.makers.get(value) == Some(&1));
                    let had_begun = seer.ret > entries[kept[place] as usize].call;
                    is_only || (had_begun && seer.call <= covered)
                };
                seers.flatten().filter(may_see).for_each(|&seer| drop(seer));
                ties.blind_to(model, entries, kept, place).for_each(drop);
            }
            Removal::Together(group) => {
                ties.groups.get(group).into_iter().flatten().for_each(|&member| drop(member));
            }
            Removal::Free | Removal::Never => {}
        }
    }
    kept.iter().zip(gone).filter(|(_, gone)| !gone).map(|(&index, _)| index).collect()
}

/// Who stands and falls with whom; numbers are places in the kept part.
struct Ties {
    seers: FxHashMap<Value, Vec<usize>>,
    groups: FxHashMap<Value, Vec<usize>>,
    /// How many make the value.
    makers: FxHashMap<Value, usize>,
    blind: Vec<usize>,
    /// For a register: by invocation of a certain write or cas, the first end among those that
    /// began no earlier. Whoever begins after that end sees nothing of what ended before them.
    covers: Vec<(u64, u64)>,
}

impl Ties {
    fn new<M: Model>(
        model: &M,
        entries: &[Entry<M::Op>],
        kept: &[u32],
        removal: &[Removal],
    ) -> Ties {
        let mut ties = Ties {
            seers: FxHashMap::default(),
            groups: FxHashMap::default(),
            makers: FxHashMap::default(),
            blind: Vec::new(),
            covers: covers(model, entries, kept),
        };
        for (place, &index) in kept.iter().enumerate() {
            let op = &entries[index as usize].op;
            for value in model.sees(op) {
                ties.seers.entry(value).or_default().push(place);
            }
            for value in model.makes(op) {
                *ties.makers.entry(value).or_default() += 1;
            }
            if let Removal::Together(group) = &removal[place] {
                ties.groups.entry(group.clone()).or_default().push(place);
            }
            if model.sees(op).is_empty() && !model.avoids(op).is_empty() {
                ties.blind.push(place);
            }
        }
        ties
    }

    /// The moment from which nobody who begins can see what the writer made any more.
    fn covered_from<Op>(&self, entries: &[Entry<Op>], writer: u32) -> u64 {
        let later = self.covers.partition_point(|&(call, _)| call < entries[writer as usize].ret);
        self.covers.get(later).map_or(u64::MAX, |&(_, end)| end)
    }

    /// The negative answers whose reason the writer at `place` may be.
    ///
    /// It is not when it began after their end, or when another writer came surely between.
    fn blind_to<'a, M: Model>(
        &'a self,
        model: &'a M,
        entries: &'a [Entry<M::Op>],
        kept: &'a [u32],
        place: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let writer = &entries[kept[place] as usize];
        self.blind.iter().copied().filter(move |&blind| {
            let blind = &entries[kept[blind] as usize];
            let covered = kept.iter().map(|&index| &entries[index as usize]).any(|other| {
                writer.ret < other.call && other.ret < blind.call && !model.observes(&other.op)
            });
            writer.call < blind.ret && !covered
        })
    }
}

/// See [`Ties::covers`]; nothing for models in which one value does not replace another.
fn covers<M: Model>(model: &M, entries: &[Entry<M::Op>], kept: &[u32]) -> Vec<(u64, u64)> {
    if model.shows(&model.initial()).is_none() {
        return Vec::new();
    }
    let writers = kept.iter().map(|&index| &entries[index as usize]);
    let mut covers: Vec<(u64, u64)> = writers
        .filter(|entry| entry.is_certain() && !model.makes(&entry.op).is_empty())
        .map(|entry| (entry.call, entry.ret))
        .collect();
    covers.sort_unstable();
    let mut first = u64::MAX;
    for (_, end) in covers.iter_mut().rev() {
        first = first.min(*end);
        *end = first;
    }
    covers
}
