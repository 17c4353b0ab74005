//! The two stores that are asked the same.

use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ordeal_cluster::proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, RangeRequest, RangeResponse,
};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use super::requests::{Ask, call};
use crate::cluster::{Cluster, free_ports};

/// How long a store may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// With this etcd's process ends now and then at a read in the past after a compaction (seen with
/// 3.5.30): there is nothing to compare with then.
const FATAL: &str = "range failed to find revision pair";

/// The `etcd` of `$ORDEAL_ETCD` or of the path.
pub fn etcd() -> Option<String> {
    let program = std::env::var("ORDEAL_ETCD").unwrap_or_else(|_| "etcd".into());
    let answers = Command::new(&program).arg("--version").output();
    answers.is_ok_and(|output| output.status.success()).then_some(program)
}

/// A real etcd of one member. It dies with this value.
pub struct Etcd {
    process: Child,
    /// Where clients reach it.
    pub url: String,
    data: TempDir,
}

impl Etcd {
    /// Starts it, and waits until it listens.
    pub fn start(program: &str) -> Etcd {
        let data = TempDir::new().expect("a directory");
        let ports = free_ports(2);
        let url = |nth: usize| format!("http://127.0.0.1:{}", ports[nth]);
        let process = Command::new(program)
            .args(["--name", "n0", "--log-level", "error", "--data-dir"])
            .arg(data.path().join("n0"))
            .args(["--listen-client-urls", &url(0), "--advertise-client-urls", &url(0)])
            .args(["--listen-peer-urls", &url(1), "--initial-advertise-peer-urls", &url(1)])
            .args(["--initial-cluster", &format!("n0={}", url(1))])
            .stdout(Stdio::null())
            .stderr(File::create(data.path().join("log")).expect("a file"))
            .spawn()
            .expect("it answered before");
        let address = ("127.0.0.1", ports[0]);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{program} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Etcd { process, url: url(0), data }
    }
}

impl Etcd {
    /// Why it ended, if it did.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
        let panic = log.lines().find(|line| line.contains("panic") || line.contains("fatal"));
        panic.map_or(String::new(), |line| format!("; its log says: {line}"))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Whatever comes of it, nobody is left to be told.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where two stores stopped to agree.
#[derive(Debug)]
pub struct Difference {
    /// The place of the request in its sequence.
    pub nth: usize,
    /// What the embedded node answered.
    pub embedded: String,
    /// What etcd answered.
    pub etcd: String,
    /// It did not answer: its process ended, by a failure of its own that is known.
    pub etcd_ended: bool,
}

/// An embedded node and a real etcd, with the same content.
pub struct Pair {
    embedded: Channel,
    etcd: Channel,
    /// The newest revision of both.
    head: i64,
    _cluster: Cluster,
    process: Etcd,
}

impl Pair {
    /// Two empty stores.
    pub async fn start(program: &str) -> Pair {
        let cluster = Cluster::start(1);
        let etcd = Etcd::start(program);
        let embedded = connect(cluster.url(0)).await;
        let channel = connect(&etcd.url).await;
        Pair { embedded, etcd: channel, head: 1, _cluster: cluster, process: etcd }
    }

    /// Asks both, request after request, until they answer differently.
    pub async fn play(&mut self, asks: &[Ask]) -> Result<(), Difference> {
        for (nth, ask) in asks.iter().enumerate() {
            let ask = ask.resolved(self.head);
            let mut embedded = ask.send(&self.embedded).await;
            let etcd = ask.send(&self.etcd).await;
            if embedded != etcd {
                let embedded = format!("{embedded:?}");
                let last_words = self.process.last_words();
                let etcd_ended = last_words.contains(FATAL);
                let etcd = format!("{etcd:?}{last_words}");
                return Err(Difference { nth, embedded, etcd, etcd_ended });
            }
            self.head = embedded.revision().unwrap_or(self.head);
        }
        Ok(())
    }

    /// Deletes every key of both.
    pub async fn wipe(&mut self) {
        let zero = bytes::Bytes::from_static(b"\0");
        let all = DeleteRangeRequest { key: zero.clone(), range_end: zero, prev_kv: false };
        for channel in [&self.embedded, &self.etcd] {
            let wiped: Result<DeleteRangeResponse, _> =
                call(channel, "KV/DeleteRange", all.clone()).await;
            let header = wiped.expect("an answer").header.expect("a header");
            self.head = header.revision;
        }
    }
}

/// A connection to a store that has a leader.
async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
    let channel = endpoint.connect_lazy();
    let read = RangeRequest { key: "k".into(), ..Default::default() };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer: Result<RangeResponse, _> = call(&channel, "KV/Range", read.clone()).await;
        match answer {
            Ok(_) => return channel,
            Err(error) => assert!(Instant::now() < deadline, "{url} does not answer: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
