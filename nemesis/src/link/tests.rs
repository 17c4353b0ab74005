//! The switch at work, with socket pairs for devices.

use super::switch::{Port, Switch};
use super::{Counters, Shape, packet};
use crate::{Link, NodeId, Side};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A switch of `n1`, `n2` and the clients, and our ends of their devices.
struct Bench {
    switch: Switch,
    ends: Vec<OwnedFd>,
}

const N1: usize = 0;
const N2: usize = 1;
const CLIENTS: usize = 2;

fn side(number: usize) -> Side {
    if number == CLIENTS { Side::Clients } else { Side::Node(NodeId::numbered(number + 1)) }
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number as u8 + 1)
}

fn link(from: usize, to: usize) -> [Link; 1] {
    [Link { from: side(from), to: side(to) }]
}

impl Bench {
    fn new() -> Bench {
        let (mut ports, mut ends) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (ours, device) = socketpair(
                AddressFamily::Unix,
                SockType::SeqPacket,
                None,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            )
            .unwrap();
            ports.push(Port { side: side(number), address: address(number), device });
            ends.push(ours);
        }
        Bench { switch: Switch::start(ports, 1).unwrap(), ends }
    }

    /// `from` sends `payload` to `to`.
    fn send(&self, from: usize, to: usize, payload: &[u8]) {
        nix::unistd::write(&self.ends[from], &packet::tests::to(address(to), payload)).unwrap();
    }

    /// The payload of the next packet that reaches `at`; `None` when none comes in time.
    fn receive(&self, at: usize, within_ms: u16) -> Option<Vec<u8>> {
        let mut fds = [PollFd::new(self.ends[at].as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(within_ms)).unwrap() == 0 {
            return None;
        }
        let mut buffer = [0; 2048];
        let length = nix::unistd::read(&self.ends[at], &mut buffer).unwrap();
        Some(buffer[20..length].to_vec())
    }

    fn counters(&self, from: usize, to: usize) -> Counters {
        self.switch.counters(&link(from, to)[0]).unwrap()
    }
}

/// Ends the load also when an assertion fails; the scope would wait for it for ever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Waits, at most ten seconds, until it is so.
fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain");
        std::thread::yield_now();
    }
}

#[test]
fn a_packet_goes_to_the_port_of_its_destination() {
    let bench = Bench::new();
    for (from, to) in [(N1, N2), (N2, CLIENTS), (CLIENTS, N1), (N2, N2)] {
        bench.send(from, to, b"hello");
        assert_eq!(bench.receive(to, 5000).as_deref(), Some(&b"hello"[..]), "{from} to {to}");
        until(|| bench.counters(from, to).forwarded == 1);
        assert_eq!(
            bench.counters(from, to),
            Counters { forwarded: 1, bytes: 25, ..Counters::default() }
        );
    }
}

#[test]
fn what_is_not_ipv4_or_is_for_nobody_is_ignored() {
    let bench = Bench::new();
    nix::unistd::write(&bench.ends[N1], &[0x60; 48]).unwrap();
    nix::unistd::write(&bench.ends[N1], &[0x45]).unwrap();
    let nobody = packet::tests::to(Ipv4Addr::new(10, 0, 0, 200), b"anyone?");
    nix::unistd::write(&bench.ends[N1], &nobody).unwrap();
    bench.send(N1, N2, b"then this");
    assert_eq!(bench.receive(N2, 5000).unwrap(), b"then this");
}

#[test]
fn a_cut_drops_one_direction_silently_and_heal_tells_how_much() {
    let bench = Bench::new();
    bench.switch.cut(&link(N1, N2)).unwrap();
    for _ in 0..3 {
        bench.send(N1, N2, b"lost");
    }
    bench.send(N2, N1, b"arrives");
    assert_eq!(bench.receive(N1, 5000).unwrap(), b"arrives");
    until(|| bench.counters(N1, N2).dropped == 3);
    // Cut a second time: nothing changes, the count goes on.
    bench.switch.cut(&link(N1, N2)).unwrap();
    assert_eq!(bench.switch.heal(&link(N1, N2)).unwrap(), 3);
    bench.send(N1, N2, b"first after the cut");
    assert_eq!(bench.receive(N2, 5000).unwrap(), b"first after the cut");
    assert_eq!(bench.switch.heal(&link(N1, N2)).unwrap(), 0);
}

#[test]
fn after_cut_returns_no_packet_passes_under_load() {
    let bench = Bench::new();
    let links = [link(N1, N2), link(CLIENTS, N2)].concat();
    let sending = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let packet = packet::tests::to(address(N2), b"load");
            while sending.load(Ordering::Relaxed) {
                // A full queue is as good as a packet.
                let _ = nix::unistd::write(&bench.ends[N1], &packet);
            }
        });
        let _stop = StopOnDrop(&sending);
        for round in 0..200 {
            bench.switch.cut(&links).unwrap();
            let before = bench.counters(N1, N2);
            until(|| bench.counters(N1, N2).dropped > before.dropped);
            assert_eq!(bench.counters(N1, N2).forwarded, before.forwarded, "round {round}");
            assert!(bench.switch.heal(&links).unwrap() > 0);
            while bench.receive(N2, 0).is_some() {}
        }
    });
}

#[test]
fn a_full_port_loses_packets_and_holds_up_nobody() {
    let bench = Bench::new();
    // Nobody reads at n2.
    let mut sent = 0;
    while bench.counters(N1, N2).dropped == 0 {
        let packet = packet::tests::to(address(N2), &[0; 1400]);
        sent += u64::from(nix::unistd::write(&bench.ends[N1], &packet).is_ok());
    }
    bench.send(N1, CLIENTS, b"still here");
    assert_eq!(bench.receive(CLIENTS, 5000).unwrap(), b"still here");
    let Counters { forwarded, dropped, .. } = bench.counters(N1, N2);
    assert_eq!(forwarded + dropped, sent);
}

#[test]
fn a_delayed_packet_comes_late_and_a_cut_catches_it_on_its_way() {
    let bench = Bench::new();
    let delayed = Shape { delay_us: 30_000, ..Shape::default() };
    bench.switch.shape(&link(N1, N2), delayed).unwrap();
    let start = Instant::now();
    for number in 0..5 {
        bench.send(N1, N2, &[number]);
    }
    for number in 0..5 {
        assert_eq!(bench.receive(N2, 5000).unwrap(), [number]);
    }
    assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());

    let slow = Shape { delay_us: 400_000, ..Shape::default() };
    bench.switch.shape(&link(N1, N2), slow).unwrap();
    bench.send(N1, N2, b"under way");
    // It was read when the reader of the same device has seen the packet after it.
    bench.send(N1, CLIENTS, b"after it");
    bench.receive(CLIENTS, 5000).unwrap();
    bench.switch.cut(&link(N1, N2)).unwrap();
    until(|| bench.counters(N1, N2).dropped == 1);
    assert_eq!(bench.switch.heal(&link(N1, N2)).unwrap(), 1);
    assert_eq!(bench.counters(N1, N2).forwarded, 5);
}

#[test]
fn a_doubled_packet_arrives_twice() {
    let bench = Bench::new();
    let twice = Shape { duplicate_ppm: 1_000_000, ..Shape::default() };
    bench.switch.shape(&link(N1, N2), twice).unwrap();
    bench.send(N1, N2, b"echo");
    assert_eq!(bench.receive(N2, 5000).unwrap(), b"echo");
    assert_eq!(bench.receive(N2, 5000).unwrap(), b"echo");
}

#[test]
fn a_link_that_is_not_there_is_refused_by_name_and_nothing_is_changed() {
    let bench = Bench::new();
    let stranger = Link { from: side(N1), to: Side::Node(NodeId::numbered(9)) };
    let error = bench.switch.cut(&[link(N1, N2)[0].clone(), stranger]).unwrap_err();
    assert_eq!(error.to_string(), "the network has no link from n1 to n9");
    bench.send(N1, N2, b"not cut");
    assert_eq!(bench.receive(N2, 5000).unwrap(), b"not cut");
}

#[test]
fn a_device_that_goes_away_is_forgotten() {
    let mut bench = Bench::new();
    drop(bench.ends.remove(CLIENTS));
    bench.send(N1, N2, b"on with it");
    assert_eq!(bench.receive(N2, 5000).unwrap(), b"on with it");
    bench.send(N1, CLIENTS, b"nobody");
    until(|| bench.counters(N1, CLIENTS).dropped == 1);
}

#[test]
fn two_ports_of_one_side_are_refused() {
    let port = || {
        let (device, _) = nix::unistd::pipe().unwrap();
        Port { side: Side::Clients, address: address(0), device }
    };
    let error = Switch::start(vec![port(), port()], 1).err().unwrap();
    assert_eq!(error.to_string(), "two ports of the network are of the same side");
}

/// A block of a pcapng file: its type and its body.
fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let (kind, length) = (word(bytes, 0), word(bytes, 4) as usize);
        assert_eq!(word(bytes, length - 4) as usize, length, "the length stands at both ends");
        blocks.push((kind, bytes[8..length - 4].to_vec()));
        bytes = &bytes[length..];
    }
    blocks
}

#[test]
fn a_captured_link_is_written_down_as_it_was_sent_and_as_it_arrived() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("n1-n2.pcapng");
    let file = std::fs::File::create(&path).expect("a file");
    bench.switch.capture(&side(N1), &side(N2), file).expect("both are there");
    bench.send(N1, N2, b"one");
    assert_eq!(bench.receive(N2, 1_000).as_deref(), Some(&b"one"[..]));
    bench.switch.cut(&link(N2, N1)).expect("cut");
    bench.send(N2, N1, b"lost");
    // Not on this link.
    bench.send(N1, CLIENTS, b"else");
    assert_eq!(bench.receive(CLIENTS, 1_000).as_deref(), Some(&b"else"[..]));
    let cut = bench.switch.heal(&link(N2, N1)).expect("healed");
    assert_eq!(cut, 1, "the lost one has passed the switch");
    let blocks = blocks(&std::fs::read(&path).expect("the file"));
    assert_eq!(blocks[0].0, 0x0a0d_0d0a);
    assert_eq!(blocks[0].1[..4], 0x1a2b_3c4d_u32.to_le_bytes());
    let names: Vec<String> = blocks[1..5]
        .iter()
        .map(|(kind, body)| {
            assert_eq!((*kind, body[0]), (1, 228), "an interface of IPv4");
            let length = usize::from(body[10]);
            String::from_utf8(body[12..12 + length].to_vec()).expect("a name")
        })
        .collect();
    assert_eq!(names, ["n1 to n2 sent", "n1 to n2 arrived", "n2 to n1 sent", "n2 to n1 arrived"]);
    let packets: Vec<(u8, &[u8])> = blocks[5..]
        .iter()
        .map(|(kind, body)| {
            assert_eq!(*kind, 6, "an enhanced packet");
            let length = usize::from(body[12]);
            (body[0], &body[20..20 + length])
        })
        .collect();
    let one = packet::tests::to(address(N2), b"one");
    let lost = packet::tests::to(address(N1), b"lost");
    assert_eq!(packets, [(0, &one[..]), (1, &one[..]), (2, &lost[..])]);
}
