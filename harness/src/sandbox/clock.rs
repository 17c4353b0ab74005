//! The nodes' clocks.
//!
//! Every process on a node is started under trace and has its clocks taken over at its exec, where
//! the machine allows it; without a fault they are true. See [`ordeal_nemesis::clock`].

use super::{Sandbox, SandboxError};
use ordeal_nemesis::NodeId;
use ordeal_nemesis::clock::{ClockError, ClockReading, ClockSkew, NodeClock};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A node's clock, and why its process does not go by it, if so.
#[derive(Default)]
pub(super) struct Clock {
    clock: NodeClock,
    refused: Mutex<Option<String>>,
}

impl Clock {
    /// Takes over the clocks of a process that this thread has just started under trace. A process
    /// whose clocks cannot be taken over (a 32-bit program) runs all the same.
    pub fn take_over(&self, pid: i32) {
        let refused = self.clock.attach(pid).err().map(|error| error.to_string());
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    fn use_with<T>(
        &self,
        node: &NodeId,
        work: impl FnOnce(&NodeClock) -> Result<T, ClockError>,
    ) -> Result<T, SandboxError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let error = |reason| SandboxError::Clock { node: node.clone(), reason };
        match refused {
            Some(reason) => Err(error(reason)),
            None => work(&self.clock).map_err(|source| error(source.to_string())),
        }
    }
}

impl Sandbox {
    /// Changes what a node reads on its clocks, whether its process runs or not: a restart sets no
    /// clock right. Tells in how long the change holds: at once, or in five milliseconds when a
    /// rate changes.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Clock`] when the machine does not let clocks be taken over, or the node's
    /// process is of a kind whose clocks cannot be; [`SandboxError::NoSuchNode`].
    pub fn change_clock(&self, node: &NodeId, skew: ClockSkew) -> Result<Duration, SandboxError> {
        self.clock(node)?.use_with(node, |clock| clock.change(skew))
    }

    /// What the node's process reads on its clocks now; `None` when none runs.
    ///
    /// # Errors
    ///
    /// As [`change_clock`](Sandbox::change_clock).
    pub fn read_clock(&self, node: &NodeId) -> Result<Option<ClockReading>, SandboxError> {
        self.clock(node)?.use_with(node, NodeClock::read)
    }

    fn clock(&self, node: &NodeId) -> Result<&Clock, SandboxError> {
        match &self.clocks {
            Ok(()) => Ok(&self.node(node)?.clock),
            Err(reason) => Err(SandboxError::Clock { node: node.clone(), reason: reason.clone() }),
        }
    }
}
