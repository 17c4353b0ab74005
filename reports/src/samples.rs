//! From a million operations to as many points as a picture can show, and to quantiles.
//!
//! Nothing is drawn at random: the picture is cut into cells, and of the points of one kind in one
//! cell, which would cover each other, the slowest is drawn. So every outlier, which has a cell for
//! itself or is the slowest of it, is kept.

use ordeal_history::{History, Outcome};
use std::collections::BTreeMap;

/// At most about so many points are drawn.
const POINTS_MAX: usize = 16_000;

/// The points of one kind of operation and one outcome.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series<'a> {
    /// The kind of operation.
    pub f: &'a str,
    /// How they ended.
    pub outcome: Outcome,
    /// Invocation in nanoseconds since the start, and latency in nanoseconds.
    pub points: Vec<(u64, u64)>,
    /// How many points there were before sampling.
    pub total: usize,
}

/// Invocation and latency of each operation that was answered or given up, by kind and outcome,
/// the kinds by name and the outcomes as ok, fail, info. O(operations).
pub(crate) fn latencies(history: &History) -> Vec<Series<'_>> {
    let mut series: BTreeMap<(&str, u8), Series<'_>> = BTreeMap::new();
    for o in &history.operations {
        let Some(end) = o.complete_time else { continue };
        let latency = end.saturating_sub(o.invoke_time).max(1);
        let rank = match o.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        };
        let new = || Series { f: &o.f, outcome: o.outcome, points: Vec::new(), total: 0 };
        let one = series.entry((&*o.f, rank)).or_insert_with(new);
        one.points.push((o.invoke_time, latency));
        one.total += 1;
    }
    series.into_values().collect()
}

/// Thins the series to what a picture of `width` by `height` pixels can show, over `end_ns` of
/// time and the latencies `low_ns` to `high_ns` on a logarithmic scale.
pub(crate) fn thin(series: &mut [Series<'_>], end_ns: u64, range: (u64, u64), size: (f64, f64)) {
    if series.iter().map(|s| s.points.len()).sum::<usize>() <= POINTS_MAX {
        return;
    }
    let (low, high) = ((range.0.max(1) as f64).ln(), (range.1.max(2) as f64).ln());
    for cell in [2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0, 20.0] {
        let (columns, rows) = ((size.0 / cell).ceil(), (size.1 / cell).ceil());
        let at = |&(time, latency): &(u64, u64)| {
            let x = time as f64 / end_ns.max(1) as f64 * columns;
            let y = ((latency as f64).ln() - low) / (high - low).max(1e-9) * rows;
            let (x, y) = (x.clamp(0.0, columns) as usize, y.clamp(0.0, rows) as usize);
            x * (rows as usize + 1) + y
        };
        // The slowest of a large cell is the slowest of its small one, so it is still there.
        for s in series.iter_mut() {
            let mut cells: Vec<Option<(u64, u64)>> =
                vec![None; (columns as usize + 1) * (rows as usize + 1)];
            for point in &s.points {
                let kept = cells[at(point)].get_or_insert(*point);
                if point.1 > kept.1 {
                    *kept = *point;
                }
            }
            s.points = cells.into_iter().flatten().collect();
        }
        if series.iter().map(|s| s.points.len()).sum::<usize>() <= POINTS_MAX {
            return;
        }
    }
}

/// The latencies of the operations of one kind that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quantiles<'a> {
    /// The kind of operation.
    pub f: &'a str,
    /// How many there are.
    pub count: u64,
    /// For each of [`QUANTILES`] the latency in nanoseconds that so many did not exceed.
    pub at_ns: Vec<u64>,
}

impl Quantiles<'_> {
    /// The latency at one of [`QUANTILES`], in nanoseconds.
    pub fn at(&self, quantile: f64) -> u64 {
        let place = QUANTILES.iter().position(|&(q, _)| q == quantile);
        place.and_then(|place| self.at_ns.get(place)).copied().unwrap_or(0)
    }
}

/// Which quantiles are told; the last is the maximum.
pub(crate) const QUANTILES: [(f64, &str); 6] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (1.0, "max")];

/// Exact quantiles (nearest rank) of the latencies of the successful operations, by kind.
/// O(operations · log).
pub(crate) fn quantiles<'a>(series: &[Series<'a>]) -> Vec<Quantiles<'a>> {
    let mut all = Vec::new();
    for s in series.iter().filter(|s| s.outcome == Outcome::Ok && !s.points.is_empty()) {
        let mut sorted: Vec<u64> = s.points.iter().map(|p| p.1).collect();
        sorted.sort_unstable();
        let rank = |q: f64| {
            let rank = (q * sorted.len() as f64).ceil() as usize;
            sorted[rank.clamp(1, sorted.len()) - 1]
        };
        all.push(Quantiles {
            f: s.f,
            count: sorted.len() as u64,
            at_ns: QUANTILES.iter().map(|&(q, _)| rank(q)).collect(),
        });
    }
    all
}

/// Operations a second over time, by outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// Width of a bin in nanoseconds.
    pub bin_ns: u64,
    /// Width of the last bin, which takes what is left of the run.
    pub last_ns: u64,
    /// For each bin the operations that ended in it: ok, fail, info.
    pub bins: Vec<[u64; 3]>,
}

impl Rates {
    /// The middle of a bin in nanoseconds, and operations a second in it: ok, fail, info.
    pub fn points(&self) -> impl Iterator<Item = (u64, [f64; 3])> + '_ {
        self.bins.iter().enumerate().map(|(i, counts)| {
            let last = i + 1 == self.bins.len();
            let width_ns = if last { self.last_ns } else { self.bin_ns };
            let per_second = |count: u64| count as f64 * 1e9 / width_ns as f64;
            (i as u64 * self.bin_ns + width_ns / 2, counts.map(per_second))
        })
    }
}

/// Counts the operations by the moment at which they ended (one without an answer: at which it was
/// asked), in about 120 bins of a round width. O(operations).
pub(crate) fn rates(history: &History, end_ns: u64) -> Rates {
    let bin_ns = round_bin(end_ns / 120);
    let count = ((end_ns + bin_ns / 2) / bin_ns).max(1);
    let last_ns = end_ns.saturating_sub((count - 1) * bin_ns).max(1_000_000);
    let mut bins = vec![[0; 3]; count as usize];
    for o in &history.operations {
        let at = o.complete_time.unwrap_or(o.invoke_time) / bin_ns;
        let bin = &mut bins[at.min(count - 1) as usize];
        match o.outcome {
            Outcome::Ok => bin[0] += 1,
            Outcome::Fail => bin[1] += 1,
            Outcome::Info => bin[2] += 1,
        }
    }
    Rates { bin_ns, last_ns, bins }
}

/// The next of 1, 2, 5 · 10ⁿ, in nanoseconds, and at least a millisecond.
pub(crate) fn round_bin(ns: u64) -> u64 {
    let mut unit = 1_000_000_u64;
    loop {
        for factor in [1, 2, 5] {
            if unit.saturating_mul(factor) >= ns {
                return unit.saturating_mul(factor);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: Vec<(u64, u64)>) -> Series<'static> {
        Series { f: "read", outcome: Outcome::Ok, total: points.len(), points }
    }

    #[test]
    fn thinning_keeps_every_outlier_and_a_bounded_number_of_points() {
        let crowd = |i: u64| (i * 1_000, 1_000_000 + i * 7_919 % 400_000);
        let outliers = [(17_000, 2_000_000_000), (90_000_000, 3_000_000), (90_000_500, 9_000_000)];
        let mut points: Vec<(u64, u64)> = (0..100_000).map(crowd).collect();
        points.extend(outliers);
        let mut all = [series(points)];
        thin(&mut all, 100_000_000, (100_000, 10_000_000_000), (920.0, 260.0));
        assert!(all[0].points.len() <= POINTS_MAX, "{} points", all[0].points.len());
        assert!(all[0].points.len() > 1_000, "{} points", all[0].points.len());
        assert_eq!(all[0].total, 100_003);
        for outlier in outliers {
            assert!(all[0].points.contains(&outlier), "{outlier:?} is lost");
        }
    }

    #[test]
    fn few_points_are_all_drawn() {
        let mut all = [series((0..50).map(|_| (5, 5)).collect())];
        thin(&mut all, 10, (1, 10), (920.0, 260.0));
        assert_eq!(all[0].points.len(), 50);
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let all = [series((1..=1000).rev().map(|n| (n, n)).collect())];
        assert_eq!(quantiles(&all)[0].at_ns, [500, 900, 990, 999, 1000, 1000]);
        let one = [series(vec![(0, 7)])];
        assert_eq!(quantiles(&one)[0].at_ns, [7; 6]);
    }

    #[test]
    fn the_width_of_a_bin_is_round() {
        for (ns, bin_ms) in [(0, 1), (1_000_001, 2), (166_666_666, 200), (480_000_000, 500)] {
            assert_eq!(round_bin(ns), bin_ms * 1_000_000);
        }
    }
}
