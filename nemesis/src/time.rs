//! Time, as the harness lends it: real in a sandbox, simulated in a simulation.

use futures::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// The one clock of a run. Whoever waits, waits through it, and so does not know whether the time
/// that passes is real.
pub trait Time {
    /// Time since the start of the run; monotonic.
    fn now(&self) -> Duration;
    /// Returns when `now` has reached `at`; at once when it has already.
    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()>;
    /// Returns after `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.sleep_until(self.now() + duration)
    }
}

/// What `work` gives, or `None` when `at` comes before. Work that is ready in the same moment wins.
pub async fn by<T: Time, F: Future>(time: &T, at: Duration, work: F) -> Option<F::Output> {
    match select(pin!(work), pin!(time.sleep_until(at))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// What `work` gives within `bound` from now, or `None`.
pub async fn within<T: Time, F: Future>(time: &T, bound: Duration, work: F) -> Option<F::Output> {
    by(time, time.now() + bound, work).await
}
