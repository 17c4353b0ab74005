//! How long a node with many keys keeps its clients, and so its heartbeats, waiting.
//!
//! ```text
//! cargo build --release -p ordeal
//! cargo run --release -p ordeal-cluster --example pauses -- [--keys 1000000] [--ordeal PATH]
//! ```
//!
//! One node on loopback with real files is given so many keys, then watched from the first
//! revision, compacted, made to save snapshots, and killed and started again. Beside each of these
//! a client of its own asks one small local read after another: what runs the core also sends the
//! heartbeats, so the longest of these reads is the longest that any heartbeat was late. It must
//! stay below the election timeout, 1,000 ms by default.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use etcd_client::{Client, ConnectOptions, GetOptions, Txn, TxnOp, WatchOptions};
use support::processes::{Processes, System};
use support::{Failure, flag, ordeal};

/// Keys put in one transaction; etcd's own bound.
const KEYS_PER_TXN: u64 = 128;
/// Transactions under way at once while loading.
const LOADERS: u64 = 16;

fn main() -> Result<(), Failure> {
    let keys: u64 = flag("--keys")?.unwrap_or(1_000_000);
    let system = System::embedded(ordeal()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&system, keys))
}

async fn measure(system: &System, keys: u64) -> Result<(), Failure> {
    let mut cluster = Processes::start(system, 1, &["--snapshot-count", "5000"]).await?;
    let url = cluster.urls[0].clone();
    println!("while                            took    longest wait");

    beside(&url, "loading, with snapshots", load(&url, keys)).await?;
    beside(&url, "watching from revision 1", watch(&url, keys)).await?;
    beside(&url, "counting all keys", count(&url, keys)).await?;
    beside(&url, "putting, with a snapshot", load(&url, keys / 2)).await?;
    beside(&url, "compacting", compact(&url)).await?;
    beside(&url, "deleting all keys but some", delete(&url)).await?;
    beside(&url, "loading again", load(&url, keys)).await?;
    cluster.kill(0)?;
    let begun = Instant::now();
    cluster.spawn(0)?;
    cluster.answers(0).await?;
    println!("{:30} {:6.1} s", "starting again", begun.elapsed().as_secs_f64());
    count(&url, keys).await?;
    beside(&url, "hashing all keys", hash(&url)).await?;
    let usage = cluster.usage()?;
    let busy_s = usage.user_s + usage.system_s;
    println!("at most {} MiB of memory, {busy_s:.1} s busy since", usage.rss_max_kib / 1024);
    Ok(())
}

/// Does the work while a client asks, and prints how long each kept the other.
async fn beside(
    url: &str,
    what: &str,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let probe = Probe::start(url)?;
    let begun = Instant::now();
    work.await?;
    let took = begun.elapsed().as_secs_f64();
    let longest = probe.end()?;
    println!("{what:30} {took:6.1} s  {:8.1} ms", longest.as_secs_f64() * 1_000.0);
    Ok(())
}

/// A client in a thread of its own, so that only the node can keep it waiting.
struct Probe {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Result<Duration, etcd_client::Error>>,
}

impl Probe {
    fn start(url: &str) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ends = Arc::new(AtomicBool::new(false));
        let (url, stop) = (url.to_owned(), ends.clone());
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut client = Client::connect([url], None).await?;
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let local = GetOptions::new().with_serializable();
                    client.get("none", Some(local)).await?;
                    longest = longest.max(begun.elapsed());
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(longest)
            })
        });
        Ok(Self { ends, thread })
    }

    /// The longest that a read was kept waiting, the one under way among them.
    fn end(self) -> Result<Duration, Failure> {
        self.ends.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| "the probe panicked")??)
    }
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let options = ConnectOptions::new().with_timeout(Duration::from_secs(120));
    Ok(Client::connect([url], Some(options)).await?)
}

async fn load(url: &str, keys: u64) -> Result<(), Failure> {
    let mut loaders = Vec::new();
    for loader in 0..LOADERS {
        let mut client = connect(url).await?;
        loaders.push(tokio::spawn(async move {
            let starts = (loader * KEYS_PER_TXN..keys).step_by((LOADERS * KEYS_PER_TXN) as usize);
            for start in starts {
                let here = start..(start + KEYS_PER_TXN).min(keys);
                let put = |key| TxnOp::put(format!("k{key:015}"), vec![b'v'; 64], None);
                let ops: Vec<TxnOp> = here.map(put).collect();
                client.txn(Txn::new().and_then(ops)).await?;
            }
            Ok::<_, etcd_client::Error>(())
        }));
    }
    for loader in loaders {
        loader.await??;
    }
    Ok(())
}

async fn watch(url: &str, keys: u64) -> Result<(), Failure> {
    let mut client = connect(url).await?;
    let all = WatchOptions::new().with_prefix().with_start_revision(1);
    let mut stream = client.watch("k", Some(all)).await?;
    let mut events = 0;
    while events < keys {
        let response = stream.message().await?.ok_or("the watch ended")?;
        if response.canceled() {
            return Err("the watch was cancelled".into());
        }
        events += response.events().len() as u64;
    }
    Ok(())
}

async fn count(url: &str, keys: u64) -> Result<(), Failure> {
    let all = GetOptions::new().with_prefix().with_count_only();
    let counted = connect(url).await?.get("k", Some(all)).await?.count() as u64;
    if counted == keys { Ok(()) } else { Err(format!("{counted} keys of {keys}").into()) }
}

async fn hash(url: &str) -> Result<(), Failure> {
    connect(url).await?.hash_kv(0).await?;
    Ok(())
}

async fn compact(url: &str) -> Result<(), Failure> {
    let mut client = connect(url).await?;
    let revision = client.get("none", None).await?.header().map_or(0, |h| h.revision());
    client.compact(revision, None).await?;
    Ok(())
}

async fn delete(url: &str) -> Result<(), Failure> {
    let all = etcd_client::DeleteOptions::new().with_prefix();
    connect(url).await?.delete("k", Some(all)).await?;
    Ok(())
}
