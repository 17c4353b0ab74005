//! Writing into the memory of a process that this one may trace.

use super::ClockError;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// The memory of one process: through `/proc/PID/mem`, or word by word through ptrace.
///
/// The file is opened once and stays bound to that process image, so a number that the kernel
/// gives to another process later is never written to by mistake.
#[derive(Debug)]
pub struct Memory {
    pid: Pid,
    file: Option<File>,
}

impl Memory {
    /// Opens the memory of a process that this thread traces and that stands still.
    ///
    /// Where `/proc/PID/mem` cannot be opened or refuses to write over read-only pages
    /// (`proc_mem.force_override`, `proc_mem.restrict_write`), ptrace is used instead, and each
    /// later write stops the process for an instant.
    pub fn open(pid: Pid) -> Memory {
        let path = format!("/proc/{pid}/mem");
        Memory { pid, file: OpenOptions::new().read(true).write(true).open(path).ok() }
    }

    /// Memory that is written through ptrace alone.
    #[cfg(test)]
    pub fn by_ptrace(pid: Pid) -> Memory {
        Memory { pid, file: None }
    }

    /// Whether a write is tried without a stop of the process.
    pub fn writes_unstopped(&self) -> bool {
        self.file.is_some()
    }

    /// Fills `bytes` from the address.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), ClockError> {
        let read = match &self.file {
            Some(file) => file.read_exact_at(bytes, address),
            None => self.stopped(|| peek(self.pid, address, bytes)),
        };
        read.map_err(|source| self.error(source))
    }

    /// Writes `bytes`, a multiple of 8 of them, at an address that is a multiple of 8.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), ClockError> {
        let refused = match &self.file {
            Some(file) => match file.write_all_at(bytes, address) {
                Ok(()) => return Ok(()),
                Err(error) => is_of_the_dead(&error).then_some(error),
            },
            None => None,
        };
        // Some kernels let only a tracer write over read-only pages (`proc_mem.force_override`).
        let written = match refused {
            Some(error) => Err(error),
            None => self.stopped(|| poke(self.pid, address, bytes)),
        };
        written.map_err(|source| self.error(source))
    }

    /// As [`Memory::write`], on a process that this thread traces already: tries the file, and
    /// gives it up for ptrace when it refuses.
    pub fn write_traced(&mut self, address: u64, bytes: &[u8]) -> Result<(), ClockError> {
        if let Some(file) = &self.file
            && file.write_all_at(bytes, address).is_ok()
        {
            return Ok(());
        }
        self.file = None;
        poke(self.pid, address, bytes).map_err(|source| self.error(source))
    }

    /// As [`Memory::read`], on a process that this thread traces already.
    pub fn read_traced(&self, address: u64, bytes: &mut [u8]) -> Result<(), ClockError> {
        let read = match &self.file {
            Some(file) => file.read_exact_at(bytes, address),
            None => peek(self.pid, address, bytes),
        };
        read.map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> ClockError {
        let pid = self.pid.as_raw();
        match is_of_the_dead(&source) {
            true => ClockError::Ended { pid },
            false => ClockError::Memory { pid, source },
        }
    }

    /// Stops the process, does the work, and lets it go on as it was.
    fn stopped<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        ptrace::seize(self.pid, ptrace::Options::empty())?;
        let done = self.interrupted().and_then(|()| work());
        let detached = ptrace::detach(self.pid, None).map_err(io::Error::from);
        done.and_then(|value| detached.map(|()| value))
    }

    fn interrupted(&self) -> io::Result<()> {
        ptrace::interrupt(self.pid)?;
        loop {
            match wait_stop(self.pid)? {
                // A signal arrived first: hand it on, and wait for our own stop.
                Stop::Signal(signal) => ptrace::cont(self.pid, signal)?,
                Stop::Event => return Ok(()),
                Stop::Ended => return Err(Errno::ESRCH.into()),
            }
        }
    }
}

/// Whether the process has ended: it has no memory then, and the file reads and writes nothing.
fn is_of_the_dead(error: &io::Error) -> bool {
    let nothing = [io::ErrorKind::WriteZero, io::ErrorKind::UnexpectedEof];
    nothing.contains(&error.kind()) || error.raw_os_error() == Some(nix::libc::ESRCH)
}

/// What a traced process stands at.
pub enum Stop {
    /// A signal that is about to be delivered, SIGTRAP at an exec among them.
    Signal(Signal),
    /// A stop of ptrace's own, or a group stop.
    Event,
    /// It has ended; its status is left to its parent.
    Ended,
}

/// Waits until a process that this thread traces stands still or has ended, and consumes nothing:
/// whoever waits for the process' end still gets its status.
pub fn wait_stop(pid: Pid) -> io::Result<Stop> {
    let peek =
        WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
    loop {
        match waitid(Id::Pid(pid), peek) {
            Ok(WaitStatus::PtraceEvent(_, signal, 0)) => return Ok(Stop::Signal(signal)),
            Ok(WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)) => return Ok(Stop::Event),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Ok(Stop::Ended),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn word(address: u64, index: usize) -> ptrace::AddressType {
    (address as usize + index * 8) as ptrace::AddressType
}

fn poke(pid: Pid, address: u64, bytes: &[u8]) -> io::Result<()> {
    for (i, chunk) in bytes.chunks(8).enumerate() {
        let mut value = [0; 8];
        value[..chunk.len()].copy_from_slice(chunk);
        ptrace::write(pid, word(address, i), i64::from_le_bytes(value))?;
    }
    Ok(())
}

fn peek(pid: Pid, address: u64, bytes: &mut [u8]) -> io::Result<()> {
    for (i, chunk) in bytes.chunks_mut(8).enumerate() {
        let value = ptrace::read(pid, word(address, i))?.to_le_bytes();
        chunk.copy_from_slice(&value[..chunk.len()]);
    }
    Ok(())
}
