//! Clusters in containers, and on hosts that ssh reaches, tried for real: Docker's own daemon,
//! OpenSSH's own server.
//!
//! The hosts are nodes of the sandbox that run an sshd each, so this program has a `main` of its
//! own, as the sandbox's tests do.

mod compose;
mod docker;
mod faults;
mod hosts;
mod plans;
#[path = "../shared/runner.rs"]
mod runner;
mod seen;

use std::path::Path;
use std::process::ExitCode;

/// The binary under test.
const ORDEAL: &str = env!("CARGO_BIN_EXE_ordeal");

const TESTS: [runner::Test; 18] = [
    ("docker::processes_and_clocks", docker::processes_and_clocks),
    ("docker::operators", docker::operators),
    ("docker::an_etcd_is_restored_from_a_snapshot", docker::an_etcd_is_restored_from_a_snapshot),
    (
        "docker::connections_are_encrypted_and_written_down",
        docker::connections_are_encrypted_and_written_down,
    ),
    ("docker::links", docker::links),
    ("docker::an_etcd_reads_a_clock_that_was_put_back", docker::an_etcd_reads_its_clock),
    ("docker::two_runs_side_by_side", docker::two_runs_side_by_side),
    ("docker::nothing_is_left_after_sigkill", docker::nothing_is_left_after_sigkill),
    ("docker::an_interrupt_is_judged", docker::an_interrupt_is_judged),
    ("docker::a_daemon_that_goes_away", docker::a_daemon_that_goes_away),
    ("docker::what_is_refused", docker::what_is_refused),
    ("compose::clusters_to_look_at", compose::clusters_to_look_at),
    ("hosts::processes_and_clocks", hosts::processes_and_clocks),
    ("hosts::operators", hosts::operators),
    ("hosts::links", hosts::links),
    ("hosts::disks", hosts::disks),
    ("hosts::nothing_is_left_after_sigkill", hosts::nothing_is_left_after_sigkill),
    ("hosts::what_is_refused", hosts::what_is_refused),
];

fn main() -> ExitCode {
    ordeal::sandbox::run_init_if_asked();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match &args[..] {
        ["__hosts", scene, folder] => hosts::enter(scene, Path::new(folder)),
        args => runner::run(args, &TESTS, || None),
    }
}
