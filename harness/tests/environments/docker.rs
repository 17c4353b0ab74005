//! Containers.

use crate::faults;
use crate::plans::{self, clients, n3};
use crate::seen::Seen;
use crate::{ORDEAL, runner};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The daemon's socket.
const SOCKET: &str = "/var/run/docker.sock";
/// How long anything that is awaited may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the daemon answers.
fn ask(path: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .ok_or(io::ErrorKind::Other.into())
}

/// Whether there is no daemon here, which is said.
pub fn skipped() -> bool {
    match ask("/_ping") {
        Ok(_) => false,
        Err(error) => {
            println!("skipped: no Docker daemon answers at {SOCKET}: {error}");
            true
        }
    }
}

/// The containers and images that were made for the run in this folder.
fn left(folder: &Path) -> Vec<String> {
    let folder = std::fs::canonicalize(folder).expect("the run's folder");
    let mut found = Vec::new();
    for (path, name) in [("/containers/json?all=1", "Names"), ("/images/json", "RepoTags")] {
        let listed = ask(path).expect("an answer");
        let listed: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
        let ours = listed.iter().filter(|it| {
            it["Labels"]["ordeal.folder"].as_str().is_some_and(|of| Path::new(of) == folder)
        });
        found.extend(ours.map(|it| it[name][0].to_string()));
    }
    found
}

/// Waits until this holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An `ordeal run`, in a folder of its own, in a process group of its own.
struct Run {
    folder: tempfile::TempDir,
    child: Child,
}

impl Run {
    fn start(args: &[&str], host: Option<&str>) -> Run {
        let folder = tempfile::tempdir().expect("a folder");
        Run::start_in(folder, args, host)
    }

    fn start_in(folder: tempfile::TempDir, args: &[&str], host: Option<&str>) -> Run {
        let mut command = Command::new(ORDEAL);
        command.args(["run", "--out", "out"]).args(args).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        match host {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command.env_remove("DOCKER_HOST"),
        };
        Run { folder, child: command.spawn().expect("the binary runs") }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("it runs");
    }

    /// Waits until clients have worked for a while.
    fn await_work(&self) {
        until("clients work", || {
            let history = std::fs::read_to_string(self.out().join("history.jsonl"));
            history.is_ok_and(|text| text.lines().count() > 50)
        });
    }

    /// Waits for its end; gives its folder, and what it printed.
    fn end(self) -> (tempfile::TempDir, Output) {
        let output = self.child.wait_with_output().expect("a child of ours");
        (self.folder, output)
    }
}

pub fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// Plays these faults in containers, and sees that nothing is left.
fn play(db: &Value, faults: &[Value]) -> (tempfile::TempDir, Seen) {
    play_to(0, db, faults)
}

/// The same, where the run must end with this status.
fn play_to(status: i32, db: &Value, faults: &[Value]) -> (tempfile::TempDir, Seen) {
    for pace in plans::PACES {
        let folder = tempfile::tempdir().expect("a folder");
        plans::write(&folder.path().join("plan.json"), &json!("docker"), db, faults, pace);
        let (folder, output) = Run::start_in(folder, &["--plan", "plan.json"], None).end();
        assert_eq!(left(&folder.path().join("out")), Vec::<String>::new());
        let seen = Seen::of(&folder.path().join("out"));
        if !seen.is_starved() {
            assert_eq!(output.status.code(), Some(status), "{}", told(&output));
            return (folder, seen);
        }
        assert!(status == 1 || output.status.code() != Some(1), "{}", told(&output));
    }
    panic!("the machine has too much to do for this test");
}

pub fn processes_and_clocks() {
    if !skipped() {
        faults::processes_and_clocks(|faults| play(&json!("embedded"), faults));
    }
}

pub fn operators() {
    if !skipped() {
        faults::operators(|faults| play(&json!("embedded"), faults));
    }
}

pub fn an_etcd_is_restored_from_a_snapshot() {
    let Some(etcd) = etcd() else { return };
    if skipped() {
        return;
    }
    let db = json!({"etcd": {"path": etcd, "version": "any"}});
    let (folder, seen) = play_to(1, &db, &[json!({"kind": "restore", "nodes": n3()})]);
    seen.during("restore");
    let out = folder.path().join("out");
    let results = std::fs::read_to_string(out.join("results.json")).expect("results.json");
    let results: Value = serde_json::from_str(&results).expect("JSON");
    let checkers = results["checkers"].as_array().expect("checkers");
    let verdict = |name: &str| {
        let one = checkers.iter().find(|one| one["name"] == name);
        one.map(|one| one["verdict"].clone())
    };
    assert_eq!(verdict("revisions"), Some(json!("invalid")), "what was acknowledged is lost");
    assert_eq!(verdict("members-equal"), Some(json!("valid")), "it is one cluster again");
}

pub fn connections_are_encrypted_and_written_down() {
    if skipped() {
        return;
    }
    let args = ["--env=docker", "--nodes=3", "--nemesis=none", "--time-limit=5s", "--tls"];
    let pcap = ["--pcap=n1-n2,n3-clients"];
    let (folder, output) = Run::start(&[&args[..], &pcap].concat(), None).end();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let out = folder.path().join("out");
    assert_eq!(left(&out), Vec::<String>::new());
    for name in ["n1-n2", "n3-clients"] {
        let bytes = std::fs::read(out.join(format!("pcap/{name}.pcapng"))).expect("a capture");
        // The first record of a TLS connection: a handshake, and in it the client's greeting.
        let greets = |at: &[u8]| at[..3] == [0x16, 3, 1] && at[5] == 1;
        let greetings = bytes.windows(6).filter(|at| greets(at)).count();
        println!("{name}: {} bytes, {greetings} TLS connections", bytes.len());
        assert!(greetings > 0, "{name}");
    }
}

pub fn links() {
    if skipped() {
        return;
    }
    let all = 1_000_000;
    let (_folder, seen) = play(
        &json!("embedded"),
        &[
            json!({"kind": "partition", "cut": {"isolate": n3()}}),
            json!({"kind": "client-partition", "nodes": n3(), "way": "out"}),
            json!({"kind": "flap", "cut": {"isolate": n3()}, "period_ms": 300}),
            json!({"kind": "swizzle", "cut": ["n3"], "heal": ["n3"]}),
            json!({"kind": "delay", "links": clients(), "delay_us": 120_000}),
            json!({"kind": "loss", "links": clients(), "share_ppm": all}),
            json!({"kind": "duplicate", "links": clients(), "share_ppm": all}),
            json!({"kind": "reorder", "links": clients(), "share_ppm": 300_000,
                "delay_us": 20_000}),
            json!({"kind": "packet-corrupt", "links": clients(), "share_ppm": all}),
            json!({"kind": "rate", "links": clients(), "bytes_per_s": 2_000}),
            json!({"kind": "reset", "links": clients(), "share_ppm": all}),
            json!({"kind": "slow-clients", "nodes": n3(), "delay_us": 110_000}),
        ],
    );
    let (_, shortest_ms) = seen.before();
    for kind in ["partition", "client-partition", "loss", "packet-corrupt", "reset"] {
        seen.nothing_passed(kind);
    }
    for (kind, sign) in [
        ("partition", "dropped"),
        ("client-partition", "dropped"),
        ("flap", "dropped"),
        ("swizzle", "dropped"),
        ("loss", "lost"),
        ("duplicate", "duplicated"),
        ("reorder", "reordered"),
        ("packet-corrupt", "corrupted"),
        ("rate", "throttled"),
        ("reset", "reset"),
    ] {
        assert!(seen.told(kind, sign) > 0, "{kind}");
    }
    // There and back.
    for (kind, least_ms) in [("delay", 240.0), ("slow-clients", 220.0)] {
        let late = seen.during(kind);
        assert!(late.acknowledged > 0 && late.shortest_ms >= least_ms, "{late:?}");
        assert!(shortest_ms < least_ms, "{shortest_ms} ms without a fault");
    }
    // A request and its answer are some hundreds of bytes.
    let narrow = seen.during("rate");
    assert!(narrow.acknowledged == 0 || narrow.shortest_ms > shortest_ms, "{narrow:?}");
}

/// The etcd under test; says so when there is none.
pub fn etcd() -> Option<String> {
    let named = std::env::var("ORDEAL_ETCD").ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || {
        let found = std::env::split_paths(&path).map(|p| p.join("etcd")).find(|p| p.is_file())?;
        found.to_str().map(str::to_owned)
    };
    let etcd = named.or_else(found);
    assert!(etcd.is_some() || !runner::required(), "no etcd on PATH, and ORDEAL_REQUIRE_ETCD=1");
    if etcd.is_none() {
        println!("skipped: no etcd on PATH (set ORDEAL_ETCD to a binary)");
    }
    etcd
}

pub fn an_etcd_reads_its_clock() {
    let Some(etcd) = etcd() else { return };
    if skipped() {
        return;
    }
    // A restart sets no clock right: what the next process writes first is an hour early.
    let db = json!({"etcd": {"path": etcd, "version": "any"}});
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.json");
    let faults = [
        json!({"kind": "clock-jump", "nodes": n3(), "wall_ms": -3_600_000}),
        json!({"kind": "kill", "nodes": n3()}),
    ];
    plans::write(&path, &json!("docker"), &db, &faults, 1);
    let mut plan: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("a plan")).expect("JSON");
    plan["schedule"][0]["for_ms"] = 6_000.into();
    std::fs::write(&path, plan.to_string()).expect("a plan is written");
    let began = std::time::SystemTime::now();
    let (folder, output) = Run::start_in(folder, &["--plan", "plan.json"], None).end();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    // The log's last start, by the times that etcd itself wrote: seconds within a day.
    let log = std::fs::read_to_string(folder.path().join("out/nodes/n3/log")).expect("a log");
    let now = began.duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs() % 86_400;
    let early = log.lines().filter_map(second_of_day).filter(|second| {
        let behind = (now + 86_400 - second) % 86_400;
        (3_400..3_800).contains(&behind)
    });
    let (early, all) = (early.count(), log.lines().filter_map(second_of_day).count());
    println!("{early} of {all} lines of etcd's log are an hour early");
    assert!(early > 0 && early < all, "{early} of {all} lines are an hour early");
}

/// The time in a line of etcd's log, `…T14:05:06.…` or `2026-11-21 14:05:06.…`.
fn second_of_day(line: &str) -> Option<u64> {
    let at =
        line.find(['T', ' ']).filter(|at| line[..*at].ends_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = line.get(at + 1..at + 9)?.split(':').map(|part| part.parse::<u64>().ok());
    Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
}

pub fn two_runs_side_by_side() {
    if skipped() {
        return;
    }
    let patient = "--op-timeout=5s";
    let args = ["--env=docker", "--nodes=3", "--nemesis=none", "--time-limit=15s", patient];
    let runs = [1, 2].map(|_| Run::start(&args, None));
    for (folder, output) in runs.map(Run::end) {
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert_eq!(left(&folder.path().join("out")), Vec::<String>::new());
    }
}

const LONG: [&str; 4] = ["--env=docker", "--nodes=3", "--nemesis=none", "--time-limit=60s"];

pub fn nothing_is_left_after_sigkill() {
    if skipped() {
        return;
    }
    let run = Run::start(&LONG, None);
    run.await_work();
    let out = run.out();
    assert!(left(&out).len() >= 5, "three nodes, the clients, an image: {:?}", left(&out));
    run.signal(nix::sys::signal::Signal::SIGKILL);
    let (_folder, output) = run.end();
    assert_eq!(output.status.code(), None, "{}", told(&output));
    until("containers and image are gone", || left(&out).is_empty());
    until("the folder of the socket is gone", || !out.join("docker").exists());
}

pub fn an_interrupt_is_judged() {
    if skipped() {
        return;
    }
    let run = Run::start(&LONG, None);
    run.await_work();
    run.signal(nix::sys::signal::Signal::SIGINT);
    let (folder, output) = run.end();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    assert!(folder.path().join("out/results.json").is_file());
    assert_eq!(left(&folder.path().join("out")), Vec::<String>::new());
}

/// Passes the daemon's socket on, for as long as it is there.
struct Daemon {
    path: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
    here: Arc<AtomicBool>,
}

impl Daemon {
    fn start(path: &Path) -> Daemon {
        let listener = UnixListener::bind(path).expect("a socket");
        let (open, here) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
        let daemon = Daemon { path: path.to_owned(), open: open.clone(), here: here.clone() };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !here.load(Ordering::SeqCst) {
                    return;
                }
                let real = UnixStream::connect(SOCKET).expect("the daemon is there");
                for (from, to) in [(&client, &real), (&real, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        // An end of one side is an end of the other.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                open.lock().unwrap().extend([client, real]);
            }
        });
        daemon
    }

    fn go_away(&self) {
        self.here.store(false, Ordering::SeqCst);
        // The one that accepts sees it at the next connection.
        drop(UnixStream::connect(&self.path));
        std::fs::remove_file(&self.path).expect("the socket");
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

pub fn a_daemon_that_goes_away() {
    if skipped() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("docker.sock");
    let daemon = Daemon::start(&path);
    let run = Run::start(&LONG, Some(&format!("unix://{}", path.display())));
    run.await_work();
    let out = run.out();
    daemon.go_away();
    until("the run has ended, or its containers have", || left(&out).len() <= 1);
    // What it cannot remove without a daemon goes when there is one again.
    let _daemon = Daemon::start(&path);
    let (_folder, output) = run.end();
    assert_eq!(output.status.code(), Some(69), "{}", told(&output));
    assert!(told(&output).contains("went away"), "{}", told(&output));
    until("the image is gone", || left(&out).is_empty());
}

pub fn what_is_refused() {
    let none = Run::start(&["--env=docker"], Some("unix:///no/such/docker.sock")).end().1;
    assert_eq!(none.status.code(), Some(69), "{}", told(&none));
    let reached = "the Docker daemon at unix:///no/such/docker.sock cannot be reached";
    assert!(told(&none).contains(reached), "{}", told(&none));
    let far = Run::start(&["--env=docker"], Some("tcp://192.0.2.1:2375")).end().1;
    assert_eq!(far.status.code(), Some(69), "{}", told(&far));
    assert!(told(&far).contains("DOCKER_HOST is tcp://192.0.2.1:2375"), "{}", told(&far));
    if skipped() {
        return;
    }
    let (folder, disks) = Run::start(&["--env=docker", "--nemesis=power-loss,kill"], None).end();
    assert_eq!(disks.status.code(), Some(69), "{}", told(&disks));
    let refusal = "asks for power-loss, which --env docker cannot do here";
    assert!(told(&disks).contains(refusal), "{}", told(&disks));
    assert_eq!(left(&folder.path().join("out")), Vec::<String>::new());
}
