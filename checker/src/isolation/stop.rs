//! When a check must end.

use crate::Limits;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Says when a check must end.
pub(super) struct Stop<'a> {
    limits: &'a Limits,
    start: Instant,
}

impl<'a> Stop<'a> {
    /// Counts from now.
    pub(super) fn new(limits: &'a Limits) -> Self {
        Stop { limits, start: Instant::now() }
    }

    /// Errors with the reason once the time is up or the check was cancelled.
    pub(super) fn check(&self) -> Result<(), String> {
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
