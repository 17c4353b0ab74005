//! The arithmetic of a skewed clock, the same in Rust as in the stub that runs inside a node.
//!
//! A clock's skew is what is added to its true reading. It is piecewise linear in the true reading
//! `t`, with one switch at `base`:
//!
//! ```text
//!     skew(t) = offset + floor((t - base) · rate / 2^32)
//! ```
//!
//! with one pair of offset and rate for `t < base` and another from `base` on. Both live in the
//! node's memory together, and `base` lies a little in the future when the rate changes: every
//! thread of the node then switches at the same true instant, whenever it sees the new numbers,
//! and a change of rate alone never shows as a jump.

use super::ClockError;
use serde::{Deserialize, Serialize};

/// 1.0 as a rate: rates are fixed-point numbers with 32 binary places.
const ONE: i128 = 1 << 32;

/// The furthest that a clock may be put off, in nanoseconds: 100 years.
pub const OFFSET_NS_MAX: i64 = 100 * 365 * 86_400 * 1_000_000_000;

/// The fastest clock, in parts per million over the true one: a thousand times as fast.
pub const RATE_PPM_MAX: i64 = 999_000_000;

/// The slowest clock, in parts per million: it stands still. Slower would run backwards.
pub const RATE_PPM_MIN: i64 = -1_000_000;

/// How far a clock is to be off at the moment of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offset {
    /// As far as it is by then: nothing jumps.
    #[default]
    Keep,
    /// This many nanoseconds further than it is.
    By(i64),
    /// This many nanoseconds from the true time.
    To(i64),
}

/// What one clock is to do from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockChange {
    /// Where it starts.
    pub offset: Offset,
    /// How much it gains on the true time, in parts per million: 0 keeps pace, 1,000,000 runs at
    /// double speed, -500,000 at half, -1,000,000 stands still.
    pub rate_ppm: i64,
}

/// A change of the clocks that one process reads. `None` leaves that clock as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSkew {
    /// The time of day: `CLOCK_REALTIME` and its coarse, alarm and TAI forms, `gettimeofday` and
    /// `time`.
    pub wall: Option<ClockChange>,
    /// Time that only goes forward: `CLOCK_MONOTONIC`, its coarse and raw forms, `CLOCK_BOOTTIME`.
    pub monotonic: Option<ClockChange>,
}

/// One clock as the process reads it now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// How far it is ahead of the true time, in nanoseconds; negative when behind.
    pub ahead_ns: i64,
    /// How much it gains on the true time, in parts per million.
    pub rate_ppm: i64,
}

/// Both clocks as the process reads them now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The time of day.
    pub wall: Reading,
    /// The monotonic time.
    pub monotonic: Reading,
}

/// One linear piece of a skew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub offset_ns: i64,
    /// Gain per nanosecond, with 32 binary places.
    pub rate_fixed: i64,
}

impl Line {
    fn at(self, since_base_ns: i64) -> i64 {
        // An arithmetic shift rounds down, as `shrd` does in the stub. Rounding down keeps
        // t + skew(t) from ever falling while the rate is at least -1.
        let gained = (i128::from(since_base_ns) * i128::from(self.rate_fixed)) >> 32;
        let sum = i128::from(self.offset_ns) + gained;
        sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

/// The skew of one clock: two lines that meet at `base_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Track {
    /// True reading of the clock at the switch, in nanoseconds.
    pub base_ns: i64,
    pub before: Line,
    pub after: Line,
}

impl Track {
    pub const WORDS: usize = 5;

    /// What to add to a true reading of `true_ns`.
    pub fn skew_ns(&self, true_ns: i64) -> i64 {
        let since_base_ns = true_ns.wrapping_sub(self.base_ns);
        let line = if since_base_ns < 0 { self.before } else { self.after };
        line.at(since_base_ns)
    }

    /// The line that holds at `true_ns`, expressed with its zero at `base_ns`.
    fn line_from(&self, true_ns: i64, base_ns: i64) -> Line {
        let line = if true_ns < self.base_ns { self.before } else { self.after };
        Line { offset_ns: line.at(base_ns - self.base_ns), rate_fixed: line.rate_fixed }
    }

    /// The track that goes on as this one does until `base_ns` and obeys `change` from there.
    ///
    /// `now_ns` is the true reading now. Refuses what the numbers could not carry.
    pub fn changed(
        &self,
        change: ClockChange,
        now_ns: i64,
        base_ns: i64,
    ) -> Result<Track, ClockError> {
        let before = self.line_from(now_ns, base_ns);
        // A base in the past stands for "at once": what is asked for is meant for now.
        let lead_ns = now_ns.saturating_sub(base_ns).max(0);
        let was_ns = before.at(lead_ns);
        let offset_ns = match change.offset {
            Offset::Keep => was_ns,
            Offset::By(ns) => was_ns.saturating_add(ns),
            Offset::To(ns) => ns,
        };
        if offset_ns.saturating_abs() > OFFSET_NS_MAX {
            return Err(ClockError::TooFar { offset_ns });
        }
        if !(RATE_PPM_MIN..=RATE_PPM_MAX).contains(&change.rate_ppm) {
            return Err(ClockError::Rate { rate_ppm: change.rate_ppm });
        }
        let mut after = Line { offset_ns: 0, rate_fixed: fixed(change.rate_ppm) };
        after.offset_ns = offset_ns - after.at(lead_ns);
        Ok(Track { base_ns, before, after })
    }

    pub fn reading(&self, true_ns: i64) -> Reading {
        let line = if true_ns < self.base_ns { self.before } else { self.after };
        Reading { ahead_ns: self.skew_ns(true_ns), rate_ppm: ppm(line.rate_fixed) }
    }

    /// What the clock gains from the switch on, in parts per million.
    pub fn rate_ppm(&self) -> i64 {
        ppm(self.after.rate_fixed)
    }

    /// As the stub reads it.
    pub fn to_words(self) -> [i64; Self::WORDS] {
        let Track { base_ns, before, after } = self;
        [base_ns, before.offset_ns, before.rate_fixed, after.offset_ns, after.rate_fixed]
    }

    pub fn from_words(words: [i64; Self::WORDS]) -> Track {
        let [base_ns, b_offset, b_rate, a_offset, a_rate] = words;
        Track {
            base_ns,
            before: Line { offset_ns: b_offset, rate_fixed: b_rate },
            after: Line { offset_ns: a_offset, rate_fixed: a_rate },
        }
    }
}

fn fixed(rate_ppm: i64) -> i64 {
    (i128::from(rate_ppm) * ONE).div_euclid(1_000_000) as i64
}

fn ppm(rate_fixed: i64) -> i64 {
    ((i128::from(rate_fixed) * 1_000_000 + ONE / 2) >> 32) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn change(offset: Offset, rate_ppm: i64) -> ClockChange {
        ClockChange { offset, rate_ppm }
    }

    #[test]
    fn a_track_says_how_far_the_clock_is_off() {
        // (what happens at true second 100, true second, ahead in nanoseconds)
        let rows = [
            (change(Offset::To(0), 0), 500, 0),
            (change(Offset::To(20 * S), 0), 99, 0),
            (change(Offset::To(20 * S), 0), 100, 20 * S),
            (change(Offset::By(-20 * S), 0), 500, -20 * S),
            (change(Offset::Keep, 1_000_000), 99, 0),
            (change(Offset::Keep, 1_000_000), 105, 5 * S),
            (change(Offset::Keep, -500_000), 110, -5 * S),
            (change(Offset::Keep, -1_000_000), 110, -10 * S),
            (change(Offset::By(S), 100), 110, S + 1_000_000),
        ];
        for (what, second, ahead_ns) in rows {
            let track = Track::default().changed(what, 90 * S, 100 * S).expect("in range");
            let skew_ns = track.skew_ns(second * S);
            assert!((skew_ns - ahead_ns).abs() <= 10, "{what:?} at {second}: {skew_ns}");
            assert_eq!(Track::from_words(track.to_words()), track);
        }
    }

    #[test]
    fn a_jump_told_with_its_switch_in_the_past_holds_now() {
        let drifting = Track::default().changed(change(Offset::Keep, 1_000_000), 0, 0);
        let drifting = drifting.expect("in range");
        for (offset, ahead_ns) in
            [(Offset::To(7 * S), 7 * S), (Offset::By(7 * S), 107 * S), (Offset::Keep, 100 * S)]
        {
            let jumped = drifting.changed(change(offset, 1_000_000), 100 * S, 99 * S);
            let jumped = jumped.expect("in range");
            assert_eq!(jumped.skew_ns(100 * S), ahead_ns);
            assert_eq!(jumped.skew_ns(101 * S), ahead_ns + S);
        }
    }

    #[test]
    fn a_change_of_rate_alone_never_jumps_nor_goes_back() {
        let rates_ppm = [1_000_000, -500_000, 0, -1_000_000, 37, -37, RATE_PPM_MAX, 0];
        let mut track = Track::default();
        let mut last_ns = i64::MIN;
        for (i, rate_ppm) in rates_ppm.into_iter().enumerate() {
            let base_ns = (i as i64 + 1) * 10_000;
            track = track
                .changed(change(Offset::Keep, rate_ppm), base_ns - 500, base_ns)
                .expect("in range");
            for t in base_ns - 500..base_ns + 9_500 {
                let shown_ns = t + track.skew_ns(t);
                assert!(shown_ns >= last_ns, "at {t}: {shown_ns} after {last_ns}");
                last_ns = shown_ns;
            }
        }
    }

    #[test]
    fn a_rate_comes_back_as_it_was_asked_for() {
        for rate_ppm in [0, 1, -1, 100, -500_000, 1_000_000, RATE_PPM_MIN, RATE_PPM_MAX] {
            assert_eq!(ppm(fixed(rate_ppm)), rate_ppm);
        }
    }

    #[test]
    fn what_the_numbers_cannot_carry_is_refused() {
        let rows = [
            change(Offset::To(i64::MIN), 0),
            change(Offset::By(OFFSET_NS_MAX + 1), 0),
            change(Offset::Keep, RATE_PPM_MIN - 1),
            change(Offset::Keep, RATE_PPM_MAX + 1),
        ];
        for what in rows {
            assert!(Track::default().changed(what, 0, 0).is_err(), "{what:?}");
        }
    }
}
