//! The run over time, as SVG made with plotters.
//!
//! The colours are those of a light page, so that a plot can stand alone; on a report's page the
//! style sheet gives them their dark forms, and the faults their patterns, by these very values.

use crate::band::{Band, band_class, band_name};
use crate::leaders::Reign;
use crate::samples::{Rates, Series};
use crate::text::{clean, duration, grouped};
use ordeal_history::Outcome;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeSet;
use std::error::Error;

mod lines;

pub(crate) use lines::{Axis, Line, Mark, line_colour, lines};

/// Size of a plot in pixels; one that tells of leaders is higher.
const SIZE: (u32, u32) = (1_000, 320);
/// The height that the leaders have, above the data.
const REIGNS: u32 = 26;
/// Leaders beyond these are not drawn.
const REIGNS_MAX: usize = 200;
/// The part of it that the data has: the rest are the axes' labels.
pub(crate) const AREA: (f64, f64) = (920.0, 260.0);
/// Faults beyond these are not drawn.
const BANDS_MAX: usize = 300;
const LANES: usize = 3;

const INK: RGBColor = RGBColor(0x33, 0x3A, 0x45);
const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEC);
const FRAME: RGBColor = RGBColor(0xB8, 0xBF, 0xCA);

/// The colour of a kind of operation: told apart by the colour-blind, after Okabe and Ito.
pub(crate) fn f_colour(f: &str, nth: usize) -> RGBColor {
    let others = [(0xD5, 0x5E, 0x00), (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00), (0x6B, 0x72, 0x80)];
    let (r, g, b) = match f {
        "read" | "get" => (0x00, 0x9E, 0x73),
        "write" | "put" => (0x00, 0x72, 0xB2),
        "cas" | "txn" => (0xAA, 0x33, 0x77),
        _ => others[nth % others.len()],
    };
    RGBColor(r, g, b)
}

/// The colour of an outcome in the plot of rates.
pub(crate) fn outcome_colour(outcome: Outcome) -> RGBColor {
    match outcome {
        Outcome::Ok => RGBColor(0x00, 0x72, 0xB3),
        Outcome::Fail => RGBColor(0x7A, 0x81, 0x8C),
        Outcome::Info => RGBColor(0xD5, 0x5E, 0x01),
    }
}

/// The fill of a fault's band.
fn band_colour(kind: &str) -> RGBColor {
    match band_class(kind) {
        "kill" => RGBColor(0xF9, 0xE0, 0xD6),
        "pause" => RGBColor(0xE3, 0xE0, 0xF5),
        "partition" => RGBColor(0xFB, 0xEC, 0xCB),
        "link" => RGBColor(0xE2, 0xF1, 0xD8),
        _ => RGBColor(0xDF, 0xEE, 0xF7),
    }
}

/// A colour as it stands in the SVG.
pub(crate) fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// What the plots share.
pub(crate) struct Stage<'a> {
    /// The end of the time axis, in nanoseconds.
    pub end_ns: u64,
    /// The faults, to be drawn behind.
    pub bands: &'a [Band],
    /// Who led when, to be drawn above.
    pub reigns: &'a [Reign],
}

/// The least and the greatest latency that the axis shows: whole powers of ten.
pub(crate) fn latency_range(series: &[Series<'_>]) -> (u64, u64) {
    let all = || series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
    let low = all().min().unwrap_or(1_000_000).max(1);
    let high = all().max().unwrap_or(10_000_000).max(low);
    let low = 10_u64.pow(low.ilog10());
    let high = 10_u64.checked_pow(high.ilog10() + 1).unwrap_or(u64::MAX);
    (low, high)
}

/// Latency over time: a point an operation, its colour the kind, its shape the outcome.
pub(crate) fn latency(
    stage: &Stage<'_>,
    series: &[Series<'_>],
    range: (u64, u64),
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, stage.size()).into_drawing_area();
        let (low, high) = ((range.0 as f64).log10(), (range.1 as f64).log10());
        let mut chart = builder(&root, stage).build_cartesian_2d(0.0..stage.end_s(), low..high)?;
        bands(&mut chart, stage, (low, high))?;
        let step = |y: &f64| duration(10_f64.powf(*y).round() as u64);
        let decades = (high - low).round() as usize + 1;
        mesh(&mut chart, decades, &step, "latency")?;
        let kinds: BTreeSet<&str> = series.iter().map(|s| s.f).collect();
        for s in series {
            let nth = kinds.iter().position(|f| *f == s.f).unwrap_or(0);
            let colour = f_colour(s.f, nth);
            let points = s.points.iter().map(|&(t, l)| (t as f64 / 1e9, (l as f64).log10()));
            match s.outcome {
                Outcome::Ok => {
                    let style = colour.mix(0.55).filled();
                    chart.draw_series(points.map(|p| Circle::new(p, 2, style)))?;
                }
                Outcome::Fail => {
                    let style = colour.mix(0.8).stroke_width(1);
                    chart.draw_series(points.map(|p| Cross::new(p, 3, style)))?;
                }
                Outcome::Info => {
                    let style = colour.mix(0.9).filled();
                    chart.draw_series(points.map(|p| TriangleMarker::new(p, 5, style)))?;
                }
            }
        }
        band_names(&mut chart, stage, (low, high))?;
        reigns(&root, &chart, stage)?;
        root.present()?;
    }
    Ok(svg)
}

/// Operations a second over time, a line an outcome.
pub(crate) fn rate(stage: &Stage<'_>, rates: &Rates) -> Result<String, Box<dyn Error>> {
    let highest = rates.points().flat_map(|(_, rates)| rates).fold(1.0, f64::max);
    let outcomes = [(Outcome::Ok, Mark::Disc), (Outcome::Fail, Mark::Cross)];
    let outcomes = outcomes.into_iter().chain([(Outcome::Info, Mark::Triangle)]).enumerate();
    let drawn = outcomes.filter(|&(nth, _)| rates.bins.iter().any(|bin| bin[nth] > 0));
    let all: Vec<Line> = drawn
        .map(|(nth, (outcome, mark))| Line {
            name: String::new(),
            colour: outcome_colour(outcome),
            mark,
            points: rates.points().map(|(ns, rates)| (ns, rates[nth])).collect(),
        })
        .collect();
    let format = |y: &f64| grouped(y.round() as u64);
    let axis = Axis {
        low: 0.0,
        high: highest * 1.08,
        name: "operations a second",
        labels: 6,
        format: &format,
    };
    lines(stage, &axis, &all)
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

impl Stage<'_> {
    fn end_s(&self) -> f64 {
        (self.end_ns.max(1_000_000)) as f64 / 1e9
    }

    /// The height of what stands above the data.
    fn above(&self) -> u32 {
        if self.reigns.is_empty() { 0 } else { REIGNS }
    }

    fn size(&self) -> (u32, u32) {
        (SIZE.0, SIZE.1 + self.above())
    }
}

fn builder<'a, 'b>(
    root: &'a DrawingArea<SVGBackend<'b>, Shift>,
    stage: &Stage<'_>,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(root);
    builder
        .margin_right(12)
        .margin_top(8 + stage.above())
        .x_label_area_size(26)
        .y_label_area_size(66)
        .margin_bottom(4);
    builder
}

fn mesh(
    chart: &mut Chart<'_, '_>,
    y_labels: usize,
    y_format: &dyn Fn(&f64) -> String,
    y_name: &str,
) -> Result<(), Box<dyn Error>> {
    let seconds = |x: &f64| format!("{} s", grouped_f(*x));
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(FRAME)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .x_labels(11)
        .y_labels(y_labels)
        .x_label_formatter(&seconds)
        .y_label_formatter(y_format)
        .y_desc(y_name)
        .axis_desc_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// A number of seconds without a fraction that says nothing.
fn grouped_f(x: f64) -> String {
    let text = format!("{x:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Where a band begins and ends, in seconds; at least a pixel wide.
fn span(stage: &Stage<'_>, band: &Band) -> (f64, f64) {
    let end = stage.end_s();
    let start = (band.start_ns as f64 / 1e9).min(end);
    (start, (band.end_ns as f64 / 1e9).min(end).max(start + end / AREA.0))
}

/// The longest faults, by their starts.
fn drawn<'a>(stage: &Stage<'a>) -> Vec<&'a Band> {
    let mut drawn: Vec<&Band> = stage.bands.iter().collect();
    drawn.sort_by_key(|b| std::cmp::Reverse(b.end_ns - b.start_ns));
    drawn.truncate(BANDS_MAX);
    drawn.sort_by_key(|b| b.start_ns);
    drawn
}

/// The faults as bands over the whole height.
fn bands(
    chart: &mut Chart<'_, '_>,
    stage: &Stage<'_>,
    (bottom, top): (f64, f64),
) -> Result<(), Box<dyn Error>> {
    chart.draw_series(drawn(stage).into_iter().map(|band| {
        let (start, end) = span(stage, band);
        Rectangle::new([(start, bottom), (end, top)], band_colour(&band.kind).filled())
    }))?;
    Ok(())
}

/// The faults' names, each at the top of its band, where there is room.
fn band_names(
    chart: &mut Chart<'_, '_>,
    stage: &Stage<'_>,
    (bottom, top): (f64, f64),
) -> Result<(), Box<dyn Error>> {
    let pixel = stage.end_s() / AREA.0;
    let mut free = [f64::NEG_INFINITY; LANES];
    let style = ("sans-serif", 11).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Top));
    for band in drawn(stage) {
        let name = short_name(band);
        let width = name.chars().count() as f64 * 6.4 * pixel;
        let start = span(stage, band).0.min(stage.end_s() - width).max(0.0);
        let Some(lane) = free.iter().position(|&f| f <= start) else { continue };
        free[lane] = start + width + 4.0 * pixel;
        let y = top - (top - bottom) * (4.0 + 14.0 * lane as f64) / AREA.1;
        let place = (start + 3.0 * pixel, y);
        chart.draw_series(std::iter::once(Text::new(name, place, style.clone())))?;
    }
    Ok(())
}

/// Who led, above the data: a bar with its name over it, in two lines, for two nodes may hold
/// themselves for the leader.
fn reigns(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    chart: &Chart<'_, '_>,
    stage: &Stage<'_>,
) -> Result<(), Box<dyn Error>> {
    let end_s = stage.end_s();
    let x = |ns: u64| chart.backend_coord(&((ns as f64 / 1e9).min(end_s), 0.0)).0;
    let style = ("sans-serif", 11).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Top));
    for (nth, reign) in stage.reigns.iter().take(REIGNS_MAX).enumerate() {
        let (x0, x1) = (x(reign.start_ns), x(reign.end_ns));
        let y = 2 + 14 * (nth as i32 % 2);
        let colour = lines::line_colour(2 + nth % 2).filled();
        root.draw(&Rectangle::new([(x0, y + 11), ((x1 - 1).max(x0 + 1), y + 13)], colour))?;
        root.draw(&Rectangle::new([(x0, y + 2), (x0 + 2, y + 13)], colour))?;
        let node = clean(&reign.node, 16);
        let texts =
            [format!("{node} leads, term {}", reign.term), format!("{node} {}", reign.term)];
        let room = f64::from(x1 - x0 - 8);
        let text = texts.into_iter().find(|text| text.chars().count() as f64 * 5.8 < room);
        if let Some(text) = text {
            root.draw(&Text::new(text, (x0 + 5, y), style.clone()))?;
        }
    }
    Ok(())
}

fn short_name(band: &Band) -> String {
    let name = band_name(band, 24);
    if name.chars().count() > 22 && !band.nodes.is_empty() && band.nodes.len() < 4 {
        let short = Band { what: String::new(), ..band.clone() };
        return band_name(&short, 16);
    }
    name
}
