//! A node's process, seen from the supervisor.
//!
//! The supervisor alone collects its children's statuses, so a number stays theirs until it has
//! done so, and signals go where they should.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(Signal),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Status(status) => write!(f, "exit status {status}"),
            ExitReason::Signal(signal) => write!(f, "{signal}"),
        }
    }
}

/// A process that has not been collected.
pub(super) struct Process {
    pid: Pid,
    /// Readable when the process, and with it its pid namespace, has ended.
    pidfd: OwnedFd,
}

/// Whether a process takes its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Runs,
    Stopped,
    Ended,
}

impl Process {
    pub fn new((pid, pidfd): (Pid, OwnedFd)) -> Process {
        Process { pid, pidfd }
    }

    /// The number in the supervisor's pid namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// A descriptor of its own that becomes readable at the end.
    pub fn ending(&self) -> Option<OwnedFd> {
        self.pidfd.try_clone().ok()
    }

    /// Sends a signal. It may have ended; then nothing happens.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Waits for its end, at most so long. The status can be had once.
    pub fn wait(&self, timeout: Duration) -> Option<ExitReason> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up, so that the last turn does not spin.
            let left_ms = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(left_ms)) {
                Ok(0) if left.is_zero() => return None,
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => return self.collect(),
            }
        }
    }

    /// Whether it has ended, waiting for that at most so long. Its status is left to be collected.
    pub fn has_ended(&self, timeout: Duration) -> bool {
        let timeout_ms = u16::try_from(timeout.as_millis()).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(timeout_ms)).is_ok_and(|ready| ready > 0)
    }

    fn collect(&self) -> Option<ExitReason> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        match waitid(Id::PIDFd(self.pidfd.as_fd()), flags) {
            Ok(WaitStatus::Exited(_, status)) => Some(ExitReason::Status(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitReason::Signal(signal)),
            _ => None,
        }
    }

    /// Its state: stopped when every thread of it is.
    pub fn state(&self) -> State {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return State::Ended;
        };
        let mut states = threads.flatten().filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
            // The name before it is in parentheses and may hold anything (proc_pid_stat(5)).
            stat.rsplit_once(") ")?.1.chars().next()
        });
        match states.try_fold(State::Ended, |state, thread| match thread {
            'Z' | 'X' => Ok(state),
            'T' | 't' => Ok(State::Stopped),
            _ => Err(State::Runs),
        }) {
            Ok(state) | Err(state) => state,
        }
    }

    /// Waits until it is in this state or has ended, at most so long, and tells the state it is in.
    pub fn await_state(&self, wanted: State, timeout: Duration) -> State {
        let deadline = Instant::now() + timeout;
        loop {
            let state = self.state();
            if state == wanted || state == State::Ended || Instant::now() >= deadline {
                return state;
            }
            // A thread stops at its next return to user space; nothing announces the last one.
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
