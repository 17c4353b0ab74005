//! A cycle of transactions as a graph, and each of its edges in a sentence.

use crate::cycle::{Cycle, Node, short};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean};
use crate::timeline::{columns, n};
use maud::{Markup, html};

const WIDTH: f64 = 900.0;
const BOX_HEIGHT: f64 = 48.0;
const CHAR: f64 = 6.7;
/// What a transaction did is cut after so many columns in its box.
const STEPS_MAX: usize = 54;
/// Half the width of the widest box.
const HALF_MAX: f64 = 200.0;

/// A transaction's box.
struct Placed {
    x: f64,
    y: f64,
    width: f64,
    steps: String,
}

pub(super) fn section(cycle: &Cycle) -> Markup {
    html! {
        figure {
            div.scroll.picture tabindex="0" { (svg(cycle)) }
            figcaption {
                "An arrow leads from the transaction that must come first. Following the arrows "
                "one comes back to where one began, so no order can hold."
            }
        }
        h3 { "Edge by edge" }
        ol.stories {
            @for edge in &cycle.edges {
                li {
                    b { bdi {
                        (clean(&cycle.nodes[edge.from].name, NAME_MAX)) " → "
                        (clean(&cycle.nodes[edge.to].name, NAME_MAX))
                    } }
                    ", " bdi { (clean(&edge.kind, NAME_MAX)) }
                    " (" (clean(short(&edge.kind), NAME_MAX)) "): "
                    bdi { (clean(&edge.why, SENTENCE_MAX)) } "."
                }
            }
        }
    }
}

/// The graph.
pub(super) fn svg(cycle: &Cycle) -> Markup {
    let count = cycle.nodes.len();
    let height = if count == 2 { 190.0 } else { 150.0 + 70.0 * count as f64 };
    let placed: Vec<Placed> = (0..count).map(|at| place(cycle, at, height)).collect();
    html! {
        svg.timeline.cycle role="img" aria-label=(format!("A cycle of {count} transactions"))
            width=(n(WIDTH)) height=(n(height))
            viewBox=(format!("0 0 {} {}", n(WIDTH), n(height))) {
            @for (nth, _) in cycle.edges.iter().enumerate() { (edge(cycle, nth, &placed)) }
            @for (node, placed) in cycle.nodes.iter().zip(&placed) { (transaction(node, placed)) }
        }
    }
}

fn transaction(node: &Node, placed: &Placed) -> Markup {
    let (x, y) = (placed.x - placed.width / 2.0, placed.y - BOX_HEIGHT / 2.0);
    html! {
        g.bar.f-cas {
            rect.body x=(n(x)) y=(n(y)) width=(n(placed.width)) height=(n(BOX_HEIGHT)) rx="8" {}
            text.name x=(n(placed.x)) y=(n(y + 19.0)) {
                (clean(&node.name, NAME_MAX)) " · process " (clean(&node.process, NAME_MAX))
            }
            text.steps x=(n(placed.x)) y=(n(y + 37.0)) { (placed.steps) }
        }
    }
}

/// On an ellipse, the first one left.
fn place(cycle: &Cycle, at: usize, height: f64) -> Placed {
    let mut steps = clean(&cycle.nodes[at].steps, 10_000);
    if steps.chars().count() > STEPS_MAX {
        steps = steps.chars().take(STEPS_MAX - 1).chain(['…']).collect();
    }
    let width = (columns(&steps).max(20) as f64 * CHAR + 24.0).min(2.0 * HALF_MAX);
    let angle = std::f64::consts::PI * (1.0 + 2.0 * at as f64 / cycle.nodes.len() as f64);
    let x = WIDTH / 2.0 + angle.cos() * (WIDTH / 2.0 - HALF_MAX - 4.0);
    let y = height / 2.0 + angle.sin() * (height / 2.0 - 45.0);
    Placed { x, y, width, steps }
}

/// A bow from box to box, so that two edges between the same two lie apart, with its number.
fn edge(cycle: &Cycle, nth: usize, placed: &[Placed]) -> Markup {
    let told = &cycle.edges[nth];
    let (from, to) = (&placed[told.from], &placed[told.to]);
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = (dx * dx + dy * dy).sqrt().max(1.0);
    // The bow lies to the right of the way, so the way back has its own side.
    let bow = (length * 0.28).clamp(40.0, 75.0);
    let (cx, cy) =
        ((from.x + to.x) / 2.0 - dy / length * bow, (from.y + to.y) / 2.0 + dx / length * bow);
    let (x0, y0) = border(from, (cx, cy));
    let (x1, y1) = border(to, (cx, cy));
    let (mx, my) = ((x0 + 2.0 * cx + x1) / 4.0, (y0 + 2.0 * cy + y1) / 4.0);
    let text = format!("{}: {}", nth + 1, clean(short(&told.kind), 12));
    let half = columns(&text) as f64 * CHAR / 2.0 + 6.0;
    let (ux, uy) = unit(x1 - cx, y1 - cy);
    let head = format!(
        "M {} {} L {} {} L {} {} Z",
        n(x1),
        n(y1),
        n(x1 - 11.0 * ux - 5.0 * uy),
        n(y1 - 11.0 * uy + 5.0 * ux),
        n(x1 - 11.0 * ux + 5.0 * uy),
        n(y1 - 11.0 * uy - 5.0 * ux)
    );
    html! {
        path.way d=(format!("M {} {} Q {} {} {} {}", n(x0), n(y0), n(cx), n(cy), n(x1), n(y1))) {}
        path.way-head d=(head) {}
        rect.way-name-back x=(n(mx - half)) y=(n(my - 10.0)) width=(n(half * 2.0)) height="20" {}
        text.way-name x=(n(mx)) y=(n(my + 4.0)) { (text) }
    }
}

/// Where the line from a box' middle to a point leaves the box.
fn border(from: &Placed, (x, y): (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (x - from.x, y - from.y);
    let across = (from.width / 2.0 + 4.0) / dx.abs().max(0.01);
    let down = (BOX_HEIGHT / 2.0 + 4.0) / dy.abs().max(0.01);
    let share = across.min(down).min(1.0);
    (from.x + dx * share, from.y + dy * share)
}

fn unit(x: f64, y: f64) -> (f64, f64) {
    let length = (x * x + y * y).sqrt().max(0.01);
    (x / length, y / length)
}
