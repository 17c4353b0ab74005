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
use super::init;
use super::report::{self, Report, Reporter};
use super::sys::{self, Cloned};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid, pipe2};
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// Exit status when Ordeal itself failed.
pub(super) const FAILED: u8 = 70;
/// Exit status after an interrupt.
pub(super) const INTERRUPTED: u8 = 130;

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
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert_eq!(threads, 1, "the sandbox is entered by a process of one thread");
    for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD] {
        // Whoever started us may have ignored it, as a shell does for what it puts in the
        // background, and that passes over exec. Then an interrupt would end nothing, and a child
        // would leave no status.
        // SAFETY: the default action is no handler of ours.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
    // What stands in a buffer now would be written twice.
    let _ = io::stdout().flush();
    let (go_read, go_write) = pipe()?;
    let (report_read, report_write) = pipe()?;
    let mask = Mask::block(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD])?;
    let (cloned, in_user_namespace) = clone_init()?;
    let (child, _pidfd) = match cloned {
        Cloned::Child => {
            drop((go_write, report_read));
            init::run(go_read, Reporter::new(report_write), mask, body)
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

fn pipe() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|errno| SandboxError::io("making a pipe", sys::as_io(errno)))
}

/// Signals blocked for as long as this lives.
pub(super) struct Mask {
    pub blocked: SigSet,
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

/// Makes a user namespace with the invoking user as its root, and gives it up again.
///
/// Must be called while the process has one thread.
pub(crate) fn try_user_namespace() -> Result<(), SandboxError> {
    let (go_read, go_write) = pipe()?;
    // SAFETY: one thread, by the contract.
    let cloned = unsafe { sys::clone_process(CloneFlags::CLONE_NEWUSER) };
    let child = match cloned.map_err(|errno| {
        SandboxError::missing(Facility::UserNamespaces, "making a user namespace", errno)
    })? {
        Cloned::Parent { child, .. } => child,
        Cloned::Child => {
            drop(go_write);
            // Until the maps are written, or the other end is closed.
            let _ = nix::unistd::read(&go_read, &mut [0]);
            std::process::exit(0)
        }
    };
    let mapped = write_maps(child, true);
    drop((go_read, go_write));
    let _ = waitpid(child, None);
    mapped
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

fn await_report(pipe: OwnedFd) -> Result<(), SandboxError> {
    match report::listen(pipe) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed(stage, errno)) => {
            let stage = init::STAGES.get(usize::from(stage).wrapping_sub(1));
            let (facility, what) = stage.copied().unwrap_or(init::STAGES[0]);
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
                tell!("ordeal: the sandbox was ended by {signal}; nothing of it is left");
                return Ok(FAILED);
            }
            _ => {}
        }
    }
}
