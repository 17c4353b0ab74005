//! The one place where events get their number and their time, and are written down.

use super::flag::Flag;
use super::progress::Progress;
use super::watch::Watch;
use ordeal_checker::Violation;
use ordeal_history::{Event, EventType, Outcome, Process, Value};
use ordeal_nemesis::{NodeId, Time};
use ordeal_workloads::{Completion, Planned};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Writes down what happens, in the order in which it is told.
///
/// An error in writing, such as a full disk, raises [`Recorder::broken`]: whoever runs the test
/// must end it then, for what happens afterwards would be missing.
pub struct Recorder<'a, T> {
    time: &'a T,
    origin: Cell<Duration>,
    next: Cell<u64>,
    sink: RefCell<Sink>,
    error: RefCell<Option<io::Error>>,
    watch: RefCell<Watch>,
    /// The processes that have acquired and not begun to release.
    holders: RefCell<BTreeSet<i64>>,
    /// Raised at the first error in writing.
    pub broken: Flag,
    /// Raised at a violation that is to end the run.
    pub enough: Flag,
    /// What was recorded, counted.
    pub progress: Rc<Progress>,
}

/// Where events go.
pub type Sink = Box<dyn FnMut(&Event) -> io::Result<()>>;

impl<'a, T: Time> Recorder<'a, T> {
    /// A recorder that has recorded nothing.
    pub fn new(time: &'a T, sink: Sink, progress: Rc<Progress>) -> Self {
        Recorder {
            time,
            origin: Cell::new(Duration::ZERO),
            next: Cell::new(0),
            sink: RefCell::new(sink),
            error: RefCell::new(None),
            watch: RefCell::default(),
            holders: RefCell::default(),
            broken: Flag::default(),
            enough: Flag::default(),
            progress,
        }
    }

    /// The same with a check that runs along.
    pub fn with_watch(mut self, watch: Watch) -> Self {
        self.enough = watch.enough.clone();
        self.watch = RefCell::new(watch);
        self
    }

    /// The first violation that the check which runs along has seen.
    pub fn violation(&self) -> Option<Violation> {
        self.watch.borrow().violation().cloned()
    }

    /// Times in the history count from now.
    pub fn begin(&self) {
        self.origin.set(self.time.now());
        self.progress.began.set(Some(self.origin.get()));
    }

    /// Whether a client holds a lock, as far as the history tells.
    pub fn lock_is_held(&self) -> bool {
        !self.holders.borrow().is_empty()
    }

    /// The first error in writing, if there was one.
    pub fn error(&self) -> Option<io::Error> {
        self.error.take()
    }

    /// An operation begins: before its request is sent.
    pub fn invoke(&self, process: i64, node: &NodeId, operation: &Planned) {
        let mut event = self.event(Process::Client(process), EventType::Invoke, operation.f);
        event.key.clone_from(&operation.key);
        event.value = operation.value.clone();
        event.node = Some(node.0.clone());
        self.push(event);
    }

    /// It has ended: after its answer came, or did not.
    pub fn complete(&self, process: i64, node: &NodeId, operation: &Planned, end: &Completion) {
        let kind = match end.outcome {
            Outcome::Ok => EventType::Ok,
            Outcome::Fail => EventType::Fail,
            Outcome::Info => EventType::Info,
        };
        let mut event = self.event(Process::Client(process), kind, operation.f);
        event.key.clone_from(&operation.key);
        event.value = match end.outcome {
            Outcome::Ok => end.value.clone(),
            Outcome::Fail | Outcome::Info => operation.value.clone(),
        };
        event.actual.clone_from(&end.actual);
        (event.revision, event.version) = (end.revision, end.version);
        event.node = Some(node.0.clone());
        event.error.clone_from(&end.error);
        self.push(event);
    }

    /// The nemesis notes something.
    pub fn note(&self, f: &str, value: Value) {
        let mut event = self.event(Process::Nemesis, EventType::Info, f);
        event.value = value;
        self.push(event);
    }

    fn event(&self, process: Process, kind: EventType, f: &str) -> Event {
        let index = self.next.replace(self.next.get() + 1);
        let since = self.time.now().saturating_sub(self.origin.get());
        let time = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Event::new(index, time, process, kind, f)
    }

    fn push(&self, event: Event) {
        if self.broken.is_raised() {
            return;
        }
        if let Err(error) = (self.sink.borrow_mut())(&event) {
            self.error.replace(Some(error));
            self.broken.raise();
            return;
        }
        self.progress.see(&event);
        if let Process::Client(process) = event.process {
            match (&*event.f, event.kind) {
                ("acquire", EventType::Ok) => self.holders.borrow_mut().insert(process),
                ("release", EventType::Invoke) => self.holders.borrow_mut().remove(&process),
                _ => false,
            };
        }
        if let Some(violation) = self.watch.borrow_mut().see(&event) {
            self.progress.violation_ns.set(Some(violation.time_ns));
        }
    }
}
