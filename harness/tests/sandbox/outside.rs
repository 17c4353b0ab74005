//! A probe as the machine sees it: its processes, and what it leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Why there can be no sandbox on this machine; `None` when there can be.
pub fn why_not() -> Option<String> {
    let finished = Probe::start("nothing").finish();
    match finished.status.code() {
        Some(0) => None,
        Some(69) => Some(finished.errors),
        // A failure of ours: let the tests show it.
        _ => None,
    }
}

/// A running probe, in a process group of its own, as a shell would have it.
pub struct Probe {
    child: Killed,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
    pub folder: TempDir,
}

/// A process that does not outlive the test that started it, also when the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both do nothing when it has been collected.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An ended one.
pub struct Finished {
    pub status: ExitStatus,
    pub errors: String,
    pub folder: TempDir,
}

impl Probe {
    pub fn start(name: &str) -> Probe {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("__probe").arg(name).arg(folder.path());
        Probe::spawn(command, folder)
    }

    pub fn spawn(mut command: Command, folder: TempDir) -> Probe {
        command.process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let errors = child.stderr.take().expect("its errors");
        Probe { child: Killed(child), output, errors, folder }
    }

    /// The outer process.
    pub fn pid(&self) -> i32 {
        self.child.0.id() as i32
    }

    /// Waits for the next line, which must be this one.
    pub fn expect_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        if line.trim() != expected {
            let mut errors = String::new();
            let _ = self.errors.read_to_string(&mut errors);
            panic!("not {expected:?} but {line:?}: {errors}");
        }
    }

    /// Waits for its end, a minute at most, and hands on what it printed.
    pub fn finish(mut self) -> Finished {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.0.try_wait().expect("a status") {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "the probe does not end");
            std::thread::sleep(Duration::from_millis(1));
        };
        // The pipes end with the last process that has them: that is, when all are gone.
        let (mut output, mut errors) = (String::new(), String::new());
        let _ = self.output.read_to_string(&mut output);
        let _ = self.errors.read_to_string(&mut errors);
        print!("{output}");
        Finished { status, errors, folder: self.folder }
    }
}

impl Finished {
    /// Fails with what the probe said when it does not have this status.
    pub fn expect_status(&self, expected: i32) {
        let (status, errors) = (self.status, &self.errors);
        let seen = status.code().or(status.signal().map(|signal| 128 + signal));
        assert_eq!(seen, Some(expected), "{errors}");
    }
}

/// The processes of the machine: each one's parent, but for the dead.
fn parents() -> BTreeMap<i32, i32> {
    let numbers = std::fs::read_dir("/proc").expect("a /proc").flatten();
    numbers
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let mut fields = stat.rsplit_once(") ")?.1.split(' ');
            let dead = matches!(fields.next()?, "Z" | "X");
            let parent = fields.next()?.parse().ok()?;
            (!dead).then_some((pid, parent))
        })
        .collect()
}

/// A process and all that come from it, in the order of their generations.
pub fn family(pid: i32) -> Vec<i32> {
    let parents = parents();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, p)| **p == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// What a probe has of the machine while it runs.
pub struct Hold {
    /// The namespaces of its processes, of all kinds, that are not ours.
    pub namespaces: BTreeSet<String>,
    /// Everybody who could be in one of them. Numbers of namespaces are used again, so whoever
    /// comes later and has one has it from another sandbox.
    everybody: BTreeSet<i32>,
}

impl Hold {
    pub fn of(family: &[i32]) -> Hold {
        let ours: BTreeSet<String> = namespaces_of(std::process::id() as i32).into_iter().collect();
        let theirs = family.iter().flat_map(|pid| namespaces_of(*pid));
        Hold {
            namespaces: theirs.filter(|name| !ours.contains(name)).collect(),
            everybody: parents().into_keys().collect(),
        }
    }
}

fn namespaces_of(pid: i32) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("ns"));
    let links = entries.into_iter().flatten().flatten();
    let names = links.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

/// Waits, at most a second, until no process is in one of the namespaces, and there is no mount in
/// this folder, no device of ours and no child.
pub fn expect_no_trace(hold: &Hold, folder: &Path) {
    let start = Instant::now();
    loop {
        let alive = parents().into_keys().filter(|pid| hold.everybody.contains(pid));
        let left: BTreeSet<String> =
            alive.flat_map(namespaces_of).filter(|name| hold.namespaces.contains(name)).collect();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        let mounts = mounts.matches(&*folder.to_string_lossy()).count();
        let devices = std::fs::read_dir("/sys/class/net").expect("a /sys").flatten();
        let devices = devices
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("ordeal"))
            .count();
        let children = family(std::process::id() as i32).len() - 1;
        if (left.len(), mounts, devices, children) == (0, 0, 0, 0) {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "left: {left:?}, {mounts} mounts, {devices} devices, {children} children"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until none of these processes is alive, at most a second.
pub fn expect_gone(pids: &[i32]) {
    let start = Instant::now();
    loop {
        let parents = parents();
        let left: Vec<_> = pids.iter().filter(|pid| parents.contains_key(pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "still there: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
