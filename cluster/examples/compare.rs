//! The embedded cluster beside a real etcd: puts and linearizable reads a second with 1, 16 and
//! 200 clients, processor time a request, and memory, three members each.
//!
//! ```text
//! cargo build --release -p ordeal
//! cargo run --release -p ordeal-cluster --example compare -- --etcd PATH \
//!     [--ordeal PATH] [--rounds 5] [--seconds 2]
//! ```
//!
//! Members are processes on loopback, with etcd's own defaults and their data in the folder for
//! temporary files, which should be on a real disk. Each round starts both systems afresh, one
//! after the other, in turn which is first, so that whatever else the machine does meets both;
//! the table holds the medians over the rounds. The clients run beside the members and take
//! their part of the processors, the same for both.

#[path = "support/load.rs"]
mod load;
mod support;

use std::path::PathBuf;
use std::time::Duration;

use load::Operation;
use support::processes::{Processes, System};
use support::{Failure, flag, ordeal};

const MEMBERS: usize = 3;

/// What is measured in each round, in this order.
const LOADS: [(Operation, usize); 6] = [
    (Operation::Put, 1),
    (Operation::Put, 16),
    (Operation::Put, 200),
    (Operation::Get, 1),
    (Operation::Get, 16),
    (Operation::Get, 200),
];

/// What one round says of one system.
#[derive(Default)]
struct Round {
    /// For each of the loads: requests a second, p50 and p99 in µs, user and system µs a request.
    loads: Vec<[f64; 5]>,
    rss_max_mib: f64,
}

fn main() -> Result<(), Failure> {
    let etcd: PathBuf = flag("--etcd")?.ok_or("--etcd PATH names the etcd to compare with")?;
    let systems =
        [System::embedded(ordeal()?), System { name: "etcd", binary: etcd, words: Vec::new() }];
    let rounds: usize = flag("--rounds")?.unwrap_or(5);
    let length = Duration::from_secs(flag("--seconds")?.unwrap_or(2));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut measured: [Vec<Round>; 2] = Default::default();
    for round in 0..rounds {
        for turn in 0..systems.len() {
            let nth = (round + turn) % systems.len();
            measured[nth].push(runtime.block_on(measure(&systems[nth], length))?);
        }
        eprintln!("round {} of {rounds} done", round + 1);
    }
    print(&systems, &measured);
    Ok(())
}

async fn measure(system: &System, length: Duration) -> Result<Round, Failure> {
    let cluster = Processes::start(system, MEMBERS, &[]).await?;
    let mut round = Round::default();
    for (operation, clients) in LOADS {
        let before = cluster.usage()?;
        let outcome = load::run(&cluster.urls, operation, clients, length).await?;
        let after = cluster.usage()?;
        let each_us = |seconds: f64| seconds * 1e6 / outcome.requests.max(1) as f64;
        round.loads.push([
            outcome.rate(),
            outcome.percentile_us(50) as f64,
            outcome.percentile_us(99) as f64,
            each_us(after.user_s - before.user_s),
            each_us(after.system_s - before.system_s),
        ]);
    }
    round.rss_max_mib = cluster.usage()?.rss_max_kib as f64 / 1024.0;
    Ok(round)
}

fn print(systems: &[System; 2], measured: &[Vec<Round>; 2]) {
    println!("load          system     req/s  p50 us  p99 us  user us/req  system us/req");
    for (nth, (operation, clients)) in LOADS.iter().enumerate() {
        let mut rates = Vec::new();
        for (system, rounds) in systems.iter().zip(measured) {
            let of = |what: usize| median(rounds.iter().map(|round| round.loads[nth][what]));
            rates.push(of(0));
            let load = format!("{operation:?} x {clients}").to_lowercase();
            println!(
                "{load:12}  {:8}  {:6.0}  {:6.0}  {:6.0}  {:11.1}  {:13.1}",
                system.name,
                of(0),
                of(1),
                of(2),
                of(3),
                of(4)
            );
        }
        println!("{:14}ratio     {:6.2}", "", rates[0] / rates[1]);
    }
    for (system, rounds) in systems.iter().zip(measured) {
        let rss = median(rounds.iter().map(|round| round.rss_max_mib));
        println!("{:8}: at most {rss:.0} MiB of memory a member, in the mean", system.name);
    }
}

/// The median; 0 of nothing.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
