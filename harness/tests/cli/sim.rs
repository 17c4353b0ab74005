//! Simulations as their users meet them, and what was found in one played on real time.

use crate::common::{ordeal, sandbox_or_skip};
use std::path::Path;

/// The trace of all seeds together, and the summary without how long it took.
fn trace(jobs: &str) -> (String, serde_json::Value) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seeds = ["sim", "--seeds", "0..12", "--time-limit", "3s", "--json", "--out", "out"];
    let output = ordeal(folder.path(), &[&seeds[..], &["--jobs", jobs]].concat());
    // In so short a time a seed may do too little to be judged (exit 2); it may break nothing.
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 2)), "{told}");
    let mut summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("a summary as JSON");
    summary["wall_ms"] = serde_json::Value::Null;
    (summary["trace"].as_str().expect("a trace").to_owned(), summary)
}

#[test]
fn seeds_give_the_same_trace_in_another_process_and_with_other_jobs_beside_them() {
    let (first, summary) = trace("1");
    assert!(summary["operations"].as_u64() > Some(1_000), "{summary}");
    for jobs in ["1", "4"] {
        let (again, same) = trace(jobs);
        assert_eq!((again, same), (first.clone(), summary.clone()), "{jobs} jobs");
    }
}

#[test]
fn a_determinism_check_runs_each_seed_twice_and_finds_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let check = ["sim", "--seeds", "0..6", "--time-limit", "3s", "--check-determinism"];
    let output = ordeal(folder.path(), &check);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_was_found_in_simulation_and_shrunk_shows_in_the_sandbox_too() {
    if !sandbox_or_skip() {
        return;
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/apply-differs");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let corpus = corpus.to_str().expect("a path in UTF-8");
    let output = ordeal(folder.path(), &["replay", corpus, "--env", "sandbox", "--out", "out"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the same class of violation, invalid by "), "{told}");
}
