//! How fast seeds are: `cargo bench -p ordeal --bench simulation`, with numbers of seeds where
//! other than the usual ones are wanted: `-- 200`.
//!
//! Everything counts that a seed costs: the plan, the clients, the cluster, the faults, the
//! checkers. Processor time is told beside the time on the clock, so that a machine that does other
//! work besides gives figures too.

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use ordeal::plan::PlanOptions;
use ordeal::sim::{OFFERED, Swarm, on_all, simulate};
use ordeal_nemesis::{Asked, Kind};
use ordeal_reports::Ruling;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds of a measurement, unless the command line says otherwise.
const SEEDS: u64 = 1_000;
/// How long the clients of a seed work, in simulated time.
const TIME_LIMIT_MS: u64 = 30_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        // `cargo test --all-targets` builds it, and is not meant to measure.
        return;
    }
    let seeds = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(SEEDS);
    let two = NonZeroUsize::new(2);
    Measured::of(
        "a thousand a seed and second",
        &swarm(1_000),
        seeds / 20 + 1,
        NonZeroUsize::new(1),
    )
    .tell();
    Measured::of("20 a second", &swarm(20), seeds / 5 + 1, NonZeroUsize::new(1)).tell();
    let mut resident = Vec::new();
    let parts = 4;
    let began = Instant::now();
    let mut all: Option<Measured> = None;
    for part in 0..parts {
        let measured = Measured::range(
            "100 a second",
            &swarm(100),
            seeds * part / parts..seeds * (part + 1) / parts,
            two,
        );
        resident.push(resident_kib());
        all = Some(match all {
            Some(before) => before.and(measured),
            None => measured,
        });
    }
    let Some(mut all) = all else { return };
    all.wall = began.elapsed();
    all.tell();
    let told: Vec<String> = resident.iter().map(|kib| format!("{} MiB", kib / 1_024)).collect();
    println!("resident after each quarter of these seeds: {}", told.join(", "));
}

/// Five nodes and every fault that a cluster must survive, as the swarm deals them.
fn swarm(rate_per_s: u32) -> Swarm {
    let kinds = Kind::survivable().into_iter().filter(|kind| OFFERED.contains(&kind.needs()));
    let options = PlanOptions {
        nemesis: kinds.map(Asked::from).collect(),
        rate_per_s,
        keys: 4,
        time_limit_ms: TIME_LIMIT_MS,
        ..PlanOptions::default()
    };
    Swarm { options, nodes: Some(5), every_kind: false, fixed_mix: true }
}

/// What some seeds cost.
struct Measured {
    what: &'static str,
    seeds: u64,
    operations: u64,
    faults: u64,
    simulated: Duration,
    wall: Duration,
    processor: Duration,
}

impl Measured {
    fn of(what: &'static str, swarm: &Swarm, seeds: u64, jobs: Option<NonZeroUsize>) -> Measured {
        Measured::range(what, swarm, 0..seeds, jobs)
    }

    fn range(
        what: &'static str,
        swarm: &Swarm,
        seeds: std::ops::Range<u64>,
        jobs: Option<NonZeroUsize>,
    ) -> Measured {
        let (next, operations) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
        let (faults, simulated_ms) = (AtomicU64::new(0), AtomicU64::new(0));
        let (began, before) = (Instant::now(), processor());
        on_all(jobs, || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return;
                }
                let plan = swarm.plan(seed).expect("a plan");
                let outcome = simulate(&plan).expect("a simulation");
                let results = &outcome.judgements.results;
                assert_ne!(results.verdict, Ruling::Invalid, "seed {seed}");
                let landed: u64 = results.faults.values().map(|counts| counts.landed).sum();
                let ms = u64::try_from(outcome.lasted.as_millis()).unwrap_or(u64::MAX);
                faults.fetch_add(landed, Ordering::Relaxed);
                simulated_ms.fetch_add(ms, Ordering::Relaxed);
                let count = outcome.history.operations.len() as u64;
                operations.fetch_add(count, Ordering::Relaxed);
            }
        });
        Measured {
            what,
            seeds: seeds.end - seeds.start,
            operations: operations.into_inner(),
            faults: faults.into_inner(),
            simulated: Duration::from_millis(simulated_ms.into_inner()),
            wall: began.elapsed(),
            processor: processor() - before,
        }
    }

    fn and(mut self, other: Measured) -> Measured {
        self.seeds += other.seeds;
        self.operations += other.operations;
        self.faults += other.faults;
        self.simulated += other.simulated;
        self.wall += other.wall;
        self.processor += other.processor;
        self
    }

    fn tell(&self) {
        let Measured { what, seeds, operations, faults, .. } = self;
        let processor = self.processor.as_secs_f64();
        println!(
            "{what}: {seeds} seeds, {operations} operations and {faults} faults that landed, in \
             {:.1} s ({processor:.1} s of a processor): {:.0} operations and {:.0} simulated \
             seconds for each second of a processor",
            self.wall.as_secs_f64(),
            *operations as f64 / processor,
            self.simulated.as_secs_f64() / processor,
        );
    }
}

/// What this process has used of processors.
fn processor() -> Duration {
    let used = |usage: Usage| {
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
    };
    let used = getrusage(UsageWho::RUSAGE_SELF).map_or(0, used);
    Duration::from_micros(u64::try_from(used).unwrap_or(0))
}

/// How much memory this process holds, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
