//! What a simulation adds to a plan: how fast its network and disks are, and how its nodes are set.

use super::wire::Latency;
use crate::plan::Plan;
use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_nemesis::Capability;
use serde::{Deserialize, Serialize};

/// The part of a plan that only a simulation has. All times in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// The least time from one end of a link to the other.
    pub latency_us: u64,
    /// And up to so much more.
    pub latency_spread_us: u64,
    /// The least time of an fsync.
    pub fsync_us: u64,
    /// And up to so much more.
    pub fsync_spread_us: u64,
    /// The size at which a node begins a new segment of its log.
    pub segment_bytes: u64,
}

impl Default for Simulated {
    fn default() -> Self {
        Simulated {
            latency_us: 100,
            latency_spread_us: 900,
            fsync_us: 200,
            fsync_spread_us: 3_000,
            segment_bytes: 64 << 10,
        }
    }
}

/// How the nodes of a simulation are set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub tick_us: u64,
    pub election_us: u64,
    pub snapshot_count: u64,
    pub segment_bytes: u64,
    pub bugs: Bugs,
    /// Whether members refuse a change of the membership that would cost the majority.
    pub strict_reconfig: bool,
    pub latency: Latency,
    pub fsync_us: u64,
    pub fsync_spread_us: u64,
}

impl Settings {
    /// What the plan says.
    ///
    /// # Errors
    /// When it names a bug that there is not.
    pub fn of(plan: &Plan) -> Result<Settings, String> {
        let simulated = plan.simulated.clone().unwrap_or_default();
        let mut bugs = Bugs::default();
        for name in &plan.bugs {
            let bug: Bug = name.parse().map_err(|_| format!("there is no bug `{name}`"))?;
            bugs = bugs.with(bug);
        }
        let kinds = plan.schedule.kinds();
        Ok(Settings {
            tick_us: plan.tuning.heartbeat_ms * 1_000,
            election_us: plan.tuning.election_ms * 1_000,
            snapshot_count: plan.tuning.snapshot_count.unwrap_or(10_000),
            segment_bytes: simulated.segment_bytes,
            bugs,
            // As in a run: where the membership is to be broken the check would only be in the way.
            strict_reconfig: kinds.iter().all(|kind| kind.needs() != Capability::Members),
            latency: Latency {
                least_us: simulated.latency_us,
                spread_us: simulated.latency_spread_us,
            },
            fsync_us: simulated.fsync_us,
            fsync_spread_us: simulated.fsync_spread_us,
        })
    }

    /// Ticks without a word from the leader before an election.
    pub fn election_ticks(&self) -> usize {
        usize::try_from(self.election_us / self.tick_us.max(1)).unwrap_or(usize::MAX).max(2)
    }
}
