//! `ordeal run`: one test.
//!
//! The plan is made and looked at before anything starts. Then everything happens inside the
//! sandbox: the run's folder, the cluster, the clients, the judgement. [`course`] is the run itself
//! and does not know where it is; what knows is here.

pub mod args;
mod certificates;
mod client;
mod cluster;
pub mod course;
mod drive;
pub mod environment;
pub mod flag;
pub mod folder;
pub mod judge;
mod needs;
mod operators;
mod pace;
mod pcap;
pub(crate) mod place;
pub mod progress;
pub mod real_time;
pub mod record;
mod restore;
mod screen;
pub mod target;
mod thinning;
pub mod watch;

pub use args::RunArgs;

use crate::calendar::Moment;
use crate::packed;
use crate::plan::{Environment, Plan};
use crate::report;
use crate::sandbox;
use crate::status;
use course::Course;
use folder::{Folder, check_out};
use judge::About;
use ordeal_history::{ReadOptions, read_jsonl};
use ordeal_reports::{Results, Ruling, terminal};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// Runs one test, prints its verdict, and gives the exit status.
///
/// Must be called while the process has one thread, as [`sandbox::enter`].
pub fn run(args: RunArgs) -> u8 {
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(error) => return complain(&error, error.exit_status()),
    };
    if let Some(list) = &args.pcap
        && let Err(error) = pcap::links(list, &plan)
    {
        return complain(&error, status::USAGE);
    }
    if let Some(out) = &args.out
        && let Err(error) = check_out(out)
    {
        return complain(&error, status::USAGE);
    }
    let RunArgs { out, fail_fast, json, pcap, compress, .. } = args;
    let how = How { out, fail_fast, json, quiet: false, pcap, compress };
    run_plan(&plan, &how)
}

/// How a plan is run, beside what it says itself.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// The run's folder, new or empty.
    pub out: Option<PathBuf>,
    /// End it at the first violation.
    pub fail_fast: bool,
    /// Print the result as JSON.
    pub json: bool,
    /// Print nothing.
    pub quiet: bool,
    /// The links of which is written down what passes on them.
    pub pcap: Option<String>,
    /// Keep the history compressed, once it is judged.
    pub compress: bool,
}

/// Runs a plan that was looked at; as [`run`].
pub fn run_plan(plan: &Plan, how: &How) -> u8 {
    if plan.environment != Environment::Sandbox {
        return inside(how, plan);
    }
    match sandbox::enter(|| inside(how, plan)) {
        Ok(status) => status,
        Err(error) => complain(&error, status::UNAVAILABLE),
    }
}

/// Everything that happens once the plan stands; inside the sandbox, where that is asked for.
fn inside(how: &How, plan: &Plan) -> u8 {
    match test(how, plan) {
        Ok(status) => status,
        Err(error) => complain(&error.message, error.status),
    }
}

fn complain(error: &dyn std::fmt::Display, status: u8) -> u8 {
    tell!("ordeal: {error}");
    status
}

/// Why a test came to no verdict.
struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    fn ours(error: impl std::fmt::Display) -> Failure {
        Failure { message: error.to_string(), status: status::SOFTWARE }
    }

    fn environment(error: impl std::fmt::Display) -> Failure {
        Failure { message: error.to_string(), status: status::UNAVAILABLE }
    }
}

/// What came of the run itself.
struct Ran {
    course: Course,
    clients_began_us: Option<u64>,
    db_version: Option<String>,
    broken: Option<std::io::Error>,
}

fn test(how: &How, plan: &Plan) -> Result<u8, Failure> {
    let began = Moment::now();
    let folder = Folder::create(plan, how.out.as_deref(), began).map_err(Failure::ours)?;
    folder.write("plan.json", &plan.to_json()).map_err(Failure::ours)?;
    let ran = drive::drive(plan, &folder, how)?;
    let file = File::open(folder.history()).map_err(Failure::ours)?;
    let history = read_jsonl(file, ReadOptions { partial: true }).map_err(Failure::ours)?;
    let about = About {
        started_at: began.rfc3339(),
        clients_began_us: ran.clients_began_us,
        command: again(&folder, how.fail_fast),
        db_version: ran.db_version,
        logs: folder.logs(plan),
        limits: judge::limits(),
    };
    let judged = judge::judge(plan, &history, &ran.course, about, Vec::new());
    let results = judged.results;
    let write = |name: &str, text: &str| folder.write(name, text).map_err(Failure::ours);
    let json = serde_json::to_string_pretty(&results).map_err(Failure::ours)?;
    write("results.json", &format!("{json}\n"))?;
    report::write(folder.path(), &results, &history).map_err(Failure::ours)?;
    if let Some(positions) = &judged.counterexample {
        folder.write_violation(plan, &history, positions, &results).map_err(Failure::ours)?;
    }
    if results.verdict == Ruling::Valid {
        folder.drop_data(plan);
    }
    if how.compress {
        packed::pack(&folder.history()).map_err(Failure::ours)?;
    }
    if how.json {
        print(&format!("{json}\n"));
    } else if !how.quiet {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(&terminal(&results, &history, colour));
        print(&format!("Report: {}\n", folder.path().join("report.html").display()));
    }
    if let Some(error) = ran.broken {
        let message = format!("cannot write {}: {error}", folder.history().display());
        return Err(Failure::ours(message));
    }
    Ok(exit_status(&results))
}

/// The command line that does the same again.
fn again(folder: &Folder, fail_fast: bool) -> String {
    let fail_fast = if fail_fast { " --fail-fast" } else { "" };
    format!("ordeal run --plan {}{fail_fast}", folder.path().join("plan.json").display())
}

/// Prints, and does not mind that nobody reads.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn exit_status(results: &Results) -> u8 {
    match results.verdict {
        _ if results.interrupted => status::INTERRUPTED,
        Ruling::Valid => status::VALID,
        Ruling::Invalid => status::INVALID,
        Ruling::Unknown => status::UNKNOWN,
    }
}

#[cfg(test)]
mod tests;
