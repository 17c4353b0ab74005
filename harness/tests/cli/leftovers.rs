//! Runs beside each other and after each other, and runs that cannot go on.

use crate::common::{ORDEAL, Run, ordeal, sandbox_or_skip};
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Faults that make processes, mounts, devices and files come and go.
const MESSY: [&str; 2] = ["--nemesis", "kill,partition,wipe,fsync-delay,clock-jump"];
/// So many runs in a row; more with `$ORDEAL_RUNS_IN_A_ROW`.
const RUNS_IN_A_ROW: usize = 4;

#[test]
fn short_runs_in_a_row_leave_nothing() {
    if !sandbox_or_skip() {
        return;
    }
    let asked = std::env::var("ORDEAL_RUNS_IN_A_ROW").ok();
    let runs = asked.and_then(|count| count.parse().ok()).unwrap_or(RUNS_IN_A_ROW);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = Surroundings::now();
    for number in 0..runs {
        let (out, seed) = (format!("out{number}"), number.to_string());
        let args = ["--time-limit", "1s", "--nodes", "3", "--seed", &seed, "--out", &out];
        let output = ordeal(folder.path(), &[&["run"][..], &MESSY, &args].concat());
        // In one second too little may happen for a verdict.
        assert!(matches!(output.status.code(), Some(0 | 2)), "run {number}: {}", told(&output));
        Surroundings::now().expect_no_more_than(&before, folder.path());
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").flatten().collect();
    assert_eq!(left.len(), runs, "a folder for each run, and nothing else: {left:?}");
    println!("{runs} runs, and nothing is left of them but their folders");
}

/// What a run printed, the verdict first.
fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)).join("\n")
}

/// What a run might leave on the machine.
struct Surroundings {
    mounts: String,
    devices: BTreeSet<String>,
}

impl Surroundings {
    fn now() -> Surroundings {
        let names = std::fs::read_dir("/sys/class/net").map(|entries| {
            let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            entries.flatten().map(name).collect()
        });
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
        Surroundings { mounts, devices: names.unwrap_or_default() }
    }

    /// Others may work on the machine meanwhile: what counts is what names the run and its devices.
    fn expect_no_more_than(&self, before: &Surroundings, folder: &Path) {
        let folder = folder.to_str().expect("a path in UTF-8");
        assert!(!self.mounts.contains(folder), "{}", self.mounts);
        let new: Vec<&String> = self.devices.difference(&before.devices).collect();
        assert!(new.iter().all(|name| !name.starts_with("ordeal")), "{new:?}");
        let processes = crate::endings::processes_in(folder);
        assert_eq!(processes, Vec::<String>::new());
    }
}

#[test]
fn two_runs_side_by_side_do_not_see_each_other() {
    if !sandbox_or_skip() {
        return;
    }
    let one = || Run::of(&["--time-limit", "8s", "--nodes", "3", "--seed", "9"]);
    let runs = std::thread::scope(|scope| {
        let both = [scope.spawn(one), scope.spawn(one)];
        both.map(|run| run.join().expect("the run ended"))
    });
    for run in &runs {
        run.expect_status(0);
        run.expect_activity(100, &["kill", "pause", "partition"]);
    }
    assert_eq!(runs[0].tried(), runs[1].tried());
}

/// Runs `ordeal` in a folder that has room for so little.
fn in_so_little(folder: &Path, kilobytes: u32, args: &str) -> Output {
    let small = folder.join("small");
    std::fs::create_dir(&small).expect("a folder");
    let small = small.to_str().expect("a path in UTF-8");
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k none {small} && cd {small} && exec {ORDEAL} {args}"
    );
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", &script]).stdin(Stdio::null());
    command.output().expect("unshare is there")
}

#[test]
fn a_full_disk_of_the_harness_ends_in_a_sentence() {
    if !sandbox_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = "run --nodes 3 --nemesis none --rate 3000 --time-limit 60s --out out";
    let output = in_so_little(folder.path(), 400, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(said.contains("No space left on device") && said.contains("out/"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    Surroundings::now().expect_no_more_than(&Surroundings::now(), folder.path());
}

#[test]
fn a_node_that_does_not_come_up_is_told_with_its_last_words() {
    if !sandbox_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = [
        ("dies", "echo no such flag; exit 3", "n1 died at its start (exit status 3)"),
        ("never", "echo not yet; exec sleep 1000", "n1 acknowledged no read within 30 s"),
    ];
    for (name, body, expected) in rows {
        let path = folder.path().join(name);
        let version = "[ \"$1\" = --version ] && { echo etcd Version: 3.5.30; exit 0; }";
        std::fs::write(&path, format!("#!/bin/sh\n{version}\n{body}\n")).expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("executable");
        let db = path.to_str().expect("a path in UTF-8");
        let args = ["run", "--db", db, "--nodes", "3", "--nemesis", "none", "--out"];
        let output = ordeal(folder.path(), &[&args[..], &[&format!("out-{name}")]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(69), "{said}");
        let words = if name == "dies" { "no such flag" } else { "not yet" };
        assert!(said.contains(expected) && said.contains(words), "{said}");
        assert_eq!(crate::endings::processes_in(db), Vec::<String>::new());
    }
}
