//! A real etcd of one member.

use std::fs::OpenOptions;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::cluster::free_ports;

/// How long a store may take to start on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The `etcd` of `$ORDEAL_ETCD` or of the path.
pub fn etcd() -> Option<String> {
    let program = std::env::var("ORDEAL_ETCD").unwrap_or_else(|_| "etcd".into());
    let answers = Command::new(&program).arg("--version").output();
    answers.is_ok_and(|output| output.status.success()).then_some(program)
}

/// The same for a test that can do nothing without: it passes without one only where none is
/// required.
pub fn etcd_or_skip() -> Option<String> {
    let found = etcd();
    if found.is_none() {
        let required = std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|value| value == "1");
        assert!(!required, "there is no etcd, neither on the path nor in $ORDEAL_ETCD");
        eprintln!("skipped: there is no etcd, neither on the path nor in $ORDEAL_ETCD");
    }
    found
}

/// Major, minor and patch, as the program tells them.
pub type Release = (u32, u32, u32);

/// The release of a program that is etcd.
pub fn release(program: &str) -> Release {
    let output = Command::new(program).arg("--version").output().expect("it answered before");
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    let numbers: Vec<u32> = version
        .unwrap_or_else(|| panic!("{program} tells no version: {text}"))
        .split(['.', '-', '+'])
        .map_while(|number| number.trim().parse().ok())
        .collect();
    match numbers[..] {
        [major, minor, patch, ..] => (major, minor, patch),
        _ => panic!("{program} tells an odd version: {text}"),
    }
}

/// The process and its data. It dies with this value.
pub struct Etcd {
    program: String,
    flags: Vec<String>,
    process: Child,
    ports: Vec<u16>,
    pub url: String,
    data: TempDir,
}

impl Etcd {
    pub fn start(program: &str) -> Etcd {
        Etcd::start_with(program, &[])
    }

    /// With more flags than it needs.
    pub fn start_with(program: &str, flags: &[String]) -> Etcd {
        let data = TempDir::new().expect("a directory");
        let ports = free_ports(2);
        let url = url(ports[0]);
        let flags = flags.to_vec();
        let process = spawn(program, &flags, &ports, &data);
        let etcd = Etcd { program: program.to_owned(), flags, process, ports, url, data };
        etcd.wait_until_it_listens();
        etcd
    }

    /// Stops it as an operator does, and starts it on the same data.
    pub fn restart(&mut self) {
        let pid = Pid::from_raw(self.process.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGTERM).expect("it runs");
        self.process.wait().expect("it ends");
        self.process = spawn(&self.program, &self.flags, &self.ports, &self.data);
        self.wait_until_it_listens();
    }

    /// Why it ended, if it did.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
        let panic = log.lines().find(|line| line.contains("panic") || line.contains("fatal"));
        panic.map_or(String::new(), |line| format!("; its log says: {line}"))
    }

    fn wait_until_it_listens(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.ports[0])).is_err() {
            assert!(Instant::now() < deadline, "{} does not listen", self.program);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Whatever comes of it, nobody is left to be told.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn spawn(program: &str, flags: &[String], ports: &[u16], data: &TempDir) -> Child {
    let (client, peer) = (url(ports[0]), url(ports[1]));
    let log = OpenOptions::new().create(true).append(true).open(data.path().join("log"));
    Command::new(program)
        .args(["--name", "n0", "--log-level", "error", "--data-dir"])
        .arg(data.path().join("n0"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("n0={peer}")])
        // The cheapest hash of passwords that there is.
        .args(["--bcrypt-cost", "4"])
        .args(flags)
        .stdout(Stdio::null())
        .stderr(log.expect("a file"))
        .spawn()
        .expect("it answered before")
}
