//! How many puts, or linearizable reads, a cluster takes a second.
//!
//! ```text
//! cargo run --release -p ordeal-cluster --example puts -- \
//!     put 16 5 http://127.0.0.1:2379,http://127.0.0.1:2381,http://127.0.0.1:2383
//! ```
//!
//! The arguments: `put` or `get`, the clients at once, the seconds, the members' client URLs. Each
//! client has a connection of its own, to one member, and one request under way; keys have 16
//! bytes and values 256.

use std::time::{Duration, Instant};

use etcd_client::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [operation, clients, seconds, urls] = &arguments[..] else {
        return Err("usage: puts put|get CLIENTS SECONDS URL,URL,...".into());
    };
    let urls: Vec<String> = urls.split(',').map(str::to_owned).collect();
    let clients: usize = clients.parse()?;
    let length = Duration::from_secs(seconds.parse()?);
    let writes = operation == "put";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut latencies_us = runtime.block_on(async {
        let mut connected = Vec::new();
        for nth in 0..clients {
            connected.push(Client::connect([&urls[nth % urls.len()]], None).await?);
        }
        let end = Instant::now() + length;
        let tasks: Vec<_> = connected
            .into_iter()
            .enumerate()
            .map(|(nth, client)| tokio::spawn(load(client, nth, writes, end)))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.map_err(|error| error.to_string())??);
        }
        Ok::<_, Box<dyn std::error::Error>>(all)
    })?;
    latencies_us.sort_unstable();
    let at = |part: usize| latencies_us.get(latencies_us.len() * part / 100).copied().unwrap_or(0);
    println!(
        "{operation}, {clients} clients: {:.0} a second; p50 {} µs, p99 {} µs",
        latencies_us.len() as f64 / length.as_secs_f64(),
        at(50),
        at(99),
    );
    Ok(())
}

async fn load(
    mut client: Client,
    nth: usize,
    writes: bool,
    end: Instant,
) -> Result<Vec<u64>, String> {
    let mut latencies_us = Vec::new();
    let mut count = 0_u64;
    while Instant::now() < end {
        let begun = Instant::now();
        let key = format!("{:06}{:010}", nth, count % 1_000);
        if writes {
            client.put(key, vec![b'v'; 256], None).await.map_err(|error| error.to_string())?;
        } else {
            client.get(key, None).await.map_err(|error| error.to_string())?;
        }
        latencies_us.push(begun.elapsed().as_micros() as u64);
        count += 1;
    }
    Ok(latencies_us)
}
