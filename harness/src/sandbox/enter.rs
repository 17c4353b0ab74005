//! The way into the sandbox: three processes, of which the last does the work.
//!
//! - The **outer** process is the one that the user started. It makes the namespaces, passes
//!   interrupts on, and waits.
//! - The **init** is the first process of the pid namespace. It reaps orphans and waits. When it
//!   ends, for whatever reason, the kernel kills every process of the namespace; with the last of
//!   them go the mounts, the network namespaces and their devices.
//! - The **supervisor** is its child and runs the body. It is not init itself, so that the statuses
//!   of its own children are its own to collect, and a signal does to it what it does to any
//!   process.
//!
//! Outer dies: the init gets SIGKILL (`PR_SET_PDEATHSIG`), and reads the end of a pipe besides.
//! Init dies: the kernel kills the rest, and the outer process says so. Supervisor dies: the init
//! ends. In each case nothing is left.

use super::error::{Facility, SandboxError};
use super::network;
use super::report::{self, Report, Reporter};
use super::sys::{self, Cloned};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, pipe2, setsid};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status when Ordeal itself failed.
const FAILED: u8 = 70;
/// Exit status after an interrupt.
const INTERRUPTED: u8 = 130;

/// Whether this process is the supervisor.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Everything but the user namespace.
pub(crate) const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS);

/// Runs `body` in namespaces of its own, and returns its value when it has ended.
///
/// Must be called while the process has one thread: the body goes on in a copy of it. The body's
/// process is the root of its namespaces, and the invoking user to the outside: files that it
/// makes belong to that user.
///
/// SIGINT and SIGTERM that reach the outer process are passed on to the body's, each once; at the
/// second of a kind everything is killed. The body's process is in a session of its own, so that
/// an interrupt from the terminal, which goes to a whole process group, reaches it just once.
/// Until the body handles a signal, the signal ends it.
///
/// # Errors
///
/// When the machine does not give the namespaces: [`SandboxError::Missing`], with the way out.
/// A body that panics or is killed is no error here: it said what was wrong, and the status is 70;
/// after an interrupt 130.
pub fn enter(body: impl FnOnce() -> u8) -> Result<u8, SandboxError> {
    // What stands in a buffer now would be written twice.
    let _ = io::stdout().flush();
    let (go_read, go_write) = pipe()?;
    let (report_read, report_write) = pipe()?;
    let mask = Mask::block(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD])?;
    let (cloned, in_user_namespace) = clone_init()?;
    let (child, _pidfd) = match cloned {
        Cloned::Child => {
            drop((go_write, report_read));
            run_init(go_read, Reporter::new(report_write), mask, body)
        }
        Cloned::Parent { child, pidfd } => (child, pidfd),
    };
    drop((go_read, report_write));
    let ready = match write_maps(child, in_user_namespace) {
        Ok(()) => {
            let go = nix::unistd::write(&go_write, &[1]);
            go.map_err(|errno| SandboxError::io("starting the sandbox", sys::as_io(errno)))
                .and_then(|_| await_report(report_read))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = ready {
        // It may be gone already.
        let _ = kill(child, Signal::SIGKILL);
        let _ = waitpid(child, None);
        return Err(error);
    }
    // `go_write` stays open meanwhile: its end is how the init sees ours.
    let status = watch(child, &mask.blocked);
    drop(go_write);
    status
}

/// Whether this process runs the body of an [`enter`].
pub(super) fn is_entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|errno| SandboxError::io("making a pipe", sys::as_io(errno)))
}

/// Signals blocked for as long as this lives.
struct Mask {
    blocked: SigSet,
    before: SigSet,
}

impl Mask {
    fn block(signals: &[Signal]) -> Result<Mask, SandboxError> {
        let blocked: SigSet = signals.iter().copied().collect();
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before))
            .map_err(|errno| SandboxError::io("blocking signals", sys::as_io(errno)))?;
        Ok(Mask { blocked, before })
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // A mask that was in force once is valid.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Clones the init, and tells whether it is in a user namespace of its own.
///
/// Root does without one: root may make the others as it is, it keeps its reach over other users'
/// files (a binary in a home directory that others may not enter), and it works where user
/// namespaces are switched off. Root without the capability, in a container, is an ordinary user.
fn clone_init() -> Result<(Cloned, bool), SandboxError> {
    if geteuid().is_root() {
        // SAFETY: as below.
        match unsafe { sys::clone_process(NAMESPACES) } {
            Err(Errno::EPERM) => {}
            cloned => {
                return cloned.map(|cloned| (cloned, false)).map_err(|errno| {
                    SandboxError::missing(Facility::Namespaces, "making namespaces", errno)
                });
            }
        }
    }
    // SAFETY: by `enter`'s contract the process has one thread.
    let cloned = unsafe { sys::clone_process(NAMESPACES | CloneFlags::CLONE_NEWUSER) };
    cloned.map(|cloned| (cloned, true)).map_err(|errno| {
        SandboxError::missing(Facility::UserNamespaces, "making namespaces", errno)
    })
}

/// Makes the invoking user root in the child's user namespace.
fn write_maps(child: Pid, in_user_namespace: bool) -> Result<(), SandboxError> {
    if !in_user_namespace {
        return Ok(());
    }
    // The group map of an ordinary user is refused while the child could still drop groups, which
    // would widen what it may read (user_namespaces(7)).
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {} 1", geteuid())),
        ("gid_map", format!("0 {} 1", getegid())),
    ] {
        std::fs::write(format!("/proc/{child}/{file}"), text).map_err(|source| {
            let what = format!("writing {file}");
            SandboxError::missing_io(Facility::UserNamespaces, what, source)
        })?;
    }
    Ok(())
}

/// The stages of the init's set-up, as they are reported.
const STAGES: [(Facility, &str); 4] = [
    (Facility::Namespaces, "making the mounts private"),
    (Facility::Proc, "mounting /proc"),
    (Facility::Namespaces, "bringing loopback up"),
    (Facility::Namespaces, "starting the supervisor"),
];

fn await_report(pipe: OwnedFd) -> Result<(), SandboxError> {
    match report::listen(pipe) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed(stage, errno)) => {
            let stage = STAGES.get(usize::from(stage).wrapping_sub(1));
            let (facility, what) = stage.copied().unwrap_or(STAGES[0]);
            Err(SandboxError::missing(facility, what, Errno::from_raw(errno)))
        }
        Ok(Report::Silence) => Err(SandboxError::io(
            "starting the sandbox",
            io::Error::other("its first process died at once"),
        )),
        Err(source) => Err(SandboxError::io("hearing from the sandbox", source)),
    }
}

/// The outer process: passes signals on until the child has ended.
fn watch(child: Pid, signals: &SigSet) -> Result<u8, SandboxError> {
    let failed = |errno| SandboxError::io("waiting for the sandbox", sys::as_io(errno));
    let mut seen = SigSet::empty();
    let mut ended_by_us = false;
    loop {
        match signals.wait().map_err(failed)? {
            Signal::SIGCHLD => {}
            signal => {
                ended_by_us |= seen.contains(signal);
                seen.add(signal);
                // Fails when it has just ended, which the next turn sees.
                let _ = kill(child, if ended_by_us { Signal::SIGKILL } else { signal });
            }
        }
        match waitpid(child, Some(WaitPidFlag::WNOHANG)).map_err(failed)? {
            WaitStatus::Exited(_, status) => return Ok(status as u8),
            WaitStatus::Signaled(..) if ended_by_us => return Ok(INTERRUPTED),
            WaitStatus::Signaled(_, signal, _) => {
                eprintln!("ordeal: the sandbox was ended by {signal}; nothing of it is left");
                return Ok(FAILED);
            }
            _ => {}
        }
    }
}

/// The init: sets the namespaces up, starts the supervisor, reaps, and ends with its status.
fn run_init(lifeline: OwnedFd, mut reporter: Reporter, mask: Mask, body: impl FnOnce() -> u8) -> ! {
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
            eprintln!("ordeal: the supervisor was ended by {signal}; nothing of it is left");
            FAILED
        }
    }
}
