//! Time that passes only when nobody has anything else to do.

use crate::Time;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A clock and a one-task executor: when the task waits, the clock jumps to the first moment for
/// which anybody asked to be woken. Deterministic, and as fast as the processor.
///
/// Clones are handles on the same clock.
#[derive(Clone, Debug, Default)]
pub struct VirtualTime(Rc<Clock>);

#[derive(Debug, Default)]
struct Clock {
    now: Cell<Duration>,
    sleepers: RefCell<BTreeMap<Duration, Vec<Waker>>>,
}

impl VirtualTime {
    /// A clock that stands at zero.
    pub fn new() -> VirtualTime {
        VirtualTime::default()
    }

    /// Runs `task` to its end, and returns what it gives; `None` when it waits for something that
    /// is no moment, and so would wait for ever.
    ///
    /// The task may be a `join` or a `FuturesUnordered` of many: who sleeps is woken in the order
    /// in which it fell asleep.
    pub fn run<F: Future>(&self, task: F) -> Option<F::Output> {
        let mut task = pin!(task);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(alarm.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = task.as_mut().poll(&mut context) {
                return Some(output);
            }
            if alarm.0.swap(false, Ordering::Relaxed) {
                // A part of the task was given something to do by another part.
                continue;
            }
            let (at, sleepers) = self.0.sleepers.borrow_mut().pop_first()?;
            self.0.now.set(at.max(self.0.now.get()));
            sleepers.into_iter().for_each(Waker::wake);
            alarm.0.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether somebody has woken the task.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Time for VirtualTime {
    fn now(&self) -> Duration {
        self.0.now.get()
    }

    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            let mut sleepers = self.0.sleepers.borrow_mut();
            let here = sleepers.entry(at).or_default();
            if !here.iter().any(|waker| waker.will_wake(context.waker())) {
                here.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::within;

    #[test]
    fn time_jumps_to_each_moment_that_was_asked_for() {
        let time = VirtualTime::new();
        let seen = RefCell::new(Vec::new());
        let wait = async |ms: u64| {
            time.sleep(Duration::from_millis(ms)).await;
            seen.borrow_mut().push(time.now().as_millis());
        };
        let done = time.run(async { futures::join!(wait(30), wait(10), wait(20)) });
        assert!(done.is_some());
        assert_eq!(*seen.borrow(), [10, 20, 30]);
    }

    #[test]
    fn no_time_passes_while_one_part_has_woken_another() {
        let time = VirtualTime::new();
        let (say, hear) = futures::channel::oneshot::channel();
        let hears = async { hear.await.map(|()| time.now().as_millis()) };
        let says = async {
            time.sleep(Duration::from_millis(10)).await;
            say.send(()).expect("somebody listens");
            time.sleep(Duration::from_millis(10)).await;
        };
        let (heard, ()) = time.run(async { futures::join!(hears, says) }).expect("an end");
        assert_eq!(heard, Ok(10));
    }

    #[test]
    fn work_that_takes_too_long_is_given_up_and_an_endless_wait_is_told() {
        let time = VirtualTime::new();
        let slow = async {
            within(&time, Duration::from_secs(1), time.sleep(Duration::from_secs(2))).await
        };
        assert_eq!(time.run(slow), Some(None));
        assert_eq!(time.now(), Duration::from_secs(1));
        assert_eq!(VirtualTime::new().run(std::future::pending::<()>()), None);
    }
}
