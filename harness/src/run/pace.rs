//! When a client's operations are due.
//!
//! Open loop: the moments are fixed before the answers are known, so a slow answer delays the
//! operation, not the plan of the next ones, and whoever measures from the due moment sees the
//! whole delay (coordinated omission). What was missed is caught up with, but for more than a
//! second's worth: a client that was stuck for long must not drown the store afterwards.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How far a client may be behind.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// One client's moments.
pub struct Pace {
    interval: Duration,
    next: Duration,
}

impl Pace {
    /// The moments from `origin` on, of the client in `slot` of so many, which together make
    /// `rate_per_s` operations a second. The clients' moments are spread evenly.
    pub fn new(origin: Duration, slot: usize, slots: u32, rate_per_s: u32) -> Pace {
        let interval = Duration::from_secs(1) * slots / rate_per_s.max(1);
        let share = u32::try_from(slot).unwrap_or(slots).min(slots);
        Pace { interval, next: origin + interval * share / slots.max(1) }
    }

    /// The moment that the next operation is due; in the past when the client is behind. Each is
    /// drawn within half an interval of its place, so that clients meet in all orders.
    pub fn due(&mut self, now: Duration, rng: &mut ChaCha8Rng) -> Duration {
        let jitter = self.interval.mul_f64(rng.random_range(0.0..0.5));
        let due = self.next.max(now.saturating_sub(BEHIND_MAX));
        self.next = due + self.interval;
        due + jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn so_many_moments_a_second_come_whatever_the_answers_take() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut pace = Pace::new(Duration::ZERO, 0, 10, 500);
        let moments = (0..1_000).map(|_| pace.due(Duration::ZERO, &mut rng));
        assert_eq!(moments.take_while(|due| due.as_secs() < 10).count(), 500);
        // An answer that takes half a second: the 25 moments that it covers are not lost.
        let mut pace = Pace::new(Duration::ZERO, 0, 10, 500);
        let now = Duration::from_millis(500);
        let missed = (0..1_000).take_while(|_| pace.due(now, &mut rng) < now).count();
        assert!((24..=26).contains(&missed), "{missed}");
    }

    #[test]
    fn a_client_that_was_stuck_catches_up_with_a_second_and_no_more() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut pace = Pace::new(Duration::ZERO, 0, 10, 500);
        let now = Duration::from_secs(60);
        let behind = (0..10_000).take_while(|_| pace.due(now, &mut rng) < now).count();
        assert!((49..=51).contains(&behind), "{behind}");
    }
}
