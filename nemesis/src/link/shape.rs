//! What a link does to the packets that it carries.

use serde::{Deserialize, Serialize};

/// The shape of one directed link. The default is a perfect one.
///
/// Shares are in parts per million, so that a plan that holds them is exact and comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Every packet is this late, in microseconds.
    pub delay_us: u32,
    /// And by up to this much more, drawn evenly for each packet. The order is kept.
    pub jitter_us: u32,
    /// This share of the packets overtakes: it is not delayed at all.
    pub reorder_ppm: u32,
    /// This share vanishes.
    pub loss_ppm: u32,
    /// This share arrives twice.
    pub duplicate_ppm: u32,
    /// This share arrives with one bit flipped.
    pub corrupt_ppm: u32,
    /// This share of the TCP segments is answered with a reset to both ends, and vanishes.
    pub reset_ppm: u32,
    /// The link's bandwidth in bytes a second; 0 is no limit.
    pub rate_bytes_per_s: u64,
}

impl Shape {
    /// Whether packets pass untouched and at once.
    pub fn is_perfect(&self) -> bool {
        *self == Shape::default()
    }

    /// The shape of a link that has both: delays add up, of shares and rates the worse one holds.
    pub fn and(self, other: Shape) -> Shape {
        let rates = [self.rate_bytes_per_s, other.rate_bytes_per_s];
        Shape {
            delay_us: self.delay_us.saturating_add(other.delay_us),
            jitter_us: self.jitter_us.saturating_add(other.jitter_us),
            reorder_ppm: self.reorder_ppm.max(other.reorder_ppm),
            loss_ppm: self.loss_ppm.max(other.loss_ppm),
            duplicate_ppm: self.duplicate_ppm.max(other.duplicate_ppm),
            corrupt_ppm: self.corrupt_ppm.max(other.corrupt_ppm),
            reset_ppm: self.reset_ppm.max(other.reset_ppm),
            rate_bytes_per_s: rates.into_iter().filter(|rate| *rate > 0).min().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shapes_on_one_link_are_both_felt() {
        let one = Shape { delay_us: 5, loss_ppm: 30, rate_bytes_per_s: 900, ..Shape::default() };
        let two = Shape { delay_us: 7, loss_ppm: 20, reset_ppm: 4, ..Shape::default() };
        let both = Shape { delay_us: 12, reset_ppm: 4, ..one };
        assert_eq!((one.and(two), two.and(one)), (both, both));
        let slower = Shape { rate_bytes_per_s: 100, ..Shape::default() };
        assert_eq!(one.and(slower).rate_bytes_per_s, 100);
        assert_eq!(one.and(Shape::default()), one);
    }
}
