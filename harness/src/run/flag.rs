//! Something that happens once, and that many wait for.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A flag that is raised once. Clones are handles on the same flag.
#[derive(Clone, Default)]
pub struct Flag(Rc<State>);

#[derive(Default)]
struct State {
    raised: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Flag {
    /// Raises it, and wakes whoever waits.
    pub fn raise(&self) {
        self.0.raised.set(true);
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.raised.get()
    }

    /// Returns when it has been raised.
    pub fn raised(&self) -> impl Future<Output = ()> + use<> {
        let flag = self.clone();
        poll_fn(move |context| {
            if flag.is_raised() {
                return Poll::Ready(());
            }
            let mut waiting = flag.0.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}
