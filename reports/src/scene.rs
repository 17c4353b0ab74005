//! What stands behind the operations: faults, leaders, and what the nodes wrote.

use crate::band::{Band, end_of};
use crate::leaders::{self, Reign};
use crate::logs::{self, Line, NodeLog};
use crate::results::Results;
use ordeal_history::History;

/// The background of a run.
pub(crate) struct Scene<'a> {
    /// The stretches of time under a fault.
    pub bands: &'a [Band],
    /// Who led when; empty when no log tells.
    pub reigns: Vec<Reign>,
    /// The nodes' logs as they are, and all their lines that have a time, by time.
    pub logs: &'a [NodeLog],
    pub lines: Vec<Line<'a>>,
    /// The end of the run in nanoseconds.
    pub end_ns: u64,
}

impl<'a> Scene<'a> {
    /// Lays `logs` beside the history. O(operations + lines · log).
    pub fn new(
        results: &Results,
        history: &History,
        bands: &'a [Band],
        logs: &'a [NodeLog],
    ) -> Scene<'a> {
        let end_ns = end_of(history).max(results.duration_ms.saturating_mul(1_000_000));
        let lines = match results.clients_began_us {
            Some(began_us) => logs::lines(logs, began_us, bands),
            None => Vec::new(),
        };
        let reigns = leaders::reigns(&lines, logs, bands, end_ns);
        Scene { bands, reigns, logs, lines, end_ns }
    }

    /// For how long no node held itself for the leader; `None` when no log tells.
    pub fn without_leader_ns(&self) -> Option<u64> {
        (!self.reigns.is_empty()).then(|| leaders::without_leader_ns(&self.reigns, self.end_ns))
    }
}
