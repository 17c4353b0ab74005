//! `ordeal zoo`: every planted bug hunted in simulation, and the cluster without bugs.
//!
//! A tester that does not find them is not to be believed when it finds nothing. Each bug is hunted
//! by the general swarm, with all faults that a cluster must survive and the workload that its
//! registry names: nothing is told of where it hides. The first seed that gives a violation is
//! shrunk. Then as many seeds run without any bug, dealt over all those workloads.

mod hunt;
mod table;

use crate::calendar::Moment;
use crate::run::folder::check_out;
use crate::sim::interrupt;
use crate::{duration, status};
use clap::Args;
use hunt::{Control, Hunt, control, hunt};
use ordeal_cluster::bugs::{Bug, BugInfo, REGISTRY};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The options of `ordeal zoo`.
#[derive(Args, Clone, Debug)]
pub struct ZooArgs {
    /// Hunt this bug, and no other; may be given several times
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// How many seeds each bug is given
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub budget: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// How long the clients of a seed work, in simulated time
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = duration::parse)]
    pub time_limit: Duration,
    /// How long one shrinking may take
    #[arg(long, value_name = "DUR", default_value = "2m", value_parser = duration::parse)]
    pub shrink_limit: Duration,
    /// How many simulations run at once [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Hunt no bug, and run only the cluster without bugs
    #[arg(long, conflicts_with_all = ["bugs", "no_control"])]
    pub no_bugs: bool,
    /// Do not run the cluster without bugs
    #[arg(long)]
    pub no_control: bool,
    /// How many seeds the cluster without bugs is run over, in turn over all workloads [default:
    /// the budget]
    #[arg(long, value_name = "N", conflicts_with = "no_control")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub control: Option<u64>,
    /// The folder for what is found, new or empty [default: runs/zoo/TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the table as one JSON object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// The table, as `zoo.json` has it.
#[derive(Debug, Serialize)]
struct Zoo {
    /// How many seeds each bug was given.
    budget: u64,
    /// In the order of their names.
    bugs: Vec<Hunt>,
    /// The cluster without bugs.
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<Control>,
    /// Whether it was cut short from outside.
    interrupted: bool,
}

type Failure = (String, u8);

/// Hunts, prints the table, and gives the exit status: 0 when each bug was found within its budget
/// and nothing else was.
pub fn run(args: &ZooArgs) -> u8 {
    match try_run(args) {
        Ok(status) => status,
        Err((message, status)) => {
            tell!("ordeal: {message}");
            status
        }
    }
}

fn try_run(args: &ZooArgs) -> Result<u8, Failure> {
    let wanted = if args.no_bugs { Vec::new() } else { wanted(&args.bugs)? };
    if let Some(out) = &args.out {
        check_out(out).map_err(|error| (error.to_string(), status::USAGE))?;
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join("zoo").join(Moment::now().for_folder()));
    std::fs::create_dir_all(&out)
        .map_err(|error| (format!("cannot make {}: {error}", out.display()), status::SOFTWARE))?;
    let interrupted = interrupt::flag();
    let mut zoo = Zoo { budget: args.budget, bugs: Vec::new(), control: None, interrupted: false };
    for info in wanted {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        let hunted = hunt(args, info, &out, &interrupted)?;
        if !args.json {
            say!("{}", table::told(&hunted));
        }
        zoo.bugs.push(hunted);
    }
    if !args.no_control && !interrupted.load(Ordering::Relaxed) {
        zoo.control = Some(control(args, &out, &interrupted)?);
    }
    zoo.interrupted = interrupted.load(Ordering::Relaxed);
    finish(args, &zoo, &out)
}

fn finish(args: &ZooArgs, zoo: &Zoo, out: &Path) -> Result<u8, Failure> {
    let failed = |what: String| (what, status::SOFTWARE);
    let json = serde_json::to_string_pretty(zoo).map_err(|error| failed(error.to_string()))?;
    for (name, text) in [("zoo.json", format!("{json}\n")), ("zoo.md", table::table(zoo))] {
        let path = out.join(name);
        std::fs::write(&path, text)
            .map_err(|error| failed(format!("cannot write {}: {error}", path.display())))?;
    }
    if args.json {
        say!("{json}");
    } else {
        say!("\n{}", table::table(zoo));
        say!("Table: {}", out.join("zoo.md").display());
    }
    let missed = zoo.bugs.iter().any(|hunt| hunt.found.is_none());
    let alarmed = zoo.control.as_ref().is_some_and(|control| !control.invalid.is_empty());
    Ok(match zoo {
        Zoo { interrupted: true, .. } => status::INTERRUPTED,
        _ if missed || alarmed => status::INVALID,
        _ => status::VALID,
    })
}

fn wanted(names: &[String]) -> Result<Vec<&'static BugInfo>, Failure> {
    let named = |name: &String| {
        let bug: Bug = name.parse().map_err(|error| (format!("--bug: {error}"), status::USAGE))?;
        bug.info().ok_or_else(|| (format!("--bug: {name} is not in the registry"), status::USAGE))
    };
    if names.is_empty() { Ok(REGISTRY.iter().collect()) } else { names.iter().map(named).collect() }
}
