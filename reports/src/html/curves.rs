//! Curves over time: latency by kind and by node, availability, clocks, packets.

use super::over_time::bands_legend;
use crate::meters::{self, Meters};
use crate::plots::{Axis, Line, Mark, Stage, f_colour, hex, line_colour, lines};
use crate::text::{NAME_MAX, clean, duration, grouped};
use crate::windows::{Windows, windows};
use maud::{Markup, html};
use ordeal_history::History;

/// More clocks or counters than these are not drawn.
const LINES_MAX: usize = 12;

/// A plot, and what stands under it.
pub(super) struct Drawn {
    /// The name of its file, without the ending.
    pub file: &'static str,
    pub title: &'static str,
    pub svg: Result<String, Box<dyn std::error::Error>>,
    pub caption: Markup,
}

/// The middle and the slow latency over time, by kind of operation and by node.
pub(super) fn latencies(stage: &Stage<'_>, history: &History) -> Vec<Drawn> {
    let kinds = windows(history, stage.end_ns, |o| Some(&*o.f));
    let nodes = windows(history, stage.end_ns, |o| o.node.as_deref());
    let by_kind = latency(("quantiles-by-kind", "Quantiles by kind"), stage, &kinds, f_colour);
    let names = ("quantiles-by-node", "Quantiles by node");
    let by_node = latency(names, stage, &nodes, |_, nth| line_colour(nth));
    by_kind.into_iter().chain(by_node.filter(|_| nodes.groups.len() > 1)).collect()
}

fn latency(
    names: (&'static str, &'static str),
    stage: &Stage<'_>,
    windows: &Windows<'_>,
    colour: impl Fn(&str, usize) -> plotters::style::RGBColor,
) -> Option<Drawn> {
    let exponent = |ns: u64| (ns.max(1) as f64).log10();
    let mut all = Vec::new();
    for (nth, group) in windows.groups.iter().enumerate() {
        let curve = |of: fn((u64, u64)) -> u64| {
            let at = |(window, both): (usize, &Option<(u64, u64)>)| {
                (windows.middle_ns(window), both.map_or(f64::NAN, |both| exponent(of(both))))
            };
            group.latency_ns.iter().enumerate().map(at).collect()
        };
        let colour = colour(group.name, nth);
        let line = |name: &str, mark, points| Line { name: name.to_owned(), colour, mark, points };
        all.push(line(group.name, Mark::nth(nth), curve(|(_, slow)| slow)));
        all.push(line("", Mark::None, curve(|(middle, _)| middle)));
    }
    let values = || all.iter().flat_map(|l| l.points.iter().map(|p| p.1)).filter(|y| y.is_finite());
    let low = values().fold(f64::INFINITY, f64::min);
    if !low.is_finite() {
        return None;
    }
    let (low, high) = (low.floor(), values().fold(low, f64::max).ceil().max(low.floor() + 1.0));
    let format = |y: &f64| duration(10_f64.powf(*y).round() as u64);
    let labels = (high - low) as usize + 1;
    let axis = Axis { low, high, name: "latency of ok", labels, format: &format };
    let width = duration(windows.width_ns);
    let said = format!("With marks the 99th percentile, thin the median, in windows of {width}.");
    Some(drawn(names, stage, &axis, &all, &said))
}

/// What share of the operations each node answered.
pub(super) fn availability(stage: &Stage<'_>, history: &History) -> Option<Drawn> {
    let windows = windows(history, stage.end_ns, |o| o.node.as_deref());
    let all: Vec<Line> = windows
        .groups
        .iter()
        .enumerate()
        .map(|(nth, group)| Line {
            name: group.name.to_owned(),
            colour: line_colour(nth),
            mark: Mark::nth(nth),
            points: (group.answered.iter().enumerate())
                .map(|(window, share)| (windows.middle_ns(window), share.unwrap_or(f64::NAN)))
                .collect(),
        })
        .collect();
    if all.is_empty() {
        return None;
    }
    let format = |y: &f64| format!("{:.0} %", y * 100.0);
    let axis = Axis { low: 0.0, high: 1.04, name: "answered", labels: 6, format: &format };
    let said = format!(
        "The share of each node's operations that had a certain answer of the store, in windows \
         of {}.",
        duration(windows.width_ns)
    );
    Some(drawn(("availability", "Availability"), stage, &axis, &all, &said))
}

/// How far the wall clocks were off.
pub(super) fn clocks(stage: &Stage<'_>) -> Option<Drawn> {
    let said = "As each node read its wall clock at the end of the fault that set it off.";
    let format = |y: &f64| format!("{} s", (*y * 1e3).round() / 1e3);
    let meters = meters::clocks(stage.bands);
    metered(("clocks", "Clocks"), "ahead of the machine's", stage, meters, &format, said)
}

/// What became of packets.
pub(super) fn packets(stage: &Stage<'_>) -> Option<Drawn> {
    let said = "All faults together. Each counts until it is over; between, the line is straight.";
    let format = |y: &f64| grouped(y.max(0.0).round() as u64);
    let meters = meters::packets(stage.bands);
    metered(("packets", "Packets"), "packets", stage, meters, &format, said)
}

fn metered(
    names: (&'static str, &'static str),
    unit: &str,
    stage: &Stage<'_>,
    meters: Meters,
    format: &dyn Fn(&f64) -> String,
    said: &str,
) -> Option<Drawn> {
    let all: Vec<Line> = (meters.into_iter().take(LINES_MAX).enumerate())
        .map(|(nth, (name, mut points))| {
            let last = points.last().map_or(0.0, |point| point.1);
            points.push((stage.end_ns, last));
            Line { name, colour: line_colour(nth), mark: Mark::nth(nth), points }
        })
        .collect();
    if all.is_empty() {
        return None;
    }
    let values = || all.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let room = (high - low).max(1e-6) * 0.06;
    let low = if low < 0.0 { low - room } else { low };
    let axis = Axis { low, high: high + room, name: unit, labels: 6, format };
    Some(drawn(names, stage, &axis, &all, said))
}

fn drawn(
    (file, title): (&'static str, &'static str),
    stage: &Stage<'_>,
    axis: &Axis<'_>,
    all: &[Line],
    said: &str,
) -> Drawn {
    let caption = html! {
        ul.legend {
            @for line in all.iter().filter(|line| line.mark != Mark::None) {
                li { (key(line)) " " bdi { (clean(&line.name, NAME_MAX)) } }
            }
        }
        (bands_legend(stage.bands))
        p.quiet { (said) }
    };
    Drawn { file, title, svg: lines(stage, axis, all), caption }
}

/// A line with its mark, as it stands in the plot.
fn key(line: &Line) -> Markup {
    let colour = hex(line.colour);
    html! {
        svg.key aria-hidden="true" width="24" height="14" viewBox="0 0 24 14" {
            path d="M 0 7 H 24" stroke=(colour) stroke-width="2" {}
            @match line.mark {
                Mark::Disc => circle cx="12" cy="7" r="4" fill=(colour) {},
                Mark::Ring => circle.ring cx="12" cy="7" r="4" stroke=(colour) stroke-width="2" {},
                Mark::Cross => {
                    path d="M 8 3 L 16 11 M 16 3 L 8 11" stroke=(colour) stroke-width="2" {}
                },
                Mark::Triangle => path d="M 12 1.5 L 18 12 H 6 z" fill=(colour) {},
                Mark::None => {},
            }
        }
    }
}
