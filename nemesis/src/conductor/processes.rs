//! Which faults hold which processes down or still.

use super::state::{Active, State, release};
use crate::{Fault, Machinery, NodeId};

impl State {
    /// Ends the nodes' processes, at once or in order.
    pub(super) async fn kill<M: Machinery>(&mut self, machinery: &M, id: u32, active: &mut Active) {
        let in_order = matches!(active.fault, Fault::Restart { .. });
        for node in active.nodes.clone() {
            let holders = self.killed.entry(node.clone()).or_default();
            if !holders.is_empty() {
                holders.insert(id);
                active.errors.push(format!("{node} had been killed already"));
                continue;
            }
            let ended = match in_order {
                true => machinery.terminate(&node).await,
                false => machinery.kill(&node).await.map(|()| false),
            };
            match ended {
                Ok(by_itself) => {
                    holders.insert(id);
                    if by_itself {
                        active.in_order.push(node.clone());
                    }
                    active.struck.push(node);
                }
                Err(error) => active.errors.push(error.to_string()),
            }
        }
        if !active.took_hold() {
            release(&mut self.killed, id);
        }
    }

    pub(super) async fn unkill<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        for node in release(&mut self.killed, id) {
            if let Err(error) = machinery.start(&node).await {
                active.errors.push(error.to_string());
            }
        }
    }

    /// Stops the nodes' processes.
    pub(super) async fn pause<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        for node in active.nodes.clone() {
            if self.is_killed(&node) {
                active.errors.push(format!("{node} had been killed already"));
                continue;
            }
            let holders = self.paused.entry(node.clone()).or_default();
            if !holders.is_empty() {
                holders.insert(id);
                active.errors.push(format!("{node} had been stopped already"));
                continue;
            }
            match machinery.pause(&node).await {
                Ok(()) => {
                    holders.insert(id);
                    active.stops += 1;
                    if !active.struck.contains(&node) {
                        active.struck.push(node);
                    }
                }
                Err(error) => active.errors.push(error.to_string()),
            }
        }
        if !active.took_hold() {
            release(&mut self.paused, id);
        }
    }

    pub(super) async fn resume<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        for node in release(&mut self.paused, id) {
            // A node that was killed while it stood still has nothing left to go on.
            if self.is_killed(&node) {
                continue;
            }
            if let Err(error) = machinery.resume(&node).await {
                active.errors.push(error.to_string());
            }
        }
    }

    /// Lets slow nodes run for their share of the period, or stops them again.
    pub(super) async fn slow<M: Machinery>(&mut self, machinery: &M, id: u32, active: &mut Active) {
        if active.turn.is_multiple_of(2) {
            self.pause(machinery, id, active).await;
        } else {
            self.resume(machinery, id, active).await;
        }
        // A node that another fault has killed or stopped meanwhile is no trouble of this one's.
        active.errors.clear();
    }

    fn is_killed(&self, node: &NodeId) -> bool {
        self.killed.get(node).is_some_and(|holders| !holders.is_empty())
    }
}
