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
    seen.before();
    for kind in ["kill", "pause", "restart", "outage"] {
        seen.nothing_passed(kind);
    }
    // It stands still for 300 ms at a time: what is acknowledged at all is late, now and then.
    let slow = seen.during("slow");
    assert!(slow.acknowledged == 0 || slow.longest_ms > 200.0, "{slow:?}");
    assert!(seen.told("slow", "times") > 2);
    let wall = seen.clock("clock-jump", "wall_ahead_us");
    assert!((-3_600_100_000..-3_599_900_000).contains(&wall), "{wall}");
    assert_eq!(seen.clock("clock-drift", "monotonic_rate_ppm"), 1_000_000);
    assert!(seen.clock("clock-strobe", "times_set") > 3);
}
