//! Reads a history and judges it, with the time that each part took, and the peak memory of the
//! process where the system tells it.
//!
//!     cargo run --release -p ordeal-checker --example judge -- \
//!         FILE [auto|layers|search] [SECONDS] [MODEL]

use ordeal_checker::linear::Algorithm;
use ordeal_checker::registry::model;
use ordeal_checker::{Limits, Verdict};
use ordeal_history::{ReadOptions, read_jsonl};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("expected the path of a history")?;
    let algorithm = match arguments.get(1).map(String::as_str) {
        Some("search") => Algorithm::Search,
        Some("layers") => Algorithm::Layers,
        _ => Algorithm::Auto,
    };
    let seconds = arguments.get(2).map_or(Ok(60), |text| text.parse())?;
    let name = arguments.get(3).map_or("register", String::as_str);
    let checker = model(name).ok_or("no such model")?.checker(algorithm);
    let start = Instant::now();
    let history = read_jsonl(std::fs::File::open(path)?, ReadOptions::default())?;
    let read = start.elapsed();
    let start = Instant::now();
    let limits = Limits { time: Some(Duration::from_secs(seconds)), ..Limits::default() };
    let judgement = checker.check(&history, &limits);
    let kept = match &judgement.verdict {
        Verdict::Invalid(part) => part.operations.len(),
        _ => 0,
    };
    println!(
        "{} by {}: read {} ms, checked {} ms, {} configurations in {} MiB, {} in all, {} \
         operations in the counterexample: {}",
        match judgement.verdict {
            Verdict::Valid(_) => "valid",
            Verdict::Invalid(_) => "invalid",
            Verdict::Unknown(_) => "unknown",
        },
        judgement.algorithm,
        read.as_millis(),
        start.elapsed().as_millis(),
        judgement.cost.configurations,
        judgement.cost.memory_bytes_max >> 20,
        peak().unwrap_or_else(|| "unknown memory".to_owned()),
        kept,
        judgement.reason
    );
    Ok(())
}

/// The most memory that this process ever had, as Linux words it ("11220 kB").
fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}
