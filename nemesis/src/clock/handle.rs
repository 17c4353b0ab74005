//! A process whose clocks can be changed while it runs.

use super::ClockError;
use super::exec::{install, wait_exec};
use super::memory::Memory;
use super::settings::{Settings, TrueTime};
use super::skew::{ClockReading, ClockSkew, Track};
use super::stub::data;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How far in the future a change of rate is put, so that it is in the process' memory before it
/// holds; see the crate-internal description of a skew.
const AHEAD_NS: i64 = 5_000_000;

/// How far in the past a mere jump is put: further than a coarse clock lags behind (a tick, at most
/// 10 ms), so that it holds for those at once too.
pub(super) const BEHIND_NS: i64 = 50_000_000;

/// A change that has less than this left when it is about to be published is worked out anew.
const SLACK_NS: i64 = 4_000_000;

/// How often a change is worked out anew on a machine too busy to be in time.
const TRIES_MAX: u32 = 20;

/// The clocks of one process, from its exec to its end.
///
/// It may be used from any thread. Dropping it leaves the clocks as they are.
#[derive(Debug)]
pub struct ClockHandle {
    pid: Pid,
    memory: Memory,
    /// Address of the stub's data in the process.
    data: u64,
    settings: Mutex<Settings>,
}

impl ClockHandle {
    /// Takes over the clocks of a child that called [`trace_me`](super::trace_me) and is about to
    /// exec, or has just done so; lets it run on afterwards, with the true time on its clocks.
    ///
    /// Must be called on the thread that started the child: ptrace ties a tracee to one thread.
    /// Blocks until the exec (2 to 3 ms with it). Whatever the result, the child runs on untraced.
    /// No other thread may wait for "any child" meanwhile: the stop would be reported to it
    /// instead.
    ///
    /// # Errors
    /// [`ClockError::Ended`] when the child ended before its exec (its status can still be waited
    /// for); the others when ptrace, `/proc` or the vDSO are not as needed.
    pub fn attach(pid: i32) -> Result<ClockHandle, ClockError> {
        ClockHandle::attach_with(pid, Settings::default(), Memory::open)
    }

    /// As [`ClockHandle::attach`], with clocks that go by `settings` from the first reading on.
    pub(super) fn attach_with(
        pid: i32,
        settings: Settings,
        open: impl FnOnce(Pid) -> Memory,
    ) -> Result<ClockHandle, ClockError> {
        let pid = Pid::from_raw(pid);
        let installed = wait_exec(pid).and_then(|()| {
            let mut memory = open(pid);
            install(pid, &mut memory, &settings).map(|data| (memory, data))
        });
        let detached = ptrace::detach(pid, None);
        // What went wrong before it says more than that there is nothing to let go of.
        let (memory, data) = installed?;
        detached.map_err(|errno| ClockError::ptrace("let go of", pid, errno))?;
        Ok(ClockHandle { pid, memory, data, settings: Mutex::new(settings) })
    }

    /// The process' number, as the caller of [`ClockHandle::attach`] gave it.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether changes are made without stopping the process for an instant, where the kernel lets
    /// them.
    pub fn changes_unstopped(&self) -> bool {
        self.memory.writes_unstopped()
    }

    /// Changes the clocks, and returns when the change holds, with what the process reads then.
    ///
    /// Blocks as long as [`ClockHandle::change`] says.
    ///
    /// # Errors
    /// When the process has ended, or the change is beyond what the numbers carry.
    pub fn set(&self, skew: ClockSkew) -> Result<ClockReading, ClockError> {
        std::thread::sleep(self.change(skew)?);
        self.read()
    }

    /// Changes the clocks, and tells in how long the change holds.
    ///
    /// A jump alone holds at once; a change of rate 5 ms later, so that the clock bends without a
    /// step, and the coarse clocks follow with their next tick. (On a machine so busy that the last
    /// write takes longer than 4 ms, the step is that delay times the change of rate.) A change
    /// that follows one that does not hold yet waits for it.
    ///
    /// # Errors
    /// When the process has ended, or the change is beyond what the numbers carry.
    pub fn change(&self, skew: ClockSkew) -> Result<Duration, ClockError> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::sleep(settings.pending(TrueTime::now()?));
        let ahead_ns = if settings.bends(skew) { AHEAD_NS } else { -BEHIND_NS };
        let mut tries = 0;
        let next = loop {
            let now = TrueTime::now()?;
            let next = settings.changed(skew, now, ahead_ns)?;
            self.memory.write(self.data + next.slot_at(), &next.slot())?;
            tries += 1;
            let left_ns = now.monotonic_ns + ahead_ns - TrueTime::now()?.monotonic_ns;
            if ahead_ns < 0 || left_ns > SLACK_NS || tries == TRIES_MAX {
                break next;
            }
        };
        self.memory.write(self.data, &next.sequence_word())?;
        let wait = next.pending(TrueTime::now()?);
        *settings = next;
        Ok(wait)
    }

    /// What the clocks were last set to.
    pub(super) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the process reads now, worked out from the numbers that stand in its memory.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn read(&self) -> Result<ClockReading, ClockError> {
        let mut sequence = [0; 8];
        self.memory.read(self.data, &mut sequence)?;
        let slot_at = data::SLOTS + (usize::from(sequence[0]) & 1) * data::SLOT_LEN;
        let mut bytes = [0; 2 * Track::WORDS * 8];
        self.memory.read(self.data + slot_at as u64, &mut bytes)?;
        let (wall, monotonic) = bytes.split_at(Track::WORDS * 8);
        let now = TrueTime::now()?;
        Ok(ClockReading {
            wall: track(wall).reading(now.wall_ns),
            monotonic: track(monotonic).reading(now.monotonic_ns),
        })
    }
}

fn track(bytes: &[u8]) -> Track {
    let mut words = [0; Track::WORDS];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut value = [0; 8];
        value.copy_from_slice(chunk);
        *word = i64::from_le_bytes(value);
    }
    Track::from_words(words)
}
