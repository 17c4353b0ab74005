//! The counterexample as a picture: a row a process, a bar an operation, faults behind.

use crate::band::{Band, band_class, band_name};
use crate::case::{Case, Shown, story};
use crate::layout::{Layout, Measure};
use crate::text::{clean, grouped};
use maud::{Markup, html};
use ordeal_history::{Operation, Outcome, Value};

/// Width of the column with the processes' names.
const GUTTER: f64 = 96.0;
/// Space right of the last bar.
const MARGIN: f64 = 28.0;
/// The width that the bars have on a wide page; more must be scrolled to.
const ROOM: f64 = 870.0;
const ROW: f64 = 62.0;
const BAR: f64 = 26.0;
const LANE: f64 = 22.0;
const AXIS: f64 = 44.0;
/// Width of a character of the monospaced face at 12 px, and of the small one at 11 px.
const CHAR: f64 = 7.3;
const SMALL: f64 = 6.3;
/// More faults than these are not drawn into one timeline.
pub(crate) const BANDS_MAX: usize = 8;
/// Values in bars are cut after so many characters.
const VALUE_MAX: usize = 22;
/// What is written in a bar is cut after so many characters.
const LABEL_MAX: usize = 56;

/// The timeline of `case` as an SVG element. `bands` are all of the run; those that overlap the
/// case's window are drawn.
pub(crate) fn svg(case: &Case<'_>, bands: &[Band]) -> Markup {
    let texts: Vec<BarText> = case.shown.iter().map(|shown| BarText::new(case, shown)).collect();
    let widths: Vec<f64> = texts.iter().map(BarText::width).collect();
    let measure = Measure { gap: 18.0, per_doubling: 3.5, idle: 16.0 };
    let window = Layout::new(&case.shown, &widths, &[], &measure).window();
    let bands = within(bands, window);
    let moments: Vec<u64> = bands
        .iter()
        .flat_map(|b| [b.start_ns, b.end_ns])
        .filter(|&t| t > window.0 && t < window.1)
        .collect();
    let layout = Layout::fitting(&case.shown, &widths, &moments, &measure, ROOM);
    let lanes = lanes(&bands, &layout);
    let lane_count = lanes.iter().map(|l| l.lane + 1).max().unwrap_or(0);
    let top = lane_count as f64 * LANE + 14.0;
    let bottom = top + layout.rows.len() as f64 * ROW;
    let right = lanes.iter().map(|l| l.right).fold(layout.width, f64::max);
    let (width, height) = (GUTTER + right + MARGIN, bottom + AXIS);
    let title = format!("Timeline of {} operations", case.shown.len());
    html! {
        svg.timeline role="img" aria-label=(title) width=(n(width)) height=(n(height))
            viewBox=(format!("0 0 {} {}", n(width), n(height))) {
            title { (title) }
            @for lane in &lanes { (band(lane, &layout, bottom)) }
            @for (row, (process, _)) in layout.rows.iter().enumerate() {
                (row_head(*process, top + row as f64 * ROW, GUTTER + layout.width + MARGIN / 2.0))
            }
            (sight_lines(case, &layout, top))
            @for ((at, shown), text) in case.shown.iter().enumerate().zip(&texts) {
                @let row = layout.rows.iter().position(|(_, ops)| ops.contains(&at)).unwrap_or(0);
                (bar((shown, text), case.start_ns(), layout.spans[at], top + row as f64 * ROW))
            }
            (axis(case, &layout, bottom))
        }
    }
}

/// What is written on and under a bar.
struct BarText {
    label: String,
    under: String,
}

impl BarText {
    fn new(case: &Case<'_>, shown: &Shown<'_>) -> BarText {
        let o = shown.operation;
        let mut under: Vec<String> = Vec::new();
        if shown.breaks {
            under.push("✗ wrong here".to_owned());
        }
        match o.outcome {
            Outcome::Ok => {}
            Outcome::Fail => under.push("failed".to_owned()),
            Outcome::Info => under.push("may still happen".to_owned()),
        }
        under.extend(o.node.as_deref().map(|node| format!("at {}", clean(node, 16))));
        under.extend(o.revision.map(|revision| format!("rev {revision}")));
        BarText { label: clean(&case.label(o, VALUE_MAX), LABEL_MAX), under: under.join(" · ") }
    }

    fn width(&self) -> f64 {
        let on = 30.0 + columns(&self.label) as f64 * CHAR + 10.0;
        on.max(columns(&self.under) as f64 * SMALL + 6.0)
    }
}

/// How many columns of a monospaced face `text` takes; the scripts of the Far East take two.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| if c as u32 >= 0x1100 && !"→…✗✕".contains(c) { 2 } else { 1 }).sum()
}

struct Lane<'a> {
    band: &'a Band,
    lane: usize,
    /// Left and right end of the band, and the right end of band and text together.
    x0: f64,
    x1: f64,
    right: f64,
    text: String,
}

pub(crate) fn within(bands: &[Band], window: (u64, u64)) -> Vec<&Band> {
    let overlap = |b: &Band| b.end_ns.min(window.1).saturating_sub(b.start_ns.max(window.0));
    let mut inside: Vec<&Band> =
        bands.iter().filter(|b| b.start_ns <= window.1 && b.end_ns >= window.0).collect();
    inside.sort_by_key(|b| std::cmp::Reverse(overlap(b)));
    inside.truncate(BANDS_MAX);
    inside.sort_by_key(|b| b.start_ns);
    inside
}

/// Puts each band's name into the first lane where it fits.
fn lanes<'a>(bands: &[&'a Band], layout: &Layout) -> Vec<Lane<'a>> {
    let mut ends: Vec<f64> = Vec::new();
    let mut lanes = Vec::with_capacity(bands.len());
    for band in bands {
        let (x0, x1) = (layout.place(band.start_ns), layout.place(band.end_ns));
        let x1 = x1.max(x0 + 3.0);
        let text = band_name(band, 40);
        let right = x1.max(x0 + columns(&text) as f64 * SMALL + 26.0);
        let lane = ends.iter().position(|&end| end + 8.0 <= x0).unwrap_or(ends.len());
        match ends.get_mut(lane) {
            Some(end) => *end = right,
            None => ends.push(right),
        }
        lanes.push(Lane { band, lane, x0, x1, right, text });
    }
    lanes
}

fn band(lane: &Lane<'_>, layout: &Layout, bottom: f64) -> Markup {
    let class = band_class(&lane.band.kind);
    let y = lane.lane as f64 * LANE;
    let (x, width) = (GUTTER + lane.x0, lane.x1 - lane.x0);
    let (first, last) = layout.window();
    html! {
        rect class=(format!("band {class}")) x=(n(x)) y=(n(y)) width=(n(width))
            height=(n(bottom - y)) {}
        rect class=(format!("band-head {class}")) x=(n(x)) y=(n(y)) width=(n(width)) height="3" {}
        text.band-name x=(n(x + 6.0)) y=(n(y + 16.0)) {
            @if lane.band.start_ns < first { "‹ " }
            (lane.text)
            @if lane.band.end_ns > last { " ›" }
        }
    }
}

fn row_head(process: i64, y: f64, right: f64) -> Markup {
    html! {
        line.row x1="0" x2=(n(right)) y1=(n(y + ROW - 1.0)) y2=(n(y + ROW - 1.0)) {}
        text.process x="2" y=(n(y + 28.0)) { "process " (process) }
    }
}

/// The class that gives a kind of operation its colour.
pub(crate) fn f_class(f: &str) -> &'static str {
    match f {
        "read" | "get" | "dequeue" | "pop" => "f-read",
        "write" | "put" | "add" | "enqueue" | "push" => "f-write",
        "cas" | "txn" => "f-cas",
        _ => "f-other",
    }
}

fn bar((s, text): (&Shown<'_>, &BarText), zero_ns: u64, at: (f64, f64), y: f64) -> Markup {
    let (x0, x1) = (GUTTER + at.0, GUTTER + at.1);
    let y = y + 10.0;
    let o = s.operation;
    let mut class = format!("bar {}", f_class(&o.f));
    class.push_str(match o.outcome {
        Outcome::Ok => "",
        Outcome::Fail => " failed",
        Outcome::Info => " open",
    });
    if s.breaks {
        class.push_str(" breaks");
    }
    let middle = y + BAR / 2.0;
    let arrow = format!(
        "M {0} {1} l 12 {2} l -12 {2} z",
        n(x1),
        n(y),
        n(BAR / 2.0) // The tip of an open end points to what is still to come.
    );
    html! {
        g class=(class) {
            title { (story(o, zero_ns)) }
            rect.body x=(n(x0)) y=(n(y)) width=(n(x1 - x0)) height=(n(BAR)) rx="4" {}
            @if o.outcome == Outcome::Info { path.arrow d=(arrow) {} }
            circle.badge cx=(n(x0 + 15.0)) cy=(n(middle)) r="9" {}
            text.number x=(n(x0 + 15.0)) y=(n(middle + 4.0)) { (s.number) }
            text.label x=(n(x0 + 30.0)) y=(n(middle + 4.0)) { (text.label) }
            text.under x=(n(x0 + 2.0)) y=(n(y + BAR + 15.0)) { (text.under) }
        }
    }
}

/// Thin lines from a write to the reads that saw its value, where it is the only such write.
fn sight_lines(case: &Case<'_>, layout: &Layout, top: f64) -> Markup {
    let row_of = |at: usize| layout.rows.iter().position(|(_, ops)| ops.contains(&at)).unwrap_or(0);
    let mut lines = Vec::new();
    for (to, reader) in case.shown.iter().enumerate() {
        let Some((from, _)) = only_source(case, reader.operation) else { continue };
        let (a, b) = (row_of(from), row_of(to));
        if a == b || from == to {
            continue;
        }
        let down = a < b;
        let y0 = top + a as f64 * ROW + 10.0 + BAR / 2.0;
        let y1 = top + b as f64 * ROW + 10.0 + if down { 0.0 } else { BAR };
        let x0 = GUTTER + layout.spans[from].1.min(layout.spans[to].0 - 10.0);
        let x1 = GUTTER + layout.spans[to].0 + 15.0;
        let (tip, head) = if down { (y1 - 5.0, -7) } else { (y1 + 5.0, 7) };
        let line = format!("M {0} {1} C {2} {1} {2} {1} {2} {3}", n(x0), n(y0), n(x1), n(tip));
        lines.push((line, format!("M {} {} l -4 {head} h 8 z", n(x1), n(y1))));
    }
    html! {
        @for (line, head) in &lines {
            path.sight d=(line) {}
            path.sight-head d=(head) {}
        }
    }
}

/// The one operation of the case that made the value which `reader` saw.
fn only_source<'a>(case: &'a Case<'_>, reader: &Operation) -> Option<(usize, &'a Shown<'a>)> {
    if reader.outcome != Outcome::Ok || f_class(&reader.f) != "f-read" {
        return None;
    }
    let made = |o: &Operation| match (&*o.f, &o.input) {
        ("write" | "put", value) => Some(value.clone()),
        ("cas", Value::Array(pair)) if pair.len() == 2 => Some(pair[1].clone()),
        _ => None,
    };
    let mut sources = case
        .shown
        .iter()
        .enumerate()
        .filter(|(_, s)| s.operation.outcome != Outcome::Fail && s.operation.key == reader.key)
        .filter(|(_, s)| made(s.operation).as_ref() == Some(&reader.output));
    let only = sources.next()?;
    sources.next().is_none().then_some(only)
}

fn axis(case: &Case<'_>, layout: &Layout, y: f64) -> Markup {
    let zero = case.start_ns();
    let mut ticks: Vec<(f64, String)> = Vec::new();
    let mut free = f64::NEG_INFINITY;
    for &(time, x) in &layout.marks {
        let text = relative_ms(time.saturating_sub(zero));
        let half = columns(&text) as f64 * SMALL / 2.0;
        if x - half >= free {
            free = x + half + 10.0;
            ticks.push((GUTTER + x, text));
        }
    }
    html! {
        @for (x, text) in &ticks {
            line.tick x1=(n(*x)) x2=(n(*x)) y1=(n(y)) y2=(n(y + 6.0)) {}
            text.tick-label x=(n(*x)) y=(n(y + 20.0)) { (text) }
        }
        text.axis-name x="2" y=(n(y + 20.0)) { "ms, stretched" }
        text.axis-name x=(n(GUTTER)) y=(n(y + 38.0)) {
            "from " (grouped(zero / 1_000_000)) " ms into the run"
        }
    }
}

/// Nanoseconds as milliseconds, as exact as a tick's label can be.
fn relative_ms(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        1..10_000_000 => format!("{:.3}", ns as f64 / 1e6),
        10_000_000..100_000_000 => format!("{:.2}", ns as f64 / 1e6),
        100_000_000..1_000_000_000 => format!("{:.1}", ns as f64 / 1e6),
        _ => grouped(ns / 1_000_000),
    }
}

/// A coordinate, to a tenth of a pixel.
pub(crate) fn n(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
