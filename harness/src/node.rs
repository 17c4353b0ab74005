//! `ordeal node`: one embedded node, with etcd's flags.
//!
//! The flags have etcd's names and defaults, so that whatever starts an etcd starts this.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::Limits;
use ordeal_cluster::server::{self, AuthConfig, Config, ServerError, TlsFiles};

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
    /// Switch on a bug; may be given more than once (see `ordeal list bugs`)
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// Taken for etcd's sake; the log has one level
    #[arg(long, value_name = "LEVEL", hide = true)]
    pub log_level: Option<String>,
    /// Taken for etcd's sake; there is one logger
    #[arg(long, value_name = "NAME", hide = true)]
    pub logger: Option<String>,
    /// Taken for etcd's sake; the log goes to standard error
    #[arg(long, value_name = "LIST", value_delimiter = ',', hide = true)]
    pub log_outputs: Vec<String>,
    /// Taken for etcd's sake; there is no such endpoint
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "BOOL", hide = true)]
    pub enable_pprof: Option<bool>,
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
            },
            peer_tls: TlsFiles {
                cert: self.peer_cert_file,
                key: self.peer_key_file,
                trusted_ca: self.peer_trusted_ca_file,
                client_cert_auth: self.peer_client_cert_auth,
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
            bugs,
            name: self.name,
        })
    }
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
    eprintln!("ordeal node: {error}");
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
mod tests {
    use clap::Parser;

    use super::NodeArgs;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        node: NodeArgs,
    }

    fn config(flags: &str) -> Result<ordeal_cluster::server::Config, String> {
        let words = std::iter::once("node").chain(flags.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        command.node.config()
    }

    #[test]
    fn without_flags_a_node_is_a_cluster_of_its_own_as_with_etcd() {
        let config = config("").expect("no flag is needed");
        assert_eq!(config.name, "default");
        assert_eq!(config.data_dir.to_str(), Some("default.etcd"));
        assert_eq!(config.initial_cluster, "default=http://localhost:2380");
        let membership = config.membership().expect("the defaults fit together");
        assert_eq!(membership.members.len(), 1);
    }

    #[test]
    fn members_with_the_same_flags_agree_on_all_ids() {
        let cluster = "a=http://h1:2380,b=http://h2:2380,c=http://h3:2380";
        let ids = ["a", "b", "c"].map(|name| {
            let flags = format!("--name {name} --initial-cluster={cluster} --logger zap");
            config(&flags).expect("good flags").membership().expect("a good cluster")
        });
        for other in &ids[1..] {
            assert_eq!(other.cluster_id, ids[0].cluster_id);
        }
        let mut own = ids.map(|membership| membership.id);
        own.sort();
        assert!(own.is_sorted_by(|a, b| a < b), "no two are equal");
    }

    #[test]
    fn wrong_flags_are_answered_by_a_sentence_that_names_them() {
        for (flags, words) in [
            ("--name x --initial-cluster a=http://h:1", "names no member x"),
            ("--initial-cluster default", "default is not of the form NAME=http://HOST:PORT"),
            ("--initial-cluster default=http://h:1,b=http://h:1", "to two members"),
            ("--listen-client-urls h:1", "--listen-client-urls: h:1 is no URL"),
            ("--listen-client-urls https://h:1", "https://h:1 needs --cert-file and --key-file"),
            ("--initial-cluster default=https://h:1", "needs --peer-cert-file and --peer-key-file"),
            ("--bcrypt-cost 3", "--bcrypt-cost 3 is not between 4 and 31"),
            ("--heartbeat-interval 100 --election-timeout 300", "at least five times"),
            ("--snapshot-count 0", "--snapshot-count must be at least 1"),
            ("--bug no-such", "--bug: there is no bug named no-such; there are: ack-before-fsync"),
        ] {
            let error = config(flags)
                .and_then(|config| config.membership().map_err(|error| error.to_string()))
                .expect_err(flags);
            assert!(error.contains(words), "{flags}: {error}");
        }
    }
}
