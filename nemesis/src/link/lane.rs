//! One directed link: decides what becomes of each packet. Pure: time and seed are passed in.

use super::Shape;
use super::counters::Shaped;
use super::packet;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A rate-limited link holds back this much before it drops, in nanoseconds of its own bandwidth.
const BACKLOG_NS_MAX: u64 = 500_000_000;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It vanishes.
    Drop,
    /// It vanishes, and both ends are told that their TCP connection is over.
    Reset,
    /// It is handed over, in so many copies; at once, or when this moment has come.
    Deliver { copies: u8, due_ns: Option<u64> },
}

/// The state of one directed link.
pub(super) struct Lane {
    /// Whether everything vanishes.
    pub cut: bool,
    /// How many packets vanished since the link was cut.
    pub dropped_since_cut: u64,
    shape: Shape,
    rng: ChaCha8Rng,
    /// When the last packet admitted will have left, at the link's rate.
    free_at_ns: u64,
    /// When the last packet that keeps the order is due.
    last_due_ns: u64,
    shaped: Shaped,
}

impl Lane {
    /// A perfect link. Its draws come from the stream `number` of `seed` and from nothing else.
    pub fn new(seed: u64, number: u64) -> Lane {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        Lane {
            cut: false,
            dropped_since_cut: 0,
            shape: Shape::default(),
            rng,
            free_at_ns: 0,
            last_due_ns: 0,
            shaped: Shaped::default(),
        }
    }

    /// What the shape has done to packets since the start.
    pub fn shaped(&self) -> Shaped {
        self.shaped
    }

    /// From now on the link is of this shape; packets under way keep the moment they were given.
    pub fn set_shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Whether the clock need not be read for the next packet.
    pub fn is_timeless(&self) -> bool {
        self.cut || self.shape.is_perfect()
    }

    /// Decides about one packet, and corrupts it where that is its fate. O(length) at most.
    pub fn admit(&mut self, packet: &mut [u8], now_ns: u64) -> Fate {
        if self.cut {
            self.dropped_since_cut += 1;
            return Fate::Drop;
        }
        if self.shape.is_perfect() {
            return Fate::Deliver { copies: 1, due_ns: None };
        }
        if self.happens(self.shape.loss_ppm) {
            self.shaped.lost += 1;
            return Fate::Drop;
        }
        if self.happens(self.shape.reset_ppm) && packet::is_resettable(packet) {
            self.shaped.reset += 1;
            return Fate::Reset;
        }
        let Some(left_ns) = self.leaves_at(packet.len(), now_ns) else {
            self.shaped.throttled += 1;
            return Fate::Drop;
        };
        // Behind the packet before it, or behind itself: a perfect link takes no time at all.
        self.shaped.throttled += u64::from(left_ns > now_ns);
        if self.happens(self.shape.corrupt_ppm) {
            packet::flip_bit(packet, self.rng.next_u64());
            self.shaped.corrupted += 1;
        }
        let copies = if self.happens(self.shape.duplicate_ppm) { 2 } else { 1 };
        self.shaped.duplicated += copies - 1;
        let due_ns = self.due(left_ns);
        Fate::Deliver { copies: copies as u8, due_ns: (due_ns > now_ns).then_some(due_ns) }
    }

    /// A draw: true for `ppm` of a million. A share of nothing draws nothing.
    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.rng.next_u64() % 1_000_000 < u64::from(ppm)
    }

    /// When the link's bandwidth lets the packet go; `None` when its queue is full.
    fn leaves_at(&mut self, bytes: usize, now_ns: u64) -> Option<u64> {
        let rate = self.shape.rate_bytes_per_s;
        if rate == 0 {
            return Some(now_ns);
        }
        let start_ns = self.free_at_ns.max(now_ns);
        if start_ns - now_ns > BACKLOG_NS_MAX {
            return None;
        }
        let takes_ns = (bytes as u64).saturating_mul(1_000_000_000) / rate;
        self.free_at_ns = start_ns.saturating_add(takes_ns);
        Some(self.free_at_ns)
    }

    /// When a packet that left at `left_ns` arrives.
    fn due(&mut self, left_ns: u64) -> u64 {
        if self.happens(self.shape.reorder_ppm) {
            self.shaped.reordered += u64::from(left_ns < self.last_due_ns);
            return left_ns;
        }
        let jitter_us = match u64::from(self.shape.jitter_us) {
            0 => 0,
            jitter_us => self.rng.next_u64() % (jitter_us + 1),
        };
        let delay_ns = (u64::from(self.shape.delay_us) + jitter_us) * 1000;
        self.last_due_ns = self.last_due_ns.max(left_ns.saturating_add(delay_ns));
        self.shaped.delayed += u64::from(self.last_due_ns > left_ns);
        self.last_due_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PACKETS: usize = 10_000;

    /// The fates of `PACKETS` packets of 1000 bytes, one every `every_ns`.
    fn fates(shape: Shape, seed: u64, every_ns: u64) -> Vec<Fate> {
        let mut lane = Lane::new(seed, 5);
        lane.set_shape(shape);
        let packet = packet::tests::to(Ipv4Addr::LOCALHOST, &[0; 980]);
        (0..PACKETS).map(|i| lane.admit(&mut packet.clone(), i as u64 * every_ns)).collect()
    }

    #[test]
    fn a_share_of_the_packets_is_lost_or_doubled() {
        for (shape, counted) in [
            (Shape { loss_ppm: 250_000, ..Shape::default() }, Fate::Drop),
            (
                Shape { duplicate_ppm: 250_000, ..Shape::default() },
                Fate::Deliver { copies: 2, due_ns: None },
            ),
        ] {
            let hit = fates(shape, 1, 1000).iter().filter(|fate| **fate == counted).count();
            assert!((2300..2700).contains(&hit), "{shape:?}: {hit} of {PACKETS}");
        }
    }

    #[test]
    fn a_share_of_the_packets_is_corrupted() {
        let mut lane = Lane::new(1, 0);
        lane.set_shape(Shape { corrupt_ppm: 250_000, ..Shape::default() });
        let original = packet::tests::to(Ipv4Addr::LOCALHOST, &[7; 100]);
        let changed = (0..PACKETS).filter(|_| {
            let mut packet = original.clone();
            let _ = lane.admit(&mut packet, 0);
            packet != original
        });
        let changed = changed.count();
        assert!((2300..2700).contains(&changed), "{changed} of {PACKETS}");
    }

    #[test]
    fn a_delay_with_jitter_stays_in_its_bounds_and_keeps_the_order() {
        let shape = Shape { delay_us: 2000, jitter_us: 500, ..Shape::default() };
        let mut last = 0;
        for (i, fate) in fates(shape, 1, 1000).into_iter().enumerate() {
            let Fate::Deliver { copies: 1, due_ns: Some(due_ns) } = fate else {
                panic!("packet {i}: {fate:?}");
            };
            let late_ns = due_ns - i as u64 * 1000;
            assert!((2_000_000..=2_500_000).contains(&late_ns), "packet {i}: {late_ns} ns");
            assert!(due_ns >= last, "packet {i} overtakes");
            last = due_ns;
        }
    }

    #[test]
    fn what_a_shape_did_is_counted() {
        let shape = Shape {
            delay_us: 2000,
            reorder_ppm: 250_000,
            loss_ppm: 200_000,
            duplicate_ppm: 250_000,
            corrupt_ppm: 250_000,
            rate_bytes_per_s: 10_000_000_000,
            ..Shape::default()
        };
        let mut lane = Lane::new(1, 5);
        lane.set_shape(shape);
        let mut packet = packet::tests::to(Ipv4Addr::LOCALHOST, &[0; 980]);
        for i in 0..PACKETS as u64 {
            let _ = lane.admit(&mut packet, i * 1000);
        }
        let Shaped { delayed, lost, duplicated, reordered, corrupted, throttled, reset } =
            lane.shaped();
        // A fifth is lost; of the other 8,000 a quarter each.
        let near = |count: u64, expected: u64| count.abs_diff(expected) < 300;
        assert!(near(lost, 2000) && near(throttled, 8000), "{:?}", lane.shaped());
        assert!(near(reordered, 2000) && near(delayed, 6000), "{:?}", lane.shaped());
        assert!(near(duplicated, 2000) && near(corrupted, 2000), "{:?}", lane.shaped());
        assert_eq!(reset, 0, "what is no TCP segment has nothing to reset");
    }

    #[test]
    fn a_share_of_the_packets_overtakes_the_delayed_ones() {
        let shape = Shape { delay_us: 2000, reorder_ppm: 250_000, ..Shape::default() };
        let at_once = |fate: &&Fate| **fate == Fate::Deliver { copies: 1, due_ns: None };
        let overtaking = fates(shape, 1, 1000).iter().filter(at_once).count();
        assert!((2300..2700).contains(&overtaking), "{overtaking} of {PACKETS}");
    }

    #[test]
    fn a_rate_spreads_packets_out_and_drops_what_it_cannot_hold() {
        // 1 MB a second: a packet of 1000 bytes takes a millisecond. All come at once.
        let fates = fates(Shape { rate_bytes_per_s: 1_000_000, ..Shape::default() }, 1, 0);
        for (i, fate) in fates.iter().take(500).enumerate() {
            let due_ns = Some((i as u64 + 1) * 1_000_000);
            assert_eq!(*fate, Fate::Deliver { copies: 1, due_ns }, "packet {i}");
        }
        let kept = fates.iter().filter(|fate| **fate != Fate::Drop).count();
        assert_eq!(kept, 501);
    }

    #[test]
    fn fates_are_fixed_by_the_seed_and_by_nothing_else() {
        let shape = Shape {
            delay_us: 10,
            jitter_us: 1000,
            reorder_ppm: 1000,
            loss_ppm: 100_000,
            duplicate_ppm: 100_000,
            corrupt_ppm: 100_000,
            reset_ppm: 100_000,
            rate_bytes_per_s: 10_000_000,
        };
        assert_eq!(fates(shape, 7, 100_000), fates(shape, 7, 100_000));
        assert_ne!(fates(shape, 7, 100_000), fates(shape, 8, 100_000));
    }

    #[test]
    fn a_cut_drops_everything_and_counts_it_and_leaves_the_shape() {
        let mut lane = Lane::new(1, 0);
        lane.set_shape(Shape { delay_us: 5, ..Shape::default() });
        lane.cut = true;
        for _ in 0..3 {
            assert_eq!(lane.admit(&mut [0x45; 40], 0), Fate::Drop);
        }
        assert_eq!(lane.dropped_since_cut, 3);
        lane.cut = false;
        let delayed = Fate::Deliver { copies: 1, due_ns: Some(5000) };
        assert_eq!(lane.admit(&mut [0x45; 40], 0), delayed);
    }
}
