//! `results.json`: what a run showed, in a form that other programs can rely on.
//!
//! [`Results`] *is* that file. Fields may be added, never renamed or dropped; a reader ignores
//! those that it does not know, and everything beyond the contract's own fields has a default, so
//! that a report can be written again from the results of an older version. `docs/results.md`
//! says the same to people.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The version of the format that this crate writes; it grows when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// One of the three words, without what shows it.
///
/// Ordered by what decides a run: one invalid outweighs every unknown, one unknown every valid.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// Nothing wrong was found, and it was proved.
    Valid,
    /// Nothing is proved either way.
    #[default]
    Unknown,
    /// A violation was found.
    Invalid,
}

impl Ruling {
    /// The word as it stands in files: `valid`, `invalid`, `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Ruling::Valid => "valid",
            Ruling::Unknown => "unknown",
            Ruling::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The whole of `results.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of this format, see [`FORMAT`].
    #[serde(default)]
    pub format: u32,
    /// The verdict of the run: invalid if any checker says so, else unknown if any does.
    pub verdict: Ruling,
    /// One entry a checker, in the order in which they were asked.
    pub checkers: Vec<CheckerResult>,
    /// The seed that the plan was derived from.
    pub seed: u64,
    /// The planted bugs that were switched on; with any of them an invalid verdict is no news.
    #[serde(default)]
    pub bug: Vec<String>,
    /// How the operations ended, by `f`.
    #[serde(default)]
    pub operations: BTreeMap<String, Outcomes>,
    /// How long those that took effect took, by `f`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency_us: BTreeMap<String, Latency>,
    /// What became of the faults, by kind.
    #[serde(default)]
    pub faults: BTreeMap<String, FaultCounts>,
    /// What was put on trial, and how.
    #[serde(default)]
    pub tested: Tested,
    /// When the run began, as text in UTC (RFC 3339), for people.
    #[serde(default)]
    pub started_at: String,
    /// When the clients began, in microseconds since 1970 by the machine's clock: time 0 of the
    /// history, by which the nodes' logs are laid beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients_began_us: Option<u64>,
    /// How long the clients worked, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// The command line that does the same again.
    #[serde(default)]
    pub command: String,
    /// Whether the run was cut short from outside; the verdict is then on what was recorded.
    #[serde(default)]
    pub interrupted: bool,
    /// When a violation ended the run, in milliseconds after the clients began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_after_ms: Option<u64>,
}

/// What one checker says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckerResult {
    /// The checker's name.
    pub name: String,
    /// What it says.
    pub verdict: Ruling,
    /// Why, as one sentence for a person.
    pub reason: String,
    /// The algorithm that decided, such as `blocks` or `search`.
    #[serde(default)]
    pub algorithm: String,
    /// How many operations it judged.
    #[serde(default)]
    pub operations: u64,
    /// What it took, in milliseconds of wall-clock time.
    #[serde(default)]
    pub ms: u64,
    /// Configurations that its search visited; 0 for an algorithm that does not search.
    #[serde(default)]
    pub configurations: u64,
    /// The part of the history that proves an invalid verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<CounterexampleResult>,
}

/// A part of the history that is still wrong, and of which nothing can be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CounterexampleResult {
    /// The object that it is about, as JSON text's value; `null` for a history without keys.
    #[serde(default)]
    pub key: serde_json::Value,
    /// How many operations it has.
    #[serde(default)]
    pub operations: u64,
    /// Indexes of its events in `history.jsonl`, ascending.
    pub events: Vec<u64>,
    /// What happened and why no order can hold: one sentence an entry.
    #[serde(default)]
    pub story: Vec<String>,
    /// Index of the event at which the history became wrong.
    #[serde(default)]
    pub broken_at_event: Option<u64>,
    /// Names of the anomalies, in Elle's words, for transactional models.
    #[serde(default)]
    pub anomalies: Vec<String>,
    /// Where it is about members that do not agree: the keys on which they differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// A key of which the members of a cluster do not say the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// What each member says of it, as text; a member that has no such key is not there.
    pub members: BTreeMap<String, String>,
}

impl Difference {
    /// Whether `member` does not say what most of the members that have the key say.
    pub fn is_odd(&self, member: &str) -> bool {
        let votes = |text: &str| self.members.values().filter(|other| *other == text).count();
        let most = self.members.values().map(|text| votes(text)).max().unwrap_or(0);
        self.members.get(member).is_none_or(|text| votes(text) < most)
    }
}

/// How the operations of one kind ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// They took effect, and the answer is known.
    pub ok: u64,
    /// They certainly did not take effect.
    pub fail: u64,
    /// Indeterminate: they may have taken effect, at any time since.
    pub info: u64,
}

impl Outcomes {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.ok + self.fail + self.info
    }
}

/// How long the operations of one kind that took effect took, in microseconds, by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// What one of a hundred exceeds.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// What became of the faults of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCounts {
    /// How many stood in the plan.
    #[serde(default)]
    pub scheduled: u64,
    /// How many were injected.
    pub started: u64,
    /// How many were seen to have an effect: a process gone, packets dropped.
    pub landed: u64,
    /// How many could not be injected.
    #[serde(default)]
    pub failed: u64,
}

/// What was put on trial, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tested {
    /// The version of Ordeal.
    pub ordeal: String,
    /// `embedded`, or the path of the server's binary.
    pub db: String,
    /// The version that the server itself reported.
    pub db_version: Option<String>,
    /// The members of the cluster.
    pub nodes: Vec<String>,
    /// The workload's name.
    pub workload: String,
    /// The kinds of fault that were asked for; empty for none.
    pub nemesis: Vec<String>,
    /// Where the cluster ran: `sandbox`, `docker`, `ssh`, `simulation`.
    pub environment: String,
    /// How many clients worked at once.
    pub concurrency: u64,
    /// Other settings that bear on the verdict, by name (`read`: `serializable`).
    pub options: BTreeMap<String, String>,
    /// Facts about the machine, by name (`kernel`, `cpus`), as the harness saw them.
    pub host: BTreeMap<String, String>,
}

impl Results {
    /// Operations of all kinds and outcomes together.
    pub fn outcomes(&self) -> Outcomes {
        let mut sum = Outcomes::default();
        for one in self.operations.values() {
            sum.ok += one.ok;
            sum.fail += one.fail;
            sum.info += one.info;
        }
        sum
    }

    /// Faults of all kinds together.
    pub fn fault_counts(&self) -> FaultCounts {
        let mut sum = FaultCounts::default();
        for one in self.faults.values() {
            sum.scheduled += one.scheduled;
            sum.started += one.started;
            sum.landed += one.landed;
            sum.failed += one.failed;
        }
        sum
    }

    /// The checkers that decided the verdict: those whose word is the run's.
    pub fn deciding(&self) -> impl Iterator<Item = &CheckerResult> {
        self.checkers.iter().filter(|c| c.verdict == self.verdict)
    }
}
