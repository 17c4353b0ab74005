//! A process whose clocks can be changed while it runs.

use super::memory::{Memory, Stop, wait_stop};
use super::patch::{Placed, patch};
use super::skew::{ClockReading, ClockSkew, Track};
use super::stub::{self, CLOCKS, SLOT_WORDS, data};
use super::{ClockChange, ClockError};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How far in the future a change of rate is put, so that it is in the process' memory before it
/// holds; see the crate-internal description of a skew.
const AHEAD_NS: i64 = 5_000_000;

/// How far in the past a mere jump is put: further than a coarse clock lags behind (a tick, at most
/// 10 ms), so that it holds for those at once too.
const BEHIND_NS: i64 = 50_000_000;

/// A change that has less than this left when it is about to be published is worked out anew.
const SLACK_NS: i64 = 4_000_000;

/// How often a change is worked out anew on a machine too busy to be in time.
const TRIES_MAX: u32 = 20;

/// A distance between two clocks is taken over only when it moved by more than this: it moves when
/// the machine was suspended, and everything less is the inaccuracy of measuring it.
const DISTANCE_STEP_NS: i64 = 1_000_000;

/// The clocks of one process, from its exec to its end.
///
/// It may be used from any thread. Dropping it leaves the clocks as they are.
#[derive(Debug)]
pub struct ClockHandle {
    pid: Pid,
    memory: Memory,
    /// Address of the stub's data in the process.
    data: u64,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    sequence: u32,
    wall: Track,
    monotonic: Track,
    distances_ns: [i64; CLOCKS],
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
        ClockHandle::attach_through(Pid::from_raw(pid), Memory::open)
    }

    pub(super) fn attach_through(
        pid: Pid,
        open: impl FnOnce(Pid) -> Memory,
    ) -> Result<ClockHandle, ClockError> {
        wait_exec(pid)?;
        let installed = ClockHandle::install(pid, open(pid));
        match ptrace::detach(pid, None) {
            Ok(()) => installed,
            Err(errno) => Err(ClockError::ptrace("let go of", pid, errno)),
        }
    }

    /// As [`ClockHandle::attach`], but the child is killed at its exec and never runs.
    pub(super) fn attach_and_kill(pid: i32) -> Result<(), ClockError> {
        let pid = Pid::from_raw(pid);
        let stopped = wait_exec(pid);
        let installed = stopped.and_then(|()| ClockHandle::install(pid, Memory::open(pid)));
        let killed = kill(pid, Signal::SIGKILL);
        installed.and(killed.map_err(|errno| ClockError::ptrace("end", pid, errno)))
    }

    fn install(pid: Pid, mut memory: Memory) -> Result<ClockHandle, ClockError> {
        let stub = stub::stub().ok_or(ClockError::Processor(std::env::consts::ARCH))?;
        let (start, len) = find_vdso(pid)?;
        let mut image = vec![0; len];
        memory.read_traced(start, &mut image)?;
        let untouched = image.clone();
        let placed = patch(&mut image, start, stub)
            .map_err(|source| ClockError::Vdso { pid: pid.as_raw(), source })?;
        for (at, words) in changed_runs(&untouched, &image) {
            memory.write_traced(start + at as u64, words)?;
        }
        let mut seen = vec![0; len];
        memory.read_traced(start, &mut seen)?;
        if seen != image {
            return Err(ClockError::NotWritten { pid: pid.as_raw() });
        }
        let Placed { data } = placed;
        let state = Mutex::new(State::default());
        Ok(ClockHandle { pid, memory, data: start + data as u64, state })
    }

    /// The process' number, as the caller of [`ClockHandle::attach`] gave it.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether changes reach the process without stopping it for an instant.
    pub fn changes_unstopped(&self) -> bool {
        self.memory.writes_unstopped()
    }

    /// Changes the clocks, and returns when the change holds, with what the process reads now.
    ///
    /// A jump alone holds at once; a change of rate 5 ms later, so that the clock bends without a
    /// step, and the coarse clocks follow with their next tick. (On a machine so busy that the last
    /// write takes longer than 4 ms, the step is that delay times the change of rate.)
    ///
    /// # Errors
    /// When the process has ended, or the change is beyond what the numbers carry.
    pub fn set(&self, skew: ClockSkew) -> Result<ClockReading, ClockError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead_ns = if state.bends(skew) { AHEAD_NS } else { -BEHIND_NS };
        let mut tries = 0;
        let (next, base_ns) = loop {
            let now = TrueTime::now()?;
            let next = state.changed(skew, now, ahead_ns)?;
            let slot_at = data::SLOTS + (next.sequence as usize & 1) * data::SLOT_LEN;
            self.memory.write(self.data + slot_at as u64, &next.slot())?;
            tries += 1;
            let left_ns = now.monotonic_ns + ahead_ns - TrueTime::now()?.monotonic_ns;
            if ahead_ns < 0 || left_ns > SLACK_NS || tries == TRIES_MAX {
                break (next, now.monotonic_ns + ahead_ns);
            }
        };
        // The word holds the sequence number and four bytes of padding.
        self.memory.write(self.data, &u64::from(next.sequence).to_le_bytes())?;
        *state = next;
        loop {
            let left_ns = base_ns - TrueTime::now()?.monotonic_ns;
            match u64::try_from(left_ns) {
                Ok(left_ns) if left_ns > 0 => std::thread::sleep(Duration::from_nanos(left_ns)),
                _ => break,
            }
        }
        self.read()
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

impl State {
    /// Whether a rate changes, on either clock.
    fn bends(&self, skew: ClockSkew) -> bool {
        let bends = |track: &Track, change: Option<ClockChange>| {
            change.is_some_and(|c| track.rate_ppm() != c.rate_ppm)
        };
        bends(&self.wall, skew.wall) || bends(&self.monotonic, skew.monotonic)
    }

    fn changed(&self, skew: ClockSkew, now: TrueTime, ahead_ns: i64) -> Result<State, ClockError> {
        let turn = |track: &Track, change: Option<ClockChange>, now_ns: i64| match change {
            Some(change) => track.changed(change, now_ns, now_ns + ahead_ns),
            None => Ok(*track),
        };
        let mut distances_ns = self.distances_ns;
        for (known_ns, measured_ns) in distances_ns.iter_mut().zip(measure_distances()?) {
            if known_ns.abs_diff(measured_ns) > DISTANCE_STEP_NS.unsigned_abs() {
                *known_ns = measured_ns;
            }
        }
        Ok(State {
            sequence: self.sequence.wrapping_add(1),
            wall: turn(&self.wall, skew.wall, now.wall_ns)?,
            monotonic: turn(&self.monotonic, skew.monotonic, now.monotonic_ns)?,
            distances_ns,
        })
    }

    /// As the stub reads it.
    fn slot(&self) -> Vec<u8> {
        let mut words = Vec::with_capacity(SLOT_WORDS);
        words.extend(self.wall.to_words());
        words.extend(self.monotonic.to_words());
        words.extend(self.distances_ns);
        words.into_iter().flat_map(i64::to_le_bytes).collect()
    }
}

#[derive(Clone, Copy)]
struct TrueTime {
    wall_ns: i64,
    monotonic_ns: i64,
}

impl TrueTime {
    fn now() -> Result<TrueTime, ClockError> {
        let wall_ns = read_clock(0)?;
        Ok(TrueTime { wall_ns, monotonic_ns: read_clock(1)? })
    }
}

fn read_clock(clock: i32) -> Result<i64, ClockError> {
    let time = clock_gettime(ClockId::from_raw(clock)).map_err(ClockError::OwnClock)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// How far each clock is from the one that its track is told in. The coarse clocks lag behind by
/// less than a tick and count as that one itself, or they would run ahead of it.
fn measure_distances() -> Result<[i64; CLOCKS], ClockError> {
    const TAI: i32 = 11;
    const APART: [(i32, i32); 4] = [(4, 1), (7, 1), (9, 1), (TAI, 0)];
    let mut distances_ns = [0; CLOCKS];
    for (clock, reference) in APART {
        // Alarm clocks are not there on every machine: such a clock is never read either.
        let Ok(first_ns) = read_clock(clock) else { continue };
        let reference_ns = read_clock(reference)?;
        let second_ns = read_clock(clock)?;
        distances_ns[clock as usize] = first_ns / 2 + second_ns / 2 - reference_ns;
    }
    Ok(distances_ns)
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

/// Waits for the exec of a child that asked to be traced; signals before it are handed on.
fn wait_exec(pid: Pid) -> Result<(), ClockError> {
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
