//! What the faults measured themselves: how far clocks were off, what became of packets.

use crate::band::{Band, member};
use ordeal_history::Value;
use std::collections::BTreeMap;

/// Values over time, by name: nanoseconds, and the value from then on.
pub(crate) type Meters = BTreeMap<String, Vec<(u64, f64)>>;

/// The members of a network fault's `seen` that count packets.
const PACKETS: [&str; 8] =
    ["dropped", "delayed", "lost", "duplicated", "reordered", "corrupted", "throttled", "reset"];

/// How far each node's wall clock was ahead, in seconds, as steps.
pub(crate) fn clocks(bands: &[Band]) -> Meters {
    let mut clocks = Meters::new();
    for band in bands {
        let Some(Value::Object(nodes)) = band.seen.as_ref().and_then(|s| member(s, "clocks"))
        else {
            continue;
        };
        for (node, reading) in nodes.iter() {
            let Some(Value::Int(us)) = member(reading, "wall_ahead_us") else { continue };
            let steps = clocks.entry(node.to_string()).or_insert_with(|| vec![(0, 0.0)]);
            let ahead_s = *us as f64 / 1e6;
            let (start, end) = (band.start_ns, band.end_ns);
            steps.extend([(start, 0.0), (start, ahead_s), (end, ahead_s), (end, 0.0)]);
        }
    }
    clocks
}

/// How many packets the faults had dropped, delayed and so on when each of them was over, summed.
pub(crate) fn packets(bands: &[Band]) -> Meters {
    let mut ended: Vec<&Band> = bands.iter().filter(|band| band.seen.is_some()).collect();
    ended.sort_by_key(|band| band.end_ns);
    let mut packets = Meters::new();
    for band in ended {
        let Some(seen) = &band.seen else { continue };
        for name in PACKETS {
            let Some(Value::Int(count @ 1..)) = member(seen, name) else { continue };
            let steps = packets.entry(name.to_owned()).or_insert_with(|| vec![(0, 0.0)]);
            let before = steps.last().map_or(0.0, |step| step.1);
            // Faults count until they are over: between, the sum is not known, and drawn straight.
            steps.extend([(band.start_ns.max(steps.last().map_or(0, |s| s.0)), before)]);
            steps.push((band.end_ns, before + *count as f64));
        }
    }
    packets
}
