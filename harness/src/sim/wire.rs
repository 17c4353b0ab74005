//! The simulated network: when, and whether, what is sent on a link arrives.
//!
//! Every pair of ends has a connection each way that behaves as TCP does: what is sent arrives in
//! order or not at all. A packet that is lost or damaged is sent again, so all behind it come late.
//! On a link that is cut everything waits; when it heals soon enough it is all sent again, and else
//! the connection is gone, and what waited with it.

use crate::seed::stream;
use ordeal_nemesis::link::{Counters, Shape};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// One end of a link: 0 is the clients, 1 the first node.
pub type End = usize;

/// The clients' end.
pub const CLIENTS: End = 0;

/// What is on its way.
pub struct Parcel<T> {
    pub to: End,
    pub what: T,
}

/// After so long a cut a connection is given up (`TCP_USER_TIMEOUT` of the embedded node).
const GIVE_UP: Duration = Duration::from_secs(5);
/// The first pause before a packet is sent again, and the longest.
const AGAIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_secs(2);
/// A packet that is lost so often in a row is taken for a connection that is gone.
const TRIES: u32 = 8;

/// How fast a perfect link is, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub least_us: u64,
    pub spread_us: u64,
}

/// What becomes of a parcel.
pub enum Fate {
    /// It arrives, and perhaps once more.
    Arrives(Duration, Option<Duration>),
    /// It waits until the link heals.
    Waits,
    /// It never arrives, and the connection is gone.
    Broken,
}

struct Lane<T> {
    cut_since: Option<Duration>,
    shape: Shape,
    counters: Counters,
    /// Nothing arrives before what was sent before it.
    last: Duration,
    /// When the bandwidth is free again.
    free: Duration,
    waiting: Vec<(usize, T)>,
    /// Of its own, so that what is sent on one link shifts no draw of another.
    rng: ChaCha8Rng,
}

impl<T> Lane<T> {
    fn new(rng: ChaCha8Rng) -> Self {
        Lane {
            rng,
            cut_since: None,
            shape: Shape::default(),
            counters: Counters::default(),
            last: Duration::ZERO,
            free: Duration::ZERO,
            waiting: Vec::new(),
        }
    }
}

/// All links between the ends of a cluster and its clients.
pub struct Wire<T> {
    ends: usize,
    lanes: Vec<Lane<T>>,
    latency: Latency,
}

impl<T> Wire<T> {
    /// Perfect links between so many nodes and the clients.
    pub fn new(nodes: usize, latency: Latency, seed: u64) -> Self {
        let ends = nodes + 1;
        let lane = |place: usize| {
            let (from, to) = (place / ends, place % ends);
            Lane::new(stream(seed, &format!("sim/link/{from}/{to}")))
        };
        Wire { ends, lanes: (0..ends * ends).map(lane).collect(), latency }
    }

    /// Whether the link is cut.
    pub fn is_cut(&self, from: End, to: End) -> bool {
        self.lane(from, to).cut_since.is_some()
    }

    /// Decides when something of so many bytes that is sent now arrives; whether it may overtake.
    pub fn fate(
        &mut self,
        now: Duration,
        (from, to): (End, End),
        bytes: usize,
        in_order: bool,
    ) -> Fate {
        let Latency { least_us, spread_us } = self.latency;
        let lane = self.lane_mut(from, to);
        if lane.cut_since.is_some() {
            lane.counters.dropped += 1;
            return Fate::Waits;
        }
        let shape = lane.shape;
        let base_us = least_us + lane.rng.random_range(0..=spread_us);
        if shape.is_perfect() {
            let at = lane.arrive(now + Duration::from_micros(base_us), bytes);
            return Fate::Arrives(at, None);
        }
        if chance(shape.reset_ppm, &mut lane.rng) {
            lane.counters.shaped.reset += 1;
            lane.counters.dropped += 1;
            return Fate::Broken;
        }
        let Some(again) = lane.sent_again() else { return Fate::Broken };
        let start = lane.through_bandwidth(now, bytes) + again;
        let early = chance(shape.reorder_ppm, &mut lane.rng) && !in_order;
        let late_us = if early {
            0
        } else {
            u64::from(shape.delay_us) + lane.rng.random_range(0..=u64::from(shape.jitter_us))
        };
        lane.counters.shaped.delayed += u64::from(late_us > 0);
        let at = start + Duration::from_micros(base_us + late_us);
        if early && at < lane.last {
            // It overtakes what was sent before it.
            lane.counters.shaped.reordered += 1;
            lane.count(bytes);
            return Fate::Arrives(at, None);
        }
        let at = lane.arrive(at, bytes);
        let twice = chance(shape.duplicate_ppm, &mut lane.rng).then(|| {
            lane.counters.shaped.duplicated += 1;
            at + Duration::from_micros(lane.rng.random_range(0..=10_000))
        });
        Fate::Arrives(at, twice)
    }

    /// Keeps what waits for the link to heal.
    pub fn keep(&mut self, from: End, to: End, bytes: usize, what: T) {
        self.lane_mut(from, to).waiting.push((bytes, what));
    }

    /// Cuts a link; whether it was whole.
    pub fn cut(&mut self, now: Duration, from: End, to: End) -> bool {
        let lane = self.lane_mut(from, to);
        let whole = lane.cut_since.is_none();
        lane.cut_since.get_or_insert(now);
        whole
    }

    /// Heals a link. Whether the connection has lived through the cut, and what has waited.
    pub fn heal(&mut self, now: Duration, from: End, to: End) -> (bool, Vec<(usize, T)>) {
        let lane = self.lane_mut(from, to);
        let Some(since) = lane.cut_since.take() else { return (true, Vec::new()) };
        (now.saturating_sub(since) < GIVE_UP, std::mem::take(&mut lane.waiting))
    }

    /// After a cut of this age the ends know that the connection is gone.
    pub fn give_up() -> Duration {
        GIVE_UP
    }

    /// The pause before what has waited on a link is sent again; what is sent meanwhile comes
    /// behind it.
    pub fn pause(&mut self, now: Duration, from: End, to: End) -> Duration {
        let lane = self.lane_mut(from, to);
        let pause = AGAIN.mul_f64(lane.rng.random_range(0.0..1.0));
        lane.last = lane.last.max(now + pause);
        pause
    }

    /// Takes away what waits between two ends: their connection is gone. With whom each was for.
    pub fn forget(&mut self, one: End, other: End) -> Vec<(End, T)> {
        let mut gone = Vec::new();
        for (from, to) in [(one, other), (other, one)] {
            let waiting = std::mem::take(&mut self.lane_mut(from, to).waiting);
            gone.extend(waiting.into_iter().map(|(_, what)| (to, what)));
        }
        gone
    }

    /// Gives a link a shape.
    pub fn shape(&mut self, from: End, to: End, shape: Shape) {
        self.lane_mut(from, to).shape = shape;
    }

    /// What a link has done.
    pub fn counters(&self, from: End, to: End) -> Counters {
        self.lane(from, to).counters
    }

    fn lane(&self, from: End, to: End) -> &Lane<T> {
        &self.lanes[from * self.ends + to]
    }

    fn lane_mut(&mut self, from: End, to: End) -> &mut Lane<T> {
        &mut self.lanes[from * self.ends + to]
    }
}

impl<T> Lane<T> {
    /// In order.
    fn arrive(&mut self, at: Duration, bytes: usize) -> Duration {
        self.last = self.last.max(at);
        self.count(bytes);
        self.last
    }

    fn count(&mut self, bytes: usize) {
        self.counters.forwarded += 1;
        self.counters.bytes += bytes as u64;
    }

    /// How late it is for being lost or damaged on the way; `None` when it never gets through.
    fn sent_again(&mut self) -> Option<Duration> {
        let (mut late, mut pause) = (Duration::ZERO, AGAIN);
        for _ in 0..TRIES {
            let lost = chance(self.shape.loss_ppm, &mut self.rng);
            let damaged = !lost && chance(self.shape.corrupt_ppm, &mut self.rng);
            self.counters.shaped.lost += u64::from(lost);
            self.counters.shaped.corrupted += u64::from(damaged);
            if !lost && !damaged {
                return Some(late);
            }
            self.counters.dropped += u64::from(lost);
            late += pause;
            pause = (pause * 2).min(AGAIN_MAX);
        }
        None
    }

    fn through_bandwidth(&mut self, now: Duration, bytes: usize) -> Duration {
        let rate = self.shape.rate_bytes_per_s;
        if rate == 0 {
            return now;
        }
        let start = self.free.max(now);
        self.counters.shaped.throttled += u64::from(start > now);
        self.free = start + Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.free
    }
}

fn chance(ppm: u32, rng: &mut ChaCha8Rng) -> bool {
    ppm > 0 && rng.random_range(0..1_000_000) < ppm
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERFECT: Latency = Latency { least_us: 100, spread_us: 400 };

    fn at(fate: Fate) -> Duration {
        if let Fate::Arrives(at, _) = fate { at } else { Duration::MAX }
    }

    #[test]
    fn what_is_sent_arrives_in_order_and_waits_while_the_link_is_cut() {
        let mut wire = Wire::<u8>::new(2, PERFECT, 1);
        let mut last = Duration::ZERO;
        for ms in 0..100 {
            let arrival = at(wire.fate(Duration::from_micros(ms), (1, 2), 10, false));
            assert!(arrival >= last);
            last = arrival;
        }
        let second = Duration::from_secs(1);
        assert!(wire.cut(second, 1, 2));
        assert!(matches!(wire.fate(second, (1, 2), 10, false), Fate::Waits));
        wire.keep(1, 2, 10, 7);
        assert!(at(wire.fate(second, (2, 1), 10, false)) < 2 * second, "one way only");
        assert_eq!(wire.heal(2 * second, 1, 2), (true, vec![(10, 7)]));
        wire.cut(second, 1, 2);
        wire.keep(1, 2, 10, 8);
        assert_eq!(wire.heal(second + GIVE_UP, 1, 2), (false, vec![(10, 8)]), "it is gone");
    }

    #[test]
    fn a_shape_delays_loses_and_doubles() {
        let mut wire = Wire::<u8>::new(1, PERFECT, 2);
        let shape = Shape {
            delay_us: 50_000,
            loss_ppm: 300_000,
            duplicate_ppm: 500_000,
            ..Shape::default()
        };
        wire.shape(1, CLIENTS, shape);
        for second in 0..200 {
            let now = Duration::from_secs(second);
            assert!(at(wire.fate(now, (1, CLIENTS), 10, false)) >= now + Duration::from_millis(50));
        }
        let counters = wire.counters(1, CLIENTS);
        assert_eq!((counters.forwarded, counters.shaped.delayed), (200, 200));
        assert!(counters.shaped.lost > 40 && counters.shaped.duplicated > 60, "{counters:?}");
        wire.shape(1, CLIENTS, Shape { rate_bytes_per_s: 1_000, ..Shape::default() });
        let now = Duration::from_secs(1_000);
        let arrivals = [0; 3].map(|_| at(wire.fate(now, (1, CLIENTS), 500, false)));
        assert!(arrivals[2] >= now + Duration::from_millis(1_500));
    }
}
