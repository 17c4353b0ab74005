//! The effect of every change as a process sees it: a child of this test reads its own clocks.
//!
//! The child is this very test program, told by the environment to serve as a probe: it answers
//! each line on its input with one line that starts with `@`.

#![allow(unsafe_code)] // The probe calls libc's clock functions, as any program does.

use super::memory::Memory;
use super::settings::Settings;
use super::start::start_traced;
use super::*;
use nix::libc;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

const PROBE: &str = "ORDEAL_CLOCK_PROBE";
const MS: i64 = 1_000_000;
const S: i64 = 1_000 * MS;

/// REALTIME, its coarse form and TAI; then gettimeofday (100) and time (101).
const WALL: [i32; 5] = [0, 5, 11, 100, 101];
/// MONOTONIC, raw, coarse, BOOTTIME.
const MONOTONIC: [i32; 4] = [1, 4, 6, 7];

fn read_ns(clock: i32) -> i64 {
    if clock == 101 {
        // SAFETY: a null pointer is allowed.
        return unsafe { libc::time(std::ptr::null_mut()) } * S;
    }
    if clock == 100 {
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: `time` outlives the call, and no time zone is asked for.
        assert_eq!(unsafe { libc::gettimeofday(&mut time, std::ptr::null_mut()) }, 0);
        return time.tv_sec * S + time.tv_usec * 1_000;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
    assert!((0..S).contains(&time.tv_nsec));
    time.tv_sec * S + time.tv_nsec
}

/// Reads the monotonic clock from two threads until told to stop, and keeps the worst step back.
fn watch_for_steps_back(stop: &AtomicBool, worst_ns: &AtomicI64) {
    let newest_ns = AtomicI64::new(i64::MIN);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let seen_ns = newest_ns.load(SeqCst);
                    let now_ns = read_ns(1);
                    worst_ns.fetch_max(seen_ns.saturating_sub(now_ns), SeqCst);
                    newest_ns.fetch_max(now_ns, SeqCst);
                }
            });
        }
    });
}

/// Not a test of its own: what the child process does.
#[test]
fn probe_child() {
    if std::env::var_os(PROBE).is_none() {
        return;
    }
    let (stop, worst_ns) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        for line in std::io::stdin().lines() {
            let line = line.expect("a line of the parent");
            let answer = match line.split_once(' ') {
                Some(("read", clock)) => read_ns(clock.parse().expect("a clock")).to_string(),
                Some(("cost", calls)) => {
                    let calls: i64 = calls.parse().expect("a number");
                    let start_ns = read_ns(1);
                    let last_ns = (0..calls).map(|_| read_ns(1)).max().expect("some calls");
                    ((last_ns - start_ns) * 10 / calls).to_string()
                }
                _ if line == "watch" => {
                    scope.spawn(|| watch_for_steps_back(&stop, &worst_ns));
                    "0".into()
                }
                _ => {
                    stop.store(true, SeqCst);
                    worst_ns.load(SeqCst).to_string()
                }
            };
            println!("\n@{answer}");
        }
        stop.store(true, SeqCst);
    });
}

struct Probe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Probe {
    fn command() -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this test program"));
        command.args(["--exact", "clock::tests::probe_child", "--nocapture"]).env(PROBE, "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    fn skewed() -> (Probe, ClockHandle) {
        let (child, handle) = spawn(&mut Probe::command()).expect("a probe with a stub");
        (Probe::of(child), handle)
    }

    fn of(mut child: Child) -> Probe {
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Probe { child, input, output }
    }

    fn ask(&mut self, question: &str) -> i64 {
        writeln!(self.input, "{question}").expect("the probe listens");
        let mut line = String::new();
        while !line.starts_with('@') {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("the probe answers"), 0);
        }
        line[1..].trim().parse().expect("a number")
    }

    /// How far the probe's clock is ahead of this process' one, and by how much that may be wrong.
    fn ahead_ns(&mut self, clock: i32) -> (i64, i64) {
        let before_ns = read_ns(clock);
        let theirs_ns = self.ask(&format!("read {clock}"));
        let after_ns = read_ns(clock);
        (theirs_ns - (before_ns + after_ns) / 2, (after_ns - before_ns) / 2 + 1)
    }

    fn assert_ahead(&mut self, clock: i32, expected_ns: i64, tolerance_ns: i64, what: &str) {
        let (ahead_ns, error_ns) = self.ahead_ns(clock);
        // `time` and the coarse clocks count in whole seconds and ticks.
        let grain_ns = if clock == 101 { S } else { 10 * MS };
        let off_ns = (ahead_ns - expected_ns).abs();
        assert!(
            off_ns <= error_ns + tolerance_ns + grain_ns,
            "{what}: clock {clock} is {ahead_ns} ns ahead, not {expected_ns}"
        );
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn to(offset_ns: i64) -> Option<ClockChange> {
    Some(ClockChange { offset: Offset::To(offset_ns), rate_ppm: 0 })
}

fn rate(rate_ppm: i64) -> Option<ClockChange> {
    Some(ClockChange { offset: Offset::Keep, rate_ppm })
}

#[test]
fn a_jump_moves_the_clock_that_it_is_meant_for_and_no_other() {
    let (mut probe, handle) = Probe::skewed();
    let mut bystander = Probe::of(Probe::command().spawn().expect("a probe without a stub"));
    let rows = [
        (None, None, 0, 0),
        (to(3600 * S), None, 3600 * S, 0),
        (to(-20 * S), None, -20 * S, 0),
        (to(-20 * S + 1), to(20 * S), -20 * S + 1, 20 * S),
        (None, to(-10 * S), -20 * S + 1, -10 * S),
        // Before 1970: a second is rounded down there too.
        (to(-86_400 * 365 * 80 * S), to(-86_400 * 365 * 80 * S), -86_400 * 365 * 80 * S, 0),
        (to(0), to(0), 0, 0),
    ];
    for (wall, monotonic, wall_ns, monotonic_ns) in rows {
        let both_far = monotonic.is_some_and(|c| c.offset == Offset::To(wall_ns));
        let monotonic_ns = if both_far { wall_ns } else { monotonic_ns };
        let what = format!("wall {wall:?}, monotonic {monotonic:?}");
        let reading = handle.set(ClockSkew { wall, monotonic }).expect("set");
        assert_eq!((reading.wall.ahead_ns, reading.wall.rate_ppm), (wall_ns, 0), "{what}");
        assert_eq!(reading.monotonic.ahead_ns, monotonic_ns, "{what}");
        for clock in WALL {
            probe.assert_ahead(clock, wall_ns, 0, &what);
            bystander.assert_ahead(clock, 0, 0, &what);
        }
        for clock in MONOTONIC {
            probe.assert_ahead(clock, monotonic_ns, 0, &what);
            bystander.assert_ahead(clock, 0, 0, &what);
        }
    }
}

#[test]
fn a_drifting_clock_gains_what_it_was_told_to() {
    const SPAN_NS: i64 = 200 * MS;
    // (wall rate, monotonic rate), each in ppm
    let rows = [(0, 1_000_000), (0, -500_000), (9_000_000, 0), (-1_000_000, 100_000)];
    let (mut probe, handle) = Probe::skewed();
    for (wall_ppm, monotonic_ppm) in rows {
        let skew = ClockSkew { wall: rate(wall_ppm), monotonic: rate(monotonic_ppm) };
        let reading = handle.set(skew).expect("set");
        assert_eq!((reading.wall.rate_ppm, reading.monotonic.rate_ppm), (wall_ppm, monotonic_ppm));
        let first = [0, 1, 7].map(|clock| (read_ns(1), probe.ahead_ns(clock)));
        let start_ns = read_ns(1);
        while read_ns(1) < start_ns + SPAN_NS {
            std::thread::yield_now();
        }
        for ((clock, ppm), (then_ns, (was_ns, was_error_ns))) in
            [(0, wall_ppm), (1, monotonic_ppm), (7, monotonic_ppm)].into_iter().zip(first)
        {
            let now_ns = read_ns(1);
            let (is_ns, error_ns) = probe.ahead_ns(clock);
            let expected_ns = (now_ns - then_ns) * ppm / 1_000_000;
            let tolerance_ns = (error_ns + was_error_ns) * (2 + ppm.abs() / 500_000);
            let gained_ns = is_ns - was_ns;
            assert!(
                (gained_ns - expected_ns).abs() <= tolerance_ns,
                "clock {clock} at {ppm} ppm gained {gained_ns} ns, not {expected_ns}"
            );
        }
    }
}

#[test]
fn a_monotonic_clock_never_goes_back_when_only_its_rate_changes() {
    let (mut probe, handle) = Probe::skewed();
    probe.ask("watch");
    for i in 0..30 {
        let rate_ppm = [3_000_000, -900_000, 0, -1_000_000, 1_000_000][i % 5];
        handle.set(ClockSkew { wall: None, monotonic: rate(rate_ppm) }).expect("set");
    }
    assert_eq!(probe.ask("worst"), 0, "nanoseconds back");
}

#[test]
fn a_strobing_clock_reads_right_after_every_toggle() {
    let (mut probe, handle) = Probe::skewed();
    for i in 0..300 {
        let offset_ns = if i % 2 == 0 { 200 * MS * i } else { 0 };
        handle.set(ClockSkew { wall: to(offset_ns), monotonic: None }).expect("set");
        probe.assert_ahead(0, offset_ns, 0, "strobe");
    }
    probe.assert_ahead(1, 0, 0, "strobe of the wall clock");
}

#[test]
fn clocks_that_drifted_can_be_set_right_again() {
    let (mut probe, handle) = Probe::skewed();
    handle.set(ClockSkew { wall: rate(50_000_000), monotonic: rate(1_000_000) }).expect("set");
    let healed = handle.set(ClockSkew { wall: to(0), monotonic: rate(0) }).expect("set");
    assert_eq!(healed.wall, Reading::default());
    assert!(healed.monotonic.ahead_ns > 0, "{healed:?}");
    assert_eq!(healed.monotonic.rate_ppm, 0);
    assert_eq!(handle.read().expect("read"), healed);
    probe.assert_ahead(0, 0, 0, "healed");
    probe.assert_ahead(1, healed.monotonic.ahead_ns, 0, "healed, and not gone back");
}

#[test]
fn where_its_memory_cannot_be_written_ptrace_changes_the_clocks() {
    let child = start_traced(&mut Probe::command()).expect("a traced probe");
    let (pid, settings) = (child.id() as i32, Settings::default());
    let handle = ClockHandle::attach_with(pid, settings, Memory::by_ptrace).expect("attached");
    let mut probe = Probe::of(child);
    assert!(!handle.changes_unstopped());
    probe.assert_ahead(0, 0, 0, "before");
    let skew = ClockSkew { wall: to(-20 * S), monotonic: rate(1_000_000) };
    assert_eq!(handle.set(skew).expect("set").wall.ahead_ns, -20 * S);
    probe.assert_ahead(0, -20 * S, 0, "after");
    let _ = probe.child.kill();
    let _ = probe.child.wait();
    assert!(matches!(handle.set(skew), Err(ClockError::Ended { .. })));
}

#[test]
fn a_stub_at_rest_costs_next_to_nothing() {
    let (mut probe, _handle) = Probe::skewed();
    let mut plain = Probe::of(Probe::command().spawn().expect("a probe without a stub"));
    // Short enough to pass between two other processes' turns now and then.
    let least = |probe: &mut Probe| (0..60).map(|_| probe.ask("cost 10000")).min();
    let (with, without) = (least(&mut probe), least(&mut plain));
    let [with, without] = [with, without].map(|tenths| tenths.unwrap_or(i64::MAX) as f64 / 10.0);
    println!("clock_gettime: {without} ns, and {with} ns through the stub");
    assert!(with < without + 100.0, "{with} ns a call through the stub, {without} without");
}

#[test]
fn a_process_that_has_ended_is_said_to_have_ended() {
    let (mut probe, handle) = Probe::skewed();
    probe.child.kill().expect("killed");
    probe.child.wait().expect("collected");
    assert!(matches!(handle.set(ClockSkew::default()), Err(ClockError::Ended { .. })));
    assert!(matches!(handle.read(), Err(ClockError::Ended { .. })));
}

#[test]
fn what_cannot_be_started_or_traced_is_refused_by_name() {
    assert!(matches!(ClockHandle::attach(1), Err(ClockError::NotAChild { pid: 1 })));
    let missing = spawn(&mut Command::new("/nonexistent/etcd"));
    assert!(matches!(missing, Err(ClockError::Start { .. })));
    probe().expect("clocks can be taken over here");
}

#[test]
fn a_node_keeps_its_clock_over_a_restart_of_its_process() {
    let clock = NodeClock::default();
    let start = || {
        let child = start_traced(&mut Probe::command()).expect("a traced probe");
        clock.attach(child.id() as i32).expect("attached");
        Probe::of(child)
    };
    assert_eq!(clock.set(ClockSkew { wall: to(-S), monotonic: None }).expect("set"), None);
    let mut first = start();
    first.assert_ahead(0, -S, 0, "set before the start");
    let seen = clock.set(ClockSkew { wall: to(-20 * S), monotonic: to(5 * S) }).expect("set");
    assert_eq!(seen.map(|seen| seen.wall.ahead_ns), Some(-20 * S));
    drop(first);
    assert_eq!(clock.read().expect("read"), None, "nobody reads it");
    let mut second = start();
    second.assert_ahead(0, -20 * S, 0, "after a restart");
    second.assert_ahead(1, 5 * S, 0, "after a restart");
    drop(second);
    assert_eq!(clock.set(ClockSkew { wall: to(0), monotonic: None }).expect("set"), None);
    let mut third = start();
    third.assert_ahead(0, 0, 0, "healed while nothing ran");
    third.assert_ahead(1, 5 * S, 0, "healed while nothing ran");
}
