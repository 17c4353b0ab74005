//! The spacetime diagram of a small run: a line of life for each node and for the clients, down
//! which time runs; messages between them, what each node did with its disk and its role, and the
//! operations of the clients (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed
//! System", 1978).
//!
//! Only what moves is drawn to scale: long stretches in which nothing happens are cut short, and
//! where they are stands so.

use crate::text::{clean, duration};
use maud::{Markup, html};
use ordeal_history::{History, Outcome};
use serde::{Deserialize, Serialize};

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
const MARGIN: f64 = 90.0;
const HEAD: f64 = 40.0;
/// How high a millisecond is, and the highest that a pause between two happenings may be.
const PER_MS: f64 = 6.0;
const PAUSE_MAX: f64 = 26.0;
const PAUSE_MIN: f64 = 3.0;
/// Messages beyond these are not drawn.
const MESSAGES_MAX: usize = 400;
const MOMENTS_MAX: usize = 300;

/// Where each time that matters stands on the page.
struct Scale(Vec<(i64, f64)>);

impl Scale {
    fn new(mut times: Vec<i64>) -> Scale {
        times.sort_unstable();
        times.dedup();
        let mut y = HEAD + 10.0;
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

    /// Exact for the times it was made of.
    fn y(&self, time: i64) -> f64 {
        let at = self.0.partition_point(|(known, _)| *known < time);
        self.0.get(at).or(self.0.last()).map_or(HEAD, |(_, y)| *y)
    }

    fn end(&self) -> f64 {
        self.0.last().map_or(HEAD, |(_, y)| *y) + 20.0
    }
}

/// An operation of a client, for its bar.
struct Bar {
    process: i64,
    from_ns: i64,
    to_ns: i64,
    outcome: Outcome,
    text: String,
}

/// The diagram. O(messages · log).
pub(crate) fn svg(story: &Spacetime, history: &History) -> Markup {
    let bars = bars(history);
    let (first, last) = window(&bars);
    let within = |at: i64| first <= at && at <= last;
    let messages: Vec<&Sent> =
        story.messages.iter().filter(|it| within(it.at_ns)).take(MESSAGES_MAX).collect();
    let moments: Vec<&Moment> =
        story.moments.iter().filter(|it| within(it.at_ns)).take(MOMENTS_MAX).collect();
    let sent = messages.iter().flat_map(|it| [Some(it.at_ns), it.arrives_ns]).flatten();
    let ends = bars.iter().flat_map(|bar| [bar.from_ns, bar.to_ns]);
    let scale = Scale::new(sent.chain(moments.iter().map(|it| it.at_ns)).chain(ends).collect());
    let lanes = story.nodes.len();
    let x = |lane: usize| MARGIN + COLUMN * (lane as f64 + 0.5);
    let (width, height) = (MARGIN + COLUMN * (lanes as f64 + 2.0), scale.end());
    html! {
        svg.spacetime role="img" viewBox=(format!("0 0 {width:.0} {height:.0}"))
            width=(format!("{width:.0}")) height=(format!("{height:.0}"))
            font-size="11" font-family="system-ui, sans-serif" fill="currentColor" {
            title { "Messages between the nodes, and the operations of the clients" }
            @for (lane, node) in story.nodes.iter().enumerate() {
                (life(x(lane), height, &clean(node, 40)))
            }
            (life(x(lanes), height, "clients"))
            @for sent in &messages { (arrow(sent, &scale, x)) }
            @for moment in &moments {
                @let (x, y) = (x(moment.node), scale.y(moment.at_ns));
                circle cx=(f(x)) cy=(f(y)) r="2.5" {
                    title { (clean(&moment.what, 200)) " at " (when(moment.at_ns)) }
                }
                @if !moment.what.starts_with("fsync") {
                    text x=(f(x + 5.0)) y=(f(y + 3.0)) font-size="9" {
                        (clean(&moment.what, 28))
                    }
                }
            }
            @for (number, bar) in bars.iter().enumerate() {
                (operation(bar, number, &scale, x(lanes)))
            }
            @for (time, y) in rarely(&scale) {
                text x="4" y=(f(y + 3.0)) font-size="9" opacity="0.7" { (when(time)) }
            }
        }
    }
}

fn life(x: f64, height: f64, name: &str) -> Markup {
    html! {
        text x=(f(x)) y="18" text-anchor="middle" font-weight="600" { (name) }
        line x1=(f(x)) x2=(f(x)) y1="26" y2=(f(height)) stroke="currentColor" opacity="0.35" {}
    }
}

/// A message that never arrives ends halfway.
fn arrow(sent: &Sent, scale: &Scale, x: impl Fn(usize) -> f64) -> Markup {
    let (x1, y1) = (x(sent.from), scale.y(sent.at_ns));
    let (x2, y2) = match sent.arrives_ns {
        Some(at) => (x(sent.to), scale.y(at)),
        None => ((x1 + x(sent.to)) / 2.0, y1 + PAUSE_MIN),
    };
    let (colour, dashes) =
        if sent.arrives_ns.is_some() { ("#005f96", "none") } else { ("#b3261e", "4 3") };
    let towards = (x2 - x1).signum() * 5.0;
    html! {
        g stroke=(colour) fill="none" opacity="0.75" {
            line x1=(f(x1)) y1=(f(y1)) x2=(f(x2)) y2=(f(y2)) stroke-dasharray=(dashes) {
                title { (clean(&sent.what, 200)) " sent at " (when(sent.at_ns)) }
            }
            polyline points=(format!(
                "{:.1},{:.1} {x2:.1},{y2:.1} {:.1},{:.1}",
                x2 - towards, y2 - 3.0, x2 - towards, y2 + 1.5
            )) {}
        }
    }
}

fn operation(bar: &Bar, number: usize, scale: &Scale, lane: f64) -> Markup {
    let (y1, y2) = (scale.y(bar.from_ns), scale.y(bar.to_ns));
    let x = lane + 10.0 + (number % 4) as f64 * 12.0;
    let colour = match bar.outcome {
        Outcome::Ok => "#00785a",
        Outcome::Fail => "#7a818c",
        Outcome::Info => "#d55e01",
    };
    html! {
        rect x=(f(x)) y=(f(y1)) width="8" height=(f((y2 - y1).max(2.0))) fill=(colour) {
            title { "process " (bar.process) ": " (bar.text) }
        }
        text x=(f(lane + 62.0)) y=(f(y1 + 8.0)) font-size="9" { (bar.text) }
    }
}

fn bars(history: &History) -> Vec<Bar> {
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let bar = |operation: &ordeal_history::Operation| {
        let from_ns = signed(operation.invoke_time);
        let key = operation.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let value = match operation.outcome {
            Outcome::Ok => &operation.output,
            Outcome::Fail | Outcome::Info => &operation.input,
        };
        let text = format!("{} {key} {value}", operation.f);
        Bar {
            process: operation.process,
            from_ns,
            to_ns: operation.complete_time.map_or(from_ns, signed),
            outcome: operation.outcome,
            text: clean(&text, 60),
        }
    };
    history.operations.iter().map(bar).collect()
}

/// From a little before the first operation to a little after the last.
fn window(bars: &[Bar]) -> (i64, i64) {
    let around = 100_000_000;
    let first = bars.iter().map(|bar| bar.from_ns).min().unwrap_or(0);
    let last = bars.iter().map(|bar| bar.to_ns).max().unwrap_or(i64::MAX - around);
    (first - around, last + around)
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

fn when(at_ns: i64) -> String {
    let words = duration(at_ns.unsigned_abs());
    if at_ns < 0 { format!("-{words}") } else { words }
}

fn f(number: f64) -> String {
    format!("{number:.1}")
}

/// The diagram alone, in a file of its own.
pub fn spacetime_svg(story: &Spacetime, history: &History) -> String {
    let picture = svg(story, history).into_string();
    picture.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" color=\"#1b2430\"", 1)
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
        let picture = spacetime_svg(&story, &History::default());
        assert!(picture.starts_with("<svg xmlns="), "{picture}");
        for part in ["&lt;n2&gt;", "fsync &lt;1&gt;", "a sent at 0", "b sent at 600 µs", "clients"]
        {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        let scale = Scale::new(vec![0, 600_000, 500_000, 550_000]);
        let places = [0, 500_000, 550_000, 600_000].map(|time| scale.y(time));
        assert!(places.is_sorted() && places[0] < places[3], "{places:?}");
    }
}
