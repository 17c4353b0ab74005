//! What an agent measures of the wires that it is on, and of the processor that it has.

use crate::agent::PORT;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// A pause of the processor that counts, when an agent looks for them.
const GAP: Duration = Duration::from_millis(40);

/// Whether [`Marks::answer`] knows what to do.
pub fn knows(what: &str) -> bool {
    ["mark", "marks", "burst", "trip", "push", "gaps", "hold", "held", "errors"].contains(&what)
}

/// The numbered datagrams that an agent has got, and the connection that it holds.
#[derive(Default)]
pub struct Marks {
    got: u64,
    distinct: std::collections::BTreeSet<u64>,
    /// Those that came after one with a higher number.
    late: u64,
    held: Option<TcpStream>,
}

impl Marks {
    /// What an agent answers.
    pub fn answer(&mut self, what: &str, more: &str) -> String {
        match what {
            "mark" => {
                let number = more.parse().expect("a number");
                self.late += u64::from(self.distinct.last().is_some_and(|last| *last > number));
                self.got += 1;
                self.distinct.insert(number);
                String::new()
            }
            "marks" => format!("{} {} {}", self.got, self.distinct.len(), self.late),
            "burst" => burst(more),
            "trip" => trip(more).as_micros().to_string(),
            "push" => push(more).as_micros().to_string(),
            "gaps" => gaps().to_string(),
            "hold" => {
                self.held = TcpStream::connect(at(more)).ok();
                echo(self.held.as_mut())
            }
            "held" => echo(self.held.as_mut()),
            "errors" => errors().to_string(),
            other => unreachable!("{other} is not known"),
        }
    }
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::from((address.parse::<Ipv4Addr>().expect("an address"), PORT))
}

/// `ADDRESS FIRST COUNT`: sends so many datagrams with numbers.
fn burst(more: &str) -> String {
    let mut words = more.split(' ');
    let to = at(words.next().expect("an address"));
    let mut number = || words.next().and_then(|w| w.parse::<u64>().ok()).expect("a number");
    let (first, count) = (number(), number());
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    for number in first..first + count {
        socket.send_to(format!("mark {number}").as_bytes(), to).expect("it is sent");
    }
    "sent".to_owned()
}

/// The shortest of ten round trips.
fn trip(address: &str) -> Duration {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    socket.connect(at(address)).expect("an address");
    let trips = (0..10).map(|_| {
        let start = Instant::now();
        socket.send(b"echo there and back").expect("it is sent");
        socket.recv(&mut [0; 64]).expect("an answer");
        start.elapsed()
    });
    trips.min().expect("ten")
}

/// `ADDRESS BYTES`: how long so many bytes take there and back.
fn push(more: &str) -> Duration {
    let (address, bytes) = more.split_once(' ').expect("an address and a number");
    let bytes: usize = bytes.parse().expect("a number");
    let mut stream = TcpStream::connect(at(address)).expect("a connection");
    let mut back = stream.try_clone().expect("a second handle");
    let start = Instant::now();
    let reading = std::thread::spawn(move || back.read_exact(&mut vec![0; bytes]));
    stream.write_all(&vec![7; bytes]).expect("it is sent");
    reading.join().expect("no panic").expect("it comes back");
    start.elapsed()
}

/// For how many milliseconds of the next second this process was not let run, in pauses of more
/// than [`GAP`].
fn gaps() -> u128 {
    let start = Instant::now();
    let (mut last, mut lost) = (start, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(1) {
        let now = Instant::now();
        lost += Some(now - last).filter(|gap| *gap > GAP).unwrap_or_default();
        last = now;
    }
    lost.as_millis()
}

/// What comes back over the connection that is held.
fn echo(stream: Option<&mut TcpStream>) -> String {
    let Some(stream) = stream else { return "no connection".to_owned() };
    let mut heard = [0; 4];
    let talked = stream.write_all(b"echo").and_then(|()| stream.read_exact(&mut heard));
    match talked {
        Ok(()) => String::from_utf8_lossy(&heard).into_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// How many datagrams this node's kernel has thrown away as damaged.
fn errors() -> u64 {
    let text = std::fs::read_to_string("/proc/net/snmp").expect("the kernel's counters");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
    let place = names.split(' ').position(|name| name == "InErrors").expect("InErrors");
    numbers.split(' ').nth(place).and_then(|n| n.parse().ok()).expect("a number")
}
