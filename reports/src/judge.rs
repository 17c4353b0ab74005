//! From what the checkers said and the history to [`Results`].

use crate::band::{Note, Phase, notes};
use crate::results::{
    CheckerResult, CounterexampleResult, FORMAT, FaultCounts, Latency, Outcomes, Results, Ruling,
    Tested,
};
use crate::samples::{latencies, quantiles};
use crate::value::json;
use ordeal_checker::{Cost, Counterexample, Judgement, Verdict, Witness};
use ordeal_history::{History, Outcome};
use std::collections::BTreeMap;

/// A checker's judgement, and what it took.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What the checker said.
    pub judgement: Judgement,
    /// Milliseconds of wall-clock time, measured by the caller.
    pub ms: u64,
}

/// What the harness knows of a run beside its history.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The plan's seed.
    pub seed: u64,
    /// The planted bugs that were switched on.
    pub bug: Vec<String>,
    /// How many faults of each kind stood in the plan.
    pub scheduled: BTreeMap<String, u64>,
    /// What was put on trial, and how.
    pub tested: Tested,
    /// When the run began, as text (RFC 3339, UTC).
    pub started_at: String,
    /// When the clients began, in microseconds since 1970, by the machine's clock.
    pub clients_began_us: Option<u64>,
    /// How long the clients worked, in milliseconds.
    pub duration_ms: u64,
    /// The command line that does it again.
    pub command: String,
    /// Whether the run was cut short from outside.
    pub interrupted: bool,
    /// When a violation ended the run, in milliseconds after the clients began.
    pub stopped_after_ms: Option<u64>,
}

impl Results {
    /// Composes the run's verdict (invalid over unknown over valid; no checker at all is unknown)
    /// and counts operations and faults. O(operations + notes).
    pub fn judge(history: &History, judged: &[Judged], about: Circumstances) -> Results {
        let checkers: Vec<CheckerResult> =
            judged.iter().map(|one| checker_result(history, one)).collect();
        let verdict = checkers.iter().map(|c| c.verdict).max().unwrap_or(Ruling::Unknown);
        Results {
            format: FORMAT,
            verdict,
            checkers,
            seed: about.seed,
            bug: about.bug,
            operations: count_operations(history),
            latency_us: latency_us(history),
            faults: count_faults(history, &about.scheduled),
            tested: about.tested,
            started_at: about.started_at,
            clients_began_us: about.clients_began_us,
            duration_ms: about.duration_ms,
            command: about.command,
            interrupted: about.interrupted,
            stopped_after_ms: about.stopped_after_ms,
        }
    }
}

/// How the operations of `history` ended, by `f`. O(operations).
pub fn count_operations(history: &History) -> BTreeMap<String, Outcomes> {
    let mut counts: BTreeMap<&str, Outcomes> = BTreeMap::new();
    for operation in &history.operations {
        let one = counts.entry(&operation.f).or_default();
        match operation.outcome {
            Outcome::Ok => one.ok += 1,
            Outcome::Fail => one.fail += 1,
            Outcome::Info => one.info += 1,
        }
    }
    counts.into_iter().map(|(f, count)| (f.to_owned(), count)).collect()
}

/// How long the operations that took effect took, by `f`. O(operations · log).
fn latency_us(history: &History) -> BTreeMap<String, Latency> {
    let quantiles = quantiles(&latencies(history)).into_iter();
    let us = |ns: u64| ns / 1_000;
    quantiles
        .map(|q| {
            let latency = Latency { p50: us(q.at(0.5)), p99: us(q.at(0.99)), max: us(q.at(1.0)) };
            (q.f.to_owned(), latency)
        })
        .collect()
}

/// What became of the faults, by kind: `scheduled` from the plan, the rest from the nemesis' notes.
///
/// A fault counts as started at its `start` note, as landed when its `end` note says so.
pub fn count_faults(
    history: &History,
    scheduled: &BTreeMap<String, u64>,
) -> BTreeMap<String, FaultCounts> {
    let mut counts: BTreeMap<String, FaultCounts> = scheduled
        .iter()
        .map(|(kind, &n)| (kind.clone(), FaultCounts { scheduled: n, ..Default::default() }))
        .collect();
    for Note { kind, phase, landed, .. } in notes(history) {
        let one = counts.entry(kind.to_owned()).or_default();
        match phase {
            Phase::Start => one.started += 1,
            Phase::End => one.landed += u64::from(landed),
            Phase::Failed => one.failed += 1,
        }
    }
    counts
}

/// The checker of the test itself: whether there was anything that a verdict could rest on.
///
/// Unknown when no operation was made, when no operation of some kind ever succeeded, or when
/// faults were scheduled and none landed; valid otherwise. A run that adds this judgement to its
/// others can not pass by having done nothing.
pub fn coverage(history: &History, scheduled: &BTreeMap<String, u64>) -> Judgement {
    let operations = count_operations(history);
    let faults = count_faults(history, scheduled);
    let total: u64 = operations.values().map(Outcomes::total).sum();
    let idle: Vec<&str> =
        operations.iter().filter(|(_, o)| o.ok == 0).map(|(f, _)| f.as_str()).collect();
    let (planned, landed) =
        faults.values().fold((0, 0), |(p, l), f| (p + f.scheduled.max(f.started), l + f.landed));
    let problem = if total == 0 {
        Some("No operation was made, so there is nothing to judge.".to_owned())
    } else if !idle.is_empty() {
        Some(format!("No {} ever succeeded, so nothing is known of it.", idle.join(", no ")))
    } else if planned > 0 && landed == 0 {
        Some(format!("None of the {planned} faults of the plan landed."))
    } else {
        None
    };
    let reason = problem.clone().unwrap_or_else(|| {
        let faults = match planned {
            0 => "no fault was planned".to_owned(),
            _ => format!("{landed} of {planned} faults landed"),
        };
        format!("Operations of every kind succeeded; {faults}.")
    });
    Judgement {
        checker: "coverage".to_owned(),
        verdict: match problem {
            Some(problem) => Verdict::Unknown(problem),
            None => Verdict::Valid(Witness::default()),
        },
        algorithm: "count".to_owned(),
        reason,
        operations: total,
        cost: Cost::default(),
    }
}

fn checker_result(history: &History, judged: &Judged) -> CheckerResult {
    let Judged { judgement, ms } = judged;
    let (verdict, counterexample, why) = match &judgement.verdict {
        Verdict::Valid(_) => (Ruling::Valid, None, None),
        Verdict::Unknown(reason) => (Ruling::Unknown, None, Some(reason)),
        Verdict::Invalid(c) => (Ruling::Invalid, Some(counterexample(history, c)), None),
    };
    let reason = match why {
        Some(why) if judgement.reason.is_empty() => why.clone(),
        _ => judgement.reason.clone(),
    };
    CheckerResult {
        name: judgement.checker.clone(),
        verdict,
        reason,
        algorithm: judgement.algorithm.clone(),
        operations: judgement.operations,
        ms: *ms,
        configurations: judgement.cost.configurations,
        counterexample,
    }
}

/// Names a counterexample's operations by the indexes of their events, which outlive this process.
fn counterexample(history: &History, found: &Counterexample) -> CounterexampleResult {
    let mut events: Vec<u64> = found
        .operations
        .iter()
        .filter_map(|&position| history.operations.get(position as usize))
        .flat_map(|operation| [Some(operation.invoke), operation.complete])
        .flatten()
        .collect();
    events.sort_unstable();
    CounterexampleResult {
        key: found.key.as_ref().map_or(serde_json::Value::Null, json),
        operations: found.operations.len() as u64,
        events,
        story: found.story.clone(),
        broken_at_event: found.broken_at_event,
        anomalies: found.anomalies.clone(),
        differences: Vec::new(),
    }
}
