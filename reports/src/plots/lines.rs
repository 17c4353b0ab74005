//! Lines over time: each its own colour, and now and then a mark of its own shape.

use super::{Stage, band_names, bands, builder, mesh, reigns};
use plotters::prelude::*;
use std::error::Error;

/// The colours of lines that have none by their meaning: Okabe and Ito's, but for black.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xAA, 0x33, 0x77),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x6B, 0x72, 0x80),
];
/// A line has about so many marks.
const MARKS: usize = 14;

/// The colour of the line of this number.
pub(crate) fn line_colour(nth: usize) -> RGBColor {
    COLOURS[nth % COLOURS.len()]
}

/// The shapes of marks, so that lines are told apart without colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A disc.
    Disc,
    /// A cross.
    Cross,
    /// A triangle.
    Triangle,
    /// A ring.
    Ring,
    /// None: the line is thin and belongs to one that has marks.
    None,
}

impl Mark {
    /// The mark of the line of this number.
    pub(crate) fn nth(nth: usize) -> Mark {
        [Mark::Disc, Mark::Cross, Mark::Triangle, Mark::Ring][nth % 4]
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Its name for the legend.
    pub name: String,
    pub colour: RGBColor,
    pub mark: Mark,
    /// Nanoseconds and what is drawn there; a gap stands between points where it is not a number.
    pub points: Vec<(u64, f64)>,
}

/// The axis of what is drawn.
pub(crate) struct Axis<'a> {
    pub low: f64,
    pub high: f64,
    pub name: &'a str,
    pub labels: usize,
    pub format: &'a dyn Fn(&f64) -> String,
}

/// The lines over the faults of `stage`.
pub(crate) fn lines(
    stage: &Stage<'_>,
    axis: &Axis<'_>,
    lines: &[Line],
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, stage.size()).into_drawing_area();
        let mut chart =
            builder(&root, stage).build_cartesian_2d(0.0..stage.end_s(), axis.low..axis.high)?;
        bands(&mut chart, stage, (axis.low, axis.high))?;
        mesh(&mut chart, axis.labels, axis.format, axis.name)?;
        for (nth, line) in lines.iter().enumerate() {
            draw(&mut chart, line, nth)?;
        }
        band_names(&mut chart, stage, (axis.low, axis.high))?;
        reigns(&root, &chart, stage)?;
        root.present()?;
    }
    Ok(svg)
}

fn draw(chart: &mut super::Chart<'_, '_>, line: &Line, nth: usize) -> Result<(), Box<dyn Error>> {
    let points: Vec<(f64, f64)> = line.points.iter().map(|&(ns, y)| (ns as f64 / 1e9, y)).collect();
    let width = if line.mark == Mark::None { 1 } else { 2 };
    for part in points.split(|point| !point.1.is_finite()).filter(|part| !part.is_empty()) {
        // A point alone is a dot: a line of no length would not be seen.
        if let [point] = part {
            chart.draw_series([Circle::new(*point, 2, line.colour.filled())])?;
        }
        let style = line.colour.stroke_width(width);
        chart.draw_series(LineSeries::new(part.iter().copied(), style))?;
    }
    let drawn: Vec<(f64, f64)> = points.into_iter().filter(|point| point.1.is_finite()).collect();
    let every = (drawn.len() / MARKS).max(1);
    let marks = drawn.into_iter().skip(nth * 3 % every).step_by(every);
    let (thick, filled) = (line.colour.stroke_width(2), line.colour.filled());
    match line.mark {
        Mark::Disc => chart.draw_series(marks.map(|p| Circle::new(p, 4, filled)))?,
        Mark::Cross => chart.draw_series(marks.map(|p| Cross::new(p, 5, thick)))?,
        Mark::Triangle => chart.draw_series(marks.map(|p| TriangleMarker::new(p, 7, filled)))?,
        Mark::Ring => chart.draw_series(marks.map(|p| Circle::new(p, 4, thick)))?,
        Mark::None => return Ok(()),
    };
    Ok(())
}
