//! Faults of links and processes, played by the conductor and seen from nodes and clients.
//!
//! Each is measured without the fault, too. What a fault makes longer is held against a lower bound
//! alone, and of round trips the shortest counts, so that a busy machine changes no verdict.

use crate::agent;
use crate::probe::{Bench, node, until};
use ordeal::run::real_time::RealTime;
use ordeal::sandbox::{Launch, SandboxError};
use ordeal_history::Value;
use ordeal_nemesis::link::{Counters, Shape};
use ordeal_nemesis::{
    Capability, Conductor, Cut, Fault, InjectError, Link, Links, Machinery, NodeId, Nodes,
    Schedule, ScheduledFault, Side, Way, With,
};
use std::sync::mpsc;
use std::time::Duration;

/// So many datagrams are sent where a share of them is counted.
const DATAGRAMS: u64 = 400;
/// No more than a socket's queue holds, so that none is lost for want of a reader.
const BURST: u64 = 50;

/// The bench's nodes as the conductor sees them; the first leads.
struct Machine<'a>(&'a Bench);

fn refused(error: SandboxError) -> InjectError {
    InjectError(error.to_string())
}

impl Machinery for Machine<'_> {
    fn offers(&self) -> Vec<Capability> {
        self.0.sandbox.offers()
    }
    fn nodes(&self) -> Vec<NodeId> {
        self.0.sandbox.nodes()
    }
    async fn leader(&self) -> Option<NodeId> {
        Some(node(1))
    }
    async fn kill(&self, node: &NodeId) -> Result<(), InjectError> {
        self.0.sandbox.kill(node).map_err(refused)
    }
    async fn terminate(&self, node: &NodeId) -> Result<bool, InjectError> {
        self.0.sandbox.ask_to_end(node).map_err(refused)?;
        until("it ends", || self.0.sandbox.pid(node).unwrap().is_none());
        Ok(true)
    }
    async fn start(&self, node: &NodeId) -> Result<(), InjectError> {
        let number = (1..=3).find(|n| NodeId::numbered(*n) == *node).unwrap();
        self.0.start(number);
        Ok(())
    }
    async fn pause(&self, node: &NodeId) -> Result<(), InjectError> {
        self.0.sandbox.pause(node).map_err(refused)
    }
    async fn resume(&self, node: &NodeId) -> Result<(), InjectError> {
        self.0.sandbox.resume(node).map_err(refused)
    }
    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.0.sandbox.cut(links).map_err(refused)
    }
    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        self.0.sandbox.heal(links).map_err(refused)
    }
    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        self.0.sandbox.shape(links, shape).map_err(refused)
    }
    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        let counters = links.iter().map(|link| self.0.sandbox.counters(link));
        counters.sum::<Result<_, _>>().map_err(refused)
    }
}

/// What `measure` finds while the fault lasts, and what was seen of it; it must have landed.
fn under<R>(bench: &Bench, fault: Fault, measure: impl FnOnce() -> R) -> (R, Value) {
    // It ends when it has been measured, and not by its time.
    under_for(bench, fault, 3_600_000, measure)
}

fn under_for<R>(
    bench: &Bench,
    fault: Fault,
    for_ms: u64,
    measure: impl FnOnce() -> R,
) -> (R, Value) {
    assert_eq!(fault.mistake(), None);
    assert!(bench.sandbox.offers().contains(&fault.needs()), "{fault:?}");
    let schedule = Schedule(vec![ScheduledFault { id: 0, at_ms: 0, for_ms, fault, when: None }]);
    let (say, noted) = mpsc::channel();
    let (enough, stop) = tokio::sync::oneshot::channel::<()>();
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(async {
                let note = |_: &'static str, note: Value| say.send(note).unwrap();
                let (machine, time) = (Machine(bench), RealTime::new());
                let mut conductor = Conductor::new(&machine, &time, note);
                let stop = async {
                    // Whoever drops it without a word has failed, and wants it to end, too.
                    let _ = stop.await;
                };
                conductor.play(&schedule, Duration::ZERO, stop).await;
            });
        });
        let start = noted.recv().expect("a note");
        assert!(member(&start, "error").is_none(), "{start}");
        let found = measure();
        drop(enough);
        found
    });
    let end = noted.recv().expect("a second note");
    assert_eq!(member(&end, "landed"), Some(Value::Bool(true)), "{end}");
    assert!(member(&end, "error").is_none(), "{end}");
    let seen = member(&end, "seen").expect("something was seen");
    println!("{seen}");
    (found, seen)
}

fn member(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(members) => members.get(name).cloned(),
        _ => None,
    }
}

fn number(seen: &Value, name: &str) -> u64 {
    match member(seen, name) {
        Some(Value::Int(number)) => number.try_into().unwrap(),
        _ => panic!("no {name} in {seen}"),
    }
}

fn these(numbers: &[usize]) -> Nodes {
    Nodes::These(numbers.iter().copied().map(node).collect())
}

/// What the first node sends to the second.
fn outward() -> Links {
    Links { of: Nodes::Leader, with: With::These(vec![node(2)]), way: Way::Out }
}

fn trip_us(bench: &Bench, from: usize, to: usize) -> u64 {
    bench.ask(from, &format!("trip {}", bench.address(to))).parse().unwrap()
}

/// Node 1 sends node 2 datagrams with numbers: how many came, how many different ones, and how many
/// after one with a higher number.
fn datagrams(bench: &Bench, first: u64) -> [u64; 3] {
    let marks = || -> [u64; 3] {
        let answer = bench.ask(2, "marks");
        let numbers: Vec<u64> = answer.split(' ').map(|n| n.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    let (before, link) = (marks(), bench.counters(1, 2));
    for burst in 0..DATAGRAMS / BURST {
        let at = first + burst * BURST;
        bench.ask(1, &format!("burst {} {at} {BURST}", bench.address(2)));
        let sent = (burst + 1) * BURST;
        until("all have gone or vanished", || {
            let Counters { forwarded, dropped, shaped, .. } = bench.counters(1, 2).since(link);
            let came = marks()[0] - before[0];
            forwarded + dropped == sent + shaped.duplicated && came + shaped.corrupted == forwarded
        });
    }
    let after = marks();
    std::array::from_fn(|i| after[i] - before[i])
}

/// All faults of links, one after the other.
pub fn links(bench: &Bench) {
    (1..=3).for_each(|number| bench.start(number));
    delay(bench);
    shares(bench);
    rate(bench);
    reset(bench);
    cuts(bench);
}

fn delay(bench: &Bench) {
    const LATE_US: u32 = 60_000;
    let clean_us = trip_us(bench, 1, 2);
    let delay = Fault::Delay { links: outward(), delay_us: LATE_US, jitter_us: 2_000 };
    let (trips, seen) = under(bench, delay, || (trip_us(bench, 1, 2), trip_us(bench, 3, 2)));
    let (late_us, other_us) = trips;
    println!("round trip {clean_us} us, delayed {late_us} us, another link's {other_us} us");
    assert!(clean_us < LATE_US.into() && other_us < LATE_US.into(), "a clean link is quick");
    assert!(late_us >= LATE_US.into());
    assert!(number(&seen, "delayed") >= 10);

    let clean_us = client_trip_us(bench);
    let slow = Fault::SlowClients {
        nodes: these(&[1]),
        delay_us: LATE_US / 2,
        jitter_us: 0,
        bytes_per_s: 1_000_000,
    };
    let ((late_us, peers), _) = under(bench, slow, || {
        let late_us = client_trip_us(bench);
        (late_us, bench.ask(2, &format!("trip {}", bench.address(1))))
    });
    println!("a client's round trip {clean_us} us, slow {late_us} us, between nodes {peers} us");
    assert!(clean_us < LATE_US.into() && late_us >= LATE_US.into());
    assert!(peers.parse::<u64>().unwrap() < LATE_US.into(), "links of nodes are as they were");
}

/// The shortest of ten round trips between the clients and node 1.
fn client_trip_us(bench: &Bench) -> u64 {
    let trips = (0..10).map(|_| {
        let start = std::time::Instant::now();
        assert_eq!(bench.ask(1, "echo there"), "there");
        start.elapsed().as_micros() as u64
    });
    trips.min().expect("ten")
}

/// Faults that are about a share of the packets: a quarter or a half of them.
fn shares(bench: &Bench) {
    assert_eq!(datagrams(bench, 0), [DATAGRAMS, DATAGRAMS, 0], "a clean link");
    let links = outward;
    let near = |count: u64, expected: u64| {
        // Seven standard deviations, at least.
        assert!(count.abs_diff(expected) <= 70, "{count}, far from {expected}");
    };
    let loss = Fault::Loss { links: links(), share_ppm: 500_000 };
    let (came, seen) = under(bench, loss, || datagrams(bench, 1_000));
    near(came[0], DATAGRAMS / 2);
    assert_eq!(number(&seen, "lost"), DATAGRAMS - came[0]);

    let twice = Fault::Duplicate { links: links(), share_ppm: 500_000 };
    let (came, seen) = under(bench, twice, || datagrams(bench, 2_000));
    near(came[0], DATAGRAMS + DATAGRAMS / 2);
    assert_eq!(came[1], DATAGRAMS);
    assert_eq!(number(&seen, "duplicated"), came[0] - DATAGRAMS);

    let reorder = Fault::Reorder { links: links(), share_ppm: 250_000, delay_us: 20_000 };
    let (came, seen) = under(bench, reorder, || datagrams(bench, 3_000));
    assert_eq!(came[..2], [DATAGRAMS, DATAGRAMS]);
    // What is delayed comes after what overtook it: three quarters at most, some of it for sure.
    assert!(came[2] > 0, "nothing was overtaken");
    assert!(number(&seen, "reordered") > 0);

    let errors = || -> u64 { bench.ask(2, "errors").parse().unwrap() };
    let before = errors();
    let corrupt = Fault::PacketCorrupt { links: links(), share_ppm: 500_000 };
    let (came, seen) = under(bench, corrupt, || datagrams(bench, 4_000));
    near(came[0], DATAGRAMS / 2);
    assert_eq!(number(&seen, "corrupted"), DATAGRAMS - came[0]);
    let noticed = errors() - before;
    println!("{noticed} of {} damaged datagrams were noticed by their checksums", seen);
    // A flipped bit of a port or of the length is noticed in other ways.
    assert!(noticed * 2 > DATAGRAMS - came[0], "{noticed}");
    assert_eq!(datagrams(bench, 5_000), [DATAGRAMS, DATAGRAMS, 0], "clean again");
}

fn rate(bench: &Bench) {
    const BYTES: u64 = 100_000;
    const BYTES_PER_S: u64 = 100_000;
    let push_us = || -> u64 {
        let push = format!("push {} {BYTES}", bench.address(2));
        bench.ask(1, &push).parse().unwrap()
    };
    let clean_us = push_us();
    let narrow = Fault::Rate { links: outward(), bytes_per_s: BYTES_PER_S };
    let (narrow_us, seen) = under(bench, narrow, push_us);
    let rate = |us: u64| BYTES * 1_000_000 / us.max(1);
    println!("{} bytes/s, and {} where {BYTES_PER_S} pass", rate(clean_us), rate(narrow_us));
    assert!(rate(narrow_us) <= BYTES_PER_S, "{narrow_us} us");
    assert!(clean_us < narrow_us, "{clean_us} us without, {narrow_us} us with it");
    assert!(number(&seen, "throttled") > 10 && number(&seen, "bytes") >= BYTES);
}

fn reset(bench: &Bench) {
    let hold = format!("hold {}", bench.address(2));
    assert_eq!(bench.ask(1, &hold), "echo");
    assert_eq!(bench.ask(1, "held"), "echo");
    let resets = Fault::Reset { links: outward(), share_ppm: 1_000_000 };
    let (held, seen) = under(bench, resets, || {
        let held = bench.ask(1, "held");
        assert_eq!(bench.dial(1, 2), "ConnectionRefused", "a first segment is answered, too");
        assert_eq!(bench.dial(3, 2), "echo", "it is another link");
        held
    });
    assert_eq!(held, "ConnectionReset");
    assert!(number(&seen, "reset") >= 2);
    assert_eq!(bench.ask(1, &hold), "echo", "a new connection lives");
}

fn cuts(bench: &Bench) {
    let answers = || bench.answer(1, "count", Duration::from_millis(200)).is_some();
    let one_way = Fault::ClientPartition { nodes: these(&[1]), way: Way::Out };
    let ((), seen) = under(bench, one_way, || {
        let to_node = Link { from: Side::Clients, to: Side::Node(node(1)) };
        let arrived = bench.sandbox.counters(&to_node).unwrap().forwarded;
        assert!(!answers(), "its answers vanish");
        let now = bench.sandbox.counters(&to_node).unwrap().forwarded;
        assert!(now > arrived, "requests arrive");
        assert_eq!(bench.dial(2, 1), "echo", "the nodes still reach each other");
    });
    assert!(number(&seen, "dropped") > 0 && answers());

    let flap = Fault::Flap { cut: Cut::OneWay(Nodes::Leader), period_ms: 40 };
    let ((), seen) = under(bench, flap, || {
        let counters = || bench.counters(1, 2);
        let start = counters();
        for what in ["dropped", "carried", "dropped again"] {
            let before = counters();
            until(what, || {
                bench.greet(1, 2, 1);
                let since = counters().since(before);
                if what == "carried" { since.forwarded > 0 } else { since.dropped > 0 }
            });
        }
        let since = counters().since(start);
        assert!(since.dropped > 0 && since.forwarded > 0, "{since:?}");
    });
    assert!(number(&seen, "dropped") >= 2);
    swizzle(bench);
    assert_eq!(bench.dial(1, 2), "echo");
}

/// Two nodes go one after the other, and come back one after the other, in another order.
fn swizzle(bench: &Bench) {
    let (cut, heal) = (vec![node(1), node(2)], vec![node(2), node(1)]);
    let swizzle = Fault::Swizzle { cut, heal };
    // Two seconds from one turn to the next: time enough to see each.
    let ((), seen) = under_for(bench, swizzle, 8_000, || {
        for (reached, what) in [
            ([false, true], "the first is gone"),
            ([false, false], "both are gone"),
            ([false, true], "the second is back"),
            ([true, true], "both are back"),
        ] {
            until(what, || [carries(bench, 1), carries(bench, 2)] == reached);
        }
    });
    assert!(number(&seen, "dropped") > 0);
}

/// Whether what this node sends arrives at the third.
fn carries(bench: &Bench, from: usize) -> bool {
    let before = bench.counters(from, 3);
    let since = || bench.counters(from, 3).since(before);
    until("it has passed or not", || {
        bench.greet(from, 3, 1);
        since().forwarded + since().dropped > 0
    });
    since().dropped == 0
}

/// Faults of processes: slow, ended in order, gone.
pub fn processes(bench: &Bench) {
    bench.start(1);
    bench.start(2);
    let gaps_ms = || -> u64 { bench.ask(1, "gaps").parse().unwrap() };
    let clean_ms = gaps_ms();
    let slow = Fault::Slow { nodes: Nodes::Leader, period_ms: 200, running_percent: 20 };
    let (slow_ms, seen) = under(bench, slow, gaps_ms);
    println!("of a second {clean_ms} ms without a processor, slowed {slow_ms} ms");
    // Four fifths of a second; a busy machine only adds to it.
    assert!(slow_ms >= 500 && number(&seen, "times") >= 4, "{slow_ms} ms, {seen}");

    bench.sandbox.kill(&node(1)).unwrap();
    let gentle = Launch { ..bench.launch(1, &["__gentle"]) };
    bench.sandbox.start(&node(1), &gentle).unwrap();
    until("it handles SIGTERM", || {
        std::fs::read_to_string(bench.log(1)).is_ok_and(|log| log.contains("gentle"))
    });
    let down = || {
        assert_eq!(bench.sandbox.pid(&node(1)).unwrap(), None);
        assert_eq!(bench.sandbox.exited(&node(1)).unwrap(), None, "it was our doing");
        assert_eq!(agent::dial(bench.address(1)), "ConnectionRefused");
    };
    let ((), seen) = under(bench, Fault::Restart { nodes: these(&[1]) }, down);
    assert_eq!(seen.to_string(), r#"{"ended":["n1"]}"#);
    assert_eq!(agent::dial(bench.address(1)), "echo", "it was started again");
    let followers = Nodes::Followers(vec![node(1), node(2)]);
    let ((), seen) = under(bench, Fault::Outage { nodes: followers }, || {
        assert_eq!(agent::dial(bench.address(2)), "ConnectionRefused");
        assert_eq!(agent::dial(bench.address(1)), "echo", "the leader is left alone");
    });
    assert_eq!(seen.to_string(), r#"{"killed":["n2"]}"#);
    assert_eq!(agent::dial(bench.address(2)), "echo");
}
