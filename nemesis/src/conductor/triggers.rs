//! Faults that wait for a state of the cluster.

use crate::{Machinery, NodeId, Trigger};
use std::collections::BTreeMap;

/// What faults wait for, and what was seen when they began to.
#[derive(Default)]
pub(super) struct Triggers {
    /// For each fault that waits for an election: who led when it was last looked.
    led_by: BTreeMap<u32, Option<NodeId>>,
    /// For each that waits for a snapshot: how many each member had begun to send.
    begun: BTreeMap<u32, BTreeMap<NodeId, u64>>,
}

impl Triggers {
    /// Whether what the fault waits for has come.
    ///
    /// An election is one between two looks: another node leads than before, or one does where
    /// nobody did. A snapshot is one that was begun between two looks, for it may take less time
    /// than there is from one to the next.
    pub(super) async fn has_come<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        trigger: &Trigger,
        lock_is_held: bool,
    ) -> bool {
        match trigger {
            Trigger::Election => {
                let now = machinery.leader().await;
                let before = self.led_by.insert(id, now.clone());
                now.is_some() && before.is_some_and(|before| before != now)
            }
            Trigger::Snapshot => {
                // Where nobody answers nothing is seen: that is for other faults to tell.
                let Ok(now) = machinery.snapshots_begun().await else { return false };
                let before = self.begun.entry(id).or_insert_with(|| now.clone());
                let more = |(node, begun): (&NodeId, &u64)| {
                    before.get(node).is_some_and(|before| begun > before)
                };
                let come = now.iter().any(more);
                before.extend(now);
                come
            }
            Trigger::Lock => lock_is_held,
            Trigger::Key(prefix) => machinery.has_key(prefix).await.unwrap_or(false),
        }
    }
}
