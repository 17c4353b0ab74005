//! What a process' clocks are set to, and the true time that it is told in.

use super::skew::{ClockSkew, Track};
use super::stub::{CLOCKS, SLOT_WORDS, data};
use super::{ClockChange, ClockError};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A distance between two clocks is taken over only when it moved by more than this: it moves when
/// the machine was suspended, and everything less is the inaccuracy of measuring it.
const DISTANCE_STEP_NS: i64 = 1_000_000;

/// Both clocks' skews, as one slot of the stub's data holds them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Counts the changes; its lowest bit names the slot that holds.
    sequence: u32,
    wall: Track,
    monotonic: Track,
    distances_ns: [i64; CLOCKS],
    /// From when on they hold, on the machine's own monotonic clock.
    holds_from_ns: i64,
}

impl Settings {
    /// Whether a rate changes, on either clock.
    pub fn bends(&self, skew: ClockSkew) -> bool {
        let bends = |track: &Track, change: Option<ClockChange>| {
            change.is_some_and(|c| track.rate_ppm() != c.rate_ppm)
        };
        bends(&self.wall, skew.wall) || bends(&self.monotonic, skew.monotonic)
    }

    /// These with a change that holds in `ahead_ns` nanoseconds, or at once when that is negative.
    pub fn changed(
        &self,
        skew: ClockSkew,
        now: TrueTime,
        ahead_ns: i64,
    ) -> Result<Settings, ClockError> {
        let turn = |track: &Track, change: Option<ClockChange>, now_ns: i64| match change {
            Some(change) => track.changed(change, now_ns, now_ns + ahead_ns),
            None => Ok(*track),
        };
        let mut distances_ns = self.distances_ns;
        for (known_ns, measured_ns) in distances_ns.iter_mut().zip(measure_distances()?) {
            if known_ns.abs_diff(measured_ns) > DISTANCE_STEP_NS.unsigned_abs() {
                *known_ns = measured_ns;
            }
        }
        Ok(Settings {
            sequence: self.sequence.wrapping_add(1),
            wall: turn(&self.wall, skew.wall, now.wall_ns)?,
            monotonic: turn(&self.monotonic, skew.monotonic, now.monotonic_ns)?,
            distances_ns,
            holds_from_ns: now.monotonic_ns + ahead_ns,
        })
    }

    /// How long until they hold.
    pub fn pending(&self, now: TrueTime) -> Duration {
        let left_ns = self.holds_from_ns.saturating_sub(now.monotonic_ns);
        Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0))
    }

    /// The sequence number with four bytes of padding, as the stub reads it.
    pub fn sequence_word(&self) -> [u8; 8] {
        u64::from(self.sequence).to_le_bytes()
    }

    /// Where the slot is, in bytes from the start of the stub's data.
    pub fn slot_at(&self) -> u64 {
        (data::SLOTS + (self.sequence as usize & 1) * data::SLOT_LEN) as u64
    }

    /// As the stub reads it.
    pub fn slot(&self) -> Vec<u8> {
        let mut words = Vec::with_capacity(SLOT_WORDS);
        words.extend(self.wall.to_words());
        words.extend(self.monotonic.to_words());
        words.extend(self.distances_ns);
        words.into_iter().flat_map(i64::to_le_bytes).collect()
    }
}

/// The machine's own clocks, in nanoseconds.
#[derive(Clone, Copy)]
pub struct TrueTime {
    pub wall_ns: i64,
    pub monotonic_ns: i64,
}

impl TrueTime {
    /// Reads them.
    pub fn now() -> Result<TrueTime, ClockError> {
        let wall_ns = read_clock(0)?;
        Ok(TrueTime { wall_ns, monotonic_ns: read_clock(1)? })
    }
}

fn read_clock(clock: i32) -> Result<i64, ClockError> {
    let time = clock_gettime(ClockId::from_raw(clock)).map_err(ClockError::OwnClock)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// How far each clock is from the one that its track is told in. The coarse clocks lag behind by
/// less than a tick and count as that one itself, or they would run ahead of it.
fn measure_distances() -> Result<[i64; CLOCKS], ClockError> {
    const TAI: i32 = 11;
    const APART: [(i32, i32); 4] = [(4, 1), (7, 1), (9, 1), (TAI, 0)];
    let mut distances_ns = [0; CLOCKS];
    for (clock, reference) in APART {
        // Alarm clocks are not there on every machine: such a clock is never read either.
        let Ok(first_ns) = read_clock(clock) else { continue };
        let reference_ns = read_clock(reference)?;
        let second_ns = read_clock(clock)?;
        distances_ns[clock as usize] = first_ns / 2 + second_ns / 2 - reference_ns;
    }
    Ok(distances_ns)
}
