//! The run over time: latency point by point, rate, and quantiles.

use super::curves::{self, Drawn};
use crate::band::{Band, band_class};
use crate::plots::{self, AREA, Stage, f_colour, hex, outcome_colour};
use crate::samples::{QUANTILES, Quantiles, Series, latencies, quantiles, rates, thin};
use crate::scene::Scene;
use crate::text::{NAME_MAX, clean, duration, grouped};
use crate::value::ending;
use maud::{Markup, PreEscaped, html};
use ordeal_history::{History, Outcome};
use std::collections::BTreeSet;

/// At most so many kinds of operation have points and a row of their own.
const KINDS_MAX: usize = 16;
/// So many kinds of fault are named under the picture.
const FAULT_KINDS_MAX: usize = 32;

pub(super) fn sections(history: &History, scene: &Scene<'_>) -> Markup {
    if history.operations.is_empty() {
        return html! {};
    }
    let mut series = latencies(history);
    series.truncate(KINDS_MAX * 3);
    let quantiles = quantiles(&series);
    let stage = stage(scene);
    html! {
        section {
            (figure(latency(&stage, history, series), 2))
            (quantiles_table(&quantiles))
            @for drawn in curves::latencies(&stage, history) { (figure(drawn, 3)) }
        }
        section { (figure(rate(&stage, history), 2)) }
        @for drawn in rest(&stage, history) { section { (figure(drawn, 2)) } }
    }
}

/// Every plot, in the order in which the page has them.
pub(super) fn plots(history: &History, scene: &Scene<'_>) -> Vec<Drawn> {
    if history.operations.is_empty() {
        return Vec::new();
    }
    let stage = stage(scene);
    let mut series = latencies(history);
    series.truncate(KINDS_MAX * 3);
    let mut all = vec![latency(&stage, history, series)];
    all.extend(curves::latencies(&stage, history));
    all.push(rate(&stage, history));
    all.extend(rest(&stage, history));
    all
}

fn stage<'a>(scene: &'a Scene<'_>) -> Stage<'a> {
    Stage { end_ns: scene.end_ns, bands: scene.bands, reigns: &scene.reigns }
}

fn rest(stage: &Stage<'_>, history: &History) -> impl Iterator<Item = Drawn> {
    let all = [curves::availability(stage, history), curves::clocks(stage), curves::packets(stage)];
    all.into_iter().flatten()
}

fn figure(drawn: Drawn, level: u8) -> Markup {
    html! {
        @if level == 2 { h2 { (drawn.title) } } @else { h3 { (drawn.title) } }
        figure { (plot(drawn.svg)) figcaption { (drawn.caption) } }
    }
}

/// The latency of each operation: a point.
fn latency(stage: &Stage<'_>, history: &History, mut series: Vec<Series<'_>>) -> Drawn {
    let range = plots::latency_range(&series);
    thin(&mut series, stage.end_ns, range, AREA);
    let unanswered = history.operations.iter().filter(|o| o.complete_time.is_none()).count();
    let caption = html! {
        (latency_legend(&series)) (bands_legend(stage.bands))
        p.quiet { "Each operation stands where it was asked." }
        (sampled(&series, unanswered))
    };
    let svg = plots::latency(stage, &series, range);
    Drawn { file: "latency", title: "Latency", svg, caption }
}

/// Operations a second, by outcome.
fn rate(stage: &Stage<'_>, history: &History) -> Drawn {
    let rates = rates(history, stage.end_ns);
    let caption = html! {
        (rate_legend()) (bands_legend(stage.bands))
        p.quiet { "Counted when they ended, in steps of " (duration(rates.bin_ns)) "." }
    };
    Drawn { file: "rate", title: "Rate", svg: plots::rate(stage, &rates), caption }
}

fn plot(svg: Result<String, Box<dyn std::error::Error>>) -> Markup {
    match svg {
        Ok(svg) => html! { div.scroll.plot tabindex="0" { (PreEscaped(svg)) } },
        Err(error) => html! {
            p.quiet { "The plot could not be drawn: " (clean(&error.to_string(), 200)) "." }
        },
    }
}

/// The sign of an outcome, in the shape that it has in the plots.
fn sign(outcome: Outcome, colour: &str) -> Markup {
    html! {
        svg.key aria-hidden="true" width="14" height="14" viewBox="0 0 14 14" {
            @match outcome {
                Outcome::Ok => circle cx="7" cy="7" r="4" fill=(colour) {},
                Outcome::Fail => {
                    path d="M 3 3 L 11 11 M 11 3 L 3 11" stroke=(colour) stroke-width="2" {}
                }
                Outcome::Info => path d="M 7 1.5 L 13 12 H 1 z" fill=(colour) {},
            }
        }
    }
}

/// Colours tell the kind, shapes the outcome.
fn latency_legend(series: &[Series<'_>]) -> Markup {
    let kinds: BTreeSet<&str> = series.iter().map(|s| s.f).collect();
    html! {
        ul.legend {
            @for (nth, f) in kinds.into_iter().enumerate() {
                li {
                    svg.key aria-hidden="true" width="14" height="14" viewBox="0 0 14 14" {
                        @let colour = hex(f_colour(f, nth));
                        rect x="1" y="1" width="12" height="12" rx="3" fill=(colour) {}
                    }
                    " " bdi { (clean(f, NAME_MAX)) }
                }
            }
            @for outcome in [Outcome::Ok, Outcome::Fail, Outcome::Info] {
                @if series.iter().any(|s| s.outcome == outcome) {
                    li { (sign(outcome, "currentColor")) " " (ending(outcome)) }
                }
            }
        }
    }
}

fn rate_legend() -> Markup {
    html! {
        ul.legend {
            @for outcome in [Outcome::Ok, Outcome::Fail, Outcome::Info] {
                li { (sign(outcome, &hex(outcome_colour(outcome)))) " " (ending(outcome)) }
            }
        }
    }
}

pub(super) fn bands_legend(bands: &[Band]) -> Markup {
    let kinds: BTreeSet<&str> = bands.iter().map(|b| b.kind.as_str()).collect();
    html! {
        @if !kinds.is_empty() {
            ul.legend {
                @for kind in kinds.into_iter().take(FAULT_KINDS_MAX) {
                    li { (swatch(kind)) " " (clean(kind, 16)) }
                }
            }
        }
    }
}

pub(super) fn swatch(kind: &str) -> Markup {
    html! {
        svg.key aria-hidden="true" width="22" height="14" viewBox="0 0 22 14" {
            rect class=(format!("band {}", band_class(kind))) width="22" height="14" rx="2" {}
        }
    }
}

/// What the picture leaves out.
fn sampled(series: &[Series<'_>], unanswered: usize) -> Markup {
    let total: usize = series.iter().map(|s| s.total).sum();
    let drawn: usize = series.iter().map(|s| s.points.len()).sum();
    html! {
        @if drawn < total {
            p.quiet {
                "Drawn: " (grouped(drawn as u64)) " of " (grouped(total as u64))
                " points. Of those that would cover each other the slowest is drawn, "
                "so every outlier is here."
            }
        }
        @if unanswered > 0 {
            p.quiet { "Not drawn: " (grouped(unanswered as u64)) " that never had an answer." }
        }
    }
}

fn quantiles_table(quantiles: &[Quantiles<'_>]) -> Markup {
    html! {
        @if !quantiles.is_empty() {
            div.scroll {
                table.numbers {
                    thead { tr {
                        th scope="col" { "latency of ok" }
                        th scope="col" { "count" }
                        @for (_, name) in QUANTILES { th scope="col" { (name) } }
                    } }
                    tbody {
                        @for q in quantiles {
                            tr {
                                th scope="row" { bdi { (clean(q.f, NAME_MAX)) } }
                                td { (grouped(q.count)) }
                                @for &ns in &q.at_ns { td { (duration(ns)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
