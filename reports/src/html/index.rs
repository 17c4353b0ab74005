//! The index over many runs: each test by the day, its first failure, and every run with a link.

use super::campaigns::{self, CampaignSummary};
use super::context::policy;
use super::trends;
use super::{STYLE, ruling};
use crate::results::{Results, Ruling};
use crate::text::{NAME_MAX, clean, counted, duration, grouped};
use crate::verdict::sentence;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The only script of the index: it hides what is not asked for.
const SCRIPT: &str = include_str!("script/filter.js");

/// The matrix shows so many days, the last ones.
const DAYS_MAX: usize = 31;
/// The name of a test is cut after so many characters.
const TEST_MAX: usize = 96;
/// The list shows so many runs, the newest.
const RUNS_MAX: usize = 5_000;

/// The columns of numbers in the list of runs.
const NUMBERS: [&str; 6] = ["operations", "a second", "p99", "faults", "for", "seed"];

/// What the index tells of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The test that it is a run of: runs of the same name make a row of the matrix.
    pub test: String,
    /// Path of its report, relative to the index; its parts divided by `/`.
    pub report: String,
    /// The run's verdict.
    pub verdict: Ruling,
    /// Why the verdict is not valid, in a sentence.
    pub sentence: String,
    /// When it began, as text (RFC 3339, UTC); days are told apart by its first ten characters.
    pub started_at: String,
    /// How long the clients worked, in milliseconds.
    pub duration_ms: u64,
    /// The plan's seed.
    pub seed: u64,
    /// How many operations there were.
    pub operations: u64,
    /// How many faults landed.
    pub landed: u64,
    /// The planted bugs that were switched on.
    pub bug: Vec<String>,
    /// The slowest kind's 99th percentile of latency, in microseconds; 0 where it is not known.
    #[serde(default)]
    pub p99_us: u64,
    /// Whether it still goes on: `report` then leads to where it can be watched.
    #[serde(default)]
    pub live: bool,
}

/// Who shows the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// A file, beside the runs' folders.
    File,
    /// A server, whose page looks again by itself while a run goes on.
    Server,
}

impl RunSummary {
    /// The summary of a run whose report stands at `report`, relative to the index.
    pub fn new(test: &str, report: &str, results: &Results) -> RunSummary {
        let found = results.deciding().next();
        let reason = match (results.verdict, found) {
            (Ruling::Valid, _) => String::new(),
            (_, None) => sentence(results),
            (_, Some(checker)) => format!("{}: {}", checker.name, checker.reason),
        };
        RunSummary {
            test: test.to_owned(),
            report: report.to_owned(),
            verdict: results.verdict,
            sentence: reason,
            started_at: results.started_at.clone(),
            duration_ms: results.duration_ms,
            seed: results.seed,
            operations: results.outcomes().total(),
            landed: results.fault_counts().landed,
            bug: results.bug.clone(),
            p99_us: results.latency_us.values().map(|latency| latency.p99).max().unwrap_or(0),
            live: false,
        }
    }

    /// Operations a second.
    pub(super) fn rate_per_s(&self) -> Option<u64> {
        let thousandfold = u128::from(self.operations) * 1_000;
        u64::try_from(thousandfold / u128::from(self.duration_ms.max(1))).ok()
    }

    fn day(&self) -> String {
        self.started_at.chars().take(10).collect()
    }
}

/// The index over `runs` and `campaigns`, each in any order, as one self-contained HTML file whose
/// only links lead to the runs' reports and the campaigns' own indexes. O(runs · log).
///
/// A run of a planted bug is invalid as it should be, so it does not colour the whole.
pub fn index(runs: &[RunSummary], campaigns: &[CampaignSummary], serving: Serving) -> String {
    let mut runs: Vec<&RunSummary> = runs.iter().collect();
    runs.sort_by(|a, b| (&b.started_at, &b.report).cmp(&(&a.started_at, &a.report)));
    let honest = runs.iter().filter(|run| !run.live && run.bug.is_empty());
    let worst = honest.map(|run| run.verdict).max().unwrap_or(Ruling::Valid);
    let again = serving == Serving::Server && runs.iter().any(|run| run.live);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy(SCRIPT));
                @if again { meta http-equiv="refresh" content="5"; }
                meta name="color-scheme" content="light dark";
                title { (headline(&runs)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main.wide {
                    header.verdict.(ruling(worst).0) {
                        p.sign aria-hidden="true" { (ruling(worst).1) }
                        div {
                            h1 { (counted(runs.len() as u64, "run", "runs")) }
                            p.sentence { (headline(&runs)) }
                        }
                    }
                    (filter(&runs))
                    (campaigns::sections(campaigns))
                    (matrix(&runs))
                    (trends::section(&runs))
                    (list(&runs))
                }
                footer { p { "Written by Ordeal." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn headline(runs: &[&RunSummary]) -> String {
    let ended = || runs.iter().filter(|run| !run.live);
    let count = |of| ended().filter(|run| run.verdict == of).count() as u64;
    let live = match runs.len() - ended().count() {
        0 => String::new(),
        live => format!(" {} under way.", grouped(live as u64)),
    };
    let planted = ended().filter(|run| !run.bug.is_empty()).count() as u64;
    let planted = match planted {
        0 => String::new(),
        n => format!(" {} of a planted bug.", counted(n, "run is", "runs are")),
    };
    match runs.len() {
        0 => "No run is stored here yet.".to_owned(),
        _ => format!(
            "{} valid, {} invalid, {} unknown.{planted}{live}",
            grouped(count(Ruling::Valid)),
            grouped(count(Ruling::Invalid)),
            grouped(count(Ruling::Unknown))
        ),
    }
}

/// The frame that the script fills: without it nothing would be filtered.
fn filter(runs: &[&RunSummary]) -> Markup {
    html! {
        @if !runs.is_empty() {
            div.tools #filter hidden {
                label.find { "show only " input #filter-text type="search" spellcheck="false"
                    placeholder="a test, a seed, a bug, a word of the reason"; kbd { "/" } }
                label { "verdict " select #filter-verdict {
                    option value="" { "any" }
                    @for ruling in [Ruling::Invalid, Ruling::Unknown, Ruling::Valid] {
                        option value=(ruling.word()) { (ruling.word()) }
                    }
                } }
                span.quiet #filter-said role="status" {}
            }
        }
    }
}

/// A row a test, a column a day; the worst run of the day decides its cell.
fn matrix(runs: &[&RunSummary]) -> Markup {
    let days: BTreeSet<String> = runs.iter().map(|run| run.day()).collect();
    let days: Vec<&String> = days.iter().rev().take(DAYS_MAX).collect();
    let mut tests: BTreeMap<&str, Vec<&RunSummary>> = BTreeMap::new();
    for &run in runs.iter().filter(|run| !run.live) {
        tests.entry(&run.test).or_default().push(run);
    }
    if tests.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Tests by day, the newest first" }
            div.scroll {
                table.matrix {
                    thead { tr {
                        th scope="col" { "test" }
                        th scope="col" { "not valid" }
                        th scope="col" {
                            abbr title="how often the verdict was another than the run's before" {
                                "changes"
                            }
                        }
                        th scope="col" { "first failure" }
                        @for day in &days {
                            th.day scope="col" { (clean(day.get(5..).unwrap_or(day), 10)) }
                        }
                    } }
                    tbody {
                        @for (test, runs) in &tests {
                            tr data-text=(searched(&[test])) data-verdict=(worst(runs).word()) {
                                th scope="row" { bdi { (clean(test, TEST_MAX)) } }
                                (record(runs))
                                @for day in &days { (cell(runs, day)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn worst(runs: &[&RunSummary]) -> Ruling {
    runs.iter().map(|run| run.verdict).max().unwrap_or_default()
}

/// What the filter looks through, in lower case.
fn searched(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| clean(text, 240).to_lowercase()).collect();
    texts.join(" ")
}

/// How often a test was not valid, how often its verdict changed from run to run, which is what
/// flakiness is, and when it was invalid first.
fn record(runs: &[&RunSummary]) -> Markup {
    let changes = runs.windows(2).filter(|two| two[0].verdict != two[1].verdict).count();
    let failures = runs.iter().filter(|run| run.verdict != Ruling::Valid).count();
    let first = runs.iter().rev().find(|run| run.verdict == Ruling::Invalid);
    html! {
        td { (failures) " of " (runs.len()) }
        td {
            (changes)
            @if changes > 2 { " " b.flaky { "flaky" } }
        }
        td { @if let Some(run) = first { (link(run, &clean(&run.day(), 10))) } }
    }
}

fn cell(runs: &[&RunSummary], day: &str) -> Markup {
    let of_day = || runs.iter().filter(|run| run.day() == day);
    let Some(worst) = of_day().max_by_key(|run| run.verdict) else {
        return html! { td.day {} };
    };
    let (class, sign) = ruling(worst.verdict);
    let total = of_day().count();
    let same = of_day().filter(|run| run.verdict == worst.verdict).count();
    let told =
        format!("{sign} {}", if total > 1 { format!("{same}/{total}") } else { String::new() });
    html! {
        td.day.(class) title=(format!("{same} of {total} {}", worst.verdict)) {
            (link(worst, told.trim()))
        }
    }
}

fn list(runs: &[&RunSummary]) -> Markup {
    html! {
        @if !runs.is_empty() {
            section {
                h2 { "Every run" }
                div.scroll {
                    table.runs {
                        thead { tr {
                            @for name in ["", "began", "test", "verdict"] {
                                th scope="col" { (name) }
                            }
                            @for name in NUMBERS {
                                th.right scope="col" { (name) }
                            }
                        } }
                        tbody { @for run in runs.iter().take(RUNS_MAX) { (row(run)) } }
                    }
                }
                @if runs.len() > RUNS_MAX {
                    p.quiet { "And " (grouped((runs.len() - RUNS_MAX) as u64)) " older ones." }
                }
            }
        }
    }
}

fn row(run: &RunSummary) -> Markup {
    let (class, sign) = if run.live { ("live", "●") } else { ruling(run.verdict) };
    let word = if run.live { "under way" } else { run.verdict.word() };
    let seed = run.seed.to_string();
    let text = searched(&[&run.test, &run.sentence, &run.bug.join(" "), &run.started_at, &seed]);
    html! {
        tr.(class) data-text=(text) data-verdict=(word) {
            td.mark { (sign) }
            td.when { (link(run, &clean(&run.started_at, 32))) }
            td { bdi { (clean(&run.test, TEST_MAX)) } }
            td.why {
                b { (word) }
                @if !run.bug.is_empty() { " · bug " bdi { (clean(&run.bug.join(", "), NAME_MAX)) } }
                span.quiet { " " bdi { (clean(&run.sentence, 240)) } }
            }
            td.right { (grouped(run.operations)) }
            td.right { (run.rate_per_s().map(grouped).unwrap_or_default()) }
            td.right { @if run.p99_us > 0 { (duration(run.p99_us.saturating_mul(1_000))) } }
            td.right { (grouped(run.landed)) }
            td.right { (duration(run.duration_ms.saturating_mul(1_000_000))) }
            td.right { (run.seed) }
        }
    }
}

fn link(run: &RunSummary, text: &str) -> Markup {
    html! { a href=(address(&run.report)) { (text) } }
}

/// A relative address below the index: never another scheme, host or folder above.
pub(super) fn address(path: &str) -> String {
    format!("./{}", encoded(path))
}

/// `path`, its parts divided by `/`, as it stands in an address: without empty parts, and without
/// those that lead to another folder.
pub fn encoded(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | "." | "..")) {
        if !out.is_empty() {
            out.push('/');
        }
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}
