//! The node on a machine: sockets, files, threads and clocks around the core.
//!
//! ```text
//!  clients ──gRPC──► grpc ──┐                        ┌──► disk thread (log: write, sync)
//!                           ├─► driver (the core) ───┼──► peers::send, one task a peer
//!  peers ───TCP────► peers ─┘        ▲               └──► snapshot writers
//!                                    └── ticks, what is durable, what could not be sent
//! ```
//!
//! One thread runs the core, gRPC and the peers' sockets, because a round of requests then costs no
//! switch between threads; a second one owns the log, because a sync takes its time and heartbeats
//! must not wait for it.

mod authority;
mod common_name;
mod compactor;
mod config;
mod disk_thread;
mod driver;
mod grpc;
mod http;
mod join;
mod peers;
mod say;
mod self_signed;
mod stream;
mod syncs;
mod tls;
mod tls_policy;
mod token;
mod watching;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

pub use compactor::AutoCompaction;
pub(crate) use config::founders;
pub use config::{AuthConfig, Config, ConfigError, Membership, Serving};
pub use tls::{TlsError, TlsFiles};
pub use tls_policy::TlsPolicy;
pub use token::TokenError;

use crate::core;
use crate::disk::{Disk, RealDisk};
use crate::log::{LogConfig, LogError, SEGMENT_BYTES, Write, snapshot};
use crate::proto::etcdserverpb::Member;
use driver::{Driver, Handle};
use join::Identity;
use tls::Tls;

/// How many inputs may wait for the core before those who bring them must wait.
const INPUTS_MAX: usize = 8_192;

/// Why a node cannot start, or why it stopped.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A flag is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No member of the cluster that is to be joined answers.
    #[error(
        "--initial-cluster-state existing, but none of the other members in --initial-cluster \
         tells of the cluster: check their URLs, and that they run"
    )]
    NobodyToJoin,
    /// The cluster that is to be joined has no such member.
    #[error(
        "the cluster has no member with the peer URLs {urls}: add it there first \
         (etcdctl member add {name} --peer-urls={urls})"
    )]
    NotAdded {
        /// This member's name.
        name: String,
        /// Its peer URLs.
        urls: String,
    },
    /// The flags and the cluster disagree.
    #[error("--initial-cluster names {named} members, the cluster has {found}: name those")]
    MemberCount {
        /// In the flags.
        named: usize,
        /// In the cluster.
        found: usize,
    },
    /// The cluster goes on without this member.
    #[error(
        "the member has been permanently removed from the cluster: to come back, add it again and \
         start it with an empty data directory"
    )]
    Removed,
    /// The core refuses its configuration.
    #[error(transparent)]
    Start(#[from] core::StartError),
    /// An address is taken, or is not this machine's.
    #[error("cannot listen on {url}: {source}")]
    Listen {
        /// The URL of the flag.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses a thread, or the runtime's means.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// The node could not go on.
    #[error("the node stops: {0}")]
    Failed(String),
}

/// A node that runs in a thread of its own.
#[derive(Debug)]
pub struct Running {
    /// Where it listens for clients.
    pub client_addresses: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Running {
    /// Stops the node as a kill would: nothing is flushed, and whoever waits gets no answer.
    ///
    /// # Errors
    /// Why it had stopped already, if it had.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.join()
    }

    /// Whether the node has stopped by itself; [`Running::stop`] tells why.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn join(&mut self) -> Result<(), ServerError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(ServerError::Failed("its thread panicked".into())),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever wants to know why it stopped calls `stop`.
        let _ = self.join();
    }
}

/// Starts a node in a thread of its own, and returns when it listens.
///
/// # Errors
/// As [`ServerError`] says.
pub fn start(config: Config) -> Result<Running, ServerError> {
    let (stop, stopped) = oneshot::channel();
    let (ready, started) = std::sync::mpsc::channel();
    let thread =
        std::thread::Builder::new().name(format!("node-{}", config.name)).spawn(move || {
            runtime()?.block_on(serve(config, Some(ready), async move {
                // Stopped by a word or by being dropped alike.
                let _ = stopped.await;
            }))
        })?;
    let mut running =
        Running { client_addresses: Vec::new(), stop: Some(stop), thread: Some(thread) };
    match started.recv() {
        Ok(addresses) => {
            running.client_addresses = addresses;
            Ok(running)
        }
        Err(_) => {
            let failed = || ServerError::Failed("it ended before it listened".into());
            Err(running.join().err().unwrap_or_else(failed))
        }
    }
}

/// Runs a node in this thread until SIGTERM or SIGINT.
///
/// # Errors
/// As [`ServerError`] says.
pub fn run(config: Config) -> Result<(), ServerError> {
    runtime()?.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => say::say(format_args!("stops on SIGTERM")),
                _ = interrupt.recv() => say::say(format_args!("stops on SIGINT")),
            }
        };
        serve(config, None, stop).await
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(
    config: Config,
    ready: Option<std::sync::mpsc::Sender<Vec<SocketAddr>>>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    config.membership()?;
    let tokens = Arc::new(token::Tokens::new(&config.auth.token).map_err(ConfigError::Token)?);
    let (client_tls, peer_tls) = means(&config).map_err(ConfigError::Tls)?;
    let peer_listeners = listen(&config.listen_peer_urls).await?;
    let client_urls = [&config.listen_client_urls[..], &config.serving.http_urls].concat();
    let client_listeners = listen(&client_urls).await?;
    let metrics_listeners = listen(&config.serving.metrics_urls).await?;
    let mut addresses = Vec::new();
    for listener in &client_listeners {
        addresses.push(listener.local_addr()?);
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&config.data_dir));
    let identity = join::identify(&config, crate::log::owner(&*disk)?, peer_tls.as_ref()).await?;
    let (log, recovered) = open_log(&config, &identity, &disk)?;
    if let Some(image) = &recovered.snapshot
        && image.state.removed.contains(&identity.id)
    {
        return Err(ServerError::Removed);
    }
    let node = core::Node::new(core_config(&config, &identity), recovered)?;

    let (inputs, received) = mpsc::channel(INPUTS_MAX);
    let handle = Handle::new(inputs.clone());
    let log_thread = disk_thread::spawn(log, inputs.clone(), handle.clone())?;
    let Identity { cluster_id, id, ref members, .. } = identity;
    let mut peers = peers::Peers::new(&config, (cluster_id, id), peer_tls.clone(), inputs.clone());
    peers.set(members, &[]);
    for (listener, tls) in secured(peer_listeners, &config.listen_peer_urls, &peer_tls) {
        peers.listen(listener, tls);
    }
    let api = grpc::Api {
        handle: handle.clone(),
        bugs: config.bugs,
        tokens,
        bcrypt_cost: config.auth.bcrypt_cost,
        certificates_name_users: config.client_tls.client_cert_auth,
    };
    for (listener, tls) in secured(client_listeners, &client_urls, &client_tls) {
        grpc::serve(listener, tls, &config, api.clone());
    }
    let urls = &config.serving.metrics_urls;
    for (listener, tls) in secured(metrics_listeners, urls, &client_tls) {
        http::serve_metrics(listener, tls, handle.clone());
    }
    tokio::spawn(compactor::run(config.auto_compaction, handle.clone()));
    if let Some(ready) = ready {
        // The starter may have given up; then the node is stopped through `stop`.
        let _ = ready.send(addresses);
    }
    let driver = Driver::new(node, &config, handle, log_thread, disk, peers, inputs);
    driver.run(received, stop).await
}

/// The means of TLS for clients and for members, with certificates of the node's own making where
/// those are asked for.
fn means(config: &Config) -> Result<(Option<Tls>, Option<Tls>), TlsError> {
    let (data_dir, clients) = (&config.data_dir, &config.listen_client_urls);
    let client = config.client_tls.clone().with_own("", data_dir, clients)?;
    let peer = config.peer_tls.clone().with_own("peer-", data_dir, &config.listen_peer_urls)?;
    Ok((client.load("")?, peer.load("peer-")?))
}

async fn listen(urls: &[String]) -> Result<Vec<TcpListener>, ServerError> {
    let mut listeners = Vec::new();
    for url in urls {
        let address = config::address("--listen-client-urls", url)?;
        let listener = TcpListener::bind(address).await;
        let url = url.clone();
        listeners.push(listener.map_err(|source| ServerError::Listen { url, source })?);
    }
    Ok(listeners)
}

/// Each listener with the means of its URL: TLS, or nothing.
fn secured(
    listeners: Vec<TcpListener>,
    urls: &[String],
    tls: &Option<Tls>,
) -> Vec<(TcpListener, Option<Tls>)> {
    let means = urls.iter().map(|url| tls.clone().filter(|_| config::is_secure(url)));
    listeners.into_iter().zip(means).collect()
}

fn open_log(
    config: &Config,
    identity: &Identity,
    disk: &Arc<dyn Disk>,
) -> Result<(crate::log::Log, crate::log::Recovered), ServerError> {
    let Identity { id, cluster_id, joins, .. } = *identity;
    let log_config = LogConfig {
        node_id: id,
        cluster_id,
        segment_bytes: SEGMENT_BYTES,
        joined: joins,
        bugs: config.bugs,
    };
    let (mut log, mut recovered) = crate::log::open(disk.clone(), log_config)?;
    // A log without a term is one that was made and never used.
    if !joins && recovered.snapshot.is_none() && recovered.hard_state.term == 0 {
        // From here on the flags may change: who the first members were stands in a snapshot.
        let image = core::bootstrap_image(&identity.members);
        snapshot::save(&**disk, &image)?;
        log.append(&Write { release: Some(image.position()), ..Write::default() })?;
        recovered.hard_state.commit = image.position().index;
        recovered.snapshot = Some(image);
    }
    say::say(format_args!(
        "started {} as member {id:x} of cluster {cluster_id:x}: snapshot at {}, {} entries, \
         commit {}, term {}, {} torn bytes cut off",
        config.name,
        recovered.snapshot.as_ref().map_or(0, |image| image.position().index),
        recovered.entries.len(),
        recovered.hard_state.commit,
        recovered.hard_state.term,
        recovered.torn_bytes,
    ));
    for info in crate::bugs::REGISTRY.iter().filter(|info| config.bugs.has(info.bug)) {
        say::say(format_args!("BUG SWITCHED ON: {}: {}", info.name, info.summary));
    }
    Ok((log, recovered))
}

fn core_config(config: &Config, identity: &Identity) -> core::Config {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // No two starts of a member share it: the clock moves, and two processes differ in their id.
    let incarnation = core::mix(nanos as u64 ^ core::mix(u64::from(std::process::id())));
    let tick_us = config.heartbeat_interval.as_micros() as u64;
    let election_us = config.election_timeout.as_micros() as u64;
    let own = Member {
        id: identity.id,
        name: config.name.clone(),
        peer_ur_ls: config.own_peer_urls(),
        client_ur_ls: config.advertise_client_urls.clone(),
        is_learner: false,
    };
    let others = identity.members.iter().filter(|member| member.id != own.id).cloned();
    let members = others.chain([own.clone()]).collect();
    core::Config {
        id: identity.id,
        cluster_id: identity.cluster_id,
        members,
        joins: identity.joins,
        incarnation,
        seed: incarnation,
        election_ticks: (election_us / tick_us) as usize,
        tick_us,
        // etcd's own: five seconds for the disks, and two elections.
        request_timeout_us: 5_000_000 + 2 * election_us,
        snapshot_count: config.snapshot_count,
        watch_progress_us: config.watch_progress_interval.as_micros() as u64,
        token_ttl_us: config.auth.token_ttl.as_micros() as u64,
        limits: config.limits,
        bugs: config.bugs,
    }
}
