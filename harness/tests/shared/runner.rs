//! Runs tests in a program that has a `main` of its own.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A test, by its name.
pub type Test = (&'static str, fn());

/// Runs the tests whose names contain one of the words given, as Rust's harness would, each by
/// itself. `why_not` says why none can be run, and whether that is a failure.
pub fn run(args: &[&str], tests: &[Test], why_not: impl Fn() -> Option<String>) -> ExitCode {
    let words: Vec<&&str> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(**word));
    let tests = tests.iter().filter(|(name, _)| wanted(name));
    if args.contains(&"--list") {
        tests.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if let Some(reason) = why_not() {
        println!("{reason}");
        return ExitCode::from(u8::from(required()));
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

/// Whether what a test needs must be there: then it is no excuse that it is not.
pub fn required() -> bool {
    std::env::var_os("ORDEAL_REQUIRE_ETCD").is_some_and(|value| value == "1")
}
