//! How long the log's syncs take, counted for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in seconds: etcd's, each twice the one before.
pub(super) const BUCKETS_S: [f64; 14] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096,
    8.192,
];

/// The counts, written by the log's thread and read by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    /// Syncs that took at most so long, and no bucket before.
    buckets: [AtomicU64; BUCKETS_S.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Syncs {
    pub fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(nth) = BUCKETS_S.iter().position(|bound| seconds <= *bound) {
            self.buckets[nth].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// For each bound how many took at most so long; how many there were; how long all took, in
    /// seconds.
    pub fn read(&self) -> ([u64; BUCKETS_S.len()], u64, f64) {
        let mut below = 0;
        let buckets = std::array::from_fn(|nth| {
            below += self.buckets[nth].load(Ordering::Relaxed);
            below
        });
        let sum_us = self.sum_us.load(Ordering::Relaxed);
        (buckets, self.count.load(Ordering::Relaxed), sum_us as f64 / 1e6)
    }
}
