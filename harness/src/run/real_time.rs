//! The machine's own time.

use ordeal_nemesis::Time;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Real time, from when it was made.
pub struct RealTime(Instant);

impl RealTime {
    /// Zero is now.
    pub fn new() -> RealTime {
        RealTime(Instant::now())
    }
}

impl Default for RealTime {
    fn default() -> Self {
        RealTime::new()
    }
}

impl Time for RealTime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep_until(self.0 + at)
    }
}
