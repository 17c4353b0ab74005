//! The first process of the sandbox's pid namespace; [`super::enter`] tells what it is for.

use super::enter::{FAILED, INTERRUPTED, Mask};
use super::error::{Facility, SandboxError};
use super::report::Reporter;
use super::{network, sys};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process is the supervisor.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether this process runs the body of an [`enter`].
pub(super) fn is_entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// The stages of the init's set-up, as they are reported.
pub(super) const STAGES: [(Facility, &str); 4] = [
    (Facility::Namespaces, "making the mounts private"),
    (Facility::Proc, "mounting /proc"),
    (Facility::Namespaces, "bringing loopback up"),
    (Facility::Namespaces, "starting the supervisor"),
];

/// The init: sets the namespaces up, starts the supervisor, reaps, and ends with its status.
pub(super) fn run(
    lifeline: OwnedFd,
    mut reporter: Reporter,
    mask: Mask,
    body: impl FnOnce() -> u8,
) -> ! {
    let set_up = await_go(&lifeline).and_then(|()| set_up(&mut reporter));
    let Some(signals) = set_up.and_then(|()| signal_descriptor(&mask.blocked)) else {
        std::process::exit(FAILED.into())
    };
    // SAFETY: this process has one thread.
    match unsafe { fork() } {
        Err(errno) => {
            reporter.failed(4, &sys::as_io(errno));
            std::process::exit(FAILED.into())
        }
        Ok(ForkResult::Child) => {
            drop((lifeline, reporter, signals, mask));
            ENTERED.store(true, Ordering::Relaxed);
            // The panic's message is out when it gets here.
            let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(FAILED);
            std::process::exit(status.into())
        }
        Ok(ForkResult::Parent { child }) => {
            reporter.ready();
            drop(reporter);
            std::process::exit(reap(child, &lifeline, &signals).into())
        }
    }
}

/// Waits for the maps; `None` when the outer process is gone.
fn await_go(lifeline: &OwnedFd) -> Option<()> {
    set_pdeathsig(Signal::SIGKILL).ok()?;
    matches!(nix::unistd::read(lifeline, &mut [0]), Ok(1)).then_some(())
}

/// Mounts, loopback, session; `None` after reporting what failed.
fn set_up(reporter: &mut Reporter) -> Option<()> {
    let mut stage = |number: u8, result: io::Result<()>| {
        result.map_err(|error| reporter.failed(number, &error)).ok()
    };
    // Never in the terminal's foreground group: see `enter`. A process just cloned leads no group,
    // so this cannot fail.
    let _ = setsid();
    stage(1, private_mounts())?;
    stage(2, fresh_proc())?;
    stage(
        3,
        network::loopback_up().map_err(|error| match error {
            SandboxError::Missing { source, .. } | SandboxError::Io { source, .. } => source,
            other => io::Error::other(other),
        }),
    )
}

/// Keeps what is mounted here from the outside, and the other way round.
pub(super) fn private_mounts() -> io::Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(sys::as_io)
}

/// Gives this process mounts of its own, which nobody else sees; whether it may.
pub(crate) fn keep_mounts_private() -> bool {
    unshare(CloneFlags::CLONE_NEWNS).is_ok() && private_mounts().is_ok()
}

/// Mounts a `/proc` that shows this pid namespace.
pub(super) fn fresh_proc() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(sys::as_io)
}

fn signal_descriptor(signals: &SigSet) -> Option<SignalFd> {
    SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok()
}

/// Reaps whatever ends until the supervisor does, and returns its status.
fn reap(supervisor: Pid, lifeline: &OwnedFd, signals: &SignalFd) -> u8 {
    loop {
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(lifeline.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return FAILED,
        }
        // Nothing is ever written after the first byte: this is the end of the outer process.
        if fds[1].any().unwrap_or(false) {
            return FAILED;
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            if let Ok(signal @ (Signal::SIGINT | Signal::SIGTERM)) =
                Signal::try_from(signal.ssi_signo as i32)
            {
                let _ = kill(supervisor, signal);
            }
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) if pid == supervisor => return status as u8,
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == supervisor => {
                    return killed(signal);
                }
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }
}

/// The status of a supervisor that a signal ended.
fn killed(signal: Signal) -> u8 {
    match signal {
        Signal::SIGINT | Signal::SIGTERM => INTERRUPTED,
        _ => {
            tell!("ordeal: the supervisor was ended by {signal}; nothing of it is left");
            FAILED
        }
    }
}
