//! Puts an etcd-compatible store on trial.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A node's first process is this binary too: it sets up its namespaces and becomes the member.
    ordeal::sandbox::run_init_if_asked();
    // So is what looks after a node elsewhere.
    ordeal::agent::play_role_if_asked();
    ExitCode::from(ordeal::cli::run(std::env::args_os()))
}
