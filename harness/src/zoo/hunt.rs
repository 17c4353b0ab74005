//! One bug, hunted over its budget of seeds; and the cluster without bugs.

use super::{Failure, ZooArgs};
use crate::plan::{Plan, PlanOptions};
use crate::sim::{OFFERED, Outcome, Swarm, class_of, keep, on_all, shrink, simulate};
use crate::status;
use ordeal_cluster::bugs::{Bug, BugInfo};
use ordeal_nemesis::{Asked, Kind};
use ordeal_reports::Ruling;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What came of a hunt.
#[derive(Debug, Serialize)]
pub struct Hunt {
    pub bug: &'static str,
    pub workload: &'static str,
    /// Seeds that were run; of these so many gave no verdict.
    pub seeds: u64,
    pub unknown: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// The first violation, and what is left of it.
#[derive(Debug, Serialize)]
pub struct Found {
    pub seed: u64,
    /// Who says so.
    pub checkers: Vec<String>,
    /// Faults and operations, before and after shrinking.
    pub faults: [usize; 2],
    pub operations: [usize; 2],
    /// Whether nothing more can go.
    pub minimal: bool,
    /// The reproducer's folder.
    pub folder: PathBuf,
}

/// What came of the cluster without bugs.
#[derive(Debug, Serialize)]
pub struct Control {
    pub seeds: u64,
    pub unknown: u64,
    pub seconds: f64,
    /// The seeds with a violation, and by which checkers: false alarms, or bugs of ours.
    pub invalid: Vec<(u64, &'static str, Vec<String>)>,
}

/// The workload that meets a bug; the register where any does.
pub fn workload_of(bug: Bug) -> &'static str {
    match bug {
        Bug::AckBeforeFsync
        | Bug::VoteNotPersisted
        | Bug::CommitPriorTerm
        | Bug::SnapshotLogGap
        | Bug::OneStepMembership
        | Bug::MembershipBeforeCommit
        | Bug::TornTailTrusted => "append",
        Bug::AppliedIndexLate | Bug::RetryDuplicates => "counter",
        Bug::ApplyDiffers => "mixed",
        Bug::RevisionSkips => "kv",
        Bug::SnapshotOmitsLeases | Bug::OldLeaderRevokes => "lease",
        Bug::SnapshotOmitsAuth | Bug::AuthIndexNotSaved | Bug::AuthCheckNotGuarded => "auth",
        Bug::WatchReplays | Bug::WatchGap | Bug::ProgressEarly => "watch",
        Bug::LockWithoutKey => "lock",
        Bug::LocalRead
        | Bug::ReadIndexNoQuorum
        | Bug::ReadIndexBeforeTermCommit
        | Bug::ReadIndexIdReuse
        | Bug::LeaseReadWallClock
        | Bug::AppliedIndexEarly
        | Bug::ReadDuringReplay => "register",
    }
}

/// The workloads of the control: all of the embedded cluster's API but the one that shows what
/// locks cannot prevent.
fn safe_workloads() -> Vec<&'static str> {
    let all = ordeal_workloads::all();
    let safe = all.iter().filter(|it| !it.v2 && it.name != "lock-set");
    safe.map(|it| it.name).collect()
}

fn swarm(args: &ZooArgs, workload: &str, bug: Option<&str>) -> Swarm {
    let kinds = Kind::survivable().into_iter().filter(|kind| OFFERED.contains(&kind.needs()));
    let options = PlanOptions {
        bugs: bug.into_iter().map(str::to_owned).collect(),
        workload: workload.to_owned(),
        nemesis: kinds.map(Asked::from).collect(),
        rate_per_s: 100,
        keys: 4,
        time_limit_ms: u64::try_from(args.time_limit.as_millis()).unwrap_or(u64::MAX),
        ..PlanOptions::default()
    };
    Swarm { options, nodes: None, every_kind: false, fixed_mix: false }
}

/// Runs so many seeds on all threads, in order, until `see` has seen enough of one. The first
/// failure of ours ends it.
fn over(
    args: &ZooArgs,
    budget: u64,
    interrupted: &AtomicBool,
    plan: impl Fn(u64) -> Result<Plan, Failure> + Sync,
    see: impl Fn(u64, Plan, Outcome) -> bool + Sync,
) -> Result<(), Failure> {
    let next = AtomicU64::new(args.from);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    on_all(args.jobs, || {
        while !stop.load(Ordering::Relaxed) && !interrupted.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= args.from.saturating_add(budget) {
                return;
            }
            let run = plan(seed).and_then(|plan| {
                let outcome = simulate(&plan);
                let outcome =
                    outcome.map_err(|why| (format!("seed {seed}: {why}"), status::SOFTWARE))?;
                Ok(see(seed, plan, outcome))
            });
            match run {
                Ok(true) => stop.store(true, Ordering::Relaxed),
                Ok(false) => {}
                Err(why) => {
                    stop.store(true, Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                }
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// What is counted while seeds run.
#[derive(Default)]
struct Tally {
    seeds: u64,
    unknown: u64,
    /// Of the lowest seed that is invalid.
    first: Option<(u64, Plan, Outcome)>,
    invalid: Vec<(u64, &'static str, Vec<String>)>,
}

/// Hunts one bug.
///
/// # Errors
/// What of ours failed, and the exit status.
pub fn hunt(
    args: &ZooArgs,
    info: &'static BugInfo,
    out: &Path,
    interrupted: &AtomicBool,
) -> Result<Hunt, Failure> {
    let began = Instant::now();
    let workload = workload_of(info.bug);
    let swarm = swarm(args, workload, Some(info.name));
    let tally = Mutex::new(Tally::default());
    let plan = |seed| swarm.plan(seed).map_err(|mistake| (mistake.to_string(), status::SOFTWARE));
    over(args, args.budget, interrupted, plan, |seed, plan, outcome| {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.seeds += 1;
        match outcome.judgements.results.verdict {
            Ruling::Invalid => {
                if tally.first.as_ref().is_none_or(|(first, ..)| seed < *first) {
                    tally.first = Some((seed, plan, outcome));
                }
                return true;
            }
            Ruling::Unknown => tally.unknown += 1,
            Ruling::Valid => {}
        }
        false
    })?;
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = began.elapsed().as_secs_f64();
    let found = match tally.first {
        Some((seed, plan, outcome)) => {
            let folder = out.join(info.name);
            Some(reduced(args, (seed, &plan, outcome), folder)?)
        }
        None => None,
    };
    let (seeds, unknown) = (tally.seeds, tally.unknown);
    Ok(Hunt { bug: info.name, workload, seeds, unknown, seconds, found })
}

/// Makes what was found smaller, and keeps it.
fn reduced(
    args: &ZooArgs,
    (seed, plan, outcome): (u64, &Plan, Outcome),
    folder: PathBuf,
) -> Result<Found, Failure> {
    let ours = |why: String| (format!("seed {seed}: {why}"), status::SOFTWARE);
    let before = (plan.schedule.0.len(), outcome.history.operations.len());
    let small = shrink(plan, args.shrink_limit).map_err(ours)?;
    keep(&small.plan, &small.simulated, &folder)?;
    Ok(Found {
        seed,
        checkers: class_of(&small.simulated).into_iter().collect(),
        faults: [before.0, small.plan.schedule.0.len()],
        operations: [before.1, small.simulated.history.operations.len()],
        minimal: small.is_minimal,
        folder,
    })
}

/// Runs the cluster without bugs.
///
/// # Errors
/// What of ours failed, and the exit status.
pub fn control(args: &ZooArgs, out: &Path, interrupted: &AtomicBool) -> Result<Control, Failure> {
    let began = Instant::now();
    let workloads = safe_workloads();
    let swarms: Vec<Swarm> = workloads.iter().map(|workload| swarm(args, workload, None)).collect();
    let place = |seed: u64| (seed % workloads.len() as u64) as usize;
    let tally = Mutex::new(Tally::default());
    let kept = Mutex::new(Ok(()));
    let plan = |seed| {
        let plan = swarms[place(seed)].plan(seed);
        plan.map_err(|mistake| (mistake.to_string(), status::SOFTWARE))
    };
    let budget = args.control.unwrap_or(args.budget);
    over(args, budget, interrupted, plan, |seed, plan, outcome| {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.seeds += 1;
        match outcome.judgements.results.verdict {
            Ruling::Invalid => {
                let checkers = class_of(&outcome).into_iter().collect();
                tally.invalid.push((seed, workloads[place(seed)], checkers));
                let folder = out.join(format!("control-{seed}"));
                if let Err(failure) = keep(&plan, &outcome, &folder) {
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Err(failure);
                    return true;
                }
            }
            Ruling::Unknown => tally.unknown += 1,
            Ruling::Valid => {}
        }
        false
    })?;
    kept.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.invalid.sort();
    let (seeds, unknown, invalid) = (tally.seeds, tally.unknown, tally.invalid);
    Ok(Control { seeds, unknown, seconds: began.elapsed().as_secs_f64(), invalid })
}

#[cfg(test)]
mod tests {
    use super::{safe_workloads, workload_of};
    use ordeal_cluster::bugs::REGISTRY;

    #[test]
    fn every_bug_is_hunted_by_a_workload_that_there_is() {
        let known: Vec<&str> = ordeal_workloads::all().iter().map(|it| it.name).collect();
        for info in REGISTRY {
            let workload = workload_of(info.bug);
            assert!(known.contains(&workload), "{}: {workload}", info.name);
        }
        let safe = safe_workloads();
        assert!(safe.len() > 15 && safe.iter().all(|workload| known.contains(workload)));
    }
}
