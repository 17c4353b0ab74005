//! Campaigns in the index: each row of a campaign's tests, night by night, and what did not pass
//! in the newest.
//!
//! Beside the matrix of runs, since a campaign has tests that leave no run behind: a thousand
//! simulated seeds, one that was not begun, one that found what it had to find.

use super::index::address;
use crate::campaign::{CampaignTest, Standing};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, grouped};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The matrix shows so many campaigns of a name, the last ones.
const NIGHTS_MAX: usize = 31;
/// It shows so many rows.
const ROWS_MAX: usize = 1_000;
/// So many tests that did not pass are told of.
const TROUBLE_MAX: usize = 100;

/// What the index tells of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CampaignSummary {
    /// Its name: campaigns of the same name make a matrix.
    pub name: String,
    /// When it began, as text (RFC 3339, UTC).
    pub began_at: String,
    /// Path of its own index, relative to this one; its parts divided by `/`. `None` when this one
    /// is its own.
    pub index: Option<String>,
    /// Its tests, in order.
    pub tests: Vec<CampaignTest>,
}

/// Rows of tests, each night's tests of a row together; `None` where a night had none.
type Matrix<'a> = BTreeMap<&'a str, Vec<Option<Vec<&'a CampaignTest>>>>;

pub(super) fn sections(campaigns: &[CampaignSummary]) -> Markup {
    let mut names: BTreeMap<&str, Vec<&CampaignSummary>> = BTreeMap::new();
    for campaign in campaigns {
        names.entry(&campaign.name).or_default().push(campaign);
    }
    html! {
        @for (name, nights) in &mut names {
            @let () = nights.sort_by(|a, b| (&a.began_at, &a.index).cmp(&(&b.began_at, &b.index)));
            @let nights = &nights[nights.len().saturating_sub(NIGHTS_MAX)..];
            section {
                h2 {
                    "Campaign " bdi { (clean(name, NAME_MAX)) }
                    ": its tests by night, the newest first"
                }
                (matrix(nights))
                @if let Some(newest) = nights.last() { (trouble(newest)) }
            }
        }
    }
}

fn matrix(nights: &[&CampaignSummary]) -> Markup {
    let mut rows: Matrix<'_> = BTreeMap::new();
    for (night, campaign) in nights.iter().enumerate() {
        for test in &campaign.tests {
            let row = rows.entry(&test.row).or_insert_with(|| vec![None; nights.len()]);
            row[night].get_or_insert_default().push(test);
        }
    }
    html! {
        div.scroll {
            table.matrix {
                thead { tr {
                    th scope="col" { "test" }
                    th scope="col" { "not passed" }
                    th scope="col" {
                        abbr title="how often it came out otherwise than the night before" {
                            "changes"
                        }
                    }
                    th scope="col" { "first failure" }
                    @for night in nights.iter().rev() {
                        th.day scope="col" title=(clean(&night.began_at, 32)) {
                            (link(night, &clean(night.began_at.get(5..10).unwrap_or("?"), 10)))
                        }
                    }
                } }
                tbody {
                    @for (row, cells) in rows.iter().take(ROWS_MAX) {
                        (tests(row, cells, nights))
                    }
                }
            }
        }
        @if rows.len() > ROWS_MAX {
            p.quiet { "And " (grouped((rows.len() - ROWS_MAX) as u64)) " more." }
        }
    }
}

fn tests(row: &str, cells: &[Option<Vec<&CampaignTest>>], nights: &[&CampaignSummary]) -> Markup {
    let standings: Vec<Option<Standing>> = cells.iter().map(standing).collect();
    // A night in which it was not run says nothing of it.
    let ran = |standing: &Standing| *standing != Standing::Skipped;
    let known: Vec<Standing> = standings.iter().flatten().copied().filter(ran).collect();
    let passed = |standing: Standing| standing == Standing::Passed;
    let trouble = known.iter().filter(|standing| !passed(**standing)).count();
    let changes = known.windows(2).filter(|two| passed(two[0]) != passed(two[1])).count();
    let first = standings.iter().position(|standing| standing.is_some_and(failed));
    let worst = known.iter().copied().max().unwrap_or(Standing::Skipped);
    html! {
        tr data-text=(clean(row, 240).to_lowercase()) data-verdict=(class(worst)) {
            th scope="row" { bdi { (clean(row, 96)) } }
            td { (trouble) " of " (known.len()) }
            td {
                (changes)
                @if changes > 2 { " " b.flaky { "flaky" } }
            }
            td {
                @if let Some(first) = first {
                    @let night = nights[first];
                    (link(night, &clean(night.began_at.get(..10).unwrap_or(""), 10)))
                }
            }
            @for (cell, night) in cells.iter().zip(nights).rev() { (self::cell(cell, night)) }
        }
    }
}

/// What a night came to: the worst of what was run, or that nothing was.
fn standing(cell: &Option<Vec<&CampaignTest>>) -> Option<Standing> {
    let ran = cell.as_ref()?.iter().map(|test| test.standing);
    Some(ran.filter(|s| *s != Standing::Skipped).max().unwrap_or(Standing::Skipped))
}

fn failed(standing: Standing) -> bool {
    matches!(standing, Standing::Failed | Standing::Broken)
}

fn cell(cell: &Option<Vec<&CampaignTest>>, night: &CampaignSummary) -> Markup {
    let (Some(tests), Some(standing)) = (cell, standing(cell)) else {
        return html! { td.day {} };
    };
    let same = tests.iter().filter(|test| test.standing == standing).count();
    let count = if tests.len() > 1 { format!(" {same}/{}", tests.len()) } else { String::new() };
    let told = format!("{}{count}", sign(standing));
    html! {
        td.day.(class(standing)) title=(format!("{same} of {} {}", tests.len(), standing.word())) {
            (link(night, &told))
        }
    }
}

/// The colour of a verdict, for what became of a test.
fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Passed => "valid",
        Standing::Skipped => "skipped",
        Standing::Unknown => "unknown",
        Standing::Failed | Standing::Broken => "invalid",
    }
}

fn sign(standing: Standing) -> &'static str {
    match standing {
        Standing::Passed => "✓",
        Standing::Skipped => "–",
        Standing::Unknown => "?",
        Standing::Failed => "✗",
        Standing::Broken => "!",
    }
}

/// What did not pass in the newest campaign, and the commands that do it again.
fn trouble(newest: &CampaignSummary) -> Markup {
    let trouble = || newest.tests.iter().filter(|test| test.standing > Standing::Skipped);
    let count = trouble().count();
    let skipped = newest.tests.iter().filter(|t| t.standing == Standing::Skipped).count();
    html! {
        p.quiet {
            "✓ passed, ✗ failed, ? nothing proved, ! no verdict, – not run. In the newest, of "
            (link(newest, &clean(&newest.began_at, 32))) ", "
            @if count == 0 { "nothing failed" } @else { (grouped(count as u64)) " did not pass" }
            @if skipped > 0 { "; " (grouped(skipped as u64)) " were not run" }
            "."
        }
        @if count > 0 {
            ol.trouble {
                @for test in trouble().take(TROUBLE_MAX) {
                    li.(class(test.standing)) data-text=(clean(&test.row, 240).to_lowercase())
                        data-verdict=(class(test.standing)) {
                        b { (sign(test.standing)) " " (test.standing.word()) } " "
                        bdi { (clean(&test.row, 160)) } ", seed " bdi { (clean(&test.seeds, 48)) }
                        ": " bdi { (clean(&test.reason, SENTENCE_MAX)) }
                        @if !test.command.is_empty() {
                            br; code { bdi { (clean(&test.command, 4_000)) } }
                        }
                    }
                }
            }
        }
        @if count > TROUBLE_MAX {
            p.quiet { "And " (grouped((count - TROUBLE_MAX) as u64)) " more." }
        }
    }
}

fn link(campaign: &CampaignSummary, text: &str) -> Markup {
    html! {
        @match &campaign.index {
            Some(index) => a href=(address(index)) { (text) },
            None => span { (text) },
        }
    }
}
