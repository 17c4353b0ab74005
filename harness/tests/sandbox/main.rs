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
mod tests;
mod wire;

use ordeal::doctor::DoctorArgs;
use std::panic::catch_unwind;
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
        _ => return run_tests(&args),
    }
    ExitCode::SUCCESS
}

/// Runs the tests whose names contain one of the words given, as Rust's harness would.
fn run_tests(args: &[&str]) -> ExitCode {
    let words: Vec<&&str> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(**word));
    let tests = tests::ALL.iter().filter(|(name, _)| wanted(name));
    if args.contains(&"--list") {
        tests.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if let Some(reason) = outside::why_not() {
        println!("the sandbox does not work here, so its tests are skipped: {reason}");
        // Where everything must be there, this is no excuse.
        let required = std::env::var_os("ORDEAL_REQUIRE_ETCD").is_some_and(|value| value == "1");
        return ExitCode::from(u8::from(required));
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        let good = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        *(if good { &mut passed } else { &mut failed }) += 1;
    }
    println!("\ntest result: {passed} passed; {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
