//! The spacetime diagram of a small run: a line of life for each node and for the clients, down
//! which time runs; messages between them, what each node did with its disk and its role, and the
//! operations of the clients (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed
//! System", 1978).
//!
//! Only what moves is drawn to scale: long stretches in which nothing happens are cut short, as the
//! times at the margin say. Of a run with many operations only what lies around the violation is
//! drawn.

use crate::band::{Band, band_class, band_name, bands};
use crate::results::Results;
use crate::text::{clean, counted};
use crate::value::label_with_key;
use maud::{Markup, html};
use ordeal_history::{History, Operation, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What happened in a cluster, as its simulation saw it. Times in nanoseconds since the clients
/// began, negative before that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spacetime {
    /// The nodes' names.
    pub nodes: Vec<String>,
    /// Messages between them, in the order of their sending.
    pub messages: Vec<Sent>,
    /// What happened in one place, in the order of time.
    pub moments: Vec<Moment>,
    /// How many messages there were beyond those that are kept.
    #[serde(default)]
    pub left_out: u64,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Places among the nodes.
    pub from: usize,
    /// Where it goes.
    pub to: usize,
    /// When it was sent.
    pub at_ns: i64,
    /// When it arrives; never if it is lost or waits for a cut link.
    pub arrives_ns: Option<i64>,
    /// Its kind.
    pub what: String,
}

/// Something that happened to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Its place among the nodes.
    pub node: usize,
    /// When.
    pub at_ns: i64,
    /// In a few words.
    pub what: String,
}

/// How wide a column is, and the margin for the times.
const COLUMN: f64 = 130.0;
const MARGIN: f64 = 60.0;
const HEAD: f64 = 40.0;
/// How far clients' bars lie apart, and how wide they are.
const LANE: f64 = 15.0;
const BAR: f64 = 9.0;
/// The room for what stands beside the bars.
const LABELS: f64 = 210.0;
/// How high a millisecond is, and the highest that a pause between two happenings may be.
const PER_MS: f64 = 5.0;
const PAUSE_MAX: f64 = 22.0;
const PAUSE_MIN: f64 = 2.0;
/// Of more operations than these only what lies around the counterexample is drawn.
const OPERATIONS_MAX: usize = 24;
/// What is drawn around it, in nanoseconds.
const AROUND_NS: i64 = 40_000_000;
/// Of more messages those nearest to the violation are drawn, and of more moments.
const MESSAGES_MAX: usize = 220;
const MOMENTS_MAX: usize = 160;
/// At most so many faults are drawn behind.
const BANDS_MAX: usize = 8;

/// Where each time that matters stands on the page.
struct Scale(Vec<(i64, f64)>);

impl Scale {
    fn new(mut times: Vec<i64>) -> Scale {
        times.sort_unstable();
        times.dedup();
        let mut y = HEAD + 14.0;
        let mut last = None;
        let mut places = Vec::new();
        for time in times {
            if let Some(last) = last {
                let ms = (time - last) as f64 / 1e6;
                y += (ms * PER_MS).clamp(PAUSE_MIN, PAUSE_MAX);
            }
            last = Some(time);
            places.push((time, y));
        }
        Scale(places)
    }

    /// Exact for the times it was made of, between them by their distance, at its ends beyond.
    fn y(&self, time: i64) -> f64 {
        let at = self.0.partition_point(|(known, _)| *known < time);
        let (after, before) = (self.0.get(at), at.checked_sub(1).and_then(|at| self.0.get(at)));
        match (before, after) {
            (_, Some((known, y))) if *known == time => *y,
            (Some((t0, y0)), Some((t1, y1))) => {
                y0 + (y1 - y0) * (time - t0) as f64 / (t1 - t0) as f64
            }
            (_, Some((_, y))) | (Some((_, y)), None) => *y,
            (None, None) => HEAD,
        }
    }

    fn end(&self) -> f64 {
        self.0.last().map_or(HEAD, |(_, y)| *y) + 24.0
    }
}

/// An operation of a client, for its bar.
#[derive(Clone)]
struct Bar {
    process: i64,
    from_ns: i64,
    /// When it was answered or given up; `None` for never.
    to_ns: Option<i64>,
    outcome: Outcome,
    text: String,
    /// Whether the counterexample speaks of it, and whether the history became wrong there.
    marked: bool,
    breaks: bool,
}

/// What of a story is drawn: all of a small one, of another what lies around the violation.
struct Drawn<'a> {
    first: i64,
    last: i64,
    messages: Vec<&'a Sent>,
    moments: Vec<&'a Moment>,
    bars: Vec<Bar>,
    bands: Vec<&'a Band>,
    /// How many operations and messages the run has beside those.
    left_out: (usize, usize),
}

impl<'a> Drawn<'a> {
    fn new(story: &'a Spacetime, results: &Results, history: &History, bands: &'a [Band]) -> Self {
        let all = bars(results, history);
        let told = |bar: &&Bar| bar.marked || all.len() <= OPERATIONS_MAX;
        let shown: Vec<&Bar> = match all.iter().any(|bar| told(&bar)) {
            true => all.iter().filter(told).collect(),
            false => all.iter().collect(),
        };
        let end = |bar: &Bar| bar.to_ns.unwrap_or(bar.from_ns);
        let first = shown.iter().map(|bar| bar.from_ns).min().unwrap_or(0) - AROUND_NS;
        let last = shown.iter().map(|bar| end(bar)).max().unwrap_or(0) + AROUND_NS;
        let breaks = shown.iter().find(|bar| bar.breaks).map_or(last, |bar| end(bar));
        let near = |at: i64| (first <= at && at <= last).then(|| (at - breaks).abs());
        let mut messages: Vec<&Sent> =
            story.messages.iter().filter(|it| near(it.at_ns).is_some()).collect();
        messages.sort_by_key(|it| (near(it.at_ns), it.at_ns));
        // What is left out is left out as a whole: a stretch without messages would tell a lie.
        let reach = messages.get(MESSAGES_MAX).and_then(|it| near(it.at_ns)).unwrap_or(i64::MAX);
        let within = |at: i64| near(at).is_some_and(|away| away < reach);
        messages.retain(|it| within(it.at_ns));
        messages.sort_by_key(|it| it.at_ns);
        let (first, last) =
            (first.max(breaks.saturating_sub(reach)), last.min(breaks.saturating_add(reach)));
        let moments = story.moments.iter().filter(|it| within(it.at_ns)).take(MOMENTS_MAX);
        let open = |bar: &&Bar| bar.from_ns <= last && bar.to_ns.is_none_or(|to| to >= first);
        let bars: Vec<Bar> = all.iter().filter(open).cloned().collect();
        let ns = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let touches = |band: &&Band| ns(band.start_ns) <= last && ns(band.end_ns) >= first;
        Drawn {
            first,
            last,
            left_out: (all.len() - bars.len(), story.messages.len() - messages.len()),
            messages,
            moments: moments.collect(),
            bars,
            bands: bands.iter().filter(touches).take(BANDS_MAX).collect(),
        }
    }

    fn scale(&self) -> Scale {
        let within = |at: &i64| self.first <= *at && *at <= self.last;
        let sent = self.messages.iter().flat_map(|it| [Some(it.at_ns), it.arrives_ns]).flatten();
        let moments = self.moments.iter().map(|it| it.at_ns);
        let ends = self.bars.iter().flat_map(|bar| [Some(bar.from_ns), bar.to_ns]).flatten();
        Scale::new(sent.chain(moments).chain(ends).filter(within).collect())
    }
}

/// What the diagram leaves out, in a sentence; empty when it leaves out nothing.
pub(crate) fn left_out(story: &Spacetime, results: &Results, history: &History) -> String {
    match Drawn::new(story, results, history, &[]).left_out {
        (0, 0) => String::new(),
        (operations, messages) => format!(
            "Drawn is what lies around the violation; not drawn are {} and {}.",
            counted(operations as u64, "operation", "operations"),
            counted(messages as u64 + story.left_out, "message", "messages"),
        ),
    }
}

/// The diagram. O(messages · log).
pub(crate) fn svg(
    story: &Spacetime,
    results: &Results,
    history: &History,
    bands: &[Band],
) -> Markup {
    let drawn = Drawn::new(story, results, history, bands);
    let scale = drawn.scale();
    let count = story.nodes.len();
    let x = |lane: usize| MARGIN + COLUMN * (lane as f64 + 0.5);
    let clients = MARGIN + COLUMN * count as f64 + 10.0;
    let lanes = pack(&drawn, &scale);
    let labels = clients + LANE * (lanes.iter().max().map_or(0, |lane| lane + 1)) as f64 + 8.0;
    let (width, height) = (labels + LABELS, scale.end());
    html! {
        svg.spacetime role="img" viewBox=(format!("0 0 {width:.0} {height:.0}"))
            width=(format!("{width:.0}")) height=(format!("{height:.0}")) {
            title { "Messages between the nodes, and the operations of the clients" }
            @for band in &drawn.bands { (fault(band, &scale, (&drawn, x(0), clients))) }
            @for (lane, node) in story.nodes.iter().enumerate() {
                (life(x(lane), height, &clean(node, 40)))
            }
            text.name x=(f(clients)) y="18" { "clients" }
            @for sent in &drawn.messages { (arrow(sent, &scale, drawn.last, x)) }
            @for moment in &drawn.moments {
                (happening(moment, &scale, x(moment.node), moment.node + 1 == count))
            }
            (operations(&drawn, &scale, &lanes, (clients, labels)))
            @for (time, y) in rarely(&scale) {
                text.time x="2" y=(f(y + 3.0)) { (when(time)) }
            }
        }
    }
}

/// Who holds the lane of which bar: bars that overlap lie side by side.
fn pack(drawn: &Drawn<'_>, scale: &Scale) -> Vec<usize> {
    let mut free: Vec<f64> = Vec::new();
    let place = |bar: &Bar| {
        let (y1, y2) = ends(bar, drawn, scale);
        let lane = free.iter().position(|end| *end < y1).unwrap_or(free.len());
        if lane == free.len() {
            free.push(y2);
        }
        free[lane] = y2 + 3.0;
        lane
    };
    drawn.bars.iter().map(place).collect()
}

/// Where a bar begins and ends on the page.
fn ends(bar: &Bar, drawn: &Drawn<'_>, scale: &Scale) -> (f64, f64) {
    let y1 = scale.y(bar.from_ns.max(drawn.first));
    let y2 = scale.y(bar.to_ns.unwrap_or(drawn.last).min(drawn.last));
    (y1, y2.max(y1 + 3.0))
}

fn life(x: f64, height: f64, name: &str) -> Markup {
    html! {
        text.name x=(f(x)) y="18" text-anchor="middle" { (name) }
        line.life x1=(f(x)) x2=(f(x)) y1="26" y2=(f(height)) {}
    }
}

/// A fault lies behind all nodes for as long as it lasts.
fn fault(band: &Band, scale: &Scale, (drawn, left, right): (&Drawn<'_>, f64, f64)) -> Markup {
    let at =
        |ns: u64| scale.y(i64::try_from(ns).unwrap_or(i64::MAX).clamp(drawn.first, drawn.last));
    let (y1, y2) = (at(band.start_ns), at(band.end_ns));
    let (left, class) = (left - COLUMN * 0.45, band_class(&band.kind));
    html! {
        rect class=(format!("band {class}")) x=(f(left)) y=(f(y1))
            width=(f(right - left - COLUMN * 0.1)) height=(f((y2 - y1).max(2.0))) {
            title { (band_name(band, 160)) }
        }
        text.fault x=(f(left + 4.0)) y=(f(y1 + 11.0)) { (band_name(band, 48)) }
    }
}

/// A message that never arrives ends halfway, in a cross.
fn arrow(sent: &Sent, scale: &Scale, last: i64, x: impl Fn(usize) -> f64) -> Markup {
    let (x1, y1) = (x(sent.from), scale.y(sent.at_ns));
    let arrives = sent.arrives_ns;
    let (x2, y2) = match arrives {
        Some(at) => (x(sent.to), scale.y(at.min(last))),
        None => ((x1 + x(sent.to)) / 2.0, y1 + 4.0),
    };
    let length = ((x2 - x1).powi(2) + (y2 - y1).powi(2)).sqrt().max(0.1);
    let (ux, uy) = ((x2 - x1) / length, (y2 - y1) / length);
    let corner =
        |side: f64| format!("{:.1} {:.1}", x2 - 7.0 * ux - side * uy, y2 - 7.0 * uy + side * ux);
    let cross = format!("M {:.1} {:.1} l 7 7 m 0 -7 l -7 7", x2 - 3.5, y2 - 3.5);
    html! {
        g class=(if arrives.is_some() { "sent" } else { "lost" }) {
            title {
                (clean(&sent.what, 200)) " sent at " (when(sent.at_ns))
                @if arrives.is_none() { ", never arrives" }
            }
            line x1=(f(x1)) y1=(f(y1)) x2=(f(x2)) y2=(f(y2)) {}
            @if arrives.is_some() {
                path.head d=(format!("M {x2:.1} {y2:.1} L {} L {} Z", corner(2.6), corner(-2.6))) {}
            } @else { path d=(cross) {} }
        }
    }
}

/// What a node did; syncs are too many for words. Those of the `last` node stand left of it: right
/// of it are the clients.
fn happening(moment: &Moment, scale: &Scale, x: f64, last: bool) -> Markup {
    let y = scale.y(moment.at_ns);
    let (text_x, anchor) = if last { (x - 6.0, "end") } else { (x + 6.0, "start") };
    html! {
        circle.moment cx=(f(x)) cy=(f(y)) r="2.5" {
            title { (clean(&moment.what, 200)) " at " (when(moment.at_ns)) }
        }
        @if !moment.what.starts_with("fsync") {
            text.did x=(f(text_x)) y=(f(y + 3.0)) text-anchor=(anchor) { (clean(&moment.what, 32)) }
        }
    }
}

/// The clients' bars, and beside them what they did; a text that has no room where its bar begins
/// stands lower, and a thin line leads to it.
fn operations(
    drawn: &Drawn<'_>,
    scale: &Scale,
    lanes: &[usize],
    (left, labels): (f64, f64),
) -> Markup {
    let mut free = f64::MIN;
    let mut parts = Vec::new();
    for (bar, lane) in drawn.bars.iter().zip(lanes) {
        let (y1, y2) = ends(bar, drawn, scale);
        let x = left + *lane as f64 * LANE;
        let text_y = (y1 + 8.0).max(free);
        free = text_y + 12.0;
        let mut class = match bar.outcome {
            Outcome::Ok => "operation ok",
            Outcome::Fail => "operation fail",
            Outcome::Info => "operation info",
        }
        .to_owned();
        if bar.marked {
            class.push_str(" marked");
        }
        let wrong = if bar.breaks { " ✗ wrong here" } else { "" };
        let lead =
            format!("M {:.1} {:.1} L {:.1} {:.1}", x + BAR, y1 + 1.0, labels - 3.0, text_y - 4.0);
        parts.push(html! {
            g class=(class) {
                title { "process " (bar.process) ": " (bar.text) }
                path.lead d=(lead) {}
                rect x=(f(x)) y=(f(y1)) width=(f(BAR)) height=(f(y2 - y1)) rx="2" {}
                text x=(f(labels)) y=(f(text_y)) {
                    (bar.process) ": " (bar.text) (wrong)
                }
            }
        });
    }
    html! { @for part in &parts { (part) } }
}

fn bars(results: &Results, history: &History) -> Vec<Bar> {
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let found: Vec<_> =
        results.deciding().filter_map(|checker| checker.counterexample.as_ref()).collect();
    let marked: BTreeSet<u64> = found.iter().flat_map(|it| it.events.iter().copied()).collect();
    let broken: BTreeSet<u64> = found.iter().filter_map(|it| it.broken_at_event).collect();
    let bar = |operation: &Operation| {
        let is = |events: &BTreeSet<u64>| {
            events.contains(&operation.invoke)
                || operation.complete.is_some_and(|event| events.contains(&event))
        };
        Bar {
            process: operation.process,
            from_ns: signed(operation.invoke_time),
            to_ns: operation.complete_time.map(signed),
            outcome: operation.outcome,
            text: clean(&label_with_key(operation, 16), 40),
            marked: is(&marked),
            breaks: is(&broken),
        }
    };
    history.operations.iter().map(bar).collect()
}

/// Times far enough from each other to be read.
fn rarely(scale: &Scale) -> Vec<(i64, f64)> {
    let mut last = f64::MIN;
    let apart = |(_, y): &&(i64, f64)| {
        let far = *y - last >= 24.0;
        if far {
            last = *y;
        }
        far
    };
    scale.0.iter().filter(apart).copied().collect()
}

/// A moment of the run, to the millisecond.
fn when(at_ns: i64) -> String {
    format!("{:.1} ms", at_ns as f64 / 1e6)
}

fn f(number: f64) -> String {
    format!("{number:.1}")
}

/// The diagram alone, in a file of its own.
pub fn spacetime_svg(story: &Spacetime, results: &Results, history: &History) -> String {
    crate::html::alone(svg(story, results, history, &bands(history)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_moments_and_operations_are_drawn_in_the_order_of_time_and_hostile_words_escaped() {
        let story = Spacetime {
            nodes: vec!["n1".to_owned(), "<n2>".to_owned()],
            messages: vec![
                Sent { from: 0, to: 1, at_ns: 0, arrives_ns: Some(500_000), what: "a".to_owned() },
                Sent { from: 1, to: 0, at_ns: 600_000, arrives_ns: None, what: "b".to_owned() },
            ],
            moments: vec![Moment { node: 1, at_ns: 550_000, what: "fsync <1>".to_owned() }],
            left_out: 0,
        };
        let picture = spacetime_svg(&story, &Results::default(), &History::default());
        assert!(picture.starts_with("<svg xmlns="), "{picture}");
        for part in
            ["&lt;n2&gt;", "fsync &lt;1&gt;", "a sent at 0.0 ms", "never arrives", "clients"]
        {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        let scale = Scale::new(vec![0, 600_000, 500_000, 550_000]);
        let places = [0, 500_000, 550_000, 600_000].map(|time| scale.y(time));
        assert!(places.is_sorted() && places[0] < places[3], "{places:?}");
    }
}
