//! What stands in the history about a fault.
//!
//! `{"id":3,"phase":"start","what":"isolate n2 (the leader)","nodes":["n2"]}` when it was injected,
//! `{"id":3,"phase":"end","landed":true,"seen":{"dropped":412}}` when it is over, and
//! `{"id":3,"phase":"failed","what":"…","error":"…"}` when none of it could be injected. An `error`
//! beside a start or an end is about a part of it.
//!
//! What is seen of a fault that shapes links is what went over them while it lasted, in packets and
//! in bytes: `{"carried":900,"bytes":81000,"dropped":212,"lost":212}`.
//! What is seen of a clock fault is what each node read on its clocks when they were furthest off:
//! `{"clocks":{"n2":{"wall_ahead_us":-20000000,"wall_rate_ppm":0,…}}}`.
//! Of a disk fault it is what it did on each node:
//! `{"disks":{"n2":{"bytes_lost":8192,"requests_failed":1,…}}}`.
//! Of what an operator does it is each step, and the members as the cluster listed them:
//! `{"steps":[{"did":"remove","node":"n2","id":"8e9e05c52164694d"},…],"members_before":[…],…}`.

use super::clocks::ClocksSeen;
use super::disks::DisksSeen;
use super::operator::{Operation, hex};
use super::state::Active;
use crate::clock::ClockReading;
use crate::link::{Counters, Shaped};
use crate::{Capability, Fault, Member, NodeId};
use ordeal_history::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn started(id: u32, active: &Active) -> Value {
    let mut members = vec![
        ("id", Value::Int(id.into())),
        ("phase", text("start")),
        ("what", text(&active.what)),
        ("nodes", names(&active.nodes)),
    ];
    members.extend(error(active));
    object(members)
}

pub(super) fn ended(id: u32, active: &Active) -> Value {
    let seen = match &active.operation {
        Some(operation) => operated(operation),
        None => seen(active),
    };
    let mut members = vec![
        ("id", Value::Int(id.into())),
        ("phase", text("end")),
        ("landed", Value::Bool(active.landed())),
        ("seen", object(seen)),
    ];
    members.extend(error(active));
    object(members)
}

fn seen(active: &Active) -> Vec<(&'static str, Value)> {
    match active.fault.kind().needs() {
        Capability::Kill => vec![("killed", names(&active.struck))],
        Capability::Terminate => terminated(active),
        Capability::Pause => {
            let mut seen = vec![("stopped", names(&active.struck))];
            if let Fault::Slow { .. } = active.fault {
                seen.push(("times", count(active.stops)));
            }
            seen
        }
        Capability::Link | Capability::ClientLink => vec![("dropped", count(active.dropped))],
        Capability::Shape => traffic(&active.traffic.during),
        Capability::Clock => vec![("clocks", clocks(&active.clocks))],
        Capability::Disk => vec![("disks", disks(&active.disks))],
        // These are done step by step.
        Capability::Members
        | Capability::Maintenance
        | Capability::Restore
        | Capability::Upgrade => Vec::new(),
    }
}

/// What was done step by step, and who was a member before and after.
fn operated(operation: &Operation) -> Vec<(&'static str, Value)> {
    let mut seen = vec![("steps", Value::Array(operation.done.clone().into()))];
    seen.extend(operation.before.as_ref().map(|members| ("members_before", listed(members))));
    seen.extend(operation.after.as_ref().map(|members| ("members_after", listed(members))));
    seen
}

fn listed(members: &[Member]) -> Value {
    let members = members.iter().map(|member| {
        let node = member.node.as_ref().map_or("", |node| node.0.as_str());
        let mut told = vec![("id", hex(member.id)), ("node", text(node))];
        told.extend(member.learner.then_some(("learner", Value::Bool(true))));
        object(told)
    });
    Value::Array(members.collect())
}

/// Who ended in order, and who had to be killed.
fn terminated(active: &Active) -> Vec<(&'static str, Value)> {
    let in_order = |node: &&NodeId| active.in_order.contains(node);
    let (ended, killed): (Vec<&NodeId>, Vec<&NodeId>) = active.struck.iter().partition(in_order);
    let mut seen = vec![("ended", names(ended))];
    if !killed.is_empty() {
        seen.push(("killed", names(killed)));
    }
    seen
}

pub(super) fn failed(id: u32, active: &Active) -> Value {
    let mut members = vec![
        ("id", Value::Int(id.into())),
        ("phase", text("failed")),
        ("what", text(&active.what)),
    ];
    members.extend(error(active));
    object(members)
}

fn error(active: &Active) -> Option<(&'static str, Value)> {
    (!active.errors.is_empty()).then(|| ("error", text(&active.errors.join("; "))))
}

/// For each node the reading that was furthest off, and how often it was set.
fn clocks(seen: &ClocksSeen) -> Value {
    let nodes = seen.nodes.iter().map(|(node, seen)| {
        let ClockReading { wall, monotonic } = seen.furthest;
        let members = object(vec![
            ("wall_ahead_us", Value::Int(wall.ahead_ns / 1_000)),
            ("wall_rate_ppm", Value::Int(wall.rate_ppm)),
            ("monotonic_ahead_us", Value::Int(monotonic.ahead_ns / 1_000)),
            ("monotonic_rate_ppm", Value::Int(monotonic.rate_ppm)),
            ("times_set", count(seen.times_set)),
        ]);
        (node.0.as_str(), members)
    });
    object(nodes.collect())
}

/// For each node how many requests were hit, what a power loss took, and what went bad.
fn disks(seen: &DisksSeen) -> Value {
    let nodes = seen.nodes.iter().map(|(node, seen)| {
        let mut members = Vec::new();
        members.extend(seen.hits.map(|hits| ("requests_hit", count(hits))));
        if let Some(loss) = &seen.loss {
            members.extend([
                ("bytes_lost", count(loss.bytes_lost)),
                ("bytes_kept", count(loss.bytes_kept)),
                ("changes_lost", count(loss.changes_lost)),
                ("requests_failed", count(loss.requests_failed)),
            ]);
        }
        if let Some(damage) = &seen.damage {
            members.extend([
                ("path", text(&damage.path)),
                ("offset", count(damage.offset)),
                ("bytes", count(damage.bytes)),
            ]);
        }
        (node.0.as_str(), object(members))
    });
    object(nodes.collect())
}

/// What was carried and dropped, and of the rest what there was.
fn traffic(during: &Counters) -> Vec<(&'static str, Value)> {
    let Counters { forwarded, bytes, dropped, shaped } = *during;
    let Shaped { delayed, lost, duplicated, reordered, corrupted, throttled, reset } = shaped;
    let always = [("carried", forwarded), ("bytes", bytes), ("dropped", dropped)];
    let some = [
        ("delayed", delayed),
        ("lost", lost),
        ("duplicated", duplicated),
        ("reordered", reordered),
        ("corrupted", corrupted),
        ("throttled", throttled),
        ("reset", reset),
    ];
    let some = some.into_iter().filter(|(_, packets)| *packets > 0);
    always.into_iter().chain(some).map(|(name, number)| (name, count(number))).collect()
}

fn count(count: u64) -> Value {
    Value::Int(count.try_into().unwrap_or(i64::MAX))
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> Value {
    Value::Array(nodes.into_iter().map(|node| text(&node.0)).collect())
}

fn object(members: Vec<(&str, Value)>) -> Value {
    let members: BTreeMap<Arc<str>, Value> =
        members.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Value::Object(Arc::new(members))
}
