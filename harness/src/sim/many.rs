//! Many simulations: a range of seeds on all processors, and what came of them.

use super::args::SimArgs;
use super::interrupt;
use super::one::{Simulated, simulate};
use super::swarm::Swarm;
use super::world::RARE;
use crate::calendar::Moment;
use crate::plan::Plan;
use crate::run::folder::{Folder, check_out};
use crate::{report, status};
use ordeal_reports::{FaultCounts, Results, Ruling, terminal};
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What came of all seeds, as `summary.json` has it.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// The first seed, and the one after the last.
    seeds: [u64; 2],
    /// How many were run.
    runs: u64,
    /// How many of them were valid, invalid, unknown.
    valid: u64,
    invalid: u64,
    unknown: u64,
    /// The clients' operations.
    operations: u64,
    /// How long the clients worked in simulated time, all runs together.
    simulated_ms: u64,
    /// How long it took.
    wall_ms: u64,
    /// What became of the faults, by kind.
    faults: BTreeMap<String, FaultCounts>,
    /// How often what happened in the nodes.
    notes: BTreeMap<String, u64>,
    /// The rare states that no seed has reached.
    never: Vec<&'static str>,
    /// Whether it was cut short from outside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
    /// One entry for each seed that is not valid.
    findings: Vec<Finding>,
    /// Seeds whose second run differed from the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_deterministic: Vec<u64>,
    /// All traces together: equal for equal seeds, whatever ran beside them.
    trace: String,
}

/// A seed that is not valid.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    seed: u64,
    verdict: Ruling,
    /// The checkers that say so, and why.
    checkers: Vec<String>,
    reason: String,
    /// Operations of the counterexample.
    counterexample: usize,
    folder: Option<PathBuf>,
}

/// What one thread tells of one seed.
struct Told {
    seed: u64,
    simulated: Result<Simulated, String>,
    plan: Plan,
    differed: bool,
}

/// Runs the seeds, prints what came of them, and gives the exit status.
pub fn run(args: &SimArgs) -> u8 {
    match all(args) {
        Ok(status) => status,
        Err((message, status)) => {
            tell!("ordeal: {message}");
            status
        }
    }
}

type Failure = (String, u8);

fn all(args: &SimArgs) -> Result<u8, Failure> {
    let swarm = args.swarm().map_err(|error| (error.to_string(), error.exit_status()))?;
    let range = args.range();
    swarm.plan(range.start).map_err(|mistake| (mistake.to_string(), status::USAGE))?;
    if let Some(out) = &args.out {
        check_out(out).map_err(|error| (error.to_string(), status::USAGE))?;
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join("sim").join(Moment::now().for_folder()));
    std::fs::create_dir_all(&out)
        .map_err(|error| (format!("cannot make {}: {error}", out.display()), status::SOFTWARE))?;
    let began = Instant::now();
    let summary = Mutex::new(Summary { seeds: [range.start, range.end], ..Summary::default() });
    let traces = Mutex::new(BTreeMap::new());
    let failure = Mutex::new(None);
    let (next, stop) = (AtomicU64::new(range.start), AtomicBool::new(false));
    let interrupted = interrupt::flag();
    on_all(args.jobs, || {
        while !stop.load(Ordering::Relaxed) && !interrupted.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= range.end {
                return;
            }
            let told = one(&swarm, seed, args.check_determinism);
            let taken = told.and_then(|told| take(told, &out, &summary, &traces));
            match taken {
                Ok(violated) if violated && args.until_failure => {
                    stop.store(true, Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    locked(&failure).get_or_insert(error);
                }
            }
        }
    });
    if let Some(failure) = failure.into_inner().unwrap_or_default() {
        return Err(failure);
    }
    let mut summary = summary.into_inner().unwrap_or_default();
    summary.wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    summary.interrupted = interrupted.load(Ordering::Relaxed);
    let reached = |state: &&&str| !summary.notes.contains_key(**state);
    summary.never = RARE.iter().filter(reached).copied().collect();
    summary.findings.sort_by_key(|finding| finding.seed);
    summary.not_deterministic.sort_unstable();
    let mut trace = super::trace::Trace::default();
    for (seed, of) in traces.into_inner().unwrap_or_default() {
        trace.add_all(&[seed, of]);
    }
    summary.trace = format!("{:016x}", trace.value());
    let json = serde_json::to_string_pretty(&summary)
        .map_err(|error| (error.to_string(), status::SOFTWARE))?;
    let path = out.join("summary.json");
    std::fs::write(&path, format!("{json}\n"))
        .map_err(|error| (format!("cannot write {}: {error}", path.display()), status::SOFTWARE))?;
    if args.json {
        say!("{json}");
    } else {
        print(&summary, &path);
    }
    Ok(match &summary {
        Summary { interrupted: true, .. } => status::INTERRUPTED,
        Summary { not_deterministic, .. } if !not_deterministic.is_empty() => status::SOFTWARE,
        Summary { invalid: 1.., .. } => status::INVALID,
        Summary { unknown: 1.., .. } => status::UNKNOWN,
        _ => status::VALID,
    })
}

/// Runs the same work on so many threads, on each processor one if it is not said, to its end.
pub fn on_all(jobs: Option<NonZeroUsize>, work: impl Fn() + Sync) {
    let jobs = jobs.or_else(|| std::thread::available_parallelism().ok());
    std::thread::scope(|scope| {
        for _ in 0..jobs.map_or(1, NonZeroUsize::get) {
            scope.spawn(&work);
        }
    });
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one(swarm: &Swarm, seed: u64, twice: bool) -> Result<Told, Failure> {
    let plan = swarm.plan(seed).map_err(|mistake| (mistake.to_string(), status::USAGE))?;
    let simulated = simulate(&plan);
    let differed = twice
        && match (&simulated, simulate(&plan)) {
            (Ok(first), Ok(second)) => first.trace != second.trace,
            (first, second) => first.is_ok() != second.is_ok(),
        };
    Ok(Told { seed, simulated, plan, differed })
}

/// Adds one seed to the summary, and writes its folder if it is invalid; whether it is.
fn take(
    told: Told,
    out: &Path,
    summary: &Mutex<Summary>,
    traces: &Mutex<BTreeMap<u64, u64>>,
) -> Result<bool, Failure> {
    let Told { seed, simulated, plan, differed } = told;
    let simulated = simulated.map_err(|why| (format!("seed {seed}: {why}"), status::SOFTWARE))?;
    locked(traces).insert(seed, simulated.trace);
    let results = &simulated.judgements.results;
    let invalid = results.verdict == Ruling::Invalid;
    let folder = if invalid {
        Some(keep(&plan, &simulated, &out.join(format!("seed-{seed}")))?)
    } else {
        None
    };
    let mut summary = locked(summary);
    summary.runs += 1;
    match results.verdict {
        Ruling::Valid => summary.valid += 1,
        Ruling::Invalid => summary.invalid += 1,
        Ruling::Unknown => summary.unknown += 1,
    }
    summary.operations += simulated.history.operations.len() as u64;
    summary.simulated_ms += u64::try_from(simulated.lasted.as_millis()).unwrap_or(0);
    for (kind, counts) in &results.faults {
        let sum = summary.faults.entry(kind.clone()).or_default();
        sum.started += counts.started;
        sum.landed += counts.landed;
    }
    for (note, times) in &simulated.rare {
        *summary.notes.entry((*note).to_owned()).or_default() += times;
    }
    if differed {
        summary.not_deterministic.push(seed);
    }
    if results.verdict != Ruling::Valid {
        let deciding: Vec<_> =
            results.checkers.iter().filter(|one| one.verdict == results.verdict).collect();
        summary.findings.push(Finding {
            seed,
            verdict: results.verdict,
            checkers: deciding.iter().map(|one| one.name.clone()).collect(),
            reason: deciding.first().map_or_else(String::new, |one| one.reason.clone()),
            counterexample: simulated.judgements.counterexample.as_ref().map_or(0, Vec::len),
            folder,
        });
    }
    Ok(invalid)
}

/// Writes a simulation's folder.
///
/// # Errors
/// What could not be written, and the exit status.
pub fn keep(plan: &Plan, simulated: &Simulated, path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: crate::run::folder::FolderError| (error.to_string(), status::SOFTWARE);
    let folder = Folder::create(plan, Some(path), Moment::now()).map_err(failed)?;
    let Simulated { history, written, judgements, .. } = simulated;
    folder.write("plan.json", &plan.to_json()).map_err(failed)?;
    let lines = String::from_utf8_lossy(written);
    folder.write("history.jsonl", &lines).map_err(failed)?;
    let results = Results {
        command: format!("ordeal replay {}", folder.path().display()),
        ..judgements.results.clone()
    };
    let json = serde_json::to_string_pretty(&results)
        .map_err(|error| (error.to_string(), status::SOFTWARE))?;
    folder.write("results.json", &format!("{json}\n")).map_err(failed)?;
    if let Some(story) = &simulated.story {
        let json =
            serde_json::to_string(story).map_err(|error| (error.to_string(), status::SOFTWARE))?;
        folder.write("spacetime.json", &format!("{json}\n")).map_err(failed)?;
        let picture = ordeal_reports::spacetime_svg(story, &results, history);
        folder.write("spacetime.svg", &picture).map_err(failed)?;
    }
    report::write(folder.path(), &results, history)
        .map_err(|error| (error.to_string(), status::SOFTWARE))?;
    let text = terminal(&judgements.results, history, false);
    folder.write("verdict.txt", &text).map_err(failed)?;
    if results.verdict == Ruling::Invalid {
        // What a promise of Raft was broken by is in the plan, and no operation need show it.
        let positions = judgements.counterexample.clone().unwrap_or_default();
        folder.write_violation(plan, history, &positions, &results).map_err(failed)?;
    }
    Ok(path.to_owned())
}

fn print(summary: &Summary, path: &Path) {
    let Summary { runs, valid, invalid, unknown, operations, simulated_ms, wall_ms, .. } = summary;
    let times = simulated_ms / (*wall_ms).max(1);
    say!(
        "{runs} seeds: {valid} valid, {invalid} invalid, {unknown} unknown; {operations} \
         operations in {} s of simulated time, {:.1} s of real time ({times} times as fast)",
        simulated_ms / 1_000,
        *wall_ms as f64 / 1_000.0,
    );
    for finding in &summary.findings {
        let Finding { seed, verdict, checkers, reason, counterexample, folder } = finding;
        let checkers = checkers.join(", ");
        say!("seed {seed}: {verdict:?} by {checkers}, {counterexample} operations: {reason}");
        if let Some(folder) = folder {
            say!("  {}", folder.join("report.html").display());
        }
    }
    for seed in &summary.not_deterministic {
        say!("seed {seed}: two runs differed; please report it");
    }
    if !summary.never.is_empty() {
        say!("Rare states that no seed reached: {}", summary.never.join(", "));
    }
    say!("Summary: {} (trace {})", path.display(), summary.trace);
}
