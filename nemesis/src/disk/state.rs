//! The gate before the image: what happens to a request now, later, or not at all.

use super::image::Image;
use super::rules::{Access, Effect, Rule, RuleId};
use super::tree::Ino;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What becomes of a request when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Do,
    /// Answered as done; not made durable.
    Lie,
    Fail(Errno),
}

impl Outcome {
    pub(super) fn then<T>(self, work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        match self {
            Outcome::Fail(errno) => Err(errno),
            Outcome::Do | Outcome::Lie => work(),
        }
    }

    /// The worse of two.
    fn and(self, other: Outcome) -> Outcome {
        match (self, other) {
            (Outcome::Fail(errno), _) | (_, Outcome::Fail(errno)) => Outcome::Fail(errno),
            (Outcome::Lie, _) | (_, Outcome::Lie) => Outcome::Lie,
            (Outcome::Do, Outcome::Do) => Outcome::Do,
        }
    }
}

/// What the gate decides on a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    pub(super) outcome: Outcome,
    pub(super) wait: Wait,
}

/// When a request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    No,
    Until(Instant),
    /// Until the disk is thawed, or its power cut.
    Thaw,
}

impl Admission {
    /// Both have to be passed: the longer wait, the worse outcome.
    pub(super) fn and(self, other: Admission) -> Admission {
        let outcome = self.outcome.and(other.outcome);
        Admission { outcome, wait: self.wait.max(other.wait) }
    }
}

/// The rest of a request: does the work, and answers.
pub(super) type Job = Box<dyn FnOnce(&mut State, Outcome) + Send>;

struct Parked {
    admission: Admission,
    job: Job,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    On,
    Frozen,
    Off,
}

struct Standing {
    rule: Rule,
    hits: u64,
    /// How much the disk may hold; only for [`Effect::Full`].
    bytes_max: u64,
}

/// What a disk has done since it was mounted. Only requests that reached it are counted: reads
/// that the kernel answers from its cache do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Reads done.
    pub reads: u64,
    /// Writes done.
    pub writes: u64,
    /// fsyncs answered, lies among them.
    pub fsyncs: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes that fsyncs made durable, in whole sectors.
    pub bytes_flushed: u64,
}

/// An open folder's entries, as they were when it was opened.
pub(super) type Listing = Vec<(Ino, fuser::FileType, OsString)>;

pub(super) struct State {
    pub(super) image: Image,
    pub(super) counters: Counters,
    pub(super) listings: BTreeMap<u64, Listing>,
    pub(super) listing_next: u64,
    pub(super) power: Power,
    pub(super) closing: bool,
    rules: BTreeMap<RuleId, Standing>,
    rule_next: u64,
    parked: Vec<Parked>,
}

impl State {
    pub(super) fn new(image: Image) -> State {
        State {
            image,
            counters: Counters::default(),
            listings: BTreeMap::new(),
            listing_next: 1,
            power: Power::On,
            closing: false,
            rules: BTreeMap::new(),
            rule_next: 1,
            parked: Vec::new(),
        }
    }

    /// Decides on a request for `ino`; `None` is a change of names.
    pub(super) fn admit(&mut self, access: Option<Access>, ino: Ino) -> Admission {
        let (outcome, late) = self.judge(access, ino);
        let wait = match self.power {
            Power::Frozen if access != Some(Access::Read) => Wait::Thaw,
            _ if late.is_zero() => Wait::No,
            _ => Wait::Until(Instant::now() + late),
        };
        Admission { outcome, wait }
    }

    /// What becomes of such a request by the rules that stand, and by how much they delay it.
    pub(super) fn judge(&mut self, access: Option<Access>, ino: Ino) -> (Outcome, Duration) {
        if self.power == Power::Off {
            return (Outcome::Fail(Errno::EIO), Duration::ZERO);
        }
        let (mut outcome, mut late) = (Outcome::Do, Duration::ZERO);
        let Some(access) = access.filter(|_| !self.rules.is_empty()) else {
            return (outcome, late);
        };
        let path = self.image.live.path(ino);
        let path = path.to_string_lossy();
        for standing in self.rules.values_mut() {
            let Rule { files, effect } = &standing.rule;
            if effect.access() != access || !files.contain(&path) {
                continue;
            }
            match *effect {
                Effect::Fail(_) => outcome = outcome.and(Outcome::Fail(Errno::EIO)),
                Effect::LieAboutFsync => outcome = outcome.and(Outcome::Lie),
                Effect::Delay { delay_ms, .. } => late = late.max(Duration::from_millis(delay_ms)),
                Effect::Full { .. } => continue,
            }
            standing.hits += 1;
        }
        (outcome, late)
    }

    /// By how much the rules delay a request for the file at `path`.
    pub(super) fn delay(&self, access: Access, path: &str) -> Duration {
        let delays = self.rules.values().filter_map(|Standing { rule, .. }| match rule.effect {
            Effect::Delay { access: of, delay_ms } if of == access && rule.files.contain(path) => {
                Some(Duration::from_millis(delay_ms))
            }
            _ => None,
        });
        delays.max().unwrap_or_default()
    }

    /// How much the disk may hold, as far as a write to `ino` is concerned.
    pub(super) fn bytes_max(&self, ino: Ino) -> u64 {
        self.full_for(ino).map(|(_, bytes)| bytes).min().unwrap_or(u64::MAX)
    }

    /// A write to `ino` failed for want of space.
    pub(super) fn was_full(&mut self, ino: Ino) {
        let ids: Vec<RuleId> = self.full_for(ino).map(|(id, _)| id).collect();
        for id in ids {
            if let Some(standing) = self.rules.get_mut(&id) {
                standing.hits += 1;
            }
        }
    }

    fn full_for(&self, ino: Ino) -> impl Iterator<Item = (RuleId, u64)> {
        self.rules.iter().filter_map(move |(&id, standing)| {
            let full = matches!(standing.rule.effect, Effect::Full { .. })
                && standing.rule.files.contain(&self.image.live.path(ino).to_string_lossy());
            full.then_some((id, standing.bytes_max))
        })
    }

    pub(super) fn inject(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.rule_next);
        self.rule_next += 1;
        let bytes_max = match rule.effect {
            Effect::Full { bytes_free } => self.image.used_bytes().saturating_add(bytes_free),
            _ => u64::MAX,
        };
        self.rules.insert(id, Standing { rule, hits: 0, bytes_max });
        id
    }

    pub(super) fn hits(&self, id: RuleId) -> u64 {
        self.rules.get(&id).map_or(0, |standing| standing.hits)
    }

    pub(super) fn lift(&mut self, id: RuleId) -> u64 {
        self.rules.remove(&id).map_or(0, |standing| standing.hits)
    }

    pub(super) fn park(&mut self, admission: Admission, job: Job) {
        self.parked.push(Parked { admission, job });
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Runs what is due, in the order of arrival, and returns when the next one will be.
    pub(super) fn run_due(&mut self, now: Instant) -> Option<Instant> {
        if self.power != Power::On {
            return None;
        }
        let due = |wait| match wait {
            Wait::No | Wait::Thaw => true,
            Wait::Until(instant) => instant <= now,
        };
        let (ready, waiting) = std::mem::take(&mut self.parked)
            .into_iter()
            .partition::<Vec<_>, _>(|parked| due(parked.admission.wait));
        self.parked = waiting;
        for parked in ready {
            (parked.job)(self, parked.admission.outcome);
        }
        let next = |parked: &Parked| match parked.admission.wait {
            Wait::Until(instant) => Some(instant),
            Wait::No | Wait::Thaw => None,
        };
        self.parked.iter().filter_map(next).min()
    }

    /// Runs everything that waits for a delay, whether it is due or not.
    pub(super) fn hurry(&mut self) {
        for parked in &mut self.parked {
            if let Wait::Until(_) = parked.admission.wait {
                parked.admission.wait = Wait::No;
            }
        }
        self.run_due(Instant::now());
    }

    /// Answers everything that waits with EIO; how many that were.
    pub(super) fn fail_parked(&mut self) -> u64 {
        let parked = std::mem::take(&mut self.parked);
        let count = parked.len() as u64;
        for parked in parked {
            (parked.job)(self, Outcome::Fail(Errno::EIO));
        }
        count
    }
}

/// The state, and the bell that wakes the thread which serves what waits.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) bell: Condvar,
}

impl Shared {
    pub(super) fn new(state: State) -> Shared {
        Shared { state: Mutex::new(state), bell: Condvar::new() }
    }

    /// A panic elsewhere leaves a state that is still whole: no change to it is split over a
    /// point where one could happen.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves what waits, until the disk is closed.
    pub(super) fn serve_parked(&self) {
        let mut state = self.lock();
        while !state.closing {
            state = match state.run_due(Instant::now()) {
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let wait = next.saturating_duration_since(Instant::now());
                    let woken = self.bell.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
