//! The run over time: latency, rate, and quantiles.

use crate::band::{Band, band_class, end_of};
use crate::plots::{self, AREA, Stage, f_colour, hex, outcome_colour};
use crate::results::Results;
use crate::samples::{QUANTILES, Quantiles, Series, latencies, quantiles, rates, thin};
use crate::text::{NAME_MAX, clean, duration, grouped};
use crate::value::ending;
use maud::{Markup, PreEscaped, html};
use ordeal_history::{History, Outcome};
use std::collections::BTreeSet;

/// At most so many kinds of operation have points and a row of their own.
const KINDS_MAX: usize = 16;
/// So many kinds of fault are named under the picture.
const FAULT_KINDS_MAX: usize = 32;

pub(super) fn sections(results: &Results, history: &History, bands: &[Band]) -> Markup {
    if history.operations.is_empty() {
        return html! {};
    }
    let end_ns = end_of(history).max(results.duration_ms.saturating_mul(1_000_000));
    let stage = Stage { end_ns, bands };
    let mut series = latencies(history);
    series.truncate(KINDS_MAX * 3);
    let quantiles = quantiles(&series);
    let range = plots::latency_range(&series);
    thin(&mut series, end_ns, range, AREA);
    let rates = rates(history, end_ns);
    let unanswered = history.operations.iter().filter(|o| o.complete_time.is_none()).count();
    let latency = plots::latency(&stage, &series, range);
    let rate = plots::rate(&stage, &rates);
    html! {
        section {
            h2 { "Latency" }
            figure {
                (plot(latency))
                figcaption { (latency_legend(&series)) (bands_legend(bands))
                    p.quiet { "Each operation stands where it was asked." }
                    (sampled(&series, unanswered)) }
            }
            (quantiles_table(&quantiles))
        }
        section {
            h2 { "Rate" }
            figure {
                (plot(rate))
                figcaption {
                    (rate_legend()) (bands_legend(bands))
                    p.quiet { "Counted when they ended, in steps of " (duration(rates.bin_ns)) "." }
                }
            }
        }
    }
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

fn bands_legend(bands: &[Band]) -> Markup {
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
