//! A cluster of nodes in threads of this process, on loopback.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use etcd_client::{Client, ConnectOptions};
use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::core::Limits;
use ordeal_cluster::server::{
    AuthConfig, AutoCompaction, Config, Running, ServerError, Serving, TlsFiles, start,
};
use tempfile::TempDir;

/// How long anything that is awaited may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Cluster {
    configs: Vec<Config>,
    nodes: Vec<Option<Running>>,
    _data: TempDir,
}

impl Cluster {
    pub fn start(members: usize) -> Self {
        Self::start_with(members, |_| {})
    }

    pub fn start_with(members: usize, adjust: impl Fn(&mut Config)) -> Self {
        let data = TempDir::new().expect("a directory");
        let ports = free_ports(members * 2);
        let url = |nth: usize| format!("http://127.0.0.1:{}", ports[nth]);
        let named: Vec<String> = (0..members).map(|n| format!("n{n}={}", url(n))).collect();
        let configs: Vec<Config> = (0..members)
            .map(|n| {
                let mut config = Config {
                    name: format!("n{n}"),
                    data_dir: data.path().join(format!("n{n}")),
                    listen_client_urls: vec![url(members + n)],
                    advertise_client_urls: vec![url(members + n)],
                    listen_peer_urls: vec![url(n)],
                    initial_cluster: named.join(","),
                    ..lone_config(data.path())
                };
                adjust(&mut config);
                config
            })
            .collect();
        let nodes = configs.iter().map(|config| Some(run(config))).collect();
        Self { configs, nodes, _data: data }
    }

    pub fn stop(&mut self, member: usize) {
        let node = self.nodes[member].take().expect("the member runs");
        node.stop().expect("the member ran well");
    }

    pub fn restart(&mut self, member: usize) {
        self.nodes[member] = Some(run(&self.configs[member]));
    }

    /// The flags of one more member, which nobody has added yet.
    pub fn joining(&self) -> Config {
        let ports = free_ports(2);
        let mut config = self.configs[0].clone();
        config.name = format!("n{}", self.configs.len());
        config.data_dir.set_file_name(&config.name);
        config.listen_peer_urls = vec![format!("http://127.0.0.1:{}", ports[0])];
        config.listen_client_urls = vec![format!("http://127.0.0.1:{}", ports[1])];
        config.advertise_client_urls = config.listen_client_urls.clone();
        config.initial_cluster += &format!(",{}={}", config.name, config.listen_peer_urls[0]);
        config.cluster_exists = true;
        config
    }

    /// Starts one more member; gives its number.
    pub fn join(&mut self, config: Config) -> usize {
        self.nodes.push(Some(run(&config)));
        self.configs.push(config);
        self.nodes.len() - 1
    }

    /// Waits until a member stops by itself; gives why.
    pub fn ended(&mut self, member: usize) -> ServerError {
        let node = self.nodes[member].take().expect("the member runs");
        let deadline = Instant::now() + PATIENCE;
        while !node.has_ended() {
            assert!(Instant::now() < deadline, "the member still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        node.stop().expect_err("it had a reason")
    }

    /// Starts a member that cannot start, or not for long; gives why.
    pub fn try_restart(&mut self, member: usize) -> ServerError {
        match start(self.configs[member].clone()) {
            Err(error) => error,
            Ok(node) => {
                self.nodes[member] = Some(node);
                self.ended(member)
            }
        }
    }

    pub fn data_dir(&self, member: usize) -> &Path {
        &self.configs[member].data_dir
    }

    pub fn url(&self, member: usize) -> &str {
        &self.configs[member].listen_client_urls[0]
    }

    /// The flags of the members.
    pub fn configs(&self) -> impl Iterator<Item = &Config> {
        self.configs.iter()
    }

    pub async fn client(&self, member: usize) -> Client {
        let options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(10));
        Client::connect([self.url(member)], Some(options)).await.expect("a client")
    }

    pub async fn leader(&self) -> usize {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.leader_among(&all).await
    }

    pub async fn leader_among(&self, members: &[usize]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for member in members {
                let mut client = self.client(*member).await;
                if let Ok(status) = client.status().await
                    && status.header().is_some_and(|header| header.member_id() == status.leader())
                {
                    return *member;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no leader within {PATIENCE:?}");
    }
}

/// A node that is a cluster of its own, on ports that the system chooses.
pub fn lone_config(folder: &Path) -> Config {
    let anywhere = || vec!["http://127.0.0.1:0".to_owned()];
    Config {
        name: "n0".into(),
        data_dir: folder.join("n0"),
        listen_client_urls: anywhere(),
        advertise_client_urls: anywhere(),
        listen_peer_urls: anywhere(),
        initial_cluster: "n0=http://127.0.0.1:0".into(),
        initial_cluster_token: "test".into(),
        cluster_exists: false,
        heartbeat_interval: Duration::from_millis(50),
        election_timeout: Duration::from_millis(500),
        snapshot_count: 10_000,
        watch_progress_interval: Duration::from_secs(600),
        auth: AuthConfig { bcrypt_cost: 4, ..AuthConfig::default() },
        client_tls: TlsFiles::default(),
        peer_tls: TlsFiles::default(),
        limits: Limits::default(),
        max_concurrent_streams: u32::MAX,
        auto_compaction: AutoCompaction::Off,
        serving: Serving::default(),
        bugs: Bugs::default(),
    }
}

fn run(config: &Config) -> Running {
    start(config.clone()).expect("the node starts")
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ports below the ephemeral range, so that no outgoing connection takes one while a node is down;
/// no two calls of this process get the same, and processes start at different places.
pub fn free_ports(count: usize) -> Vec<u16> {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().expect("no test panics while it holds the lock");
    let start = (std::process::id() % 1_000) as u16 * 12;
    let mut ports = Vec::new();
    for offset in 0..12_000 {
        let port = 18_000 + (start + offset) % 12_000;
        if ports.len() < count
            && !taken.contains(&port)
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            taken.insert(port);
            ports.push(port);
        }
    }
    assert_eq!(ports.len(), count, "not enough free ports");
    ports
}
