//! Which faults hold which nodes and links, so that overlapping ones do not undo each other.

use super::clocks::{Clocks, ClocksSeen};
use super::disks::DisksSeen;
use crate::{Fault, Link, Machinery, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// A fault that is under way.
pub(super) struct Active {
    pub(super) fault: Fault,
    /// For a person.
    pub(super) what: String,
    /// The nodes that it is aimed at.
    pub(super) nodes: Vec<NodeId>,
    /// Those that it really struck.
    pub(super) struck: Vec<NodeId>,
    /// The links that it holds cut.
    links: Vec<Link>,
    /// Packets that vanished on them.
    pub(super) dropped: u64,
    /// What clocks it changed, and how they were read.
    pub(super) clocks: ClocksSeen,
    /// What it did to disks.
    pub(super) disks: DisksSeen,
    /// What the machinery refused.
    pub(super) errors: Vec<String>,
}

impl Active {
    pub(super) fn new(fault: &Fault, leader: Option<&NodeId>) -> Active {
        Active {
            fault: fault.clone(),
            what: fault.what(leader),
            nodes: fault.strikes(leader),
            struck: Vec::new(),
            links: Vec::new(),
            dropped: 0,
            clocks: ClocksSeen::default(),
            disks: DisksSeen::default(),
            errors: Vec::new(),
        }
    }

    /// Whether any of it could be injected.
    pub(super) fn took_hold(&self) -> bool {
        !self.struck.is_empty() || !self.links.is_empty()
    }

    /// Whether it had its effect: a running process was killed or stopped, packets were dropped.
    pub(super) fn landed(&self) -> bool {
        match self.fault {
            Fault::Kill { .. } | Fault::Pause { .. } => !self.struck.is_empty(),
            Fault::Partition { .. } => self.dropped > 0,
            Fault::ClockJump { .. } | Fault::ClockDrift { .. } | Fault::ClockStrobe { .. } => {
                self.clocks.landed()
            }
            Fault::PowerLoss { .. }
            | Fault::FsyncDelay { .. }
            | Fault::DiskFull { .. }
            | Fault::DiskError { .. }
            | Fault::LyingDisk { .. }
            | Fault::Corrupt { .. } => self.disks.landed(),
        }
    }
}

/// Who holds what.
#[derive(Default)]
pub(super) struct State {
    pub(super) killed: BTreeMap<NodeId, BTreeSet<u32>>,
    paused: BTreeMap<NodeId, BTreeSet<u32>>,
    cut: BTreeMap<Link, u32>,
    pub(super) clocks: Clocks,
}

impl State {
    pub(super) async fn kill<M: Machinery>(&mut self, machinery: &M, id: u32, active: &mut Active) {
        for node in active.nodes.clone() {
            let holders = self.killed.entry(node.clone()).or_default();
            if !holders.is_empty() {
                holders.insert(id);
                active.errors.push(format!("{node} had been killed already"));
                continue;
            }
            match machinery.kill(&node).await {
                Ok(()) => {
                    holders.insert(id);
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

    pub(super) async fn pause<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        for node in active.nodes.clone() {
            if self.killed.get(&node).is_some_and(|holders| !holders.is_empty()) {
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
                    active.struck.push(node);
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
            if self.killed.get(&node).is_some_and(|holders| !holders.is_empty()) {
                continue;
            }
            if let Err(error) = machinery.resume(&node).await {
                active.errors.push(error.to_string());
            }
        }
    }

    pub(super) async fn cut<M: Machinery>(
        &mut self,
        machinery: &M,
        links: Vec<Link>,
        active: &mut Active,
    ) {
        let fresh: Vec<Link> =
            links.iter().filter(|link| !self.cut.contains_key(link)).cloned().collect();
        if links.is_empty() {
            active.errors.push("it cuts no link of this cluster".to_owned());
            return;
        }
        if let Err(error) = machinery.cut(&fresh).await {
            active.errors.push(error.to_string());
            // Some of them may have been cut before the error.
            if let Err(error) = machinery.heal(&fresh).await {
                active.errors.push(error.to_string());
            }
            return;
        }
        for link in &links {
            *self.cut.entry(link.clone()).or_default() += 1;
        }
        active.links = links;
    }

    pub(super) async fn heal<M: Machinery>(&mut self, machinery: &M, active: &mut Active) {
        let mut free = Vec::new();
        for link in std::mem::take(&mut active.links) {
            if let Some(holders) = self.cut.get_mut(&link) {
                *holders -= 1;
                if *holders == 0 {
                    self.cut.remove(&link);
                    free.push(link);
                }
            }
        }
        match machinery.heal(&free).await {
            Ok(dropped) => active.dropped = dropped,
            Err(error) => active.errors.push(error.to_string()),
        }
    }
}

/// Lets go of what `id` holds, and returns the nodes that nobody holds any more.
pub(super) fn release(held: &mut BTreeMap<NodeId, BTreeSet<u32>>, id: u32) -> Vec<NodeId> {
    let mut free = Vec::new();
    held.retain(|node, holders| {
        if holders.remove(&id) && holders.is_empty() {
            free.push(node.clone());
        }
        !holders.is_empty()
    });
    free
}
