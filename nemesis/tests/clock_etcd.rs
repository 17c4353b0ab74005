//! What a changed clock does to etcd, a Go program: one member on loopback, asked over HTTP.
//!
//! The binary is `$ORDEAL_ETCD`, or `etcd` on the path; without one there is nothing to test.

#![cfg(target_arch = "x86_64")]

use ordeal_nemesis::clock::{self, ClockChange, ClockHandle, ClockSkew, Offset};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a member may take to come up, or anything else that must happen.
const PATIENCE: Duration = Duration::from_secs(10);

struct Etcd {
    child: Child,
    clock: ClockHandle,
    port: u16,
    dir: PathBuf,
}

fn binary() -> Option<OsString> {
    let binary = std::env::var_os("ORDEAL_ETCD").unwrap_or_else(|| "etcd".into());
    let asked = Command::new(&binary).arg("--version").stdout(Stdio::null()).status();
    let there = asked.is_ok_and(|status| status.success());
    let required = std::env::var_os("ORDEAL_REQUIRE_ETCD").is_some_and(|v| v == "1");
    assert!(there || !required, "there is no etcd, and ORDEAL_REQUIRE_ETCD=1");
    there.then_some(binary)
}

/// A port that nobody listens on, below those that the kernel hands out by itself. No two calls get
/// the same one.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 500) as u16 * 20;
    let mut candidates = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Relaxed));
    let free = candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("the candidates have no end")
}

fn wait_for<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> T {
    wait_so_long(PATIENCE, what, attempt)
}

fn wait_so_long<T>(bound: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + bound;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < give_up, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Etcd {
    fn start(binary: OsString, name: &str) -> Etcd {
        let dir = std::env::temp_dir().join(format!("ordeal-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let (port, peer_port) = (free_port(), free_port());
        let client_url = format!("http://127.0.0.1:{port}");
        let peer_url = format!("http://127.0.0.1:{peer_port}");
        let log = File::create(dir.join("log")).expect("a log");
        let mut command = Command::new(binary);
        command
            .args(["--name", "n1", "--logger", "zap", "--data-dir"])
            .arg(dir.join("data"))
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("n1={peer_url}")])
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let (child, clock) = clock::spawn(&mut command).expect("etcd with its clocks taken over");
        let etcd = Etcd { child, clock, port, dir };
        wait_for("etcd to serve", || etcd.post("kv/put", json!({"key": "aw==", "value": "dg=="})));
        etcd
    }

    /// Asks etcd's JSON gateway; `None` when it does not answer with JSON.
    fn post(&self, path: &str, body: Value) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let body = body.to_string();
        let length = body.len();
        let head = format!("POST /v3/{path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        if !head.starts_with("HTTP/1.0 200") {
            return None;
        }
        serde_json::from_str(body).ok()
    }

    /// How long a key is there whose lease is of `ttl_s` seconds, granted now.
    fn lease_lives(&self, ttl_s: u32) -> Duration {
        self.lease_lives_while(ttl_s, || {})
    }

    /// The same, with something done as soon as it is granted.
    fn lease_lives_while(&self, ttl_s: u32, meddle: impl FnOnce()) -> Duration {
        let granted = Instant::now();
        let lease = self.post("lease/grant", json!({"TTL": ttl_s, "ID": 77}));
        assert_eq!(lease.expect("a lease")["ID"], "77");
        let put = self.post("kv/put", json!({"key": "bGVhc2U=", "value": "dg==", "lease": 77}));
        assert!(put.is_some());
        meddle();
        wait_so_long(6 * PATIENCE, "the lease to expire", || {
            let left = self.post("kv/range", json!({"key": "bGVhc2U="}))?;
            left.get("kvs").is_none().then(|| granted.elapsed())
        })
    }

    /// The time that its newest line in the log bears, in seconds since 1970.
    fn last_stamp_s(&self) -> i64 {
        let log = std::fs::read_to_string(self.dir.join("log")).expect("a log");
        let stamps = log.lines().rev().filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            unix_seconds(line["ts"].as_str()?)
        });
        stamps.into_iter().next().expect("a line with a time")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// `2026-11-21T11:01:21.123Z`, by the days of the Gregorian calendar.
fn unix_seconds(stamp: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| stamp.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // A year that begins in March has its leap day at its end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let hours = (days - 719_469) * 24 + number(11..13)?;
    Some((hours * 60 + number(14..16)?) * 60 + number(17..19)?)
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.as_secs() as i64
}

#[test]
fn etcd_stamps_its_log_with_the_time_that_it_was_given() {
    let Some(binary) = binary() else { return eprintln!("skipped: there is no etcd") };
    let etcd = Etcd::start(binary, "clock-stamp");
    assert!((etcd.last_stamp_s() - now_s()).abs() < 10, "true before the fault");
    let wall = ClockChange { offset: Offset::To(-3_600_000_000_000), rate_ppm: 0 };
    etcd.clock.set(ClockSkew { wall: Some(wall), monotonic: None }).expect("set");
    // Told to defragment it writes a line. One that ends it would not do: it serves a little before
    // it listens to signals, and is then killed by one without a word.
    wait_for("a line of the hour before", || {
        etcd.post("maintenance/defragment", json!({}))?;
        let ahead_s = etcd.last_stamp_s() - now_s();
        (-3_610..-3_590).contains(&ahead_s).then_some(())
    });
}

#[test]
fn at_fourfold_speed_a_lease_of_eight_seconds_is_gone_after_two() {
    let Some(binary) = binary() else { return eprintln!("skipped: there is no etcd") };
    let etcd = Etcd::start(binary, "clock-lease");
    // 3.4 counts a lease's time by the wall clock, 3.5 by the monotonic one.
    let fourfold = Some(ClockChange { offset: Offset::Keep, rate_ppm: 3_000_000 });
    etcd.clock.set(ClockSkew { wall: fourfold, monotonic: fourfold }).expect("set");
    let lived = etcd.lease_lives(8);
    println!("a lease of 8 s lived {} ms", lived.as_millis());
    assert!((1_500..3_500).contains(&lived.as_millis()), "it lived {} ms", lived.as_millis());
}

/// etcd 3.4 counts a lease's time by the wall clock, 3.5 by the monotonic one: set back by twenty
/// seconds, the wall clock of the one keeps a lease of ten for about thirty, that of the other does
/// not. Each release that is at hand: `$ORDEAL_ETCD`, and `$ORDEAL_ETCD_3_5` where it is set.
#[test]
fn a_wall_clock_set_back_keeps_a_lease_in_etcd_3_4_and_not_in_3_5() {
    let Some(binary) = binary() else { return eprintln!("skipped: there is no etcd") };
    let newer = std::env::var_os("ORDEAL_ETCD_3_5");
    std::thread::scope(|scope| {
        for (place, binary) in std::iter::once(binary).chain(newer).enumerate() {
            scope.spawn(move || keeps_a_lease_as_its_release_does(binary, place));
        }
    });
}

fn keeps_a_lease_as_its_release_does(binary: OsString, place: usize) {
    let said = Command::new(&binary).arg("--version").output().expect("it says its version");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.lines().next().unwrap_or_default();
    let etcd = Etcd::start(binary, &format!("clock-back-{place}"));
    let back = ClockChange { offset: Offset::To(-20_000_000_000), rate_ppm: 0 };
    let lived = etcd.lease_lives_while(10, || {
        etcd.clock.set(ClockSkew { wall: Some(back), monotonic: None }).expect("set");
    });
    println!("{version}: a lease of 10 s lived {} ms", lived.as_millis());
    let expected_s = if version.contains(" 3.4.") { 28..40 } else { 9..20 };
    assert!(expected_s.contains(&lived.as_secs()), "{version}: {} ms", lived.as_millis());
}
