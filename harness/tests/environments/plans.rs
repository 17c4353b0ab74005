//! Plans whose faults come one after the other, all aimed at n3, so that what its clients see can
//! be told apart.

use serde_json::{Value, json};
use std::path::Path;

/// The node that is struck.
pub const STRUCK: &str = "n3";
/// How long a fault lasts, and from one to the next, in milliseconds.
const LASTS_MS: u64 = 1_500;
const STEP_MS: u64 = 3_500;
/// The first comes after a while without any.
const FIRST_MS: u64 = 1_500;
/// How often a plan is tried, each time at half the pace: a machine with too much to do shows
/// nothing of a short fault.
pub const PACES: [u64; 3] = [1, 2, 4];

/// Nobody but n3.
pub fn n3() -> Value {
    json!({"these": [STRUCK]})
}

/// The links between n3 and clients, both ways.
pub fn clients() -> Value {
    json!({"of": n3(), "with": "clients"})
}

/// Writes a plan of three nodes with these faults, one after the other, so many times as long.
pub fn write(path: &Path, environment: &Value, db: &Value, faults: &[Value], pace: u64) {
    let schedule: Vec<Value> = (0..)
        .zip(faults)
        .map(|(id, fault)| {
            let at_ms = pace * (FIRST_MS + id * STEP_MS);
            json!({"id": id, "at_ms": at_ms, "for_ms": pace * LASTS_MS, "fault": fault})
        })
        .collect();
    let time_limit_ms = pace * (FIRST_MS + faults.len() as u64 * STEP_MS);
    let mut kinds: Vec<&Value> = Vec::new();
    for fault in faults {
        if !kinds.contains(&&fault["kind"]) {
            kinds.push(&fault["kind"]);
        }
    }
    let plan = json!({
        "version": 1, "seed": 5, "environment": environment, "db": db,
        "nodes": ["n1", "n2", STRUCK], "bugs": [],
        "workload": {"name": "register", "options": {"keys": 4, "serializable": false}},
        "concurrency": 6, "rate_per_s": 200, "time_limit_ms": time_limit_ms,
        "op_timeout_ms": 2000, "tuning": {"heartbeat_ms": 100, "election_ms": 1000},
        "nemesis": kinds, "schedule": schedule,
    });
    std::fs::write(path, plan.to_string()).expect("a plan is written");
}
