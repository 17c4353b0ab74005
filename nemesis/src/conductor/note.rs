//! What stands in the history about a fault.
//!
//! `{"id":3,"phase":"start","what":"isolate n2 (the leader)","nodes":["n2"]}` when it was injected,
//! `{"id":3,"phase":"end","landed":true,"seen":{"dropped":412}}` when it is over, and
//! `{"id":3,"phase":"failed","what":"…","error":"…"}` when none of it could be injected. An `error`
//! beside a start or an end is about a part of it.

use super::state::Active;
use crate::{Fault, NodeId};
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
    let seen = match &active.fault {
        Fault::Kill { .. } => ("killed", names(&active.struck)),
        Fault::Pause { .. } => ("stopped", names(&active.struck)),
        Fault::Partition { .. } => {
            ("dropped", Value::Int(active.dropped.try_into().unwrap_or(i64::MAX)))
        }
    };
    let mut members = vec![
        ("id", Value::Int(id.into())),
        ("phase", text("end")),
        ("landed", Value::Bool(active.landed())),
        ("seen", object(vec![seen])),
    ];
    members.extend(error(active));
    object(members)
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

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn names(nodes: &[NodeId]) -> Value {
    Value::Array(nodes.iter().map(|node| text(&node.0)).collect())
}

fn object(members: Vec<(&str, Value)>) -> Value {
    let members: BTreeMap<Arc<str>, Value> =
        members.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Value::Object(Arc::new(members))
}
