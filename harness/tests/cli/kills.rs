//! `ordeal node` processes killed in a loop while clients write: no sandbox, real files.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etcd_client::{Client, ConnectOptions, GetOptions};

use crate::common::ORDEAL;

const KILLS: usize = 20;
const MEMBERS: usize = 3;
const WRITERS: usize = 4;
/// Puts that must be acknowledged between two kills.
const PROGRESS: usize = 20;
/// How long anything that is awaited may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Nodes {
    children: Vec<Option<Child>>,
    flags: Vec<Vec<String>>,
    urls: Vec<String>,
    folder: tempfile::TempDir,
}

impl Nodes {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = free_ports(2 * MEMBERS);
        let url = |nth: usize| format!("http://127.0.0.1:{}", ports[nth]);
        let cluster: Vec<String> = (0..MEMBERS).map(|n| format!("n{n}={}", url(n))).collect();
        let flags = (0..MEMBERS).map(|n| {
            let named = [
                ("--name", format!("n{n}")),
                ("--data-dir", folder.path().join(format!("n{n}")).display().to_string()),
                ("--listen-peer-urls", url(n)),
                ("--initial-advertise-peer-urls", url(n)),
                ("--listen-client-urls", url(MEMBERS + n)),
                ("--advertise-client-urls", url(MEMBERS + n)),
                ("--initial-cluster", cluster.join(",")),
                ("--heartbeat-interval", "50".into()),
                ("--election-timeout", "500".into()),
                ("--snapshot-count", "100".into()),
            ];
            named.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
        });
        let flags: Vec<Vec<String>> = flags.collect();
        let urls = (MEMBERS..2 * MEMBERS).map(url).collect();
        let children = (0..MEMBERS).map(|_| None).collect();
        let mut nodes = Self { children, flags, urls, folder };
        (0..MEMBERS).for_each(|nth| nodes.spawn(nth));
        nodes
    }

    fn spawn(&mut self, nth: usize) {
        let path = self.folder.path().join(format!("n{nth}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let child = Command::new(ORDEAL)
            .arg("node")
            .args(&self.flags[nth])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn();
        self.children[nth] = Some(child.expect("the binary runs"));
    }

    /// SIGKILL. A node that had ended by itself is a failure, with what it said.
    fn kill(&mut self, nth: usize) {
        let mut child = self.children[nth].take().expect("it runs");
        let ended = child.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "node {nth} ended by itself: {}", self.said(nth));
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }

    fn said(&self, nth: usize) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("n{nth}.log"))).unwrap_or_default()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            // One that has ended is as gone as it can be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports below the ephemeral range, so that no outgoing connection takes one while a node is down.
fn free_ports(count: usize) -> Vec<u16> {
    let start = 12_000 + (std::process::id() % 600) as u16 * 10;
    let free = (start..20_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let ports: Vec<u16> = free.take(count).collect();
    assert_eq!(ports.len(), count, "not enough free ports");
    ports
}

async fn client(url: &str) -> Option<Client> {
    let timeout = Duration::from_secs(2);
    let options = ConnectOptions::new().with_connect_timeout(timeout).with_timeout(timeout);
    Client::connect([url], Some(options)).await.ok()
}

/// Puts keys of its own through the members in turn; gives all keys, and those acknowledged.
async fn write(
    writer: usize,
    urls: &[String],
    ends: &AtomicBool,
    total: &AtomicUsize,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut asked, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
    let mut member = writer;
    while !ends.load(Ordering::Relaxed) {
        member = (member + 1) % MEMBERS;
        let Some(mut client) = client(&urls[member]).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // On one connection until it fails.
        while !ends.load(Ordering::Relaxed) {
            let key = format!("w{writer}-{:06}", asked.len());
            asked.insert(key.clone());
            if client.put(key.clone(), vec![b'v'; 200], None).await.is_err() {
                break;
            }
            acknowledged.insert(key);
            total.fetch_add(1, Ordering::Relaxed);
        }
    }
    (asked, acknowledged)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Kills one node, or now and then all, and starts them again, each time under writes.
async fn kill_in_a_loop(nodes: &mut Nodes, total: &AtomicUsize) {
    for nth in 0..KILLS {
        let before = total.load(Ordering::Relaxed);
        until(&format!("writes before kill {nth}"), async || {
            total.load(Ordering::Relaxed) >= before + PROGRESS
        })
        .await;
        let killed = if nth % 5 == 4 { 0..MEMBERS } else { nth % MEMBERS..nth % MEMBERS + 1 };
        killed.clone().for_each(|member| nodes.kill(member));
        if killed.len() == 1 {
            let before = total.load(Ordering::Relaxed);
            until(&format!("the others go on after kill {nth}"), async || {
                total.load(Ordering::Relaxed) >= before + PROGRESS
            })
            .await;
        }
        killed.for_each(|member| nodes.spawn(member));
    }
}

/// The keys as a member has them, up to at least a revision.
async fn keys_at(url: &str, revision: i64) -> BTreeSet<String> {
    let mut found = None;
    until(&format!("{url} has revision {revision}"), async || {
        let Some(mut client) = client(url).await else { return false };
        let all = GetOptions::new().with_prefix().with_keys_only().with_serializable();
        found = client.get("w", Some(all)).await.ok();
        found.as_ref().and_then(|got| got.header()).is_some_and(|h| h.revision() >= revision)
    })
    .await;
    let found = found.expect("it answered");
    found.kvs().iter().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()).collect()
}

#[test]
fn twenty_kills_under_writes_lose_nothing_that_was_acknowledged() {
    let mut nodes = Nodes::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (urls, ends, total) = (nodes.urls.clone(), AtomicBool::new(false), AtomicUsize::new(0));
        let writers = (0..WRITERS).map(|writer| write(writer, &urls, &ends, &total));
        let killing = async {
            kill_in_a_loop(&mut nodes, &total).await;
            ends.store(true, Ordering::Relaxed);
        };
        let (written, ()) = futures::join!(futures::future::join_all(writers), killing);
        let mut revision = 0;
        until("a linearizable read", async || {
            let Some(mut client) = client(&urls[0]).await else { return false };
            let got = client.get("none", None).await.ok();
            revision = got.and_then(|got| got.header().map(|h| h.revision())).unwrap_or(0);
            revision > 0
        })
        .await;
        for url in &urls {
            let found = keys_at(url, revision).await;
            for (asked, acknowledged) in &written {
                let lost: Vec<_> = acknowledged.difference(&found).collect();
                assert!(lost.is_empty(), "{url} lost {lost:?} of {}", acknowledged.len());
                assert!(acknowledged.len() > PROGRESS && asked.len() >= acknowledged.len());
            }
            let asked = |key: &String| written.iter().any(|(asked, _)| asked.contains(key));
            assert!(found.iter().all(asked), "{url} holds what nobody asked for");
        }
    });
    for nth in 0..MEMBERS {
        assert!(nodes.said(nth).contains("released the log"), "node {nth} took no snapshot");
    }
}
