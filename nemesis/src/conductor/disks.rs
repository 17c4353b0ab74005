//! Disks that lose their power, refuse, lie or go bad.

use super::state::{Active, State, release};
use crate::disk::{Damage, Loss, RuleId, Survivors};
use crate::fault::{DiskTrouble, RuleEnd};
use crate::{Machinery, NodeId};
use std::collections::BTreeMap;

/// What a fault did to disks.
#[derive(Default)]
pub(super) struct DisksSeen {
    pub(super) nodes: BTreeMap<NodeId, DiskSeen>,
}

/// What it did to one node's.
#[derive(Default)]
pub(super) struct DiskSeen {
    rule: Option<RuleId>,
    /// Requests that were failed, delayed or lied about.
    pub(super) hits: Option<u64>,
    pub(super) loss: Option<Loss>,
    pub(super) damage: Option<Damage>,
}

impl DisksSeen {
    /// Whether a request was hit, a process lost its power, or a file went bad.
    pub(super) fn landed(&self) -> bool {
        self.nodes.values().any(|seen| match (seen.hits, &seen.loss) {
            (Some(hits), _) => hits > 0,
            (None, loss) => loss.is_some() || seen.damage.is_some(),
        })
    }

    fn of(&mut self, node: &NodeId) -> &mut DiskSeen {
        self.nodes.entry(node.clone()).or_default()
    }
}

impl State {
    pub(super) async fn break_disks<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        let Some(trouble) = active.fault.disk_trouble() else {
            return;
        };
        for node in active.nodes.clone() {
            let begun = match &trouble {
                DiskTrouble::PowerLoss { survivors, seed } => {
                    self.cut_power(machinery, id, &node, *survivors, *seed, active).await
                }
                DiskTrouble::Rule { rule, .. } => {
                    let begun = machinery.break_disk(&node, rule).await;
                    begun.map(|rule| active.disks.of(&node).rule = Some(rule))
                }
                DiskTrouble::Corrupt { files, .. } => machinery.remember_files(&node, files).await,
            };
            match begun {
                Ok(()) => active.struck.push(node),
                Err(error) => active.errors.push(error.to_string()),
            }
        }
    }

    async fn cut_power<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        node: &NodeId,
        survivors: Survivors,
        seed: u64,
        active: &mut Active,
    ) -> Result<(), crate::InjectError> {
        let loss = machinery.lose_power(node, survivors, seed).await?;
        active.disks.of(node).loss = Some(loss);
        self.killed.entry(node.clone()).or_default().insert(id);
        Ok(())
    }

    pub(super) async fn mend_disks<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        let Some(trouble) = active.fault.disk_trouble() else {
            return;
        };
        for node in active.struck.clone() {
            match &trouble {
                // It starts with the others that nobody holds any more.
                DiskTrouble::PowerLoss { .. } => {}
                DiskTrouble::Rule { end, .. } => {
                    self.end_rule(machinery, id, &node, *end, active).await;
                }
                DiskTrouble::Corrupt { files, corruption, seed } => {
                    self.kill_for_restart(machinery, id, &node).await;
                    match machinery.corrupt(&node, *corruption, files, *seed).await {
                        Ok(damage) => active.disks.of(&node).damage = Some(damage),
                        Err(error) => active.errors.push(error.to_string()),
                    }
                }
            }
        }
        for node in release(&mut self.killed, id) {
            if let Err(error) = machinery.start(&node).await {
                active.errors.push(error.to_string());
            }
        }
    }

    async fn end_rule<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        node: &NodeId,
        end: RuleEnd,
        active: &mut Active,
    ) {
        if end == RuleEnd::LosesPower
            && let Err(error) =
                self.cut_power(machinery, id, node, Survivors::Nothing, 0, active).await
        {
            active.errors.push(error.to_string());
        }
        let seen = active.disks.of(node);
        if let Some(rule) = seen.rule.take() {
            match machinery.mend_disk(node, rule).await {
                Ok(hits) => seen.hits = Some(hits),
                Err(error) => active.errors.push(error.to_string()),
            }
        }
        if end == RuleEnd::Restarts {
            self.kill_for_restart(machinery, id, node).await;
        }
    }

    /// Ends the node's process if it runs, and holds it down until its disk is mended.
    async fn kill_for_restart<M: Machinery>(&mut self, machinery: &M, id: u32, node: &NodeId) {
        // It may have ended by itself, which is what such a fault does to etcd.
        let _ = machinery.kill(node).await;
        self.killed.entry(node.clone()).or_default().insert(id);
    }
}
