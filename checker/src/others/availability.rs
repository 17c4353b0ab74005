//! How often, and when, the store answered.

use super::findings::Findings;
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells how available the store was, and judges it only by bounds that are asked for.
///
/// Without bounds it is `Valid`, and its reason is the report: a store may be unavailable under
/// faults, so what is too much only the test's owner knows. O(n log n).
#[derive(Clone, Copy, Debug, Default)]
pub struct Available {
    /// The least part of all operations that must succeed, from 0 to 1.
    pub ok_rate_min: Option<f64>,
    /// The longest time without a success, though something was tried; nanoseconds.
    pub outage_ns_max: Option<u64>,
}

impl Checker for Available {
    fn name(&self) -> &str {
        "availability"
    }

    fn summary(&self) -> &str {
        "tells how many operations succeeded and how long none did; wrong only by bounds asked for"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let found = availability(history, 1);
        let longest = found.outages.iter().max_by_key(|outage| outage.until_ns - outage.from_ns);
        let (from_ns, until_ns) = longest.map_or((0, 0), |one| (one.from_ns, one.until_ns));
        let rate = found.all.ok_rate();
        let report = format!(
            "{:.1} % of {} operations succeeded, and for {:.3} s at the longest none did",
            rate * 100.0,
            found.all.total(),
            (until_ns - from_ns) as f64 / 1e9
        );
        let mut findings = Findings::new(history);
        let mut note = |kind, culprit: Option<usize>| {
            let culprit: Vec<u32> = culprit.map(|at| at as u32).into_iter().collect();
            findings.note(kind, &culprit, format!("{report}."));
        };
        if found.all.total() > 0 && self.ok_rate_min.is_some_and(|least| rate < least) {
            let bad = history.operations.iter().position(|o| o.outcome != Outcome::Ok);
            note("unavailable", bad);
        }
        if self.outage_ns_max.is_some_and(|most| until_ns - from_ns > most) {
            let in_it = history.operations.iter().position(|o| o.invoke_time >= from_ns);
            note("outage", in_it);
        }
        findings.judge(self.name(), "count", None, &report)
    }
}

/// Outcomes, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Succeeded.
    pub ok: u64,
    /// Certainly did not happen.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.ok + self.fail + self.info
    }

    /// The part that succeeded, from 0 to 1; 0 where there was nothing.
    pub fn ok_rate(&self) -> f64 {
        if self.total() == 0 { 0.0 } else { self.ok as f64 / self.total() as f64 }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Fail => self.fail += 1,
            Outcome::Info => self.info += 1,
        }
    }
}

/// A time in which operations were open or begun, and none succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The last success before it, or the first invocation; nanoseconds since the start.
    pub from_ns: u64,
    /// The next success, or the end of the history; nanoseconds since the start.
    pub until_ns: u64,
    /// Operations that were invoked in it.
    pub attempts: u64,
}

/// How available the store was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Availability {
    /// All operations.
    pub all: Counts,
    /// By function.
    pub by_f: BTreeMap<Arc<str>, Counts>,
    /// The outages, in the order of time.
    pub outages: Vec<Outage>,
}

/// Counts outcomes, and finds the times of at least `outage_ns_min` nanoseconds without a success,
/// though something was tried. O(n log n).
pub fn availability(history: &History, outage_ns_min: u64) -> Availability {
    let mut found = Availability::default();
    let mut successes: Vec<u64> = Vec::new();
    let mut end = 0;
    for operation in &history.operations {
        found.all.add(operation.outcome);
        found.by_f.entry(operation.f.clone()).or_default().add(operation.outcome);
        end = end.max(operation.invoke_time).max(operation.complete_time.unwrap_or(0));
        if operation.outcome == Outcome::Ok {
            successes.extend(operation.complete_time);
        }
    }
    let Some(first) = history.operations.first() else { return found };
    successes.push(end);
    successes.sort_unstable();
    let mut from_ns = first.invoke_time;
    // Invocations stand in the order of time.
    let mut next = 0;
    for until_ns in successes {
        let begun = history.operations[next..].iter().take_while(|o| o.invoke_time <= until_ns);
        let attempts = begun.count();
        next += attempts;
        if until_ns - from_ns.min(until_ns) >= outage_ns_min.max(1) && attempts > 0 {
            found.outages.push(Outage { from_ns, until_ns, attempts: attempts as u64 });
        }
        from_ns = until_ns;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::rows::{check, history};
    use super::*;

    #[test]
    fn only_a_bound_that_is_asked_for_can_be_broken() {
        let half: &[&str] = &["0 read null -> 1", "0 read null -> fail", "0 read null -> 1"];
        let quiet: &[&str] = &["0 read null -> fail", "0 read null -> fail"];
        check(&Available::default(), &[(&[], "valid"), (half, "valid"), (quiet, "valid")]);
        let rate = |least| Available { ok_rate_min: Some(least), ..Available::default() };
        check(&rate(0.6), &[(&[], "valid"), (half, "valid"), (quiet, "0.0 % of 2 operations")]);
        check(&rate(0.7), &[(half, "66.7 % of 3 operations succeeded")]);
        let outage = |most| Available { outage_ns_max: Some(most), ..Available::default() };
        check(&outage(4_000_000_000), &[(&[], "valid"), (half, "valid"), (quiet, "valid")]);
        check(&outage(3_999_999_999), &[(half, "for 4.000 s at the longest none did")]);
    }

    #[test]
    fn outcomes_are_counted_and_outages_found() {
        let history = history(&[
            "0 read null -> 1",
            "0 write 1 -> fail",
            "0 write 1 -> info",
            "1 write 1 -> info",
            "2 read null -> 1",
        ]);
        let found = availability(&history, 2_000_000_000);
        assert_eq!(found.all, Counts { ok: 2, fail: 1, info: 2 });
        assert_eq!(found.by_f["write"], Counts { ok: 0, fail: 1, info: 2 });
        assert!((found.by_f["read"].ok_rate() - 1.0).abs() < f64::EPSILON);
        let second = 1_000_000_000;
        let outage = Outage { from_ns: second, until_ns: 9 * second, attempts: 4 };
        assert_eq!(found.outages, [outage]);
    }

    #[test]
    fn a_history_of_nothing_has_no_outage() {
        assert_eq!(availability(&History::default(), 1), Availability::default());
    }

    #[test]
    fn a_history_that_ends_in_an_outage_says_so() {
        let history = history(&["0 read null -> 1", "0 read null -> info", "1 > read null"]);
        let found = availability(&history, 1_000_000_000);
        assert_eq!(found.outages.last().map(|outage| outage.attempts), Some(2));
    }
}
