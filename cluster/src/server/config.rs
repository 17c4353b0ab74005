//! What a node is told by its flags, and the checks of it.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::compactor::AutoCompaction;
use super::tls::{TlsError, TlsFiles};
use super::token::TokenError;
use crate::bugs::Bugs;
use crate::core::{Limits, mix};
use crate::proto::etcdserverpb::Member;

/// How to run a node; the fields are etcd's flags.
#[derive(Debug, Clone)]
pub struct Config {
    /// `--name`: this member's name in `initial_cluster`.
    pub name: String,
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// `--listen-client-urls`.
    pub listen_client_urls: Vec<String>,
    /// `--advertise-client-urls`: what the others tell clients.
    pub advertise_client_urls: Vec<String>,
    /// `--listen-peer-urls`.
    pub listen_peer_urls: Vec<String>,
    /// `--initial-cluster`: `name=url` for each member; a name may come more than once.
    pub initial_cluster: String,
    /// `--initial-cluster-token`: clusters with the same members but another token are others.
    pub initial_cluster_token: String,
    /// `--initial-cluster-state existing`: without a log to go on from, the member joins.
    pub cluster_exists: bool,
    /// `--heartbeat-interval`.
    pub heartbeat_interval: Duration,
    /// `--election-timeout`.
    pub election_timeout: Duration,
    /// `--snapshot-count`: entries applied between two snapshots.
    pub snapshot_count: u64,
    /// `--experimental-watch-progress-notify-interval`.
    pub watch_progress_interval: Duration,
    /// How users log in.
    pub auth: AuthConfig,
    /// TLS for clients: `--cert-file` and its like.
    pub client_tls: TlsFiles,
    /// TLS between members: `--peer-cert-file` and its like.
    pub peer_tls: TlsFiles,
    /// `--strict-reconfig-check`, `--quota-backend-bytes`, `--max-txn-ops`, `--max-request-bytes`.
    pub limits: Limits,
    /// `--max-concurrent-streams`, of one client's connection.
    pub max_concurrent_streams: u32,
    /// `--auto-compaction-mode` and `--auto-compaction-retention`.
    pub auto_compaction: AutoCompaction,
    /// What is served, and how, besides.
    pub serving: Serving,
    /// The bugs that are on.
    pub bugs: Bugs,
}

/// What is served besides etcd's API on the client port, and how connections are kept; the fields
/// are etcd's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// `--listen-metrics-urls`: more addresses with `/metrics` and `/health`, and nothing else.
    pub metrics_urls: Vec<String>,
    /// `--listen-client-http-urls`: more addresses for clients.
    pub http_urls: Vec<String>,
    /// `--enable-grpc-gateway`: the API as JSON over plain HTTP.
    pub gateway: bool,
    /// `--grpc-keepalive-interval`: a client's connection is looked after so often; 0 is never.
    pub keepalive_interval: Duration,
    /// `--grpc-keepalive-timeout`: a client that says nothing for so long after that is gone.
    pub keepalive_timeout: Duration,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            metrics_urls: Vec::new(),
            http_urls: Vec::new(),
            gateway: true,
            keepalive_interval: Duration::from_secs(2 * 60 * 60),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

/// How users log in; the fields are etcd's flags.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `--auth-token`: `simple`, or `jwt,` and its options.
    pub token: String,
    /// `--auth-token-ttl`: a simple token lives so long after its last use.
    pub token_ttl: Duration,
    /// `--bcrypt-cost`: the binary logarithm of the work that hashing a password takes.
    pub bcrypt_cost: u32,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self { token: "simple".into(), token_ttl: Duration::from_secs(300), bcrypt_cost: 10 }
    }
}

/// A flag that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Neither `http://HOST:PORT` nor `https://HOST:PORT`.
    #[error("{flag}: {url} is no URL of the form http://HOST:PORT or https://HOST:PORT")]
    Url {
        /// The flag.
        flag: &'static str,
        /// Its value.
        url: String,
    },
    /// Not a list of `NAME=URL`.
    #[error("--initial-cluster: {0} is not of the form NAME=http://HOST:PORT")]
    Cluster(String),
    /// The list has no entry for this node.
    #[error("--initial-cluster names no member {0}: --name must be one of its names")]
    Stranger(String),
    /// Two members with one address.
    #[error("--initial-cluster gives the URL {0} to two members")]
    Shared(String),
    /// The timeouts do not fit together.
    #[error(
        "--election-timeout {election_ms} must be at least five times --heartbeat-interval \
         {heartbeat_ms}, both in milliseconds and the latter at least 1"
    )]
    Timeouts {
        /// In milliseconds.
        election_ms: u128,
        /// In milliseconds.
        heartbeat_ms: u128,
    },
    /// No snapshot would ever be taken, or one at every entry.
    #[error("--snapshot-count must be at least 1")]
    SnapshotCount,
    /// Tokens that cannot be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// TLS that cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What bcrypt does not take.
    #[error("--bcrypt-cost {0} is not between 4 and 31")]
    BcryptCost(u32),
}

/// The cluster that the flags describe.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// The cluster's id: the same for every node with the same flags.
    pub cluster_id: u64,
    /// This member's id.
    pub id: u64,
    /// All members, by id. Only this one's name and client addresses are filled in.
    pub members: Vec<Member>,
}

impl Config {
    /// Checks the flags and derives the members' ids from them.
    ///
    /// # Errors
    /// Names the flag and what is wrong with it.
    pub fn membership(&self) -> Result<Membership, ConfigError> {
        self.check_numbers()?;
        for (flag, urls) in [
            ("--listen-client-urls", &self.listen_client_urls),
            ("--advertise-client-urls", &self.advertise_client_urls),
            ("--listen-peer-urls", &self.listen_peer_urls),
            ("--listen-metrics-urls", &self.serving.metrics_urls),
            ("--listen-client-http-urls", &self.serving.http_urls),
        ] {
            urls.iter().try_for_each(|url| address(flag, url).map(drop))?;
        }
        self.check_certificates()?;
        let (cluster_id, named) = founders(&self.initial_cluster, &self.initial_cluster_token)?;
        let mut members = Vec::new();
        let mut own = None;
        for (name, mut member) in named {
            if name == self.name {
                own = Some(member.id);
                member.name = name;
                member.client_ur_ls = self.advertise_client_urls.clone();
            }
            members.push(member);
        }
        let id = own.ok_or_else(|| ConfigError::Stranger(self.name.clone()))?;
        Ok(Membership { cluster_id, id, members })
    }

    /// This member's peer URLs, sorted, as `--initial-cluster` gives them.
    pub(super) fn own_peer_urls(&self) -> Vec<String> {
        let parts = self.initial_cluster.split(',').filter_map(|part| part.split_once('='));
        let own = parts.filter(|(name, _)| *name == self.name);
        let mut urls: Vec<String> = own.map(|(_, url)| url.to_owned()).collect();
        urls.sort();
        urls
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        let election_ms = self.election_timeout.as_millis();
        let heartbeat_ms = self.heartbeat_interval.as_millis();
        if heartbeat_ms == 0 || election_ms < 5 * heartbeat_ms {
            return Err(ConfigError::Timeouts { election_ms, heartbeat_ms });
        }
        if self.snapshot_count == 0 {
            return Err(ConfigError::SnapshotCount);
        }
        if !(4..=31).contains(&self.auth.bcrypt_cost) {
            return Err(ConfigError::BcryptCost(self.auth.bcrypt_cost));
        }
        Ok(())
    }

    /// Whoever listens behind an https URL, or calls one of a member, needs a certificate.
    fn check_certificates(&self) -> Result<(), ConfigError> {
        let members = self.initial_cluster.split(',').filter_map(|part| part.split_once('='));
        let members: Vec<String> = members.map(|(_, url)| url.to_owned()).collect();
        for (files, prefix, flag, urls) in [
            (&self.client_tls, "", "--listen-client-urls", &self.listen_client_urls),
            (&self.client_tls, "", "--listen-metrics-urls", &self.serving.metrics_urls),
            (&self.client_tls, "", "--listen-client-http-urls", &self.serving.http_urls),
            (&self.peer_tls, "peer-", "--listen-peer-urls", &self.listen_peer_urls),
            (&self.peer_tls, "peer-", "--initial-cluster", &members),
        ] {
            let secure = urls.iter().find(|url| is_secure(url));
            if let (Some(url), None, None) = (secure, &files.cert, files.auto_years) {
                let url = url.clone();
                return Err(TlsError::NoCertificate { flag, url, prefix }.into());
            }
        }
        Ok(())
    }
}

/// The members that `--initial-cluster` names, by id, each with its name; and the cluster's id.
///
/// # Errors
/// What is no list of names and addresses.
pub(crate) fn founders(
    cluster: &str,
    token: &str,
) -> Result<(u64, Vec<(String, Member)>), ConfigError> {
    let named = parse_cluster(cluster)?.into_iter().map(|(name, mut urls)| {
        urls.sort();
        let id = member_id(&urls, token);
        (name, Member { id, peer_ur_ls: urls, ..Member::default() })
    });
    let mut named: Vec<(String, Member)> = named.collect();
    named.sort_by_key(|(_, member)| member.id);
    let ids = named.iter().map(|(_, member)| member.id);
    Ok((ids.fold(mix(1), |hash, id| mix(hash ^ id)).max(1), named))
}

/// The names with their addresses, in the order in which the names first come.
fn parse_cluster(cluster: &str) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
    let mut named: Vec<(String, Vec<String>)> = Vec::new();
    for part in cluster.split(',').filter(|part| !part.is_empty()) {
        let (name, url) =
            part.split_once('=').ok_or_else(|| ConfigError::Cluster(part.to_owned()))?;
        if name.is_empty() || address("--initial-cluster", url).is_err() {
            return Err(ConfigError::Cluster(part.to_owned()));
        }
        if named.iter().any(|(_, urls)| urls.iter().any(|known| known == url)) {
            return Err(ConfigError::Shared(url.to_owned()));
        }
        match named.iter_mut().find(|(known, _)| known == name) {
            Some((_, urls)) => urls.push(url.to_owned()),
            None => named.push((name.to_owned(), vec![url.to_owned()])),
        }
    }
    Ok(named)
}

/// Whether a URL asks for TLS.
pub(super) fn is_secure(url: &str) -> bool {
    url.starts_with("https://")
}

/// The `HOST:PORT` of an `http` or `https` URL.
pub(super) fn address<'a>(flag: &'static str, url: &'a str) -> Result<&'a str, ConfigError> {
    let wrong = || ConfigError::Url { flag, url: url.to_owned() };
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(wrong)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
    let good = !host.is_empty() && !authority.contains('/') && port.parse::<u16>().is_ok();
    if good { Ok(authority) } else { Err(wrong()) }
}

/// Whether a member may be added with this URL.
pub(super) fn is_peer_url(url: &str) -> bool {
    address("a member's peer URL", url).is_ok()
}

/// As in etcd, the id is a hash of the peer addresses and the token, so every node derives the same
/// without asking.
fn member_id(urls: &[String], token: &str) -> u64 {
    let bytes = urls.iter().flat_map(|url| url.bytes().chain([0])).chain(token.bytes());
    // Never 0, which means nobody.
    bytes.fold(mix(0), |hash, byte| mix(hash ^ u64::from(byte))).max(1)
}
