//! Feeds the check that runs along with a history under load that is never held as a whole, and
//! tells what it remembered at most:
//!
//!     cargo run --release -p ordeal-checker --example follow -- \
//!         4000000 [CLIENTS] [INFO_PERCENT] [KEYS]

#[path = "../generate/load.rs"]
mod load;

use load::Load;
use ordeal_checker::Online;
use ordeal_checker::models::Register;
use ordeal_checker::online::Linear;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut load = Load::default();
    if let Some(operations) = arguments.next() {
        load.operations = operations.parse()?;
    }
    if let Some(clients) = arguments.next() {
        load.clients = clients.parse()?;
    }
    if let Some(info) = arguments.next() {
        load.info_percent = info.parse()?;
    }
    if let Some(keys) = arguments.next() {
        load.keys = keys.parse()?;
    }
    let mut online = Linear::new(Register::default().into(), "register");
    let (mut spent, mut held_max) = (Duration::ZERO, 0);
    let mut part = Vec::new();
    let mut feed = |part: &mut Vec<_>| {
        let start = Instant::now();
        part.iter().for_each(|event| online.feed(event));
        spent += start.elapsed();
        part.clear();
        held_max = held_max.max(online.held());
    };
    load::play(load, &mut |event| {
        part.push(event);
        if part.len() == 1_000 {
            feed(&mut part);
        }
    });
    feed(&mut part);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    println!(
        "{} operations, {} clients, {} % indeterminate, {} keys: \
         {} ms, {held_max} things held at most; {}",
        load.operations,
        load.clients,
        load.info_percent,
        load.keys,
        spent.as_millis(),
        peak.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    println!("{}", online.finish().reason);
    Ok(())
}
