//! What is seen from inside of the sandbox. A probe that panics fails its test.

use crate::agent::{self, PORT};
use crate::{disks, faults};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use ordeal::sandbox::{ExitReason, Launch, Sandbox, SandboxError, SandboxSpec};
use ordeal_nemesis::clock::{ClockChange, ClockSkew, Offset};
use ordeal_nemesis::link::Counters;
use ordeal_nemesis::{Capability, Link, NodeId, Side};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Enters the sandbox, and runs the probe of this name there; `folder` is for its files.
pub fn enter(name: &str, folder: &Path) -> ExitCode {
    match ordeal::sandbox::enter(|| run(name, folder)) {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("{error}");
            69.into()
        }
    }
}

/// Enters where the kernel gives an ordinary user no user namespace: in a changed root.
pub fn enter_where_it_is_forbidden(folder: &Path) -> ExitCode {
    let root = folder.join("root");
    std::fs::create_dir(&root).unwrap();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let (none, nothing) = (None::<&str>, MsFlags::empty());
    mount(none, "/", none, nothing | MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("/"), &root, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).unwrap();
    nix::unistd::chroot(&root).unwrap();
    std::env::set_current_dir("/").unwrap();
    nix::unistd::setgid(65_533.into()).unwrap();
    nix::unistd::setuid(65_533.into()).unwrap();
    enter("nothing", folder)
}

fn run(name: &str, folder: &Path) -> u8 {
    let probe = match name {
        "forty-two" => return 42,
        "panic" => panic!("on purpose"),
        "interrupts" => return interrupts(),
        "nothing" => |_: &Bench| {},
        "idle" => idle,
        "talk" => talk,
        "cut" => cut,
        "lives" => lives,
        "starts" => starts,
        "throughput" => throughput,
        "surroundings" => surroundings,
        "orphans" => orphans,
        "clocks" => clocks,
        "disks" => disks::probe,
        "links" => faults::links,
        "processes" => faults::processes,
        other => panic!("there is no probe {other}"),
    };
    match Bench::new(folder) {
        Ok(bench) => probe(&bench),
        Err(error) => {
            eprintln!("{error}");
            return 69;
        }
    }
    0
}

/// A sandbox of three nodes, and a socket of the clients'.
pub struct Bench {
    pub sandbox: Sandbox,
    made_in: Duration,
    pub folder: PathBuf,
    socket: UdpSocket,
}

pub fn node(number: usize) -> NodeId {
    NodeId::numbered(number)
}

fn link(from: usize, to: usize) -> [Link; 1] {
    [Link { from: Side::Node(node(from)), to: Side::Node(node(to)) }]
}

/// Waits, at most ten seconds, until it is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Bench {
    pub fn new(folder: &Path) -> Result<Bench, SandboxError> {
        let spec = SandboxSpec { nodes: (1..=3).map(node).collect(), seed: 1 };
        let start = Instant::now();
        let sandbox = Sandbox::new(spec)?;
        let made_in = start.elapsed();
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        Ok(Bench { sandbox, made_in, folder: folder.to_owned(), socket })
    }

    pub fn log(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{}.log", node(number)))
    }

    /// This program as an agent, or with other arguments.
    pub fn launch(&self, number: usize, args: &[&str]) -> Launch {
        Launch {
            program: std::env::current_exe().unwrap(),
            args: args.iter().map(Into::into).collect(),
            env: vec![("ONLY".into(), "this".into())],
            cwd: self.folder.clone(),
            log: self.log(number),
        }
    }

    /// Starts the node's agent, and waits until it listens.
    pub fn start(&self, number: usize) {
        self.sandbox.start(&node(number), &self.launch(number, &["__agent"])).unwrap();
        // It listens for datagrams before it does for connections.
        until("an agent listens", || TcpStream::connect((self.address(number), PORT)).is_ok());
    }

    pub fn address(&self, number: usize) -> IpAddr {
        self.sandbox.address(&node(number)).unwrap().into()
    }

    /// Tells an agent what to do, and gives its answer.
    pub fn ask(&self, number: usize, what: &str) -> String {
        self.answer(number, what, Duration::from_secs(10)).expect("an answer")
    }

    /// Whether an agent does not answer for a while.
    fn is_silent(&self, number: usize) -> bool {
        self.answer(number, "count", Duration::from_millis(200)).is_none()
    }

    pub fn answer(&self, number: usize, what: &str, within: Duration) -> Option<String> {
        // Answers to earlier questions that came late.
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 256]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
        self.socket.set_read_timeout(Some(within)).unwrap();
        self.socket.send_to(what.as_bytes(), (self.address(number), PORT)).unwrap();
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Has one node greet another, `times` times; each greeting has left when this returns.
    pub fn greet(&self, from: usize, to: usize, times: usize) {
        for _ in 0..times {
            let sent = self.ask(from, &format!("greet {}", self.address(to)));
            assert_eq!(sent, "sent");
        }
    }

    pub fn dial(&self, from: usize, to: usize) -> String {
        self.ask(from, &format!("dial {}", self.address(to)))
    }

    pub fn counters(&self, from: usize, to: usize) -> Counters {
        self.sandbox.counters(&link(from, to)[0]).unwrap()
    }
}

/// Every node reaches every other, and the clients reach all.
fn talk(bench: &Bench) {
    for number in 1..=3 {
        bench.start(number);
    }
    for from in 1..=3 {
        assert_eq!(agent::dial(bench.address(from)), "echo");
        for to in 1..=3 {
            assert_eq!(bench.dial(from, to), "echo", "n{from} to n{to}");
        }
    }
    assert!(bench.counters(1, 2).forwarded > 0);
    // A node reaches itself by its own kernel.
    assert_eq!(bench.counters(1, 1), Counters::default());
}

/// A cut is silent, of one direction, counted, and can be healed.
fn cut(bench: &Bench) {
    bench.start(1);
    bench.start(2);
    bench.sandbox.cut(&link(1, 2)).unwrap();
    let before = bench.counters(1, 2);
    bench.greet(1, 2, 3);
    until("three are dropped", || bench.counters(1, 2).dropped == before.dropped + 3);
    assert_eq!(bench.ask(2, "count"), "0");
    bench.greet(2, 1, 2);
    until("the other direction carries", || bench.ask(1, "count") == "2");
    assert_eq!(bench.counters(2, 1).dropped, 0);
    // The agent waits for 300 ms: silence, neither refusal nor unreachability.
    assert_eq!(bench.dial(1, 2), "TimedOut");
    assert_eq!(bench.dial(2, 1), "TimedOut");
    assert_eq!(bench.counters(1, 2).forwarded, before.forwarded);

    let dropped = bench.sandbox.heal(&link(1, 2)).unwrap();
    assert!(dropped >= 5, "three greetings, a SYN and a SYN-ACK at least: {dropped}");
    assert_eq!(bench.dial(1, 2), "echo");
    bench.greet(1, 2, 1);
    until("it carries again", || bench.ask(2, "count") == "1");

    let clients = [Link { from: Side::Clients, to: Side::Node(node(1)) }];
    bench.sandbox.cut(&clients).unwrap();
    assert!(bench.is_silent(1));
    assert_eq!(bench.dial(2, 1), "echo");
    assert!(bench.sandbox.heal(&clients).unwrap() > 0);
    assert!(!bench.is_silent(1));
}

/// Start, pause, resume, kill, terminate, and an end that nobody asked for.
fn lives(bench: &Bench) {
    let sandbox = &bench.sandbox;
    let n1 = node(1);
    assert!(matches!(sandbox.kill(&n1), Err(SandboxError::NotRunning(_))));
    assert!(matches!(sandbox.pause(&n1), Err(SandboxError::NotRunning(_))));
    bench.start(1);
    let pid = sandbox.pid(&n1).unwrap().unwrap();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    let again = sandbox.start(&n1, &bench.launch(1, &["__agent"]));
    assert!(matches!(again, Err(SandboxError::Running(_))));

    for _ in 0..3 {
        sandbox.pause(&n1).unwrap();
        assert_eq!(state(), Some('T'));
        assert!(bench.is_silent(1));
        sandbox.pause(&n1).unwrap();
        sandbox.resume(&n1).unwrap();
        assert_ne!(state(), Some('T'));
        until("it answers again", || !bench.is_silent(1));
        sandbox.resume(&n1).unwrap();
    }

    sandbox.kill(&n1).unwrap();
    assert_eq!(state(), None);
    assert_eq!(sandbox.pid(&n1).unwrap(), None);
    assert_eq!(sandbox.exited(&n1).unwrap(), None);
    assert_eq!(agent::dial(bench.address(1)), "ConnectionRefused");

    bench.start(1);
    sandbox.pause(&n1).unwrap();
    sandbox.kill(&n1).unwrap();

    // The first process of a pid namespace ignores a SIGTERM that it does not handle, so the agent
    // is killed when the bound is over; a stopped one too, as it is let go on first.
    bench.start(1);
    bench.start(2);
    sandbox.pause(&node(2)).unwrap();
    let all = sandbox.nodes();
    let ended = sandbox.terminate(&all, Duration::from_millis(50)).unwrap();
    let killed = ExitReason::Signal(Signal::SIGKILL);
    assert_eq!(ended, [(n1.clone(), killed), (node(2), killed)]);

    sandbox.start(&n1, &bench.launch(1, &["__gentle"])).unwrap();
    until("it handles SIGTERM", || {
        std::fs::read_to_string(bench.log(1)).unwrap().contains("gentle")
    });
    let ended = sandbox.terminate(&all, Duration::from_secs(20)).unwrap();
    assert_eq!(ended, [(n1.clone(), ExitReason::Status(0))]);
    assert_eq!(sandbox.exited(&n1).unwrap(), None);

    sandbox.start(&n1, &bench.launch(1, &["__status", "3"])).unwrap();
    until("it ends", || sandbox.exited(&n1).unwrap().is_some());
    assert_eq!(sandbox.exited(&n1).unwrap(), Some(ExitReason::Status(3)));
    assert!(matches!(sandbox.kill(&n1), Err(SandboxError::NotRunning(_))));
    bench.start(1);
    assert_eq!(sandbox.exited(&n1).unwrap(), None);
}

/// What cannot be started is refused with the reason, and leaves the node free.
fn starts(bench: &Bench) {
    let text = bench.folder.join("text");
    std::fs::write(&text, "no program").unwrap();
    let good = bench.launch(1, &["__agent"]);
    let no_program = Launch { program: "/no/such/program".into(), ..good.clone() };
    let no_binary = Launch { program: text.clone(), ..good.clone() };
    let no_folder = Launch { cwd: "/no/such/folder".into(), ..good.clone() };
    let no_log = Launch { log: "/no/such/folder/log".into(), ..good.clone() };
    for (launch, expected) in [
        (no_program, "cannot start n1: executing /no/such/program: No such file".to_owned()),
        (no_binary, format!("executing {}: Permission denied", text.display())),
        (no_folder, "changing to its directory /no/such/folder: No such file".to_owned()),
        (no_log, "opening its log /no/such/folder/log: No such file".to_owned()),
    ] {
        let error = bench.sandbox.start(&node(1), &launch).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}, not {expected}");
        assert_eq!(bench.sandbox.pid(&node(1)).unwrap(), None);
    }
    bench.start(1);
    let stranger = bench.sandbox.start(&node(9), &good).unwrap_err();
    assert_eq!(stranger.to_string(), "there is no node n9");
}

/// What a node's process finds around it.
fn surroundings(bench: &Bench) {
    bench.start(2);
    assert_eq!(bench.ask(2, "self"), format!("{:?}", ("n2", 1, 1)));
    let pid = bench.sandbox.pid(&node(2)).unwrap().unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(environment, "ONLY=this\0");
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), bench.folder);
    let open = |number| std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
    assert_eq!(open(0), Path::new("/dev/null"));
    assert_eq!(open(1), bench.log(2));
    assert_eq!(open(2), bench.log(2));
    // Nothing else of ours is inherited: an epoll, a device, a namespace.
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let target = std::fs::read_link(entry.path()).unwrap();
        let target = target.to_string_lossy().into_owned();
        let known = ["/dev/null", "socket:", "n2.log"].iter().any(|known| target.contains(known));
        assert!(known, "{target}");
    }
    // And appended to, not begun anew.
    bench.sandbox.start(&node(1), &bench.launch(1, &["__say", "one"])).unwrap();
    until("it ends", || bench.sandbox.exited(&node(1)).unwrap().is_some());
    bench.sandbox.start(&node(1), &bench.launch(1, &["__say", "two"])).unwrap();
    until("it ends", || bench.sandbox.exited(&node(1)).unwrap().is_some());
    assert_eq!(std::fs::read_to_string(bench.log(1)).unwrap(), "one\ntwo\n");
}

/// A node reads the clock that it was given, and no other node does; a restart sets nothing right.
fn clocks(bench: &Bench) {
    const S: i64 = 1_000_000_000;
    let ahead_s = |number: usize| {
        let before = [0, 1].map(agent::clock_ns);
        let answer = bench.ask(number, "clocks");
        let theirs = answer.split(' ').map(|ns| ns.parse::<i64>().unwrap());
        // Rounded: an answer takes less than half a second.
        theirs.zip(before).map(|(theirs, ours)| (theirs - ours + S / 2).div_euclid(S)).collect()
    };
    let expect = |number, expected: [i64; 2], when| {
        let ahead_s: Vec<i64> = ahead_s(number);
        assert_eq!(ahead_s, expected, "{when}");
    };
    assert!(bench.sandbox.offers().contains(&Capability::Clock));
    let to = |ns| Some(ClockChange { offset: Offset::To(ns), rate_ppm: 0 });
    let set = |wall, monotonic| {
        let wait = bench.sandbox.change_clock(&node(1), ClockSkew { wall, monotonic }).unwrap();
        assert_eq!(wait, Duration::ZERO, "a leap holds at once");
        bench.sandbox.read_clock(&node(1)).unwrap()
    };
    (1..=2).for_each(|number| bench.start(number));
    expect(1, [0, 0], "at its start");
    let reading = set(to(-20 * S), to(3600 * S)).unwrap();
    assert_eq!((reading.wall.ahead_ns, reading.monotonic.ahead_ns), (-20 * S, 3600 * S));
    expect(1, [-20, 3600], "after a leap");
    expect(2, [0, 0], "it is another node");
    bench.sandbox.pause(&node(1)).unwrap();
    set(to(7 * S), None);
    bench.sandbox.resume(&node(1)).unwrap();
    expect(1, [7, 3600], "changed while it stood still");
    bench.sandbox.kill(&node(1)).unwrap();
    assert_eq!(bench.sandbox.read_clock(&node(1)).unwrap(), None);
    bench.start(1);
    expect(1, [7, 3600], "after a restart");
    set(to(0), None);
    expect(1, [0, 3600], "set right");
}

fn timed(what: &str, does: impl FnOnce()) {
    let start = Instant::now();
    does();
    println!("{what} takes {:?}", start.elapsed());
}

/// Figures, for whoever reads the log; none is a reason to fail.
fn throughput(bench: &Bench) {
    const BYTES: usize = 32 << 20;
    let network = bench.made_in;
    println!("a network of three nodes takes {network:?}");
    timed("a start", || bench.sandbox.start(&node(1), &bench.launch(1, &["__agent"])).unwrap());
    timed("a pause", || bench.sandbox.pause(&node(1)).unwrap());
    timed("a resume", || bench.sandbox.resume(&node(1)).unwrap());
    timed("a cut", || bench.sandbox.cut(&link(1, 2)).unwrap());
    timed("a kill", || bench.sandbox.kill(&node(1)).unwrap());
    bench.start(1);
    timed("a round trip", || bench.greet(1, 3, 1));
    let mut stream = TcpStream::connect((bench.address(1), PORT)).unwrap();
    let mut back = stream.try_clone().unwrap();
    let start = Instant::now();
    let reading = std::thread::spawn(move || {
        let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
        while total < BYTES {
            total += back.read(&mut buffer).unwrap();
        }
        total
    });
    let block = vec![7; 1 << 16];
    for _ in 0..BYTES / block.len() {
        stream.write_all(&block).unwrap();
    }
    assert_eq!(reading.join().unwrap(), BYTES);
    let took = start.elapsed();
    let gbit_per_s = (2 * BYTES * 8) as f64 / took.as_secs_f64() / 1e9;
    println!("{} MiB there and back in {took:?}: {gbit_per_s:.2} Gbit/s", BYTES >> 20);
}

/// Counts interrupts until it is terminated.
fn interrupts() -> u8 {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().unwrap();
    println!("ready");
    let mut interrupts = 0;
    while signals.wait().unwrap() == Signal::SIGINT {
        interrupts += 1;
        println!("interrupt");
    }
    interrupts
}

/// Three nodes, one stopped, and a mount, for ever.
fn idle(bench: &Bench) {
    for number in 1..=3 {
        bench.start(number);
    }
    bench.sandbox.pause(&node(2)).unwrap();
    mount(Some("none"), &bench.folder, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// A child's status is its parent's to collect; who has lost its parent is collected by the init.
fn orphans(_: &Bench) {
    for _ in 0..20 {
        let program = std::env::current_exe().unwrap();
        let status = Command::new(program).arg("__orphan").status().unwrap();
        assert_eq!(status.code(), Some(0));
    }
    until("nobody but init and this process is there", || {
        let numbers = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers.count() == 2
    });
}
