//! `ordeal replay` and `ordeal shrink`: what was found, again, and smaller.

mod real;

use crate::calendar::Moment;
use crate::duration;
use crate::plan::{Db, Environment, Plan, PlanError};
use crate::run::folder::check_out;
use crate::sim::{self, class_of, keep, shrink, simulate};
use crate::{run, status};
use clap::{Args, ValueEnum};
use ordeal_reports::{Ruling, terminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `ordeal replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// A run's folder, a plan, or a reproducer
    #[arg(value_name = "RUN|FILE")]
    pub what: PathBuf,
    /// Where to run it [default: where it was run]
    #[arg(long, value_enum)]
    pub env: Option<Place>,
    /// How often a script that was found in simulation is played on real time, until the violation
    /// shows
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub tries: u32,
    /// The run's folder, new or empty [default: runs/NAME/TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Where a plan can be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// Real processes in namespaces of their own
    Sandbox,
    /// The embedded cluster's core in one process, on simulated time
    Simulation,
}

/// The options of `ordeal shrink`.
#[derive(Args, Clone, Debug)]
pub struct ShrinkArgs {
    /// A run's folder, a plan, or a reproducer
    #[arg(value_name = "RUN|FILE")]
    pub what: PathBuf,
    /// How long it may take
    #[arg(long, value_name = "DUR", default_value = "1m", value_parser = duration::parse)]
    pub time_limit: Duration,
    /// The folder of what is left, new or empty [default: beside it, with -small]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Runs a plan again; gives the exit status.
///
/// Must be called while the process has one thread, as [`run::run`].
pub fn replay(args: ReplayArgs) -> u8 {
    finish(try_replay(args))
}

/// Makes a plan smaller; gives the exit status: that of what is left.
pub fn shrink_command(args: &ShrinkArgs) -> u8 {
    finish(try_shrink(args))
}

fn finish(result: Result<u8, (String, u8)>) -> u8 {
    result.unwrap_or_else(|(message, status)| {
        tell!("ordeal: {message}");
        status
    })
}

fn wrong(error: PlanError) -> (String, u8) {
    (error.to_string(), status::USAGE)
}

fn ours(error: impl std::fmt::Display) -> (String, u8) {
    (error.to_string(), status::SOFTWARE)
}

fn try_replay(args: ReplayArgs) -> Result<u8, (String, u8)> {
    let mut plan = Plan::load(&file_of(&args.what)).map_err(wrong)?;
    if let Some(out) = &args.out {
        check_out(out).map_err(|error| (error.to_string(), status::USAGE))?;
    }
    match args.env {
        Some(Place::Sandbox) => plan.environment = Environment::Sandbox,
        Some(Place::Simulation) => plan.environment = Environment::Simulation,
        None => {}
    }
    if plan.environment != Environment::Simulation {
        if plan.script.is_some() && plan.environment == Environment::Sandbox {
            must_be_embedded(&plan)?;
            return real::play(&plan, &real::folder(args.out), args.tries);
        }
        let how = run::How { out: args.out, ..run::How::default() };
        return Ok(run::run_plan(&plan, &how));
    }
    must_be_embedded(&plan)?;
    let simulated = simulate(&plan).map_err(ours)?;
    let out = args
        .out
        .unwrap_or_else(|| Path::new("runs").join("replay").join(Moment::now().for_folder()));
    let folder = keep(&plan, &simulated, &out)?;
    let results = &simulated.judgements.results;
    say!("{}", terminal(results, &simulated.history, false).trim_end());
    say!("Report: {}", folder.join("report.html").display());
    Ok(match results.verdict {
        Ruling::Valid => status::VALID,
        Ruling::Invalid => status::INVALID,
        Ruling::Unknown => status::UNKNOWN,
    })
}

fn try_shrink(args: &ShrinkArgs) -> Result<u8, (String, u8)> {
    let plan = Plan::load(&file_of(&args.what)).map_err(wrong)?;
    must_be_embedded(&plan)?;
    let out = args.out.clone().unwrap_or_else(|| beside(&args.what));
    check_out(&out).map_err(|error| (error.to_string(), status::USAGE))?;
    let plan = Plan { environment: Environment::Simulation, ..plan };
    let began = simulate(&plan).map_err(ours)?;
    if class_of(&began).is_empty() {
        say!("No violation came of it, so there is nothing to shrink.");
        return Ok(status::VALID);
    }
    let shrunk = shrink(&plan, args.time_limit).map_err(ours)?;
    let folder = keep(&shrunk.plan, &shrunk.simulated, &out)?;
    let checkers: Vec<String> = class_of(&shrunk.simulated).into_iter().collect();
    let operations = |of: &sim::Outcome| of.history.operations.len();
    say!(
        "{} tries: {} of {} faults and {} of {} operations are left, invalid by {}{}",
        shrunk.tries,
        shrunk.plan.schedule.0.len(),
        plan.schedule.0.len(),
        operations(&shrunk.simulated),
        operations(&began),
        checkers.join(", "),
        if shrunk.is_minimal { "" } else { "; the time was over before nothing more could go" },
    );
    let told = terminal(&shrunk.simulated.judgements.results, &shrunk.simulated.history, false);
    say!("{}", told.trim_end());
    say!("Reproducer: {}", folder.join("reproducer.json").display());
    Ok(status::INVALID)
}

fn must_be_embedded(plan: &Plan) -> Result<(), (String, u8)> {
    if plan.db == Db::Embedded {
        return Ok(());
    }
    let what = plan.db.shown();
    let message = format!(
        "only the embedded cluster can be simulated, and this plan is for {what}; \
         `ordeal run --plan` runs it again"
    );
    Err((message, status::UNAVAILABLE))
}

/// The file that holds the plan.
fn file_of(what: &Path) -> PathBuf {
    if !what.is_dir() {
        return what.to_owned();
    }
    let reproducer = what.join("reproducer.json");
    if reproducer.exists() { reproducer } else { what.join("plan.json") }
}

/// A folder beside the run's.
fn beside(what: &Path) -> PathBuf {
    let run = if what.is_dir() { what } else { what.parent().unwrap_or(Path::new(".")) };
    let name =
        run.file_name().map_or_else(|| "run".to_owned(), |n| n.to_string_lossy().into_owned());
    run.with_file_name(format!("{name}-small"))
}
