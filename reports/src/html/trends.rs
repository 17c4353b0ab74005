//! How rate and latency of each test went from run to run: small lines, the newest right.

use super::index::RunSummary;
use crate::results::Ruling;
use crate::text::{clean, duration, grouped};
use crate::timeline::n;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// So many of a test's runs, the newest.
const RUNS_MAX: usize = 60;
const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 34.0;

/// `runs` are ordered, the newest first. A test with fewer than two runs has no trend.
pub(super) fn section(runs: &[&RunSummary]) -> Markup {
    let mut tests: BTreeMap<&str, Vec<&RunSummary>> = BTreeMap::new();
    for &run in runs.iter().filter(|run| !run.live) {
        tests.entry(&run.test).or_default().push(run);
    }
    tests.retain(|_, runs| runs.len() > 1);
    for runs in tests.values_mut() {
        runs.truncate(RUNS_MAX);
        runs.reverse();
    }
    html! {
        @if !tests.is_empty() {
            section {
                h2 { "Trends" }
                div.scroll { table.trends {
                    thead { tr {
                        th scope="col" { "test" } th scope="col" { "operations a second" }
                        th.right scope="col" { "last" } th scope="col" { "p99 latency" }
                        th.right scope="col" { "last" }
                    } }
                    tbody { @for (test, runs) in &tests { (row(test, runs)) } }
                } }
                p.quiet { "Each line begins at zero; a ring is a run that was not valid." }
            }
        }
    }
}

fn row(test: &str, runs: &[&RunSummary]) -> Markup {
    let rates: Vec<u64> = runs.iter().map(|run| run.rate_per_s().unwrap_or(0)).collect();
    let p99s: Vec<u64> = runs.iter().map(|run| run.p99_us).collect();
    let known = p99s.iter().any(|&us| us > 0);
    html! {
        tr data-text=(clean(test, 240).to_lowercase()) data-verdict="" {
            th scope="row" { bdi { (clean(test, 96)) } }
            td { (line("operations a second", runs, &rates)) }
            td.right { (grouped(rates.last().copied().unwrap_or(0))) }
            td { @if known { (line("p99 latency", runs, &p99s)) } }
            td.right {
                @if known { (duration(p99s.last().copied().unwrap_or(0).saturating_mul(1_000))) }
            }
        }
    }
}

fn line(name: &str, runs: &[&RunSummary], values: &[u64]) -> Markup {
    let most = values.iter().copied().max().unwrap_or(1).max(1) as f64;
    let step = (WIDTH - 10.0) / (values.len() - 1).max(1) as f64;
    let place = |at: usize| {
        (5.0 + at as f64 * step, HEIGHT - 4.0 - values[at] as f64 / most * (HEIGHT - 8.0))
    };
    let path: Vec<String> = (0..values.len())
        .map(|at| {
            let (x, y) = place(at);
            format!("{} {} {}", if at == 0 { "M" } else { "L" }, n(x), n(y))
        })
        .collect();
    html! {
        svg.trend role="img" aria-label=(name) width=(n(WIDTH)) height=(n(HEIGHT))
            viewBox=(format!("0 0 {} {}", n(WIDTH), n(HEIGHT))) {
            path.way d=(path.join(" ")) {}
            @for (at, run) in runs.iter().enumerate() {
                @if run.verdict != Ruling::Valid {
                    @let (x, y) = place(at);
                    circle.(run.verdict.word()) cx=(n(x)) cy=(n(y)) r="3.5" {}
                }
            }
        }
    }
}
