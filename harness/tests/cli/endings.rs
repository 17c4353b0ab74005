//! However a run ends, nothing of it is left but its folder, and the folder can be read.

use crate::common::{ORDEAL, ordeal, sandbox_or_skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

#[test]
fn an_interrupt_ends_in_a_checked_and_reported_run() {
    if !sandbox_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = start(folder.path());
    signal(&child, Signal::SIGINT);
    let status = wait(&mut child);
    assert_eq!(status.code(), Some(130));
    let results = std::fs::read_to_string(folder.path().join("out/results.json")).expect("results");
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    assert_eq!(results["checkers"][0]["verdict"], "valid", "{results:#}");
    assert!(folder.path().join("out/report.html").is_file());
    expect_nothing_left(folder.path());
}

#[test]
fn a_killed_harness_leaves_nothing_but_a_readable_history() {
    if !sandbox_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = start(folder.path());
    signal(&child, Signal::SIGKILL);
    let _ = wait(&mut child);
    expect_nothing_left(folder.path());
    let output = ordeal(folder.path(), &["check", "out/history.jsonl"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.starts_with("out/history.jsonl: valid ("), "{told}");
}

/// A long run that has already recorded some hundred operations and has had a fault.
fn start(folder: &Path) -> Child {
    let child = Command::new(ORDEAL)
        .args(["run", "--out", "out", "--time-limit", "300s"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let history = folder.join("out/history.jsonl");
    until("the run is under way", || {
        let text = std::fs::read_to_string(&history).unwrap_or_default();
        text.lines().count() > 500 && text.contains("\"nemesis\"")
    });
    child
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}

fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the harness has ended", || {
        status = child.try_wait().expect("our own child");
        status.is_some()
    });
    status.expect("it has ended")
}

/// No process that works in the run's folder, and no mount in it, a second later at the latest.
fn expect_nothing_left(folder: &Path) {
    let name = folder.to_str().expect("a path in UTF-8").to_owned();
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline && !processes_in(&name).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes_in(&name), Vec::<String>::new());
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&name), "{mounts}");
}

/// Command lines of the processes that name the folder or work in it.
pub fn processes_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let others = entries.filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok());
    others
        .filter_map(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let inside = std::fs::read_link(entry.path().join("cwd"))
                .is_ok_and(|cwd| cwd.starts_with(folder));
            (inside || command.contains(folder)).then_some(command)
        })
        .collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "after a minute still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
