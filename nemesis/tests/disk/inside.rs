//! Runs a test's body inside namespaces of its own, on a disk mounted there.
#![allow(unsafe_code)]

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use ordeal_nemesis::disk::{Disk, DiskOptions, mount};
use std::any::type_name;
use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const INSIDE: &str = "ORDEAL_TEST_INSIDE";

/// A disk, and where it is mounted.
pub struct Mounted {
    disk: Option<Disk>,
    _folder: tempfile::TempDir,
    pub root: PathBuf,
}

impl std::ops::Deref for Mounted {
    type Target = Disk;
    fn deref(&self) -> &Disk {
        self.disk.as_ref().expect("it is closed on drop only")
    }
}

impl Mounted {
    fn new(options: DiskOptions) -> Mounted {
        let folder = tempfile::tempdir().expect("a folder to mount on");
        let device = mount(&device(), folder.path()).expect("a mount");
        let disk = Disk::serve(device, options).expect("a disk");
        let root = folder.path().to_owned();
        Mounted { disk: Some(disk), _folder: folder, root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Waits until so many requests wait.
    pub fn until_waiting(&self, requests: usize) {
        wait_for("requests to wait", || self.requests_waiting() >= requests);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        umount2(&self.root, MntFlags::MNT_DETACH).expect("unmounted");
        if let Some(disk) = self.disk.take() {
            // A failing test may still hold files open, which keep the mount.
            if !std::thread::panicking() {
                disk.close().expect("the disk ends with its mount");
            }
        }
    }
}

/// Waits up to ten seconds for a condition.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited ten seconds for {what}");
        std::thread::yield_now();
    }
}

fn device() -> PathBuf {
    env::var_os("ORDEAL_FUSE").map_or_else(|| PathBuf::from("/dev/fuse"), PathBuf::from)
}

/// Says why a test is skipped, or fails it where nothing may be skipped.
pub fn skip(why: &str) {
    assert!(env::var_os("ORDEAL_REQUIRE_ETCD").is_none_or(|v| v != "1"), "{why}");
    eprintln!("skipped: {why}");
}

/// Runs `body`, a closure of the test itself, in a process of its own with a disk of 256 MiB.
pub fn with_disk<F: FnOnce(Mounted)>(body: F) {
    with_disk_of(256 << 20, body);
}

/// The same, on a disk of that size.
pub fn with_disk_of<F: FnOnce(Mounted)>(capacity_bytes: u64, body: F) {
    if env::var_os(INSIDE).is_some() {
        return body(Mounted::new(DiskOptions { capacity_bytes, ..DiskOptions::default() }));
    }
    if let Err(error) = fs::OpenOptions::new().read(true).write(true).open(device()) {
        return skip(&format!("{} cannot be opened: {error}", device().display()));
    }
    // "disk::module::test::{{closure}}"
    let name = type_name::<F>().split_once("::").expect("a path").1;
    let name = name.split("::{{closure}}").next().expect("a path");
    let output = in_namespaces(&env::current_exe().expect("our own path"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("a child in namespaces of its own");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed inside: {}", output.status);
}

fn in_namespaces(program: &Path) -> Command {
    let mut command = Command::new(program);
    let uid_map = format!("0 {} 1", geteuid());
    let gid_map = format!("0 {} 1", getegid());
    let enter = move || -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", &uid_map)?;
        fs::write("/proc/self/gid_map", &gid_map)
    };
    // SAFETY: the closure runs between fork and exec, where memory may not be allocated: it makes
    // system calls only, on strings that were made before (short paths are kept on the stack).
    unsafe { command.pre_exec(enter) };
    command
}
