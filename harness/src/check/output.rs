//! What is printed of a file that was judged.

use super::Judged;
use ordeal_checker::{Counterexample, Verdict};
use serde_json::json;
use std::fmt::Write;

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Valid(_) => "valid",
        Verdict::Invalid(_) => "invalid",
        Verdict::Unknown(_) => "unknown",
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `FILE: VERDICT (N operations, M ms)`, and under it the counterexample or the reason.
pub(super) fn text(judged: &Judged) -> String {
    let judgement = &judged.judgement;
    let operations = judgement.operations;
    let s = if operations == 1 { "" } else { "s" };
    let mut out = format!(
        "{}: {} ({operations} operation{s}, {} ms)",
        judged.file,
        word(&judgement.verdict),
        milliseconds(judged.read + judged.check)
    );
    match &judgement.verdict {
        Verdict::Valid(_) => {}
        Verdict::Unknown(why) => {
            let _ = write!(out, "\n  {why}");
        }
        Verdict::Invalid(counterexample) => {
            let _ = write!(out, "\n  {}", judgement.reason);
            if !counterexample.anomalies.is_empty() {
                let _ = write!(out, "\n  anomalies: {}", counterexample.anomalies.join(", "));
            }
            for line in &counterexample.story {
                let _ = write!(out, "\n    {line}");
            }
            if let Some(event) = counterexample.broken_at_event {
                let _ = write!(out, "\n    What came before event {event} was still right.");
            }
        }
    }
    out
}

/// The object of `--json`, on one line.
pub(super) fn json(judged: &Judged) -> String {
    let judgement = &judged.judgement;
    let none = Counterexample::default();
    let counterexample = match &judgement.verdict {
        Verdict::Invalid(counterexample) => counterexample,
        _ => &none,
    };
    let operations = counterexample.operations.iter();
    let mut events: Vec<u64> = operations
        .filter_map(|&position| judged.history.operations.get(position as usize))
        .flat_map(|operation| [Some(operation.invoke), operation.complete])
        .flatten()
        .collect();
    events.sort_unstable();
    json!({
        "file": judged.file,
        "verdict": word(&judgement.verdict),
        "operations": judgement.operations,
        "ms": milliseconds(judged.read + judged.check),
        "read_ms": milliseconds(judged.read),
        "check_ms": milliseconds(judged.check),
        "algorithm": judgement.algorithm,
        "counterexample": events,
        "anomalies": counterexample.anomalies,
        "reason": judgement.reason,
        "key": counterexample.key,
        "story": counterexample.story,
        "broken_at_event": counterexample.broken_at_event,
        "configurations": judgement.cost.configurations,
        "memory_bytes_max": judgement.cost.memory_bytes_max,
    })
    .to_string()
}
