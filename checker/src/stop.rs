//! When a check must end: its time is up, its memory would be too much, or it was cancelled.

use crate::Limits;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Says when a check must end.
pub(crate) struct Stop<'a> {
    limits: &'a Limits,
    start: Instant,
}

impl<'a> Stop<'a> {
    /// Counts from now.
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Stop { limits, start: Instant::now() }
    }

    /// Errors with the reason if structures of `bytes` in all are more than the check may hold.
    pub(crate) fn fits(&self, bytes: usize) -> Result<(), String> {
        let most = self.limits.memory_bytes;
        if bytes <= most {
            return Ok(());
        }
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        Err(format!(
            "the check would need {} MiB of memory, and may have {} MiB",
            mib(bytes),
            mib(most)
        ))
    }

    /// Errors with the reason once the time is up or the check was cancelled.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.limits.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err("the check was cancelled".to_owned());
        }
        match self.limits.time {
            Some(time) if self.start.elapsed() > time => {
                Err(format!("the check took longer than {} s", time.as_secs_f64()))
            }
            _ => Ok(()),
        }
    }
}
