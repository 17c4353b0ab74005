//! `ordeal node`: one embedded node, with etcd's flags.
//!
//! The flags have etcd's names and defaults, so that whatever starts an etcd starts this.

mod file;
mod foreign;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::Limits;
use ordeal_cluster::server::{
    self, AuthConfig, AutoCompaction, Config, ServerError, Serving, TlsFiles, TlsPolicy,
};

/// Exit status: the flags are wrong.
const EXIT_USAGE: u8 = 64;
/// Exit status: the machine cannot do what was asked.
const EXIT_UNAVAILABLE: u8 = 69;
/// Exit status: the node failed.
const EXIT_FAILED: u8 = 70;

/// The flags of `ordeal node`.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// This member's name, one of those in --initial-cluster
    #[arg(long, default_value = "default")]
    pub name: String,
    /// Where the log and the snapshots are kept [default: NAME.etcd]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// URLs to listen on for clients
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    #[arg(default_value = "http://localhost:2379")]
    pub listen_client_urls: Vec<String>,
    /// URLs at which clients reach this member, as the others tell them
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    #[arg(default_value = "http://localhost:2379")]
    pub advertise_client_urls: Vec<String>,
    /// URLs to listen on for the other members
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    #[arg(default_value = "http://localhost:2380")]
    pub listen_peer_urls: Vec<String>,
    /// URLs at which the other members reach this one
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    #[arg(default_value = "http://localhost:2380")]
    pub initial_advertise_peer_urls: Vec<String>,
    /// All members, NAME=URL,... [default: this one alone, at --initial-advertise-peer-urls]
    #[arg(long, value_name = "MEMBERS")]
    pub initial_cluster: Option<String>,
    /// Tells clusters apart that have the same members
    #[arg(long, value_name = "TOKEN", default_value = "etcd-cluster")]
    pub initial_cluster_token: String,
    /// `new`, or `existing` to join a running cluster; a log that is there is gone on from
    #[arg(long, value_name = "STATE", default_value = "new", value_parser = ["new", "existing"])]
    pub initial_cluster_state: String,
    /// Time between two heartbeats, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub heartbeat_interval: u64,
    /// Silence of the leader before an election, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub election_timeout: u64,
    /// Entries applied between two snapshots
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub snapshot_count: u64,
    /// A watch that asked for it, and has had nothing to tell for so long, is told how far it is
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    #[arg(value_parser = crate::duration::parse)]
    pub experimental_watch_progress_notify_interval: Duration,
    /// What tokens are: `simple`, or `jwt,sign-method=METHOD,pub-key=FILE,priv-key=FILE,ttl=TIME`
    #[arg(long, value_name = "KIND", default_value = "simple")]
    pub auth_token: String,
    /// Seconds that a simple token lives after its last use
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub auth_token_ttl: u64,
    /// Work that hashing a password takes, as a binary logarithm
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub bcrypt_cost: u32,
    /// The certificate shown to clients, which turns TLS on for https URLs
    #[arg(long, value_name = "FILE")]
    pub cert_file: Option<PathBuf>,
    /// The key of --cert-file
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The authority that must have signed the clients' certificates
    #[arg(long, value_name = "FILE")]
    pub trusted_ca_file: Option<PathBuf>,
    /// Ask clients for a certificate, whose common name is the user where no token is given
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", default_value_t = false)]
    pub client_cert_auth: bool,
    /// A list of clients' certificates that are believed no more
    #[arg(long, value_name = "FILE")]
    pub client_crl_file: Option<PathBuf>,
    /// Without --cert-file, make a certificate for clients
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", default_value_t = false)]
    pub auto_tls: bool,
    /// The certificate shown to the other members, which turns TLS on for https URLs
    #[arg(long, value_name = "FILE")]
    pub peer_cert_file: Option<PathBuf>,
    /// The key of --peer-cert-file
    #[arg(long, value_name = "FILE")]
    pub peer_key_file: Option<PathBuf>,
    /// The authority that must have signed the members' certificates
    #[arg(long, value_name = "FILE")]
    pub peer_trusted_ca_file: Option<PathBuf>,
    /// Ask the other members for a certificate
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", default_value_t = false)]
    pub peer_client_cert_auth: bool,
    /// A list of members' certificates that are believed no more
    #[arg(long, value_name = "FILE")]
    pub peer_crl_file: Option<PathBuf>,
    /// Without --peer-cert-file, make a certificate for members, and believe theirs
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", default_value_t = false)]
    pub peer_auto_tls: bool,
    /// Years that a certificate is good for which the node makes
    #[arg(long, value_name = "YEARS", default_value_t = 1)]
    pub self_signed_cert_validity: u32,
    /// The least version of TLS: TLS1.2 or TLS1.3
    #[arg(long, value_name = "VERSION", default_value = "TLS1.2")]
    pub tls_min_version: String,
    /// The greatest version of TLS
    #[arg(long, value_name = "VERSION", default_value = "TLS1.3")]
    pub tls_max_version: String,
    /// Cipher suites of TLS 1.2 that are spoken [default: all that are sound]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub cipher_suites: Vec<String>,
    /// Refuse changes of the membership that would cost the majority
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub strict_reconfig_check: bool,
    /// Bytes that the store may take before it takes no more; 0 means 2 GiB
    #[arg(long, value_name = "BYTES", default_value_t = 0, allow_hyphen_values = true)]
    pub quota_backend_bytes: i64,
    /// Operations in a transaction, at most
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub max_txn_ops: usize,
    /// Bytes of a request, at most
    #[arg(long, value_name = "BYTES", default_value_t = 1_572_864)]
    pub max_request_bytes: usize,
    /// Streams that a client may have open at a time
    #[arg(long, value_name = "N", default_value_t = u32::MAX, hide_default_value = true)]
    pub max_concurrent_streams: u32,
    /// Serve the API as JSON over plain HTTP too, under /v3/
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub enable_grpc_gateway: bool,
    /// A client's connection is looked after so often; 0 is never
    #[arg(long, value_name = "DURATION", default_value = "2h", value_parser = duration)]
    pub grpc_keepalive_interval: Duration,
    /// A client that says nothing for so long when it is looked after is gone
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub grpc_keepalive_timeout: Duration,
    /// More URLs to listen on for clients
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub listen_client_http_urls: Vec<String>,
    /// More URLs to listen on, for /metrics and /health alone
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub listen_metrics_urls: Vec<String>,
    /// What --auto-compaction-retention counts
    #[arg(long, value_name = "MODE", default_value = "periodic")]
    #[arg(value_parser = ["periodic", "revision"])]
    pub auto_compaction_mode: String,
    /// How much history is kept: a time, in hours where it has no unit, or revisions; 0 is all
    #[arg(long, value_name = "N", default_value = "0")]
    pub auto_compaction_retention: String,
    /// Switch on a bug; may be given more than once (see `ordeal list bugs`)
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
}

impl NodeArgs {
    /// What the flags mean.
    ///
    /// # Errors
    /// One sentence that names the flag.
    fn config(self) -> Result<Config, String> {
        let bugs = self.bugs.iter().map(|name| name.parse::<Bug>());
        let bugs: Bugs = bugs.collect::<Result<_, _>>().map_err(|e| format!("--bug: {e}"))?;
        let own = |url: &String| format!("{}={url}", self.name);
        let alone =
            || self.initial_advertise_peer_urls.iter().map(own).collect::<Vec<_>>().join(",");
        let auto_compaction =
            auto_compaction(&self.auto_compaction_mode, &self.auto_compaction_retention)?;
        let policy = TlsPolicy {
            least: Some(self.tls_min_version),
            greatest: Some(self.tls_max_version),
            suites: self.cipher_suites,
        };
        let years = Some(self.self_signed_cert_validity);
        Ok(Config {
            data_dir: self.data_dir.unwrap_or_else(|| format!("{}.etcd", self.name).into()),
            listen_client_urls: self.listen_client_urls,
            advertise_client_urls: self.advertise_client_urls,
            listen_peer_urls: self.listen_peer_urls,
            initial_cluster: self.initial_cluster.unwrap_or_else(alone),
            initial_cluster_token: self.initial_cluster_token,
            cluster_exists: self.initial_cluster_state == "existing",
            heartbeat_interval: Duration::from_millis(self.heartbeat_interval),
            election_timeout: Duration::from_millis(self.election_timeout),
            snapshot_count: self.snapshot_count,
            watch_progress_interval: self.experimental_watch_progress_notify_interval,
            client_tls: TlsFiles {
                cert: self.cert_file,
                key: self.key_file,
                trusted_ca: self.trusted_ca_file,
                client_cert_auth: self.client_cert_auth,
                crl: self.client_crl_file,
                auto_years: years.filter(|_| self.auto_tls),
                policy: policy.clone(),
            },
            peer_tls: TlsFiles {
                cert: self.peer_cert_file,
                key: self.peer_key_file,
                trusted_ca: self.peer_trusted_ca_file,
                client_cert_auth: self.peer_client_cert_auth,
                crl: self.peer_crl_file,
                auto_years: years.filter(|_| self.peer_auto_tls),
                policy,
            },
            auth: AuthConfig {
                token: self.auth_token,
                token_ttl: Duration::from_secs(self.auth_token_ttl),
                bcrypt_cost: self.bcrypt_cost,
            },
            limits: Limits {
                strict_reconfig: self.strict_reconfig_check,
                quota_bytes: match self.quota_backend_bytes {
                    0 => Limits::default().quota_bytes,
                    // As with etcd, less than nothing is no quota at all.
                    bytes => u64::try_from(bytes).unwrap_or(u64::MAX),
                },
                txn_ops: self.max_txn_ops,
                request_bytes: self.max_request_bytes,
            },
            max_concurrent_streams: self.max_concurrent_streams,
            auto_compaction,
            serving: Serving {
                metrics_urls: self.listen_metrics_urls,
                http_urls: self.listen_client_http_urls,
                gateway: self.enable_grpc_gateway,
                keepalive_interval: self.grpc_keepalive_interval,
                keepalive_timeout: self.grpc_keepalive_timeout,
            },
            bugs,
            name: self.name,
        })
    }
}

/// A time as Go writes it, where 0 needs no unit.
fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { crate::duration::parse(text) }
}

fn auto_compaction(mode: &str, retention: &str) -> Result<AutoCompaction, String> {
    let wrong = |what: &str| format!("--auto-compaction-retention {retention}: {what}");
    let number = retention.parse::<u32>();
    match mode {
        _ if number == Ok(0) => Ok(AutoCompaction::Off),
        "revision" => {
            let revisions = number.map_err(|_| wrong("it is no number of revisions"))?;
            Ok(AutoCompaction::Revision(revisions.into()))
        }
        _ => match number {
            Ok(hours) => {
                Ok(AutoCompaction::Periodic(Duration::from_secs(u64::from(hours) * 3_600)))
            }
            Err(_) => match crate::duration::parse(retention).map_err(|error| wrong(&error))? {
                Duration::ZERO => Ok(AutoCompaction::Off),
                time => Ok(AutoCompaction::Periodic(time)),
            },
        },
    }
}

/// Translates the words behind `node` as a user of etcd writes them, and says in the log what there
/// is to say of them. Gives the words for the parser.
///
/// # Errors
/// Exit status for words that are wrong; why has been told.
pub fn translate(words: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, u8> {
    let words = words.into_iter().map(|word| word.into_string());
    let words = words.collect::<Result<Vec<_>, _>>().map_err(|word| format!("{word:?} is no text"));
    let environment = |name: &str| std::env::var(name).ok();
    match words.and_then(|words| words::translate(words, environment)) {
        Ok(words) => {
            words.notes.iter().for_each(|note| tell!("ordeal node: {note}"));
            Ok(words.words.into_iter().map(OsString::from).collect())
        }
        Err(error) => {
            tell!("ordeal node: {error}");
            Err(EXIT_USAGE)
        }
    }
}

/// What the help says of etcd's other flags.
pub fn other_flags() -> String {
    format!(
        "Flags have one dash or two, and may stand in the environment (ETCD_DATA_DIR for\n\
         --data-dir) or in a --config-file, which then counts alone.\n\n\
         Of etcd's other flags these are taken and have no effect:\n{}\n\n\
         These are refused, unless they ask for what is so anyway:\n{}",
        foreign::names(false),
        foreign::names(true)
    )
}

/// Serves until SIGTERM or SIGINT. Gives the exit status.
pub fn run(args: NodeArgs) -> u8 {
    let (status, error) = match args.config() {
        Err(error) => (EXIT_USAGE, error),
        Ok(config) => match server::run(config) {
            Ok(()) => return 0,
            Err(error) => (status_of(&error), error.to_string()),
        },
    };
    tell!("ordeal node: {error}");
    status
}

fn status_of(error: &ServerError) -> u8 {
    match error {
        ServerError::Config(_) | ServerError::Start(_) => EXIT_USAGE,
        ServerError::NotAdded { .. } | ServerError::MemberCount { .. } => EXIT_USAGE,
        ServerError::Log(_) | ServerError::Listen { .. } => EXIT_UNAVAILABLE,
        ServerError::NobodyToJoin | ServerError::Removed => EXIT_UNAVAILABLE,
        ServerError::System(_) | ServerError::Failed(_) => EXIT_FAILED,
    }
}

#[cfg(test)]
mod tests;
