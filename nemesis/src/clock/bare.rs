//! Skewed clocks without a process to read them: for nodes that are simulated.

use super::ClockError;
use super::skew::{ClockReading, ClockSkew, Track};

/// The clocks of one simulated node, by the same arithmetic as those of a real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct BareClock {
    wall: Track,
    monotonic: Track,
}

impl BareClock {
    /// Changes the clocks at the true time `now_ns`.
    ///
    /// # Errors
    /// If a clock would be off by more than there are numbers for.
    pub fn change(&mut self, skew: ClockSkew, now_ns: i64) -> Result<(), ClockError> {
        let changed = |track: Track, change: Option<_>| match change {
            Some(change) => track.changed(change, now_ns, now_ns),
            None => Ok(track),
        };
        let (wall, monotonic) =
            (changed(self.wall, skew.wall)?, changed(self.monotonic, skew.monotonic)?);
        (self.wall, self.monotonic) = (wall, monotonic);
        Ok(())
    }

    /// How far off they are at the true time `now_ns`.
    pub fn reading(&self, now_ns: i64) -> ClockReading {
        let (wall, monotonic) = (self.wall.reading(now_ns), self.monotonic.reading(now_ns));
        ClockReading { wall, monotonic }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClockChange, Offset};
    use super::*;

    #[test]
    fn a_clock_jumps_and_drifts_from_the_moment_of_the_change() {
        let mut clock = BareClock::default();
        let jump = ClockChange { offset: Offset::By(-5), rate_ppm: 1_000_000 };
        let skew = ClockSkew { wall: Some(jump), monotonic: None };
        clock.change(skew, 1_000).expect("in range");
        let ahead = |now_ns| clock.reading(now_ns).wall.ahead_ns;
        assert_eq!((ahead(1_000), ahead(1_100)), (-5, 95));
        assert_eq!(clock.reading(1_100).monotonic.ahead_ns, 0);
    }
}
