//! Reports that are written again, of runs that were stored before.

use crate::common::ordeal;
use std::path::Path;

/// The results of a run by the first version that wrote them, and a history that goes with them.
const OLD_RESULTS: &str = r#"{"verdict":"invalid","checkers":[{"name":"linearizable-register",
    "verdict":"invalid","reason":"a stale read","counterexample":{"events":[0,1,2,3,4,5]}}],
    "seed":7,"bug":[],"operations":{"read":{"ok":1,"fail":0,"info":0}},
    "faults":{"kill":{"started":1,"landed":1}}}"#;
const HISTORY: &str = r#"
{"index":0,"time":10,"process":0,"type":"invoke","f":"write","key":"k","value":1}
{"index":1,"time":20,"process":0,"type":"ok","f":"write","key":"k","value":1}
{"index":2,"time":30,"process":0,"type":"invoke","f":"write","key":"k","value":2}
{"index":3,"time":40,"process":0,"type":"ok","f":"write","key":"k","value":2}
{"index":4,"time":50,"process":1,"type":"invoke","f":"read","key":"k","value":null}
{"index":5,"time":60,"process":1,"type":"ok","f":"read","key":"k","value":1}
"#;

/// Stores a run in `folder`.
pub fn store(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("results.json"), OLD_RESULTS).expect("a file");
    std::fs::write(folder.join("history.jsonl"), HISTORY).expect("a file");
}

#[test]
fn a_report_of_an_older_version_is_written_again_with_its_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    store(&folder.path().join("run"));
    let output = ordeal(folder.path(), &["report", "run", "--svg", "pictures"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    for (name, words) in [
        ("run/report.html", "Process 1 read k and saw 1"),
        ("run/junit.xml", "a stale read"),
        ("run/summary.md", "invalid"),
        ("pictures/counterexample-1.svg", "xmlns=\"http://www.w3.org/2000/svg\""),
        ("pictures/latency.svg", "<svg"),
        ("pictures/rate.svg", "<svg"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(name)).expect(name);
        assert!(text.contains(words), "{name} lacks {words}");
    }
}

#[test]
fn a_folder_of_runs_gets_an_index_and_other_folders_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    store(&folder.path().join("runs/register/a"));
    store(&folder.path().join("runs/register/b"));
    assert_eq!(ordeal(folder.path(), &["report", "runs"]).status.code(), Some(0));
    let index = std::fs::read_to_string(folder.path().join("runs/index.html")).expect("an index");
    assert!(index.contains("href=\"./register/a/report.html\""), "{index}");
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    for (args, words) in [
        (&["report", "empty"][..], "name a run's folder"),
        (&["report", "nowhere"], "nowhere/results.json"),
        (&["report", "runs", "--svg", "x"], "name one run's folder"),
    ] {
        let output = ordeal(folder.path(), args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {told}");
        assert!(told.contains(words), "{args:?}: {told}");
    }
}
