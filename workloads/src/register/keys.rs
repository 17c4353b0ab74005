//! Which keys are in play, what was last seen in them, and which are read at the end.

use crate::Options;
use crate::rotation::Rotation;
use std::collections::{BTreeMap, VecDeque};

/// How many operations a key is in play for.
const OPERATIONS_PER_KEY: u32 = 200;
/// How many values of a key are remembered, for compare-and-sets that have a chance.
const RECENT_MAX: usize = 4;
/// How many compare-and-sets may follow each other from one write. A counterexample has to tell how
/// each value came to be, so chains without end would make it long.
const CHAIN_MAX: u32 = 2;

/// The keys of a run, by number.
pub(super) struct Keys {
    rotation: Rotation,
    /// What is remembered of those in play.
    notes: BTreeMap<u64, Notes>,
}

#[derive(Default)]
struct Notes {
    /// The latest at the front.
    recent: VecDeque<i64>,
    /// Values that compare-and-sets were to make, with the length of their chain so far.
    chains: BTreeMap<i64, u32>,
}

impl Notes {
    /// How many compare-and-sets led to the value since a write.
    fn chain(&self, value: i64) -> u32 {
        self.chains.get(&value).copied().unwrap_or(0)
    }
}

impl Keys {
    pub(super) fn new(options: &Options, slots: usize) -> Keys {
        let rotation = Rotation::new(options, OPERATIONS_PER_KEY, slots);
        Keys { rotation, notes: BTreeMap::new() }
    }

    /// The key that the draw `which` names, for one operation.
    pub(super) fn take(&mut self, which: u32) -> u64 {
        let taken = self.rotation.take(which);
        if let Some(spent) = taken.spent {
            self.notes.remove(&spent);
        }
        self.notes.entry(taken.number).or_default();
        taken.number
    }

    /// A value lately seen in the key, if a compare-and-set may go on from it; the draw `back`
    /// mostly means the latest.
    pub(super) fn recent(&self, key: u64, back: usize) -> Option<i64> {
        let notes = self.notes.get(&key)?;
        let back = back.saturating_sub(RECENT_MAX);
        let value = notes.recent.get(back).or(notes.recent.front())?;
        (notes.chain(*value) < CHAIN_MAX).then_some(*value)
    }

    /// A compare-and-set of the key is to make `new` of `old`.
    pub(super) fn chained(&mut self, key: u64, old: i64, new: i64) {
        if let Some(notes) = self.notes.get_mut(&key) {
            notes.chains.insert(new, notes.chain(old) + 1);
        }
    }

    /// The key `k<number>` was seen to hold this value.
    pub(super) fn saw(&mut self, name: &str, value: i64) {
        let number = name.strip_prefix('k').and_then(|number| number.parse().ok());
        let notes = number.and_then(|number: u64| self.notes.get_mut(&number));
        if let Some(notes) = notes.filter(|notes| notes.recent.front() != Some(&value)) {
            notes.recent.push_front(value);
            notes.recent.truncate(RECENT_MAX);
        }
    }

    /// The next key that this slot reads at the end: all of the last phase, each slot each once.
    pub(super) fn next_final(&mut self, slot: usize) -> Option<u64> {
        self.rotation.next_final(slot)
    }
}
