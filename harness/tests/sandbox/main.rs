//! The sandbox, tried for real.
//!
//! It is entered by a process of one thread, which Rust's own test harness is not. So this program
//! is its own: without a hidden argument it runs the tests, each of which starts it again, as a
//! probe that enters the sandbox; and in there it is what the nodes run.

mod agent;
mod disks;
mod faults;
mod outside;
mod probe;
#[path = "../shared/runner.rs"]
mod runner;
mod tests;
mod wire;

use ordeal::doctor::DoctorArgs;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    ordeal::sandbox::run_init_if_asked();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["__agent"] => agent::serve(),
        ["__say", what] => println!("{what}"),
        ["__status", status] => return ExitCode::from(status.parse::<u8>().expect("a status")),
        ["__gentle"] => agent::await_sigterm(),
        ["__doctor"] => return ordeal::doctor::run(DoctorArgs { json: false }).into(),
        ["__doctor", "json"] => return ordeal::doctor::run(DoctorArgs { json: true }).into(),
        ["__orphan"] => agent::leave_an_orphan(),
        ["__probe", name, folder] => return probe::enter(name, &PathBuf::from(folder)),
        ["__forbidden", folder] => return probe::enter_where_it_is_forbidden(folder.as_ref()),
        _ => return runner::run(&args, tests::ALL, why_not),
    }
    ExitCode::SUCCESS
}

/// Why there can be no sandbox, in a sentence.
fn why_not() -> Option<String> {
    let reason = outside::why_not()?;
    Some(format!("the sandbox does not work here, so its tests are skipped: {reason}"))
}
