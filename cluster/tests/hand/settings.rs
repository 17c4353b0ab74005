//! How the nodes of a world are set up.

use std::sync::Arc;

use ordeal_cluster::core::{Config, Limits};
use ordeal_cluster::disk::Disk;
use ordeal_cluster::log::{Log, LogConfig, LogError, Recovered, open};
use ordeal_cluster::proto::etcdserverpb::Member;

use super::{CLUSTER, Options, TICK_US, World};

impl World {
    /// Opens the log of a node on a disk.
    pub fn open(&self, id: u64, disk: Arc<dyn Disk>) -> Result<(Log, Recovered), LogError> {
        let Options { segment_bytes, bugs, .. } = self.options;
        let joined = false;
        open(disk, LogConfig { node_id: id, cluster_id: CLUSTER, segment_bytes, joined, bugs })
    }

    /// How a node of this world behaves.
    pub fn config(&self, id: u64, incarnation: u64) -> Config {
        let Options { nodes, seed, bugs, snapshot_count, .. } = self.options;
        Config {
            id,
            cluster_id: CLUSTER,
            members: (1..=nodes.max(id))
                .filter(|n| *n <= nodes || *n == id)
                .map(|id| Member { id, ..Member::default() })
                .collect(),
            joins: id > nodes,
            incarnation,
            seed,
            election_ticks: 10,
            tick_us: TICK_US,
            request_timeout_us: 7_000_000,
            snapshot_count,
            watch_progress_us: 600_000_000,
            token_ttl_us: 300_000_000,
            limits: Limits { strict_reconfig: false, ..Limits::default() },
            bugs,
        }
    }
}
