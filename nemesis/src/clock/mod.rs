//! The clock injector: changes the clocks that one process reads, whatever it is written in.
//!
//! libfaketime does nothing to a Go program, and a time namespace shifts only the monotonic clock,
//! only once. But every program reads the time through the functions that the kernel maps into it,
//! the vDSO. At the process' exec, before its first instruction, a stub of half a kilobyte is
//! written into the free room behind the vDSO's image, and the image's symbols are pointed at it.
//! From then on the stub calls the kernel's function and adds a skew: an offset and a drift, for
//! the time of day and for the monotonic time apart. Changing the skew later is a write to the
//! process' memory; the process is not stopped and not slowed.
//!
//! The order of things:
//!
//! 1. the child calls [`trace_me`] right before its last exec;
//! 2. the thread that started it calls [`ClockHandle::attach`], which waits for that exec;
//! 3. [`ClockHandle::set`] and [`ClockHandle::read`], from any thread, as often as one likes.
//!
//! Every node is started so, with true clocks, so that a fault need not restart it. A [`NodeClock`]
//! carries a skew from one process of a node to the next.
//!
//! What is not there: system calls that go around the vDSO; timers that are already armed (only
//! readings change); deadlines that a program hands to the kernel as absolute monotonic times,
//! which then come early or late by the offset; time stamps of files. A further exec in the
//! process drops the stub; children that it forks keep the skew of that moment. No namespaces here:
//! the process' number is all that is needed.

mod bare;
mod exec;
mod handle;
mod memory;
mod node;
mod patch;
mod settings;
mod skew;
mod start;
mod stub;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
mod vdso;

pub use bare::BareClock;
pub use handle::ClockHandle;
pub use node::NodeClock;
pub use skew::{
    ClockChange, ClockReading, ClockSkew, OFFSET_NS_MAX, Offset, RATE_PPM_MAX, RATE_PPM_MIN,
    Reading,
};
pub use start::{probe, spawn, trace_me};
pub use vdso::VdsoError;

use nix::errno::Errno;
use nix::unistd::Pid;
use std::io;

/// Why the clocks of a process could not be taken over or changed.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// There is no stub for this processor.
    #[error("clock faults need an x86-64 processor, and this one is {0}")]
    Processor(&'static str),
    /// The process could not be started under trace.
    #[error(
        "{program} could not be started under ptrace: {source}; where kernel.yama.ptrace_scope is \
         3 or a seccomp profile forbids ptrace, there are no clock faults"
    )]
    Start {
        /// The program.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Not a child of the calling thread's process.
    #[error("process {pid} is no child of this one, so its exec cannot be waited for")]
    NotAChild {
        /// The process.
        pid: i32,
    },
    /// It stands still, but not at an exec.
    #[error("process {pid} did not stop at its exec: it must ask for the trace right before it")]
    NotAtExec {
        /// The process.
        pid: i32,
    },
    /// The process is gone.
    #[error("process {pid} has ended")]
    Ended {
        /// The process.
        pid: i32,
    },
    /// The kernel maps no vDSO.
    #[error("process {pid} has no vDSO; the kernel was started with vdso=0")]
    NoVdso {
        /// The process.
        pid: i32,
    },
    /// A vDSO that cannot be worked with.
    #[error("the clocks of process {pid} cannot be taken over: {source}")]
    Vdso {
        /// The process.
        pid: i32,
        /// Why.
        source: VdsoError,
    },
    /// ptrace refused.
    #[error("could not {what} process {pid} by ptrace: {errno}")]
    Ptrace {
        /// What was tried.
        what: &'static str,
        /// The process.
        pid: i32,
        /// What the kernel said.
        errno: Errno,
    },
    /// Neither `/proc/PID/mem` nor ptrace gave access to its memory.
    #[error("the memory of process {pid} cannot be reached: {source}")]
    Memory {
        /// The process.
        pid: i32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel took the write and did not do it.
    #[error("the vDSO of process {pid} did not take what was written to it")]
    NotWritten {
        /// The process.
        pid: i32,
    },
    /// Further off than the numbers carry.
    #[error("a clock cannot be put {offset_ns} ns off: the limit is 100 years")]
    TooFar {
        /// Where it would have been.
        offset_ns: i64,
    },
    /// Faster or slower than the numbers carry.
    #[error("a clock cannot gain {rate_ppm} ppm: the limits are -1000000 and 999000000")]
    Rate {
        /// What was asked for.
        rate_ppm: i64,
    },
    /// This process cannot read its own clock.
    #[error("the harness could not read its own clock: {0}")]
    OwnClock(Errno),
}

impl ClockError {
    fn ptrace(what: &'static str, pid: Pid, errno: Errno) -> ClockError {
        match errno {
            Errno::ESRCH => ClockError::Ended { pid: pid.as_raw() },
            _ => ClockError::Ptrace { what, pid: pid.as_raw(), errno },
        }
    }
}
