//! The plan: everything that a run does, as data, written before anything starts.
//!
//! A plan is derived from a seed and the command line, or read from a file that an earlier run
//! wrote. Nothing behind it reads the command line. Two runs of one plan draw from the same
//! streams, under the same schedule of faults; what a real cluster makes of it differs.

mod derive;
mod environment;
mod validate;

pub use derive::PlanOptions;
pub use environment::{Environment, Host, Hosts, HostsError};
pub use validate::Mistake;
pub(crate) use validate::needs_old_api;

use crate::sim::Simulated;
use ordeal_history::Value;
use ordeal_nemesis::{Asked, Kind, NodeId, Schedule};
use ordeal_workloads::Options;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the format that this program writes and reads.
pub const VERSION: u32 = 1;

/// A run, before it is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// Whatever is drawn at random flows from this.
    pub seed: u64,
    /// Where the cluster runs.
    pub environment: Environment,
    /// What is put on trial.
    pub db: Db,
    /// Its members.
    pub nodes: Vec<NodeId>,
    /// Nodes that are no members at first, for faults that let some join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spares: Vec<NodeId>,
    /// The members of a second cluster, for a workload that works on two. Faults strike them where
    /// they are aimed at them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<NodeId>,
    /// What members are upgraded to while the clients work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_to: Option<Db>,
    /// Bugs of the embedded cluster that are switched on.
    pub bugs: Vec<String>,
    /// Flags that every member's server is given besides those that Ordeal sets, such as
    /// `--enable-v2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub db_args: Vec<String>,
    /// Whether clients are users, with passwords and rights.
    #[serde(default)]
    pub auth: bool,
    /// Whether connections of clients and between members are encrypted.
    #[serde(default)]
    pub tls: bool,
    /// What the clients do.
    pub workload: Work,
    /// How many clients work at once.
    pub concurrency: u32,
    /// Operations a second, all clients together.
    pub rate_per_s: u32,
    /// How long the clients work, in milliseconds.
    pub time_limit_ms: u64,
    /// How long a patient client waits for an answer, in milliseconds; every other client is
    /// impatient, and waits an eighth of it.
    pub op_timeout_ms: u64,
    /// After so many milliseconds each client turns to the next member; 0: it stays.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub move_every_ms: u64,
    /// The cluster's own timeouts.
    pub tuning: Tuning,
    /// Who is to lead when the clients begin; without this whoever does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<NodeId>,
    /// What was asked for to go wrong, in the words of `--nemesis`; what a swarm left of it.
    pub nemesis: Vec<Asked>,
    /// The kinds that a swarm has switched off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switched_off: Vec<Kind>,
    /// The faults, in full.
    pub schedule: Schedule,
    /// The operations themselves, in place of what the workload would choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Vec<Scripted>>,
    /// What only a simulation has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Simulated>,
}

/// Whether a number is left out of the file.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is put on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Db {
    /// The cluster that is built into Ordeal.
    Embedded,
    /// An etcd-compatible server.
    Etcd {
        /// Its binary.
        path: PathBuf,
        /// The version that it reported when the plan was made.
        version: String,
    },
}

impl Db {
    /// As on the command line: `embedded`, or the path.
    pub fn shown(&self) -> String {
        match self {
            Db::Embedded => "embedded".to_owned(),
            Db::Etcd { path, .. } => path.display().to_string(),
        }
    }

    /// A word for names of folders.
    pub fn word(&self) -> &'static str {
        match self {
            Db::Embedded => "embedded",
            Db::Etcd { .. } => "etcd",
        }
    }
}

/// What the clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The workload's name.
    pub name: String,
    /// Its options.
    pub options: Options,
    /// Operations of some functions are left out, a part of them or all; which, and how many, flows
    /// from the seed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thinned: bool,
}

/// An operation at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// When, in microseconds after the clients begin; later if the client is not free.
    pub at_us: u64,
    /// Which client, from 0.
    pub client: u32,
    /// The function.
    pub f: String,
    /// The object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The argument.
    pub value: Value,
}

/// The cluster's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// How often a leader says that it leads, in milliseconds.
    pub heartbeat_ms: u64,
    /// After how long a silence the others elect another one, in milliseconds.
    pub election_ms: u64,
    /// After how many entries a member takes a snapshot and may drop older ones of its log;
    /// without this as many as the store has by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_count: Option<u64>,
}

/// What of a reproducer matters here.
#[derive(Deserialize)]
struct Reproducer<P> {
    plan: P,
}

/// Why a plan cannot be used. Each message names the file and the place in it.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file could not be read.
    #[error("cannot read the plan {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a plan.
    #[error("{}: line {line}, column {column}: {message}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// It asks for something that makes no sense.
    #[error("{}: {mistake}", path.display())]
    Senseless {
        /// Which.
        path: PathBuf,
        /// The place, and what is wrong there.
        mistake: Mistake,
    },
}

impl Plan {
    /// The plan in the file at `path`, checked.
    ///
    /// # Errors
    ///
    /// [`PlanError`], with line and column where the text is at fault, with the field where its
    /// sense is.
    pub fn load(path: &Path) -> Result<Plan, PlanError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| PlanError::Unreadable { path: path.to_owned(), source })?;
        Plan::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Plan, PlanError> {
        // A reproducer holds a plan, and what is expected of it.
        let reproducer: Result<Reproducer<IgnoredAny>, _> = serde_json::from_str(text);
        let parsed = match reproducer {
            Ok(_) => serde_json::from_str::<Reproducer<Plan>>(text).map(|holder| holder.plan),
            Err(_) => serde_json::from_str(text),
        };
        let plan: Plan = parsed.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let full = error.to_string();
            let place = format!(" at line {line} column {column}");
            let message = full.strip_suffix(&place).unwrap_or(&full).to_owned();
            PlanError::Malformed { path: path.to_owned(), line, column, message }
        })?;
        match plan.validate() {
            Ok(()) => Ok(plan),
            Err(mistake) => Err(PlanError::Senseless { path: path.to_owned(), mistake }),
        }
    }

    /// All nodes: the members at first, those that are to join, and the second cluster's.
    pub fn everyone(&self) -> Vec<NodeId> {
        self.nodes.iter().chain(&self.spares).chain(&self.second).cloned().collect()
    }

    /// The programs of this machine that its nodes run, Ordeal's own left out.
    pub fn programs(&self) -> Vec<PathBuf> {
        let path = |db: &Db| match db {
            Db::Embedded => None,
            Db::Etcd { path, .. } => Some(path.clone()),
        };
        std::iter::once(&self.db).chain(&self.upgrade_to).filter_map(path).collect()
    }

    /// The plan as text, for people too.
    pub fn to_json(&self) -> String {
        // A plan is numbers, strings and lists of them: nothing that JSON cannot hold.
        let mut text = serde_json::to_string_pretty(self).expect("a plan is JSON");
        text.push('\n');
        text
    }

    /// How many faults of each kind stand in the schedule; kinds asked for that have none too.
    pub fn scheduled(&self) -> std::collections::BTreeMap<String, u64> {
        let mut counts: std::collections::BTreeMap<String, u64> =
            self.nemesis.iter().map(|asked| (asked.kind.name().to_owned(), 0)).collect();
        for fault in &self.schedule.0 {
            *counts.entry(fault.fault.kind().name().to_owned()).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests;
