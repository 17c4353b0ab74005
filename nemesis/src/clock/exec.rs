//! At a process' exec: waiting for it, and putting the stub into its vDSO.

use super::ClockError;
use super::memory::{Memory, Stop, wait_stop};
use super::patch::patch;
use super::settings::Settings;
use super::stub;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Waits for the exec of a child that asked to be traced; signals before it are handed on.
pub fn wait_exec(pid: Pid) -> Result<(), ClockError> {
    loop {
        let stop = wait_stop(pid).map_err(|e| match e.raw_os_error() {
            Some(nix::libc::ECHILD) => ClockError::NotAChild { pid: pid.as_raw() },
            _ => ClockError::Memory { pid: pid.as_raw(), source: e },
        })?;
        match stop {
            Stop::Signal(Signal::SIGTRAP) => return Ok(()),
            Stop::Signal(signal) => ptrace::cont(pid, signal)
                .map_err(|errno| ClockError::ptrace("hand a signal to", pid, errno))?,
            Stop::Event => {
                return Err(ClockError::NotAtExec { pid: pid.as_raw() });
            }
            Stop::Ended => return Err(ClockError::Ended { pid: pid.as_raw() }),
        }
    }
}

/// Puts the stub into a process that this thread traces and that stands at its exec; the address
/// of the stub's data.
pub fn install(pid: Pid, memory: &mut Memory, settings: &Settings) -> Result<u64, ClockError> {
    let stub = stub::stub().ok_or(ClockError::Processor(std::env::consts::ARCH))?;
    let (start, len) = find_vdso(pid)?;
    let mut image = vec![0; len];
    memory.read_traced(start, &mut image)?;
    let untouched = image.clone();
    let data = patch(&mut image, start, stub)
        .map_err(|source| ClockError::Vdso { pid: pid.as_raw(), source })?;
    let slot = settings.slot();
    let slot_at = data + settings.slot_at() as usize;
    image[slot_at..slot_at + slot.len()].copy_from_slice(&slot);
    image[data..data + 8].copy_from_slice(&settings.sequence_word());
    for (at, words) in changed_runs(&untouched, &image) {
        memory.write_traced(start + at as u64, words)?;
    }
    let mut seen = vec![0; len];
    memory.read_traced(start, &mut seen)?;
    if seen != image {
        return Err(ClockError::NotWritten { pid: pid.as_raw() });
    }
    Ok(start + data as u64)
}

/// Address and length of the vDSO's mapping.
fn find_vdso(pid: Pid) -> Result<(u64, usize), ClockError> {
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path)
        .map_err(|source| ClockError::Memory { pid: pid.as_raw(), source })?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split_once(' ')?.0.split_once('-')).and_then(|(a, b)| {
        let start = u64::from_str_radix(a, 16).ok()?;
        let end = u64::from_str_radix(b, 16).ok()?;
        Some((start, usize::try_from(end.checked_sub(start)?).ok()?))
    });
    range.ok_or(ClockError::NoVdso { pid: pid.as_raw() })
}

/// The runs of 8-byte words in which two images of one length differ.
fn changed_runs<'a>(old: &[u8], new: &'a [u8]) -> Vec<(usize, &'a [u8])> {
    let mut runs: Vec<(usize, &[u8])> = Vec::new();
    for at in (0..new.len()).step_by(8) {
        let end = (at + 8).min(new.len());
        if old[at..end] == new[at..end] {
            continue;
        }
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() == at => *run = &new[*start..end],
            _ => runs.push((at, &new[at..end])),
        }
    }
    runs
}
