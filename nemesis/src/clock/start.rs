//! Starting a process so that its clocks can be taken over.

use super::exec::{install, wait_exec};
use super::memory::Memory;
use super::settings::Settings;
use super::{ClockError, ClockHandle};
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::io;
use std::process::{Child, Command, Stdio};

/// Asks the parent's thread to trace this process: the next exec then stops before the new
/// program's first instruction, until [`ClockHandle::attach`] has been there.
///
/// Only system calls: it may be called between fork and exec.
///
/// # Errors
/// EPERM where tracing is forbidden (`kernel.yama.ptrace_scope` = 3, a seccomp profile).
pub fn trace_me() -> io::Result<()> {
    Ok(ptrace::traceme()?)
}

/// Starts a program with its clocks taken over and true. To be called on a thread that lives as
/// long as the call.
///
/// # Errors
/// When the program cannot be started, or its clocks cannot be taken over: then it is ended.
pub fn spawn(command: &mut Command) -> Result<(Child, ClockHandle), ClockError> {
    let mut child = start_traced(command)?;
    match ClockHandle::attach(child.id() as i32) {
        Ok(handle) => Ok((child, handle)),
        Err(error) => {
            end(&mut child);
            Err(error)
        }
    }
}

/// Tries on a process of its own whether clocks can be taken over here; no foreign code runs.
///
/// # Errors
/// What stands in the way.
pub fn probe() -> Result<(), ClockError> {
    let mut command = Command::new("/proc/self/exe");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = start_traced(&mut command)?;
    let pid = Pid::from_raw(child.id() as i32);
    let stopped = wait_exec(pid);
    let tried = stopped.and_then(|()| install(pid, &mut Memory::open(pid), &Settings::default()));
    // It is killed where it stands and never runs.
    end(&mut child);
    tried.map(drop)
}

fn end(child: &mut Child) {
    // It may have ended by itself; what is left is to collect its status.
    let _ = child.kill();
    let _ = child.wait();
}

#[allow(unsafe_code)] // Command can only be told by an unsafe call what to do before the exec.
pub(super) fn start_traced(command: &mut Command) -> Result<Child, ClockError> {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    let command = unsafe { command.pre_exec(trace_me) };
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|source| ClockError::Start { program, source })
}
