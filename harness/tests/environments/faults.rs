//! Faults that are the same wherever the nodes are.

use crate::plans::n3;
use crate::seen::Seen;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Has these faults played, and looks at what the clients of n3 saw.
pub fn processes_and_clocks(play: impl Fn(&[Value]) -> (TempDir, Seen)) {
    let (_folder, seen) = play(&[
        json!({"kind": "kill", "nodes": n3()}),
        json!({"kind": "pause", "nodes": n3()}),
        json!({"kind": "slow", "nodes": n3(), "period_ms": 400, "running_percent": 25}),
        json!({"kind": "restart", "nodes": n3()}),
        json!({"kind": "outage", "nodes": n3()}),
        json!({"kind": "clock-jump", "nodes": n3(), "wall_ms": -3_600_000}),
        json!({"kind": "clock-drift", "nodes": n3(), "monotonic_ppm": 1_000_000}),
        json!({"kind": "clock-strobe", "nodes": n3(), "wall_ms": 60_000, "period_ms": 100}),
    ]);
    let (before, _) = seen.before();
    for kind in ["kill", "pause", "restart", "outage"] {
        seen.nothing_passed(kind);
    }
    // It stands still for 300 of 400 ms: what is acknowledged is late now and then, or is little.
    let slow = seen.during("slow");
    assert!(slow.longest_ms > 200.0 || 3 * slow.acknowledged < before, "{slow:?}, {before} before");
    // Orders take a while where the machine is busy: a turn or so may be missed.
    let (from, until) = seen.lasted("slow");
    let periods = ((until - from) / 400.0) as i64;
    assert!(seen.told("slow", "times") >= (periods - 1).max(1), "{periods} periods");
    let wall = seen.clock("clock-jump", "wall_ahead_us");
    assert!((-3_600_100_000..-3_599_900_000).contains(&wall), "{wall}");
    assert_eq!(seen.clock("clock-drift", "monotonic_rate_ppm"), 1_000_000);
    assert!(seen.clock("clock-strobe", "times_set") > 3);
}

/// Has an operator's faults played, and looks at what the members themselves told.
pub fn operators(play: impl Fn(&[Value]) -> (TempDir, Seen)) {
    let (folder, seen) = play(&[
        json!({"kind": "member-remove", "nodes": n3()}),
        json!({"kind": "member-replace", "nodes": n3()}),
        json!({"kind": "wipe", "nodes": n3()}),
        json!({"kind": "learner", "nodes": n3()}),
        json!({"kind": "move-leader", "nodes": {"these": ["n3", "n1"]}}),
        json!({"kind": "compact"}),
        json!({"kind": "defrag", "nodes": n3()}),
        json!({"kind": "snapshot", "nodes": n3()}),
        json!({"kind": "alarm", "nodes": n3()}),
        json!({"kind": "rolling-restart", "order": ["n2", "n3", "n1"]}),
    ]);
    seen.before();
    let step = |kind: &str, did: &str| -> Value {
        let told = seen.during(kind).told;
        let steps = told["steps"].as_array().expect("steps");
        let found = steps.iter().find(|step| step["did"] == did);
        found.unwrap_or_else(|| panic!("{kind} did no {did}: {told}")).clone()
    };
    for kind in ["member-remove", "member-replace", "wipe", "learner"] {
        let told = seen.during(kind).told;
        let id = |when: &str| {
            let members = told[when].as_array().expect("members");
            assert_eq!(members.len(), 3, "{kind}, {when}: {told}");
            let n3 = members.iter().find(|member| member["node"] == "n3");
            n3.unwrap_or_else(|| panic!("{kind}: no n3 {when}: {told}"))["id"].clone()
        };
        assert_ne!(id("members_before"), id("members_after"), "{kind}: n3 is another member now");
        assert!(step(kind, "wipe")["bytes"].as_u64() > Some(0), "{kind}: {told}");
    }
    let moved = step("move-leader", "move-leader");
    assert_ne!(moved["from"], moved["leader"]);
    assert!(step("compact", "compact")["revision"].as_u64() > Some(1));
    assert!(step("defrag", "defragment")["bytes_after"].as_u64() > Some(0));
    let bytes = step("snapshot", "snapshot")["bytes"].as_u64();
    let file = folder.path().join("out/nodes/n3/snapshot-7.db");
    assert_eq!(std::fs::metadata(file).ok().map(|file| file.len()), bytes, "the file is here");
    assert_eq!(
        (&step("alarm", "raise")["alarms"], &step("alarm", "disarm")["alarms"]),
        (&json!(1), &json!(0))
    );
    let restarted = seen.during("rolling-restart").told["steps"].clone();
    let restarted = restarted.as_array().expect("steps").iter().filter(|s| s["did"] == "start");
    assert_eq!(restarted.count(), 3);
}
