//! Objects that are in play for a bounded number of operations and then replaced.
//!
//! The history of each stays short, and new ones are always being born under faults.

use crate::Options;
use std::collections::VecDeque;

/// Which objects are in play, and which are read at the end.
pub(crate) struct Rotation {
    in_play: Vec<Object>,
    /// Those that were replaced last: as many as are in play.
    retired: VecDeque<u64>,
    next: u64,
    operations_each: u32,
    skew: u32,
    /// How far each slot's final reads have come.
    finals: Vec<usize>,
}

struct Object {
    number: u64,
    left: u32,
}

/// An object, chosen for one operation.
pub(crate) struct Taken {
    /// Its number.
    pub(crate) number: u64,
    /// The one that it replaces from now on.
    pub(crate) spent: Option<u64>,
}

impl Rotation {
    pub(crate) fn new(options: &Options, operations_each: u32, slots: usize) -> Rotation {
        let count = u64::from(options.keys.max(1));
        // Spent at different times: not all are born together.
        let left = |number: u64| {
            let share = u64::from(operations_each) * (number + 1) / count;
            u32::try_from(share).unwrap_or(operations_each).max(1)
        };
        Rotation {
            in_play: (0..count).map(|number| Object { number, left: left(number) }).collect(),
            retired: VecDeque::new(),
            next: count,
            operations_each,
            skew: options.skew,
            finals: vec![0; slots],
        }
    }

    /// The object that the draw `which` names, for one operation.
    pub(crate) fn take(&mut self, which: u32) -> Taken {
        let place = pick(which, self.in_play.len(), self.skew);
        let spent = (self.in_play[place].left == 0).then(|| self.in_play[place].number);
        if let Some(spent) = spent {
            if self.retired.len() == self.in_play.len() {
                self.retired.pop_front();
            }
            self.retired.push_back(spent);
            self.in_play[place] = Object { number: self.next, left: self.operations_each };
            self.next += 1;
        }
        self.in_play[place].left -= 1;
        Taken { number: self.in_play[place].number, spent }
    }

    /// The next object that this slot reads at the end: all of the last phase, each slot each once.
    pub(crate) fn next_final(&mut self, slot: usize) -> Option<u64> {
        let at = self.finals.get_mut(slot)?;
        let in_play = self.in_play.iter().map(|object| object.number);
        let object = self.retired.iter().copied().chain(in_play).nth(*at)?;
        *at += 1;
        Some(object)
    }
}

/// What each slot does once.
pub(crate) struct Once(Vec<bool>);

impl Once {
    pub(crate) fn new(slots: usize) -> Once {
        Once(vec![false; slots])
    }

    /// Whether the slot has not asked before.
    pub(crate) fn is_first(&mut self, slot: usize) -> bool {
        self.0.get_mut(slot).is_some_and(|done| !std::mem::replace(done, true))
    }
}

/// A place below `count`, given a draw: all alike without skew; with it the draw is raised to a
/// power, so that the first places come more often.
pub(crate) fn pick(draw: u32, count: usize, skew: u32) -> usize {
    if skew == 0 {
        return draw as usize % count;
    }
    // Whole numbers, so that a seed draws the same everywhere.
    let mut share = u64::from(draw);
    for _ in 0..skew {
        share = (share * u64::from(draw)) >> 32;
    }
    ((share * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_prefers_the_first_and_leaves_none_out() {
        for (skew, first_least, first_most) in [(0, 80, 120), (1, 300, 330), (3, 550, 580)] {
            let mut counts = [0; 10];
            for step in 0..1_000_u32 {
                // Spread evenly over all draws.
                counts[pick(step.wrapping_mul(2_654_435_769), 10, skew)] += 1;
            }
            assert!((first_least..=first_most).contains(&counts[0]), "skew {skew}: {counts:?}");
            assert!(counts.iter().all(|count| *count > 0), "skew {skew}: {counts:?}");
        }
    }

    #[test]
    fn an_object_is_replaced_when_it_is_spent_and_read_at_the_end() {
        let options = Options { keys: 2, ..Options::default() };
        let mut rotation = Rotation::new(&options, 3, 1);
        let taken: Vec<u64> = (0..12).map(|step| rotation.take(step).number).collect();
        assert_eq!(taken, [0, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3]);
        let read: Vec<u64> = std::iter::from_fn(|| rotation.next_final(0)).collect();
        assert_eq!(read, [1, 2, 4, 3]);
    }
}
