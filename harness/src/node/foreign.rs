//! The flags of etcd 3.5 that have nothing to act on here.
//!
//! Most are taken, and said at the start to do nothing. Those whose user would be in danger if they
//! did nothing are refused, unless they have the value that they have in etcd anyway.

/// One flag.
pub struct Foreign {
    /// Without dashes.
    pub name: &'static str,
    /// Whether it may stand without a value.
    pub switch: bool,
    /// The values with which it asks for nothing, apart from none at all.
    harmless: &'static [&'static str],
    refused: bool,
    /// Why it does nothing, or why it is refused.
    why: &'static str,
}

impl Foreign {
    /// The flag of that name.
    pub fn of(name: &str) -> Option<&'static Foreign> {
        FLAGS.iter().find(|flag| flag.name == name)
    }

    /// What is to be said where the flag has this value, if anything is.
    ///
    /// # Errors
    /// One sentence: it cannot be done without danger.
    pub fn judge(&self, value: &str) -> Result<Option<String>, String> {
        let (name, why) = (self.name, self.why);
        if value.is_empty() || self.harmless.contains(&value) {
            return Ok(None);
        }
        if self.refused {
            return Err(format!("--{name}={value} is refused: {why}"));
        }
        Ok(Some(format!("--{name} has no effect: {why}")))
    }
}

const fn moot(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, switch: false, harmless: &[], refused: false, why }
}

const fn moot_switch(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, switch: true, harmless: &["false"], refused: false, why }
}

const fn refused(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, switch: false, harmless: &[], refused: true, why }
}

const FILES: &str = "there is one log, in segments, and one snapshot at a time";
const BBOLT: &str = "the state is kept in memory, without bbolt";
const LOG: &str = "there is one log, on standard error, of one level";
const NO_DISCOVERY: &str = "name the members in --initial-cluster";
const NO_PROXY: &str = "there is no proxy";
const NO_V2: &str = "there is no v2 API";
const NO_TRACING: &str = "there is no tracing";
const NO_CHECK: &str = "members do not compare each other's hashes; a client may, by HashKV";
const ONE_CERTIFICATE: &str = "a member shows the other members the one of --peer-cert-file";

/// All of them, by name as etcd's own help has them.
pub const FLAGS: &[Foreign] = &[
    moot("wal-dir", "the log is kept in --data-dir"),
    Foreign {
        harmless: &["true"],
        ..moot_switch("initial-election-tick-advance", "elections begin soon enough")
    },
    moot("max-snapshots", FILES),
    moot("max-wals", FILES),
    moot("backend-bbolt-freelist-type", BBOLT),
    moot("backend-batch-interval", BBOLT),
    moot("backend-batch-limit", BBOLT),
    moot("grpc-keepalive-min-time", "no client is turned away for its pings"),
    moot_switch("socket-reuse-port", "one process listens on a port"),
    moot_switch("socket-reuse-address", "it is always so"),
    moot("raft-read-timeout", "a peer that says nothing is noticed by TCP"),
    moot("raft-write-timeout", "a peer that takes nothing is noticed by TCP"),
    Foreign { harmless: &["true"], ..moot_switch("pre-vote", "there is always one before a vote") },
    refused("discovery", NO_DISCOVERY),
    moot("discovery-fallback", NO_DISCOVERY),
    moot("discovery-proxy", NO_DISCOVERY),
    refused("discovery-srv", NO_DISCOVERY),
    moot("discovery-srv-name", NO_DISCOVERY),
    moot_switch("enable-v2", NO_V2),
    moot("v2-deprecation", NO_V2),
    moot("client-cert-file", "a member calls no client port"),
    moot("client-key-file", "a member calls no client port"),
    refused("client-cert-allowed-hostname", "the names in clients' certificates are not compared"),
    refused("peer-cert-allowed-cn", "the names in members' certificates are not compared"),
    refused("peer-cert-allowed-hostname", "the names in members' certificates are not compared"),
    refused("peer-client-cert-file", ONE_CERTIFICATE),
    refused("peer-client-key-file", ONE_CERTIFICATE),
    Foreign { harmless: &["*"], ..moot("cors", "no page of another origin is let in") },
    Foreign {
        harmless: &["*"],
        ..refused("host-whitelist", "the names by which clients call are not compared")
    },
    moot_switch("enable-pprof", "there is no such endpoint"),
    Foreign { harmless: &["basic"], ..moot("metrics", "there is one set of metrics") },
    moot("logger", LOG),
    moot("log-outputs", LOG),
    moot("log-level", LOG),
    moot_switch("enable-log-rotation", LOG),
    moot("log-rotation-config-json", LOG),
    moot_switch("experimental-enable-distributed-tracing", NO_TRACING),
    moot("experimental-distributed-tracing-address", NO_TRACING),
    moot("experimental-distributed-tracing-service-name", NO_TRACING),
    moot("experimental-distributed-tracing-instance-id", NO_TRACING),
    moot("experimental-distributed-tracing-sampling-rate", NO_TRACING),
    Foreign { harmless: &["off"], ..refused("proxy", NO_PROXY) },
    moot("proxy-failure-wait", NO_PROXY),
    moot("proxy-refresh-interval", NO_PROXY),
    moot("proxy-dial-timeout", NO_PROXY),
    moot("proxy-write-timeout", NO_PROXY),
    moot("proxy-read-timeout", NO_PROXY),
    moot_switch("experimental-initial-corrupt-check", NO_CHECK),
    Foreign { harmless: &["0s", "0"], ..moot("experimental-corrupt-check-time", NO_CHECK) },
    moot_switch("experimental-compact-hash-check-enabled", NO_CHECK),
    moot("experimental-compact-hash-check-time", NO_CHECK),
    moot("experimental-enable-v2v3", NO_V2),
    moot_switch("experimental-enable-lease-checkpoint", "a new leader starts leases afresh"),
    moot_switch("experimental-enable-lease-checkpoint-persist", "a new leader starts them afresh"),
    moot("experimental-compaction-batch-limit", "a compaction is done in small steps anyway"),
    moot("experimental-compaction-sleep-interval", "a compaction is done in small steps anyway"),
    Foreign {
        switch: true,
        harmless: &["false"],
        ..refused(
            "experimental-peer-skip-client-san-verification",
            "a certificate is never let pass",
        )
    },
    moot("experimental-downgrade-check-time", "there is no older release to go back to"),
    moot_switch("experimental-memory-mlock", "memory is not locked"),
    moot("experimental-warning-apply-duration", "slow requests are not told of"),
    Foreign {
        harmless: &["true"],
        ..moot_switch("experimental-txn-mode-write-with-shared-buffer", BBOLT)
    },
    Foreign {
        harmless: &["0"],
        ..moot("experimental-bootstrap-defrag-threshold-megabytes", BBOLT)
    },
    moot_switch("experimental-stop-grpc-service-on-defrag", "a defragmentation holds up nobody"),
    Foreign {
        switch: true,
        harmless: &["false"],
        ..refused("force-new-cluster", "a cluster that has lost its majority cannot be revived so")
    },
    moot_switch("unsafe-no-fsync", "what is acknowledged is always on the disk"),
];

/// The names of those of a kind, for the help.
pub fn names(refused: bool) -> String {
    let names = FLAGS.iter().filter(|flag| flag.refused == refused);
    names.map(|flag| format!("--{}", flag.name)).collect::<Vec<_>>().join(", ")
}
