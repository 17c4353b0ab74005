//! A real etcd on the disk, of one member: every acknowledged put is there after a power loss, and
//! on a disk that lies it is not.

use crate::inside::{Mounted, skip, wait_for, with_disk_of};
use ordeal_nemesis::disk::{Effect, Files, Rule, Survivors};
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DISK_BYTES: u64 = 1 << 30;

fn program() -> Option<PathBuf> {
    let named = env::var_os("ORDEAL_ETCD").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    named.or_else(|| env::split_paths(&path).map(|dir| dir.join("etcd")).find(|p| p.is_file()))
}

/// A member that is killed when it is dropped.
struct Etcd {
    process: Child,
    address: String,
}

impl Etcd {
    /// Starts it and waits until it answers.
    fn start(data: &Path) -> Etcd {
        let [client, peer] = [(); 2].map(|()| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").to_string()
        });
        let log = File::options().create(true).append(true).open(data.with_extension("log"));
        let urls = [("--listen-client-urls", &client), ("--advertise-client-urls", &client)];
        let peers = [("--listen-peer-urls", &peer), ("--initial-advertise-peer-urls", &peer)];
        let mut command = Command::new(program().expect("looked for before"));
        for (flag, address) in urls.into_iter().chain(peers) {
            command.arg(flag).arg(format!("http://{address}"));
        }
        let process = command
            .args(["--name", "n1", "--initial-cluster"])
            .arg(format!("n1=http://{peer}"))
            .arg("--data-dir")
            .arg(data)
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("etcd starts");
        let etcd = Etcd { process, address: client };
        wait_for("etcd to answer", || {
            Client::new(&etcd.address).is_ok_and(|mut client| client.put("ready", "").is_ok())
        });
        etcd
    }

    /// Cuts the power under it, and waits until it is gone.
    fn lose_power(mut self, disk: &Mounted) -> u64 {
        disk.freeze();
        self.process.kill().expect("killed");
        let loss = disk.cut_power(Survivors::Nothing, 0);
        self.process.wait().expect("gone");
        disk.power_on();
        loss.bytes_lost
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.process.kill().and_then(|()| self.process.wait()).expect("killed");
        }
    }
}

/// One connection to etcd's JSON gateway.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Client(BufReader::new(stream)))
    }

    fn put(&mut self, key: &str, value: &str) -> io::Result<()> {
        let (key, value) = (base64(key.as_bytes()), base64(value.as_bytes()));
        self.post("put", &format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}")).map(drop)
    }

    fn has(&mut self, key: &str) -> io::Result<bool> {
        let key = base64(key.as_bytes());
        self.post("range", &format!("{{\"key\":\"{key}\"}}")).map(|body| body.contains("\"kvs\""))
    }

    fn post(&mut self, what: &str, body: &str) -> io::Result<String> {
        let len = body.len();
        let head =
            format!("POST /v3/kv/{what} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {len}\r\n");
        self.0.get_mut().write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut status = String::new();
        self.0.read_line(&mut status)?;
        let mut len = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    len = value.parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; len];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.contains(" 200 ") { Ok(body) } else { Err(io::Error::other(body)) }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
            (0..4).map(move |i| match i <= chunk.len() {
                true => DIGITS[(bits >> (18 - 6 * i) & 63) as usize] as char,
                false => '=',
            })
        })
        .collect()
}

/// Puts `puts` keys over `clients` connections; all are acknowledged.
fn put_all(etcd: &Etcd, clients: usize, puts: usize) {
    thread::scope(|scope| {
        for first in 0..clients {
            scope.spawn(move || {
                let mut client = Client::new(&etcd.address).expect("a connection");
                for number in (first..puts).step_by(clients) {
                    client.put(&format!("key-{number}"), "value").expect("acknowledged");
                }
            });
        }
    });
}

fn missing(etcd: &Etcd, puts: usize) -> usize {
    let mut client = Client::new(&etcd.address).expect("a connection");
    (0..puts).filter(|number| !client.has(&format!("key-{number}")).expect("an answer")).count()
}

fn with_etcd(body: impl FnOnce(&Mounted, &Path), disk: &Mounted) {
    let Some(program) = program() else {
        return skip("there is no etcd on PATH, and ORDEAL_ETCD names none");
    };
    let logs = tempfile::tempdir().expect("a folder");
    // The log stands beside the data's name, and not on the disk under test.
    std::os::unix::fs::symlink(&disk.root, logs.path().join("data")).expect("linked");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        body(disk, &logs.path().join("data"));
    }));
    if let Err(panic) = outcome {
        let log = fs::read_to_string(logs.path().join("data.log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        eprintln!("{}:", program.display());
        tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_put_that_etcd_acknowledged_survives_a_power_loss() {
    with_disk_of(DISK_BYTES, |disk| {
        let body = |disk: &Mounted, data: &Path| {
            let etcd = Etcd::start(data);
            put_all(&etcd, 8, 1000);
            etcd.lose_power(disk);
            let etcd = Etcd::start(data);
            assert_eq!(missing(&etcd, 1000), 0);
        };
        with_etcd(body, &disk);
    });
}

#[test]
fn a_disk_that_lies_loses_puts_that_etcd_acknowledged() {
    with_disk_of(DISK_BYTES, |disk| {
        let body = |disk: &Mounted, data: &Path| {
            let etcd = Etcd::start(data);
            put_all(&etcd, 1, 100);
            let rule = Rule { files: Files::any(), effect: Effect::LieAboutFsync };
            let lie = disk.inject(rule);
            put_all(&etcd, 8, 1000);
            let lost = etcd.lose_power(disk);
            assert!(disk.lift(lie) > 100 && lost > 10_000, "{lost} bytes lost");
            let etcd = Etcd::start(data);
            let missing = missing(&etcd, 1000);
            assert_eq!(missing, 900, "all but the first hundred");
        };
        with_etcd(body, &disk);
    });
}

#[test]
fn etcd_survives_power_losses_that_keep_a_part_of_what_was_pending() {
    with_disk_of(DISK_BYTES, |disk| {
        let body = |disk: &Mounted, data: &Path| {
            for (survivors, seed) in [(Survivors::Prefix, 1), (Survivors::Scattered, 2)] {
                let mut etcd = Etcd::start(data);
                put_all(&etcd, 8, 200);
                disk.freeze();
                etcd.process.kill().expect("killed");
                disk.cut_power(survivors, seed);
                etcd.process.wait().expect("gone");
                disk.power_on();
                let etcd = Etcd::start(data);
                assert_eq!(missing(&etcd, 200), 0, "{survivors:?}");
            }
        };
        with_etcd(body, &disk);
    });
}

#[test]
fn etcd_runs_on_the_disk_about_as_fast_as_in_memory() {
    with_disk_of(DISK_BYTES, |disk| {
        let body = |disk: &Mounted, data: &Path| {
            let memory = tempfile::tempdir().expect("a folder");
            let (at, flags) = (memory.path(), nix::mount::MsFlags::empty());
            nix::mount::mount(Some("memory"), at, Some("tmpfs"), flags, None::<&str>)
                .expect("tmpfs");
            fs::create_dir(at.join("data")).expect("made");
            let puts = env::var("ORDEAL_TEST_PUTS").map_or(1000, |v| v.parse().expect("a number"));
            let both = [data.to_owned(), at.join("data")].map(|data| Etcd::start(&data));
            // In turns, so that whatever else the machine does is shared.
            let mut took = [Duration::ZERO; 2];
            for round in 0..4 {
                for (etcd, took) in both.iter().zip(&mut took) {
                    let start = Instant::now();
                    put_all(etcd, 16, puts);
                    if round > 0 {
                        *took += start.elapsed();
                    }
                }
            }
            let [ours, theirs] = took.map(|took| 3.0 * puts as f64 / took.as_secs_f64());
            eprintln!("puts/s by 16 clients: {ours:.0} on the disk, {theirs:.0} on tmpfs");
            eprintln!("{:?}", disk.counters());
            // A loose bound: the machine may be busy with something else.
            assert!(ours > theirs / 4.0, "{ours:.0} puts/s, on tmpfs {theirs:.0}");
        };
        with_etcd(body, &disk);
    });
}
