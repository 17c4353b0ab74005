//! Which faults hold which nodes and links, so that overlapping ones do not undo each other.

use super::clocks::{Clocks, ClocksSeen};
use super::disks::DisksSeen;
use super::links::{Shapes, TrafficSeen};
use super::operator::Operation;
use crate::{Capability, Fault, Link, NodeId, ScheduledFault};
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
    /// How long it lasts, in milliseconds.
    pub(super) for_ms: u64,
    /// How often it has turned since its beginning; see [`Fault::next_turn`].
    pub(super) turn: u64,
    /// Those that ended by themselves when they were asked to.
    pub(super) in_order: Vec<NodeId>,
    /// How often a process was stopped.
    pub(super) stops: u64,
    /// The links that it holds cut.
    pub(super) links: Vec<Link>,
    /// The links that flap, while they carry.
    pub(super) flapping: Vec<Link>,
    /// Packets that vanished on them.
    pub(super) dropped: u64,
    /// What it did to packets on links that it shaped.
    pub(super) traffic: TrafficSeen,
    /// What clocks it changed, and how they were read.
    pub(super) clocks: ClocksSeen,
    /// What it did to disks.
    pub(super) disks: DisksSeen,
    /// How far it has come, where it is done step by step.
    pub(super) operation: Option<Operation>,
    /// What the machinery refused.
    pub(super) errors: Vec<String>,
}

impl Active {
    pub(super) fn new(scheduled: &ScheduledFault, leader: Option<&NodeId>) -> Active {
        let ScheduledFault { id, for_ms, fault, .. } = scheduled;
        let nodes = fault.strikes(leader);
        let steps = fault.steps(*id, &nodes, leader);
        Active {
            fault: fault.clone(),
            for_ms: *for_ms,
            turn: 0,
            in_order: Vec::new(),
            stops: 0,
            flapping: Vec::new(),
            traffic: TrafficSeen::default(),
            what: fault.what(leader),
            nodes,
            operation: steps.map(Operation::new),
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
        if let Some(operation) = &self.operation {
            return !operation.done.is_empty();
        }
        !self.struck.is_empty() || !self.links.is_empty() || self.traffic.took_hold()
    }

    /// Whether it had its effect: a running process was killed or stopped, packets were dropped.
    pub(super) fn landed(&self) -> bool {
        if let Some(operation) = &self.operation {
            return operation.landed;
        }
        match self.fault.kind().needs() {
            Capability::Kill | Capability::Terminate | Capability::Pause => !self.struck.is_empty(),
            Capability::Link | Capability::ClientLink => self.dropped > 0,
            Capability::Shape => self.traffic.landed(),
            Capability::Clock => self.clocks.landed(),
            Capability::Disk => self.disks.landed(),
            // These are done step by step.
            Capability::Members
            | Capability::Maintenance
            | Capability::Restore
            | Capability::Upgrade => false,
        }
    }
}

/// Who holds what.
#[derive(Default)]
pub(super) struct State {
    pub(super) killed: BTreeMap<NodeId, BTreeSet<u32>>,
    pub(super) paused: BTreeMap<NodeId, BTreeSet<u32>>,
    pub(super) cut: BTreeMap<Link, u32>,
    pub(super) shapes: Shapes,
    pub(super) clocks: Clocks,
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
