//! What the tests of the command line share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub const ORDEAL: &str = env!("CARGO_BIN_EXE_ordeal");

/// Runs `ordeal` in `folder` to its end.
pub fn ordeal(folder: &Path, args: &[&str]) -> Output {
    Command::new(ORDEAL)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// Whether what a test needs must be there.
fn required() -> bool {
    std::env::var_os("ORDEAL_REQUIRE_ETCD").is_some_and(|v| v == "1")
}

/// The etcd under test: `$ORDEAL_ETCD`, or the one on PATH; says so when there is none.
pub fn etcd() -> Option<String> {
    if let Some(named) = std::env::var_os("ORDEAL_ETCD") {
        return Some(named.into_string().expect("ORDEAL_ETCD is UTF-8"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|p| p.join("etcd")).find(|p| p.is_file());
    assert!(found.is_some() || !required(), "no etcd on PATH, and ORDEAL_REQUIRE_ETCD=1");
    if found.is_none() {
        eprintln!("skipped: no etcd on PATH (set ORDEAL_ETCD to a binary)");
    }
    found.map(|p| p.to_str().expect("a path in UTF-8").to_owned())
}

/// Whether the sandbox works here; says so when it does not.
pub fn sandbox_or_skip() -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = ordeal(folder.path(), &["doctor"]);
    let works = output.status.success();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(works || !required(), "the sandbox does not work here:\n{told}");
    if !works {
        eprintln!("skipped: the sandbox does not work here:\n{told}");
    }
    works
}

/// One `ordeal run` that has ended.
pub struct Run {
    folder: tempfile::TempDir,
    output: Output,
}

impl Run {
    /// Runs to the end, with these options, into a folder of its own. The seed is one where none
    /// is given: what a test expects of a plan it must expect of one plan.
    pub fn of(args: &[&str]) -> Run {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut all = vec!["run", "--out", "out"];
        all.extend(args);
        let says = |option: &str| args.iter().any(|arg| arg.split('=').next() == Some(option));
        if !says("--seed") && !says("--plan") {
            all.extend(["--seed", "1"]);
        }
        let output = ordeal(folder.path(), &all);
        Run { folder, output }
    }

    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A file of the run's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// What was printed on standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Fails unless the run ended so; tells what it printed.
    pub fn expect_status(&self, status: i32) {
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        let told = format!("{}\n{stderr}\n{}", self.stdout(), self.last_words());
        assert_eq!(self.output.status.code(), Some(status), "{told}");
        let all = [
            "plan.json",
            "history.jsonl",
            "results.json",
            "report.html",
            "junit.xml",
            "summary.md",
        ];
        for name in all {
            assert!(self.file(name).is_file(), "{name} is missing");
        }
    }

    /// The end of each node's log, for a person who looks at a failed test.
    fn last_words(&self) -> String {
        let Ok(nodes) = std::fs::read_dir(self.file("nodes")) else { return String::new() };
        let logs = nodes.flatten().map(|node| node.path().join("log"));
        logs.filter_map(|log| Some((log.clone(), std::fs::read_to_string(&log).ok()?)))
            .map(|(path, text)| {
                let lines: Vec<&str> = text.lines().rev().take(8).collect();
                let tail: Vec<&str> = lines.into_iter().rev().collect();
                format!("--- {}\n{}\n", path.display(), tail.join("\n"))
            })
            .collect()
    }

    /// `results.json`.
    pub fn results(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.file("results.json")).expect("results.json");
        serde_json::from_str(&text).expect("results.json is JSON")
    }

    /// Fails unless so many operations succeeded and each kind of fault landed.
    pub fn expect_activity(&self, operations_min: u64, kinds: &[&str]) {
        let results = self.results();
        let by_f = results["operations"].as_object().expect("operations");
        let ok: u64 = by_f.values().filter_map(|outcomes| outcomes["ok"].as_u64()).sum();
        assert!(ok >= operations_min, "{ok} operations succeeded: {results:#}");
        for kind in kinds {
            let landed = results["faults"][kind]["landed"].as_u64().unwrap_or(0);
            assert!(landed > 0, "no {kind} landed: {:#}", results["faults"]);
        }
    }

    /// The faults that were injected or could not be, in order, as the history tells them.
    pub fn tried(&self) -> Vec<(u64, String)> {
        let text = std::fs::read_to_string(self.file("history.jsonl")).expect("history.jsonl");
        let lines = text.lines().map(|l| serde_json::from_str(l).expect("a line of JSON"));
        let mut started: Vec<(u64, String)> = lines
            .filter(|e: &serde_json::Value| {
                e["value"]["phase"] == "start" || e["value"]["phase"] == "failed"
            })
            .map(|e| (e["value"]["id"].as_u64().expect("id"), e["f"].as_str().expect("f").into()))
            .collect();
        started.sort();
        started
    }
}
