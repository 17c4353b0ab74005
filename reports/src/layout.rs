//! Where the bars of a counterexample stand.
//!
//! The operations of a counterexample may lie seconds apart and last a millisecond each, and it is
//! their order that matters. So the axis is stretched: the order of the events is exact, and each
//! bar is as wide as its label needs. A bar ends before another begins in the picture exactly when
//! it does so in the history. Widths are in any unit: pixels for SVG, columns for a terminal.

use crate::case::Shown;
use ordeal_history::Outcome;

/// How wide things must be.
pub(crate) struct Measure {
    /// The least distance between two events.
    pub gap: f64,
    /// Added to the distance for each doubling of the time between the events beyond 10 µs.
    pub per_doubling: f64,
    /// Added to a distance that holds none of the operations: nothing of the case runs there.
    pub idle: f64,
}

/// The picture's geometry.
#[derive(Debug)]
pub(crate) struct Layout {
    /// For each operation its left and right end; an indeterminate one ends at the right edge.
    pub spans: Vec<(f64, f64)>,
    /// The processes by their first invocation, each with the positions of its operations.
    pub rows: Vec<(i64, Vec<usize>)>,
    /// Every moment that has a place of its own: nanoseconds, and where it stands; ascending.
    pub marks: Vec<(u64, f64)>,
    /// The whole width.
    pub width: f64,
}

enum Edge {
    Start(usize),
    End(usize),
    Moment,
}

impl Layout {
    /// Places the operations, each at least as wide as `widths` says, and the `moments` (fault
    /// bands begin and end there) among them.
    pub fn new(shown: &[Shown<'_>], widths: &[f64], moments: &[u64], measure: &Measure) -> Layout {
        let edges = edges(shown, moments);
        let mut spans = vec![(0.0, f64::NAN); shown.len()];
        let mut marks: Vec<(u64, f64)> = Vec::with_capacity(edges.len());
        let (mut x, mut running): (f64, i64) = (0.0, 0);
        for (time, _, edge) in &edges {
            if let Some(&(before, _)) = marks.last() {
                let tens_us = time.saturating_sub(before) as f64 / 10_000.0;
                x += measure.gap + measure.per_doubling * tens_us.max(1.0).log2();
                x += if running == 0 { measure.idle } else { 0.0 };
            }
            match *edge {
                Edge::Start(at) => {
                    spans[at].0 = x;
                    running += 1;
                }
                Edge::End(at) => {
                    x = x.max(spans[at].0 + widths[at]);
                    spans[at].1 = x;
                    running -= 1;
                }
                Edge::Moment => {}
            }
            marks.push((*time, x));
        }
        let mut width = x;
        for (span, wide) in spans.iter().zip(widths) {
            if span.1.is_nan() {
                width = width.max(span.0 + wide).max(x + measure.gap * 2.0);
            }
        }
        for span in spans.iter_mut().filter(|span| span.1.is_nan()) {
            span.1 = width;
        }
        Layout { spans, rows: rows(shown), marks, width }
    }

    /// The widest picture that is no wider than `room`, from `generous` distances down to none but
    /// the gaps; when even that is too wide, that one.
    pub fn fitting(
        shown: &[Shown<'_>],
        widths: &[f64],
        moments: &[u64],
        generous: &Measure,
        room: f64,
    ) -> Layout {
        let try_with = |share: f64| {
            let measure = Measure {
                gap: generous.gap * (0.5 + 0.5 * share),
                per_doubling: generous.per_doubling * share,
                idle: generous.idle * share,
            };
            Layout::new(shown, widths, moments, &measure)
        };
        let shares = [1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1];
        let fits = shares.into_iter().map(try_with).find(|layout| layout.width <= room);
        fits.unwrap_or_else(|| try_with(0.0))
    }

    /// Where a moment stands: between its neighbours, or at an edge when it lies outside.
    pub fn place(&self, time: u64) -> f64 {
        let after = self.marks.partition_point(|&(t, _)| t < time);
        match (after.checked_sub(1).map(|i| self.marks[i]), self.marks.get(after)) {
            (None, _) => 0.0,
            (Some(_), None) => self.width,
            (Some((t0, x0)), Some(&(t1, x1))) => {
                x0 + (x1 - x0) * (time - t0) as f64 / (t1 - t0).max(1) as f64
            }
        }
    }

    /// The first and the last moment that the picture shows, in nanoseconds.
    pub fn window(&self) -> (u64, u64) {
        let first = self.marks.first().map_or(0, |m| m.0);
        (first, self.marks.last().map_or(0, |m| m.0))
    }
}

fn edges(shown: &[Shown<'_>], moments: &[u64]) -> Vec<(u64, u64, Edge)> {
    let mut edges: Vec<(u64, u64, Edge)> =
        moments.iter().map(|&time| (time, u64::MAX, Edge::Moment)).collect();
    for (at, Shown { operation, .. }) in shown.iter().enumerate() {
        edges.push((operation.invoke_time, operation.invoke, Edge::Start(at)));
        // When the client of an indeterminate operation gave up says nothing of when it ends.
        let ends = operation.outcome != Outcome::Info;
        if let (true, Some(index), Some(time)) = (ends, operation.complete, operation.complete_time)
        {
            edges.push((time, index, Edge::End(at)));
        }
    }
    edges.sort_by_key(|&(time, index, _)| (time, index));
    edges
}

fn rows(shown: &[Shown<'_>]) -> Vec<(i64, Vec<usize>)> {
    let mut rows: Vec<(i64, Vec<usize>)> = Vec::new();
    for (at, Shown { operation, .. }) in shown.iter().enumerate() {
        match rows.iter_mut().find(|(process, _)| *process == operation.process) {
            Some((_, row)) => row.push(at),
            None => rows.push((operation.process, vec![at])),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_history::{Operation, Value};

    fn operation(process: i64, invoke: u64, complete: Option<u64>) -> Operation {
        Operation {
            process,
            f: "write".into(),
            key: None,
            input: Value::Int(invoke as i64),
            output: Value::Null,
            actual: None,
            outcome: if complete.is_some() { Outcome::Ok } else { Outcome::Info },
            invoke,
            complete,
            invoke_time: invoke * invoke * 1_000,
            complete_time: complete.map(|c| c * c * 1_000),
            revision: None,
            version: None,
            node: None,
            error: None,
        }
    }

    #[test]
    fn a_bar_ends_before_another_begins_exactly_when_its_operation_does() {
        let operations = [
            operation(0, 0, Some(3)),
            operation(1, 1, None),
            operation(2, 2, Some(7)),
            operation(0, 4, Some(5)),
            operation(3, 6, Some(9)),
            operation(0, 8, Some(10)),
        ];
        let shown: Vec<Shown<'_>> = operations
            .iter()
            .map(|operation| Shown { number: 0, operation, breaks: false })
            .collect();
        let widths = [90.0, 10.0, 40.0, 120.0, 5.0, 60.0];
        for (room, moments) in [(2_000.0, vec![]), (100.0, vec![2_500, 60_000])] {
            let measure = Measure { gap: 10.0, per_doubling: 3.0, idle: 5.0 };
            let layout = Layout::fitting(&shown, &widths, &moments, &measure, room);
            for (a, span) in operations.iter().zip(&layout.spans) {
                for (b, other) in operations.iter().zip(&layout.spans) {
                    let before = a.complete.is_some_and(|end| end < b.invoke);
                    assert_eq!(span.1 < other.0, before, "{a:?} {span:?} {b:?} {other:?}");
                }
            }
            for (span, width) in layout.spans.iter().zip(widths) {
                assert!(span.1 - span.0 >= width, "{span:?} is narrower than {width}");
            }
            assert_eq!(layout.rows[0], (0, vec![0, 3, 5]));
        }
    }
}
