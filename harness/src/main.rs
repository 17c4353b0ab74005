//! Puts an etcd-compatible store on trial.

use clap::{Parser, Subcommand};
use ordeal::{doctor, node, run, sandbox};
use std::process::ExitCode;

/// Puts an etcd-compatible store on trial
#[derive(Parser)]
#[command(name = "ordeal", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One test: start the cluster, run a workload under a nemesis, check, report
    Run(Box<run::RunArgs>),
    /// One embedded node, with etcd's flags
    Node(node::NodeArgs),
    /// What this machine can do
    Doctor(doctor::DoctorArgs),
}

fn main() -> ExitCode {
    sandbox::run_init_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // To nobody, if nobody reads.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    ExitCode::from(match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Node(args) => node::run(args),
        Command::Doctor(args) => doctor::run(args),
    })
}
