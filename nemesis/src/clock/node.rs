//! The clock of a machine, which outlives the processes that read it.

use super::handle::{BEHIND_NS, ClockHandle};
use super::memory::Memory;
use super::settings::{Settings, TrueTime};
use super::{ClockError, ClockReading, ClockSkew};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One node's clock. A process that is started on the node reads it as it stands by then: as on a
/// real machine, a restart sets no clock right.
#[derive(Debug, Default)]
pub struct NodeClock(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Where no process holds them.
    settings: Settings,
    process: Option<ClockHandle>,
}

impl NodeClock {
    /// Hands the clock to a process that is about to exec, or has just done so; see
    /// [`ClockHandle::attach`] for what must hold. The process before it is forgotten.
    ///
    /// # Errors
    /// As [`ClockHandle::attach`]. The process runs on then, with true clocks.
    pub fn attach(&self, pid: i32) -> Result<(), ClockError> {
        let mut inner = self.lock();
        inner.forget();
        let settings = inner.settings.clone();
        inner.process = Some(ClockHandle::attach_with(pid, settings, Memory::open)?);
        Ok(())
    }

    /// Changes the clock, whether a process runs or not; what the process reads then, if one does.
    ///
    /// # Errors
    /// When the change is beyond what the numbers carry, or the process cannot be reached.
    pub fn set(&self, skew: ClockSkew) -> Result<Option<ClockReading>, ClockError> {
        std::thread::sleep(self.change(skew)?);
        self.read()
    }

    /// As [`NodeClock::set`], but tells in how long the change holds and does not wait for it; see
    /// [`ClockHandle::change`].
    ///
    /// # Errors
    /// As [`NodeClock::set`].
    pub fn change(&self, skew: ClockSkew) -> Result<Duration, ClockError> {
        let mut inner = self.lock();
        match inner.process.as_ref().map(|process| process.change(skew)) {
            Some(Err(ClockError::Ended { .. })) => inner.forget(),
            Some(result) => return result,
            None => {}
        }
        inner.settings = inner.settings.changed(skew, TrueTime::now()?, -BEHIND_NS)?;
        Ok(Duration::ZERO)
    }

    /// What the process reads now, worked out from its memory; `None` when none runs.
    ///
    /// # Errors
    /// When the process cannot be reached.
    pub fn read(&self) -> Result<Option<ClockReading>, ClockError> {
        match self.lock().process.as_ref().map(ClockHandle::read) {
            None | Some(Err(ClockError::Ended { .. })) => Ok(None),
            Some(result) => result.map(Some),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is one assignment: a panic cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self) {
        if let Some(process) = self.process.take() {
            self.settings = process.settings();
        }
    }
}
