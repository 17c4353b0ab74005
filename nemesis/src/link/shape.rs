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
    /// The link's bandwidth in bytes a second; 0 is no limit.
    pub rate_bytes_per_s: u64,
}

impl Shape {
    /// Whether packets pass untouched and at once.
    pub fn is_perfect(&self) -> bool {
        *self == Shape::default()
    }
}
