//! What the nodes of these tests run: it does as a datagram tells it, and answers it.

use crate::wire;
use nix::sys::signal::{SigSet, Signal};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

/// Where an agent listens, for datagrams and for connections.
pub const PORT: u16 = 7000;

/// Serves for ever.
pub fn serve() -> ! {
    let here = (Ipv4Addr::UNSPECIFIED, PORT);
    let socket = UdpSocket::bind(here).expect("a port for datagrams");
    let listener = TcpListener::bind(here).expect("a port to listen on");
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    let mut greetings = 0_u64;
    let mut marks = wire::Marks::default();
    let mut buffer = [0; 256];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let reply = match text.split_once(' ').unwrap_or((&text, "")) {
            ("hello", _) => {
                greetings += 1;
                continue;
            }
            ("count", _) => greetings.to_string(),
            ("greet", address) => {
                let address: IpAddr = address.parse().expect("an address");
                let sent = socket.send_to(b"hello", (address, PORT));
                sent.map_or_else(|error| error.to_string(), |_| "sent".into())
            }
            ("dial", address) => dial(address.parse().expect("an address")),
            ("echo", what) => what.to_owned(),
            (what, more) if wire::knows(what) => marks.answer(what, more),
            ("self", _) => format!("{:?}", itself()),
            ("clocks", _) => format!("{} {}", clock_ns(0), clock_ns(1)),
            ("keep", what) => said(write(what, true)),
            ("write", what) => said(write(what, false)),
            ("read", path) => said(std::fs::read_to_string(path)),
            other => panic!("what is {other:?}?"),
        };
        // A mark wants no answer: nobody would be there to hear it.
        if !reply.is_empty() {
            let _ = socket.send_to(reply.as_bytes(), from);
        }
    }
}

/// Says that it handles SIGTERM, and ends at one.
pub fn await_sigterm() {
    let signals: SigSet = [Signal::SIGTERM].into_iter().collect();
    signals.thread_block().expect("a mask");
    println!("gentle");
    signals.wait().expect("a signal");
}

/// Starts a process, and ends before it does.
pub fn leave_an_orphan() -> ! {
    let program = std::env::current_exe().expect("this program");
    Command::new(program).args(["__status", "0"]).spawn().expect("it starts");
    std::process::exit(0)
}

/// Name, process number and the number of processes that it sees.
pub fn itself() -> (String, u32, usize) {
    let name = nix::unistd::gethostname().expect("a name").to_string_lossy().into_owned();
    let numbers = std::fs::read_dir("/proc").expect("a /proc").flatten();
    let seen = numbers.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    (name, std::process::id(), seen.count())
}

/// What this process reads on a clock: 0 the wall clock, 1 the monotonic one.
pub fn clock_ns(clock: i32) -> i64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::from_raw(clock)).expect("a clock");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

/// `PATH TEXT`: makes a file of this text, and fsyncs it or not.
fn write(what: &str, fsync: bool) -> std::io::Result<String> {
    let (path, text) = what.split_once(' ').expect("a path and a text");
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    if fsync {
        file.sync_all()?;
    }
    Ok("written".to_owned())
}

fn said(result: std::io::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("{:?}", error.kind()))
}

/// Sends back what comes, until the other side has finished.
fn answer(mut stream: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    });
}

/// How an attempt to talk over TCP ends.
pub fn dial(address: IpAddr) -> String {
    let to = SocketAddr::from((address, PORT));
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(300))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"echo")?;
        let mut heard = [0; 4];
        stream.read_exact(&mut heard)?;
        Ok(String::from_utf8_lossy(&heard).into_owned())
    };
    talk().unwrap_or_else(|error| format!("{:?}", error.kind()))
}
