//! Closed-loop load: so many clients, each with a connection of its own to one member and one
//! request under way. Keys have 16 bytes and values 256.

use std::time::{Duration, Instant};

use etcd_client::Client;

use crate::support::Failure;

/// Keys that each client puts and gets in turn.
const KEYS_PER_CLIENT: u64 = 1_000;

/// What the clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A put of one key.
    Put,
    /// A linearizable read of one key.
    Get,
}

/// How the load went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Requests answered, all of them well.
    pub requests: usize,
    /// For so long the clients asked.
    pub length: Duration,
    /// How long each request took, in microseconds, sorted.
    pub latencies_us: Vec<u64>,
}

impl Outcome {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.length.as_secs_f64()
    }

    /// The latency that so many percent of the requests did not exceed, in microseconds.
    pub fn percentile_us(&self, percent: usize) -> u64 {
        let nth = (self.requests * percent / 100).min(self.requests.saturating_sub(1));
        self.latencies_us.get(nth).copied().unwrap_or(0)
    }
}

/// Lets clients ask for a while.
///
/// # Errors
/// The first error that a client met: a cluster that is left in peace should give none.
pub async fn run(
    urls: &[String],
    operation: Operation,
    clients: usize,
    length: Duration,
) -> Result<Outcome, Failure> {
    let mut connected = Vec::new();
    for nth in 0..clients {
        connected.push(Client::connect([&urls[nth % urls.len()]], None).await?);
    }
    let begun = Instant::now();
    let end = begun + length;
    let tasks: Vec<_> = connected
        .into_iter()
        .enumerate()
        .map(|(nth, client)| tokio::spawn(ask(client, nth, operation, end)))
        .collect();
    let mut latencies_us = Vec::new();
    for task in tasks {
        latencies_us.extend(task.await??);
    }
    let length = begun.elapsed();
    latencies_us.sort_unstable();
    Ok(Outcome { requests: latencies_us.len(), length, latencies_us })
}

async fn ask(
    mut client: Client,
    nth: usize,
    operation: Operation,
    end: Instant,
) -> Result<Vec<u64>, etcd_client::Error> {
    let mut latencies_us = Vec::new();
    let mut count = 0_u64;
    while Instant::now() < end {
        let begun = Instant::now();
        let key = format!("{nth:06}{:010}", count % KEYS_PER_CLIENT);
        match operation {
            Operation::Put => client.put(key, vec![b'v'; 256], None).await.map(drop)?,
            Operation::Get => client.get(key, None).await.map(drop)?,
        }
        latencies_us.push(begun.elapsed().as_micros() as u64);
        count += 1;
    }
    Ok(latencies_us)
}
