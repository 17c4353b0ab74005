//! Latencies and rates over time, as data for plots.

use super::availability::Counts;
use super::findings::Findings;
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells how fast the store answered, and judges it only by a bound that is asked for.
///
/// Without a bound it is `Valid`, and its reason is the report; [`performance()`] has it all, over
/// time. O(n log n).
#[derive(Clone, Copy, Debug, Default)]
pub struct Responsive {
    /// Within this many nanoseconds 99 of 100 successful operations of each function must end.
    pub p99_ns_max: Option<u64>,
}

impl Checker for Responsive {
    fn name(&self) -> &str {
        "performance"
    }

    fn summary(&self) -> &str {
        "tells latencies and rates by function; wrong only by a bound that is asked for"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let latency = |o: &Operation| o.complete_time.map(|end| end - o.invoke_time.min(end));
        let ns = history.operations.iter().filter_map(|o| o.complete_time).max().unwrap_or(0);
        let found = performance(history, u64::MAX);
        let ok = found.latencies.iter().filter(|group| group.outcome == Outcome::Ok);
        let mut findings = Findings::new(history);
        let mut report = Vec::new();
        for Latencies { f, count, p50_ns, p99_ns, .. } in ok {
            let rate = *count as f64 / (ns.max(1) as f64 / 1e9);
            let (half, most) = (*p50_ns as f64 / 1e6, *p99_ns as f64 / 1e6);
            let line = format!("{f} {rate:.1}/s, p50 {half:.1} ms, p99 {most:.1} ms");
            if self.p99_ns_max.is_some_and(|bound| *p99_ns > bound) {
                let of = |o: &Operation| o.f == *f && o.outcome == Outcome::Ok;
                let all = (0..).zip(&history.operations).filter(|(_, o)| of(o));
                let slowest: Vec<u32> =
                    all.max_by_key(|(_, o)| latency(o)).map(|(at, _)| at).into_iter().collect();
                findings.note("slow", &slowest, format!("Too slow: {line}."));
            }
            report.push(line);
        }
        let report =
            if report.is_empty() { "nothing succeeded".to_owned() } else { report.join("; ") };
        findings.judge(self.name(), "count", None, &report)
    }
}

/// Latencies of the operations of one function and outcome that completed in one span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    /// Beginning of the span; nanoseconds since the start.
    pub from_ns: u64,
    /// The function.
    pub f: Arc<str>,
    /// The outcome.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
    /// Half were faster; nanoseconds.
    pub p50_ns: u64,
    /// 95 of 100 were faster; nanoseconds.
    pub p95_ns: u64,
    /// 99 of 100 were faster; nanoseconds.
    pub p99_ns: u64,
    /// The slowest; nanoseconds.
    pub max_ns: u64,
}

/// Latencies and rates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// Nanoseconds of a span.
    pub span_ns: u64,
    /// In the order of time, then of function and outcome (ok, fail, info).
    pub latencies: Vec<Latencies>,
    /// Completions by beginning of the span, in nanoseconds since the start, and by function;
    /// divide by the span for a rate.
    pub completions: BTreeMap<(u64, Arc<str>), Counts>,
}

/// Latencies and rates by spans of `span_ns` nanoseconds (at least one).
///
/// Quantiles are exact, by nearest rank. Operations without a completion are not in it. O(n log n).
pub fn performance(history: &History, span_ns: u64) -> Performance {
    let span_ns = span_ns.max(1);
    let mut found = Performance { span_ns, ..Performance::default() };
    let mut groups: BTreeMap<(u64, Arc<str>, u8), Vec<u64>> = BTreeMap::new();
    for operation in &history.operations {
        let Some(end) = operation.complete_time else { continue };
        let from_ns = end - end % span_ns;
        let rank = RANKS.iter().position(|rank| *rank == operation.outcome).unwrap_or(0);
        let group = groups.entry((from_ns, operation.f.clone(), rank as u8)).or_default();
        group.push(end.saturating_sub(operation.invoke_time));
        let counts = found.completions.entry((from_ns, operation.f.clone())).or_default();
        counts.add(operation.outcome);
    }
    for ((from_ns, f, rank), mut latencies) in groups {
        latencies.sort_unstable();
        let quantile = |percent: usize| {
            let rank = (latencies.len() * percent).div_ceil(100);
            latencies[rank.saturating_sub(1)]
        };
        found.latencies.push(Latencies {
            from_ns,
            f,
            outcome: RANKS[usize::from(rank)],
            count: latencies.len() as u64,
            p50_ns: quantile(50),
            p95_ns: quantile(95),
            p99_ns: quantile(99),
            max_ns: quantile(100),
        });
    }
    found
}

const RANKS: [Outcome; 3] = [Outcome::Ok, Outcome::Fail, Outcome::Info];

#[cfg(test)]
mod tests {
    use super::super::rows::{check, history};
    use super::*;

    #[test]
    fn only_a_bound_that_is_asked_for_can_be_broken() {
        let slow: &[&str] = &["0 > read null", "1 write 1", "0 ok read 1"];
        let never: &[&str] = &["0 read null -> fail", "0 > read null"];
        check(&Responsive::default(), &[(&[], "valid"), (slow, "valid"), (never, "valid")]);
        let bound = |most| Responsive { p99_ns_max: Some(most) };
        check(&bound(3_000_000_000), &[(&[], "valid"), (slow, "valid"), (never, "valid")]);
        check(&bound(2_999_999_999), &[(slow, "Too slow: read 0.3/s, p50 3000.0 ms")]);
    }

    #[test]
    fn quantiles_and_rates_are_by_span_function_and_outcome() {
        let second = 1_000_000_000;
        let history = history(&[
            "0 > read null",
            "1 read null -> 1",
            "0 ok read 1",
            "0 write 1 -> fail",
            "0 > write 2",
        ]);
        let found = performance(&history, 4 * second);
        let row = |latencies: &Latencies| {
            let Latencies { from_ns, f, outcome, count, p50_ns, max_ns, .. } = latencies;
            (from_ns / second, f.to_string(), *outcome, *count, p50_ns / second, max_ns / second)
        };
        assert_eq!(
            found.latencies.iter().map(row).collect::<Vec<_>>(),
            [
                (0, "read".to_owned(), Outcome::Ok, 2, 1, 3),
                (4, "write".to_owned(), Outcome::Fail, 1, 1, 1),
            ]
        );
        assert_eq!(found.completions[&(0, "read".into())].ok, 2);
    }

    #[test]
    fn a_span_of_nothing_is_one_nanosecond() {
        assert_eq!(performance(&history(&["0 read null"]), 0).span_ns, 1);
    }
}
