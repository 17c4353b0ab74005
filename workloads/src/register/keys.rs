//! Which keys are in play, what was last seen in them, and which are read at the end.

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
    in_play: Vec<Key>,
    /// Those that were replaced last: as many as are in play.
    retired: VecDeque<u64>,
    next: u64,
    /// How far each slot's final reads have come.
    finals: Vec<usize>,
}

struct Key {
    number: u64,
    left: u32,
    /// The latest at the front.
    recent: VecDeque<i64>,
    /// Values that compare-and-sets were to make, with the length of their chain so far.
    chains: BTreeMap<i64, u32>,
}

impl Key {
    fn new(number: u64) -> Key {
        Key { number, left: OPERATIONS_PER_KEY, recent: VecDeque::new(), chains: BTreeMap::new() }
    }

    /// How many compare-and-sets led to the value since a write.
    fn chain(&self, value: i64) -> u32 {
        self.chains.get(&value).copied().unwrap_or(0)
    }
}

impl Keys {
    pub(super) fn new(count: u32, slots: usize) -> Keys {
        let count = u64::from(count.max(1));
        Keys {
            // Spent at different times: not all keys are born together.
            in_play: (0..count)
                .map(|number| {
                    let share = u64::from(OPERATIONS_PER_KEY) * (number + 1) / count;
                    let left = u32::try_from(share).unwrap_or(OPERATIONS_PER_KEY).max(1);
                    Key { left, ..Key::new(number) }
                })
                .collect(),
            retired: VecDeque::new(),
            next: count,
            finals: vec![0; slots],
        }
    }

    /// The key that the draw `which` names, for one operation.
    pub(super) fn take(&mut self, which: u32) -> u64 {
        let place = which as usize % self.in_play.len();
        if self.in_play[place].left == 0 {
            if self.retired.len() == self.in_play.len() {
                self.retired.pop_front();
            }
            self.retired.push_back(self.in_play[place].number);
            self.in_play[place] = Key::new(self.next);
            self.next += 1;
        }
        self.in_play[place].left -= 1;
        self.in_play[place].number
    }

    /// A value lately seen in the key, if a compare-and-set may go on from it; the draw `back`
    /// mostly means the latest.
    pub(super) fn recent(&self, key: u64, back: usize) -> Option<i64> {
        let key = self.in_play.iter().find(|other| other.number == key)?;
        let back = back.saturating_sub(RECENT_MAX);
        let value = key.recent.get(back).or(key.recent.front())?;
        (key.chain(*value) < CHAIN_MAX).then_some(*value)
    }

    /// A compare-and-set of the key is to make `new` of `old`.
    pub(super) fn chained(&mut self, key: u64, old: i64, new: i64) {
        if let Some(key) = self.in_play.iter_mut().find(|other| other.number == key) {
            key.chains.insert(new, key.chain(old) + 1);
        }
    }

    /// The key `k<number>` was seen to hold this value.
    pub(super) fn saw(&mut self, name: &str, value: i64) {
        let number: Option<u64> = name.strip_prefix('k').and_then(|number| number.parse().ok());
        if let Some(key) = self.in_play.iter_mut().find(|key| Some(key.number) == number)
            && key.recent.front() != Some(&value)
        {
            key.recent.push_front(value);
            key.recent.truncate(RECENT_MAX);
        }
    }

    /// The next key that this slot reads at the end: all of the last phase, each slot each once.
    pub(super) fn next_final(&mut self, slot: usize) -> Option<u64> {
        let at = self.finals.get_mut(slot)?;
        let mut last = self.retired.iter().copied().chain(self.in_play.iter().map(|k| k.number));
        let key = last.nth(*at)?;
        *at += 1;
        Some(key)
    }
}
