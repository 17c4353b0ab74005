//! The command line: it parses, calls one command, and gives its exit status.

use crate::{campaign, check, doctor, list, manual, node, replay, report, run, serve, sim, status};
use crate::{version, zoo};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// Put an etcd-compatible store on trial: run it, break what is under it, and prove or refute
/// that what its clients saw was consistent.
#[derive(Debug, Parser)]
#[command(name = "ordeal", version = version::VERSION, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    valid
  1    invalid: a violation was found
  2    unknown: nothing proved either way; the reason is printed
  64   the command line, a plan or an input file is wrong
  69   the environment cannot do what was asked; `ordeal doctor` tells why
  70   Ordeal itself failed
  130  interrupted: what was recorded is kept and checked";

#[derive(Debug, Subcommand)]
enum Command {
    /// One test: start the cluster, run a workload under a nemesis, check, report
    Run(Box<run::RunArgs>),
    /// Judge histories that are already there, from any tool
    Check(check::CheckArgs),
    /// The same test against the embedded cluster in deterministic simulation, over many seeds
    Sim(Box<sim::SimArgs>),
    /// Run a plan or a reproducer again
    Replay(replay::ReplayArgs),
    /// The smallest plan that still gives the same class of violation
    Shrink(replay::ShrinkArgs),
    /// A matrix of tests from a TOML file, with an index, JUnit and a summary over all of them
    Campaign(campaign::CampaignArgs),
    /// Join what the shards of a campaign found
    Merge(campaign::MergeArgs),
    /// Every planted bug hunted in simulation, and the cluster without bugs
    Zoo(zoo::ZooArgs),
    /// Write the report of a stored run again, or the index over a folder of runs
    Report(report::ReportArgs),
    /// Browse stored runs and watch those under way, on loopback
    Serve(serve::ServeArgs),
    /// What there is: workloads, faults, models, bugs, environments, checkers
    List(list::ListArgs),
    /// Run one embedded node, with etcd's flags
    #[command(after_help = node::other_flags())]
    Node(Box<node::NodeArgs>),
    /// Try each facility of this machine, and tell what would give those that are missing
    Doctor(doctor::DoctorArgs),
    /// Print the completions of a shell, for it to read
    Completions(manual::CompletionsArgs),
    /// Write the manual pages of all commands to a folder
    Man(manual::ManArgs),
}

/// The command line as a whole: what help, completions and manual pages are made of.
fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the command that `arguments` (the program's name first) ask for; gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|command| command == "node") {
        match node::translate(arguments.split_off(2)) {
            Ok(words) => arguments.extend(words),
            Err(status) => return status,
        }
    }
    match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli.command),
        Err(error) => {
            // Where even this cannot be printed there is nobody left to tell.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => status::VALID,
                _ => status::USAGE,
            }
        }
    }
}

fn dispatch(command: Command) -> u8 {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Check(args) => check::run(args),
        Command::Sim(args) => sim::run(&args),
        Command::Replay(args) => replay::replay(args),
        Command::Shrink(args) => replay::shrink_command(&args),
        Command::Campaign(args) => campaign::run(&args),
        Command::Merge(args) => campaign::merge(&args),
        Command::Zoo(args) => zoo::run(&args),
        Command::Report(args) => report::run(args),
        Command::Serve(args) => serve::run(args),
        Command::List(args) => list::run(args),
        Command::Node(args) => node::run(*args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => manual::completions(&args, definition()),
        Command::Man(args) => manual::man(&args, definition()),
    }
}
