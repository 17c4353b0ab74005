//! Where a narrow pass goes back to when it kept the wrong configurations.
//!
//! Mostly the mistake is not far back: the pass takes up again from a little before the moment
//! that nothing got past, keeps more until that moment is behind it, and goes on as before. The
//! more often it fails at the same place, the further back it goes and the more it keeps.

use super::front::Config;
use super::moment::Moment;
use std::collections::VecDeque;

/// Ends of operations from one place to the next.
const EVERY: usize = 16;

/// Places that are remembered: enough for the furthest that it ever goes back, and as far again.
const PLACES: usize = 2 * (ENDS << (TIMES - 1)) / EVERY;

/// How often it goes back for one moment, by how many ends at first, how many times as much is
/// kept each time, and for how many ends after that moment.
const TIMES: u32 = 4;
const ENDS: usize = 32;
const FACTOR: usize = 4;
const AFTER: usize = 8;

/// The most that is kept.
const WIDTH_MAX: usize = 8192;

/// What stood before the end of an operation.
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) ended: usize,
    pub(super) moment: Moment,
    pub(super) front: Vec<Config>,
}

#[derive(Default)]
pub(super) struct Again {
    /// Those that it may yet go back to.
    places: VecDeque<Place>,
    /// Ends up to which more is kept, and how often that was raised.
    until: usize,
    times: u32,
    furthest: usize,
    furthest_at: usize,
}

impl Again {
    pub(super) fn save(&mut self, at: usize, ended: usize, moment: &Moment, front: &[Config]) {
        if ended >= self.furthest {
            (self.furthest, self.furthest_at) = (ended, at);
        }
        let is_new = self.places.back().is_none_or(|last| ended >= last.ended + EVERY);
        if is_new {
            let (moment, front) = (moment.clone(), front.to_vec());
            self.places.push_back(Place { at, ended, moment, front });
            if self.places.len() > PLACES {
                self.places.pop_front();
            }
        }
    }

    /// The place to take up from after nothing got past the end before `ended`; `None` when it is
    /// no use any more.
    pub(super) fn back(&mut self, ended: usize, width: usize) -> Option<&Place> {
        self.times = if ended <= self.until { self.times + 1 } else { 1 };
        if self.times > TIMES || width * FACTOR.pow(self.times) > WIDTH_MAX {
            return None;
        }
        self.until = self.until.max(ended + AFTER);
        let first = ended.saturating_sub(ENDS << (self.times - 1));
        let count = self.places.partition_point(|place| place.ended <= first);
        self.places.truncate(count.max(1));
        self.places.back()
    }

    /// How many configurations are kept after the end number `ended`.
    pub(super) fn width(&self, ended: usize, width: usize) -> usize {
        if ended <= self.until { width * FACTOR.pow(self.times) } else { width }
    }

    /// The event that nothing got past, of those the last.
    pub(super) fn furthest_at(&self) -> usize {
        self.furthest_at
    }

    pub(super) fn configs_mut(&mut self) -> impl Iterator<Item = &mut Config> {
        self.places.iter_mut().flat_map(|place| &mut place.front)
    }
}
