//! What links have done to packets.

use std::iter::Sum;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one link, or several together, have done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that arrived.
    pub forwarded: u64,
    /// Their bytes, IPv4 headers included.
    pub bytes: u64,
    /// Packets that did not: cut, lost, reset, or too many for a queue.
    pub dropped: u64,
    /// What their shapes did.
    pub shaped: Shaped,
}

/// What a link's shape has done to packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shaped {
    /// Packets that were handed over later than they came, by delay or jitter.
    pub delayed: u64,
    /// Packets that vanished by chance.
    pub lost: u64,
    /// Packets that were handed over twice.
    pub duplicated: u64,
    /// Packets that overtook one that had been sent before them.
    pub reordered: u64,
    /// Packets in which a bit was flipped.
    pub corrupted: u64,
    /// Packets that the bandwidth held back, or had no room for.
    pub throttled: u64,
    /// TCP segments that were answered with a reset.
    pub reset: u64,
}

impl Counters {
    /// What has been added since `earlier`.
    pub fn since(self, earlier: Counters) -> Counters {
        let (now, then) = (self.numbers(), earlier.numbers());
        Counters::of(std::array::from_fn(|i| now[i].saturating_sub(then[i])))
    }

    fn numbers(self) -> [u64; 10] {
        let Counters { forwarded, bytes, dropped, shaped } = self;
        let Shaped { delayed, lost, duplicated, reordered, corrupted, throttled, reset } = shaped;
        [
            forwarded, bytes, dropped, delayed, lost, duplicated, reordered, corrupted, throttled,
            reset,
        ]
    }

    fn of(numbers: [u64; 10]) -> Counters {
        let [forwarded, bytes, dropped, delayed, lost, rest @ ..] = numbers;
        let [duplicated, reordered, corrupted, throttled, reset] = rest;
        let shaped = Shaped { delayed, lost, duplicated, reordered, corrupted, throttled, reset };
        Counters { forwarded, bytes, dropped, shaped }
    }
}

impl Add for Counters {
    type Output = Counters;

    fn add(self, other: Counters) -> Counters {
        let (one, two) = (self.numbers(), other.numbers());
        Counters::of(std::array::from_fn(|i| one[i].saturating_add(two[i])))
    }
}

impl Sum for Counters {
    fn sum<I: Iterator<Item = Counters>>(all: I) -> Counters {
        all.fold(Counters::default(), Counters::add)
    }
}

/// What one lane has done so far; written by the switch's thread, read by others while it grows.
#[derive(Default)]
pub(super) struct Tally([AtomicU64; 10]);

impl Tally {
    pub fn forward(&self, bytes: usize) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn drop_one(&self) {
        self.0[2].fetch_add(1, Ordering::Relaxed);
    }

    /// What the lane's shape has done since the start.
    pub fn set_shaped(&self, shaped: Shaped) {
        let numbers = Counters { shaped, ..Counters::default() }.numbers();
        for (to, from) in self.0.iter().zip(numbers).skip(3) {
            to.store(from, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> Counters {
        Counters::of(std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_and_subtracted_each_by_itself() {
        let numbers: [u64; 10] = std::array::from_fn(|i| 1 << i);
        let one = Counters::of(numbers);
        assert_eq!(one.numbers(), numbers);
        assert_eq!((one + one).since(one), one);
        assert_eq!([one, one, one].into_iter().sum::<Counters>().since(one + one), one);
        let tally = Tally::default();
        tally.forward(25);
        tally.drop_one();
        tally.set_shaped(one.shaped);
        let expected = Counters { forwarded: 1, bytes: 25, dropped: 1, shaped: one.shaped };
        assert_eq!(tally.read(), expected);
    }
}
