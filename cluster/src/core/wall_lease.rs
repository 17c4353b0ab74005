//! BUG lease-read-wall-clock: reads on the strength of a lease that is measured by the clock on
//! the wall. That clock may be set back, and then the lease outlasts what the followers promise.
//!
//! This is all of the bug. Without it nothing here is asked, and the core knows no wall clock.

use super::node::Node;
use crate::bugs::Bug;

/// The lease: when a majority has confirmed a round of reads, the leader reads by itself until an
/// election timeout after the round began.
#[derive(Debug, Default)]
pub(super) struct WallLease {
    wall_us: u64,
    /// The round that was last begun, and when.
    begun: (u64, u64),
    until_us: u64,
}

impl Node {
    pub(super) fn wall_clock(&mut self, wall_us: u64) {
        self.wall_lease.wall_us = wall_us;
    }

    /// Whether reads go unconfirmed for the bug's sake.
    pub(super) fn reads_on_wall_lease(&self) -> bool {
        self.config.bugs.has(Bug::LeaseReadWallClock)
            && self.is_leader()
            && self.wall_lease.wall_us < self.wall_lease.until_us
    }

    pub(super) fn wall_round_begins(&mut self, context: u64) {
        self.wall_lease.begun = (context, self.wall_lease.wall_us);
    }

    pub(super) fn wall_round_ends(&mut self, context: u64) {
        let (begun, at_us) = self.wall_lease.begun;
        if begun == context && self.is_leader() {
            let timeout_us = self.config.election_ticks as u64 * self.config.tick_us;
            self.wall_lease.until_us = at_us + timeout_us;
        }
    }

    /// Whoever comes to lead has no lease yet.
    pub(super) fn wall_lease_ends(&mut self) {
        self.wall_lease.until_us = 0;
    }
}
