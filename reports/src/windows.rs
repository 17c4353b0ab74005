//! The run in windows of time: how fast each kind and each node answered, and whether it did.

use crate::samples::round_bin;
use ordeal_history::{History, Operation, Outcome};
use std::collections::BTreeMap;

/// About so many windows cover a run.
const WINDOWS: u64 = 60;
/// More groups than these are not drawn.
const GROUPS_MAX: usize = 9;

/// A group of operations, window by window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group<'a> {
    /// The kind of operation, or the node.
    pub name: &'a str,
    /// For each window the middle and the slow latency of what succeeded in it, in nanoseconds;
    /// `None` where nothing did.
    pub latency_ns: Vec<Option<(u64, u64)>>,
    /// For each window what share of its operations succeeded or failed for certain by the store's
    /// own word; `None` where none ended in it.
    pub answered: Vec<Option<f64>>,
}

/// The windows of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows<'a> {
    /// Width of a window in nanoseconds.
    pub width_ns: u64,
    /// The groups, by name.
    pub groups: Vec<Group<'a>>,
}

impl Windows<'_> {
    /// The middle of a window, in nanoseconds.
    pub fn middle_ns(&self, window: usize) -> u64 {
        window as u64 * self.width_ns + self.width_ns / 2
    }
}

#[derive(Default)]
struct Tally {
    latencies_ns: Vec<u64>,
    answered: u64,
    all: u64,
}

/// Groups the operations of `history` by what `name` says and cuts them into windows by the moment
/// at which they ended. O(operations · log).
pub(crate) fn windows<'a>(
    history: &'a History,
    end_ns: u64,
    name: impl Fn(&'a Operation) -> Option<&'a str>,
) -> Windows<'a> {
    let width_ns = round_bin(end_ns / WINDOWS);
    let count = usize::try_from(end_ns / width_ns + 1).unwrap_or(1);
    let mut tallies: BTreeMap<&str, Vec<Tally>> = BTreeMap::new();
    for operation in &history.operations {
        let Some(name) = name(operation) else { continue };
        if !tallies.contains_key(name) && tallies.len() == GROUPS_MAX {
            continue;
        }
        let empty = || (0..count).map(|_| Tally::default()).collect();
        let group: &mut Vec<Tally> = tallies.entry(name).or_insert_with(empty);
        let ended = operation.complete_time.unwrap_or(operation.invoke_time);
        let window = usize::try_from(ended / width_ns).unwrap_or(count).min(count - 1);
        let tally = &mut group[window];
        tally.all += 1;
        // A failure without an error is an answer: a comparison that did not hold.
        let answered = match operation.outcome {
            Outcome::Ok => true,
            Outcome::Fail => operation.error.is_none(),
            Outcome::Info => false,
        };
        tally.answered += u64::from(answered);
        if operation.outcome == Outcome::Ok {
            tally.latencies_ns.push(ended.saturating_sub(operation.invoke_time));
        }
    }
    let groups = tallies.into_iter().map(|(name, tallies)| group(name, tallies)).collect();
    Windows { width_ns, groups }
}

fn group(name: &str, tallies: Vec<Tally>) -> Group<'_> {
    let answered = |t: &Tally| (t.all > 0).then(|| t.answered as f64 / t.all as f64);
    Group {
        name,
        answered: tallies.iter().map(answered).collect(),
        latency_ns: tallies.into_iter().map(|tally| middle_and_slow(tally.latencies_ns)).collect(),
    }
}

/// The median and the 99th percentile, by nearest rank.
fn middle_and_slow(mut latencies_ns: Vec<u64>) -> Option<(u64, u64)> {
    latencies_ns.sort_unstable();
    let rank = |percent: usize| (latencies_ns.len() * percent).div_ceil(100).max(1) - 1;
    Some((*latencies_ns.get(rank(50))?, *latencies_ns.get(rank(99))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        assert_eq!(middle_and_slow((1..=100).rev().collect()), Some((50, 99)));
        assert_eq!(middle_and_slow(vec![7]), Some((7, 7)));
        assert_eq!(middle_and_slow(vec![]), None);
    }
}
