//! Whether a plan makes sense.

use super::{Db, Environment, Plan, VERSION};
use crate::nearest::instead;
use ordeal_nemesis::{Capability, Kind, NodeId, Target};
use std::collections::BTreeSet;

/// The most nodes that an environment has addresses for.
const NODES_MAX: usize = 99;
/// The most clients at once.
const CONCURRENCY_MAX: u32 = 10_000;

/// The longest least length of values: a transaction of several must stay below etcd's 1.5 MiB.
const VALUE_BYTES_MAX: u32 = 256 * 1024;

/// A place in a plan, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Mistake {
    /// The field, as a path: `schedule[3].fault`.
    pub field: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

fn mistake(field: impl Into<String>, message: impl Into<String>) -> Result<(), Mistake> {
    Err(Mistake { field: field.into(), message: message.into() })
}

impl Plan {
    /// Checks what the format itself cannot.
    ///
    /// # Errors
    ///
    /// The first [`Mistake`].
    pub fn validate(&self) -> Result<(), Mistake> {
        if self.version != VERSION {
            let message =
                format!("{} is not a version that is known; expected {VERSION}", self.version);
            return mistake("version", message);
        }
        self.validate_cluster()?;
        self.validate_work()?;
        self.validate_old_api()?;
        self.validate_faults()
    }

    fn validate_cluster(&self) -> Result<(), Mistake> {
        if self.nodes.is_empty() || self.everyone().len() > NODES_MAX {
            let count = self.nodes.len();
            return mistake("nodes", format!("{count} nodes; expected 1 to {NODES_MAX}"));
        }
        let mut seen = BTreeSet::new();
        let place_of = |place: usize| match place.checked_sub(self.nodes.len()) {
            None => format!("nodes[{place}]"),
            Some(place) => match place.checked_sub(self.spares.len()) {
                None => format!("spares[{place}]"),
                Some(place) => format!("second[{place}]"),
            },
        };
        for (place, node) in self.everyone().iter().enumerate() {
            let word = !node.0.is_empty() && node.0.chars().all(|c| c.is_ascii_alphanumeric());
            if !word || node.0.len() > 32 {
                return mistake(
                    place_of(place),
                    format!("`{node}` is no node's name: expected letters and digits, 32 at most"),
                );
            }
            if !seen.insert(node) {
                return mistake(place_of(place), format!("{node} is named twice"));
            }
        }
        let is_simulated = self.environment == Environment::Simulation;
        if is_simulated && !self.second.is_empty() {
            return mistake("second", "a simulation is of one cluster: leave the second one out");
        }
        self.environment.validate(self.everyone().len())?;
        let known: Vec<&str> = bugs();
        for (place, bug) in self.bugs.iter().enumerate() {
            if self.db != Db::Embedded {
                let message = "bugs can be switched on in the embedded cluster alone".to_owned();
                return mistake("bugs", message);
            }
            if !known.contains(&bug.as_str()) {
                let message = format!("there is no bug `{bug}`{}", instead(bug, &known));
                return mistake(format!("bugs[{place}]"), message);
            }
        }
        for (place, arg) in self.db_args.iter().enumerate() {
            if let Some(why) = is_no_more_flag(arg) {
                return mistake(format!("db_args[{place}]"), format!("`{arg}`: {why}"));
            }
        }
        if self.upgrade_to.is_some()
            && (self.db == Db::Embedded || self.upgrade_to == Some(Db::Embedded))
        {
            let message = "the embedded cluster and etcd do not read each other's data; an upgrade \
                           is from one etcd binary to another";
            return mistake("upgrade_to", message);
        }
        if let Some(leader) = &self.leader
            && !self.nodes.contains(leader)
        {
            return mistake("leader", format!("there is no node {leader} among the members"));
        }
        let tuning = self.tuning;
        if tuning.heartbeat_ms == 0 || tuning.election_ms < 5 * tuning.heartbeat_ms {
            // etcd's own rule; it refuses to start otherwise.
            return mistake(
                "tuning",
                "election_ms must be at least 5 times heartbeat_ms, and not 0",
            );
        }
        if tuning.snapshot_count == Some(0) {
            return mistake("tuning.snapshot_count", "0 is out of range: expected 1 or more");
        }
        if tuning.election_ms > 50_000 {
            return mistake("tuning.election_ms", "must be 50000 at most");
        }
        Ok(())
    }

    fn validate_work(&self) -> Result<(), Mistake> {
        let all = ordeal_workloads::all();
        let known: Vec<&str> = all.iter().map(|workload| workload.name).collect();
        let name = self.workload.name.as_str();
        if !known.contains(&name) {
            let message = format!("there is no workload `{name}`{}", instead(name, &known));
            return mistake("workload.name", message);
        }
        let ranges = [
            ("workload.options.keys", u64::from(self.workload.options.keys), 1_000_000),
            ("concurrency", u64::from(self.concurrency), u64::from(CONCURRENCY_MAX)),
            ("rate_per_s", u64::from(self.rate_per_s), 10_000_000),
            ("time_limit_ms", self.time_limit_ms, 31 * 86_400_000),
            ("op_timeout_ms", self.op_timeout_ms, 600_000),
        ];
        let (skew, bytes) = (self.workload.options.skew, self.workload.options.value_bytes);
        if skew > 8 {
            return mistake("workload.options.skew", format!("{skew} is out of range: 8 at most"));
        }
        if bytes > VALUE_BYTES_MAX {
            let message = format!("{bytes} is out of range: {VALUE_BYTES_MAX} at most");
            return mistake("workload.options.value_bytes", message);
        }
        for (field, value, max) in ranges {
            if value == 0 || value > max {
                return mistake(field, format!("{value} is out of range: expected 1 to {max}"));
            }
        }
        Ok(())
    }

    /// The v2 API is not in every store, and has users and data of its own.
    fn validate_old_api(&self) -> Result<(), Mistake> {
        if !needs_old_api(&self.workload.name) {
            return Ok(());
        }
        let name = &self.workload.name;
        for db in std::iter::once(&self.db).chain(&self.upgrade_to) {
            let lacks = match db {
                Db::Embedded => "the embedded cluster does not have".to_owned(),
                Db::Etcd { version, .. } if has_no_old_api(version) => {
                    format!("etcd {version} does not have any more")
                }
                Db::Etcd { .. } => continue,
            };
            let message = format!(
                "`{name}` asks by etcd's v2 API, which {lacks}; --db takes an etcd of 3.3, 3.4 or \
                 3.5 for it"
            );
            return mistake("workload.name", message);
        }
        if self.auth {
            let message = format!(
                "`{name}` asks by etcd's v2 API, which knows nothing of the users and roles that a \
                 run makes: those are v3's; leave it out"
            );
            return mistake("auth", message);
        }
        if self.schedule.kinds().contains(&Kind::Restore) {
            let message = format!(
                "restore brings back what a snapshot of v3 holds, and `{name}` asks by etcd's v2 \
                 API, whose keys are not in it; leave restore out"
            );
            return mistake("nemesis", message);
        }
        Ok(())
    }

    /// The nodes at which a fault of this kind can be aimed by name: the members, and the second
    /// cluster's where it is their process alone that is broken.
    fn can_be_named(&self, kind: Kind) -> impl Iterator<Item = &NodeId> {
        let alone = matches!(
            kind.needs(),
            Capability::Kill | Capability::Terminate | Capability::Pause | Capability::Clock
        );
        self.nodes.iter().chain(self.second.iter().filter(move |_| alone))
    }

    fn validate_faults(&self) -> Result<(), Mistake> {
        let named_of = |kind| self.can_be_named(kind);
        let names = |kind| named_of(kind).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for asked in &self.nemesis {
            let kind = asked.kind;
            let (need, have) = (kind.nodes_min(), self.nodes.len());
            if kind == Kind::Upgrade && self.upgrade_to.is_none() {
                return mistake(
                    "nemesis",
                    "upgrade needs a binary to upgrade to: --upgrade-to PATH",
                );
            }
            if let Some(Target::Named(named)) = &asked.target
                && let Some(stranger) =
                    named.iter().find(|node| named_of(kind).all(|it| it != *node))
            {
                let message = format!("`{asked}`: there is no node {stranger}");
                return mistake("nemesis", format!("{message}; the nodes are {}", names(kind)));
            }
            if have < need {
                return mistake(
                    "nemesis",
                    format!("{kind} needs {need} nodes, and there are {have}"),
                );
            }
        }
        let mut ids = BTreeSet::new();
        for (place, fault) in self.schedule.0.iter().enumerate() {
            let at = format!("schedule[{place}]");
            if !ids.insert(fault.id) {
                return mistake(format!("{at}.id"), format!("{} is used twice", fault.id));
            }
            if fault.at_ms >= self.time_limit_ms {
                let (at_ms, limit) = (fault.at_ms, self.time_limit_ms);
                let message = format!("{at_ms} is not before the time limit of {limit}");
                return mistake(format!("{at}.at_ms"), message);
            }
            if fault.for_ms > 86_400_000 {
                return mistake(format!("{at}.for_ms"), "a fault lasts a day at most");
            }
            if let Some(message) = fault.fault.mistake() {
                return mistake(format!("{at}.fault"), message);
            }
            let named = fault.fault.nodes_named();
            if fault.fault.kind().can_be_aimed() && named.is_empty() && !fault.fault.wants_leader()
            {
                return mistake(format!("{at}.fault"), "it names no node");
            }
            let kind = fault.fault.kind();
            if kind == Kind::MemberAdd {
                if let Some(stranger) = named.into_iter().find(|node| !self.spares.contains(node)) {
                    let message = format!("{stranger} is none of the plan's spares");
                    return mistake(format!("{at}.fault"), message);
                }
            } else if let Some(stranger) =
                named.into_iter().find(|node| named_of(kind).all(|it| it != *node))
            {
                let list = names(kind);
                let message = format!("there is no node {stranger}; the nodes are {list}");
                return mistake(format!("{at}.fault"), message);
            }
        }
        Ok(())
    }
}

/// Flags of etcd that say who a member is and where: these are Ordeal's to set.
const OURS: [&str; 14] = [
    "name",
    "data-dir",
    "wal-dir",
    "listen-client-urls",
    "advertise-client-urls",
    "listen-peer-urls",
    "initial-advertise-peer-urls",
    "initial-cluster",
    "initial-cluster-token",
    "initial-cluster-state",
    "heartbeat-interval",
    "election-timeout",
    "snapshot-count",
    "config-file",
];

/// Why this is no flag that a server may be given beside those that Ordeal sets, if it is none.
fn is_no_more_flag(arg: &str) -> Option<&'static str> {
    let flag = arg.strip_prefix("--").map(|flag| flag.split('=').next().unwrap_or_default());
    match flag {
        None | Some("") => {
            Some("expected a flag of the server, such as --enable-v2 or --NAME=VALUE")
        }
        Some(flag) if OURS.contains(&flag) => Some("this flag is set by Ordeal itself"),
        Some(_) => None,
    }
}

/// Whether the workload of this name asks by etcd's v2 API.
pub(crate) fn needs_old_api(name: &str) -> bool {
    ordeal_workloads::all().iter().any(|workload| workload.name == name && workload.v2)
}

/// Whether etcd of this version has no v2 API: 3.6 took it out. What is no version of etcd's may.
fn has_no_old_api(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (3, 6),
        _ => false,
    }
}

/// The bugs that the embedded cluster can be given.
pub fn bugs() -> Vec<&'static str> {
    ordeal_cluster::bugs::REGISTRY.iter().map(|info| info.name).collect()
}
