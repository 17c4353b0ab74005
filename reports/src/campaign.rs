//! What CI systems and pull requests read of a campaign: JUnit XML and Markdown.

use crate::markdown::{longest_run, plain};
use crate::text::{self, NAME_MAX, SENTENCE_MAX, clean, grouped};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::time::Duration;

/// The tables name so many tests that did not pass.
const TROUBLE_MAX: usize = 100;

/// What became of a test of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It came out as it must.
    Passed,
    /// It was not run: the time was over, or what it looks for was found already.
    Skipped,
    /// Nothing is proved either way.
    Unknown,
    /// It came out otherwise: a violation, or none where one must be found.
    Failed,
    /// It came to no verdict: Ordeal failed, or the environment could not do it.
    Broken,
}

impl Standing {
    /// The word for a person.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Passed => "passed",
            Standing::Skipped => "not run",
            Standing::Unknown => "unknown",
            Standing::Failed => "failed",
            Standing::Broken => "no verdict",
        }
    }
}

/// A test of a campaign, as reports tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignTest {
    /// What it is a test of.
    pub row: String,
    /// Whether a violation must be found by it.
    pub sought: bool,
    /// Its seeds.
    pub seeds: String,
    /// What became of it.
    pub standing: Standing,
    /// Why, in a sentence; may be empty.
    pub reason: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The command that does it again; empty when it was not run.
    pub command: String,
}

/// The campaign as JUnit XML: a suite a row, a case a test.
pub fn campaign_junit(campaign: &str, tests: &[CampaignTest]) -> String {
    let mut report = Report::new(clean(campaign, NAME_MAX));
    for (row, tests) in by_row(tests) {
        let mut suite = TestSuite::new(clean(row, SENTENCE_MAX));
        suite.set_time(Duration::from_millis(tests.iter().map(|test| test.ms).sum()));
        suite.add_test_cases(tests.into_iter().map(case));
        report.add_test_suite(suite);
    }
    report.to_string().expect("XML can be written to memory")
}

fn case(test: &CampaignTest) -> TestCase {
    let mut status = match test.standing {
        Standing::Passed => TestCaseStatus::success(),
        Standing::Skipped => TestCaseStatus::skipped(),
        Standing::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Standing::Unknown | Standing::Broken => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if test.standing != Standing::Passed {
        status.set_message(clean(&test.reason, SENTENCE_MAX));
    }
    if test.standing > Standing::Skipped {
        status.set_type(test.standing.word());
        let again = format!("Again: {}", clean(&test.command, 4_000));
        status.set_description(format!("{}\n{again}", clean(&test.reason, SENTENCE_MAX)));
    }
    let mut case = TestCase::new(format!("seed {}", clean(&test.seeds, NAME_MAX)), status);
    case.set_classname(format!("ordeal.{}", clean(&test.row, SENTENCE_MAX)));
    case.set_time(Duration::from_millis(test.ms));
    case
}

/// The campaign in a screenful of GitHub's Markdown: what did not pass first, then every row.
/// Nothing from outside is markup in it.
pub fn campaign_markdown(campaign: &str, tests: &[CampaignTest]) -> String {
    let count = |standing| tests.iter().filter(|test| test.standing == standing).count() as u64;
    let all = [
        Standing::Failed,
        Standing::Broken,
        Standing::Unknown,
        Standing::Skipped,
        Standing::Passed,
    ];
    let told = all.into_iter().map(|standing| (standing, count(standing)));
    let told: Vec<String> = told
        .filter(|(_, count)| *count > 0)
        .map(|(standing, count)| format!("{} {}", grouped(count), standing.word()))
        .collect();
    let mut out = format!(
        "### {}: {}\n\n",
        plain(&clean(campaign, NAME_MAX)),
        if told.is_empty() { "no test".to_owned() } else { told.join(", ") }
    );
    let trouble = tests.iter().filter(|test| test.standing > Standing::Skipped);
    for test in trouble.take(TROUBLE_MAX) {
        let fence = "`".repeat(longest_run(&test.command, '`').max(2) + 1);
        out.push_str(&format!(
            "**{}**, seed {}: {}: {}\n\n{fence}sh\n{}\n{fence}\n\n",
            plain(&clean(&test.row, SENTENCE_MAX)),
            plain(&clean(&test.seeds, NAME_MAX)),
            test.standing.word(),
            plain(&clean(&test.reason, SENTENCE_MAX)),
            clean(&test.command, 4_000),
        ));
    }
    out.push_str("| test | passed | not run | other | took |\n|---|--:|--:|--:|--:|\n");
    for (row, tests) in by_row(tests) {
        let count = |standing| tests.iter().filter(|test| test.standing == standing).count();
        let (passed, skipped) = (count(Standing::Passed), count(Standing::Skipped));
        out.push_str(&format!(
            "| {} | {passed} | {skipped} | {} | {} |\n",
            plain(&clean(row, SENTENCE_MAX)),
            tests.len() - passed - skipped,
            text::duration(tests.iter().map(|test| test.ms).sum::<u64>().saturating_mul(1_000_000)),
        ));
    }
    out
}

/// What was looked for and what was found, row by row in Markdown, beside the rows that must stay
/// valid; `None` for a campaign that looks for nothing.
pub fn campaign_record(campaign: &str, tests: &[CampaignTest]) -> Option<String> {
    if !tests.iter().any(|test| test.sought) {
        return None;
    }
    let name = plain(&clean(campaign, NAME_MAX));
    let mut out = format!(
        "### {name}: what was looked for\n\n| test | came out | tries | took | what was seen |\n\
         |---|---|--:|--:|---|\n"
    );
    for (row, tests) in by_row(tests) {
        let tried: Vec<&CampaignTest> =
            tests.into_iter().filter(|test| test.standing != Standing::Skipped).collect();
        let worst = tried.iter().map(|test| test.standing).max();
        let found = tried.iter().find(|test| test.sought && test.standing == Standing::Passed);
        let (came_out, seen) = match (found, worst) {
            (Some(found), _) => ("found", found.reason.as_str()),
            (None, None) => ("not run", ""),
            (None, Some(_)) if tried[0].sought => ("not found", ""),
            (None, Some(Standing::Passed)) => ("valid", ""),
            (None, Some(worst)) => {
                let first = tried.iter().find(|test| test.standing == worst);
                (worst.word(), first.map_or("", |test| test.reason.as_str()))
            }
        };
        out.push_str(&format!(
            "| {} | {came_out} | {} | {} | {} |\n",
            plain(&clean(row, SENTENCE_MAX)),
            tried.len(),
            text::duration(tried.iter().map(|test| test.ms).sum::<u64>().saturating_mul(1_000_000)),
            plain(&clean(seen, SENTENCE_MAX)),
        ));
    }
    Some(out)
}

fn by_row(tests: &[CampaignTest]) -> BTreeMap<&str, Vec<&CampaignTest>> {
    let mut rows: BTreeMap<&str, Vec<&CampaignTest>> = BTreeMap::new();
    for test in tests {
        rows.entry(&test.row).or_default().push(test);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(row: &str, sought: bool, standing: Standing, reason: &str) -> CampaignTest {
        let (seeds, command) = ("1".to_owned(), "ordeal run".to_owned());
        CampaignTest {
            row: row.to_owned(),
            sought,
            seeds,
            standing,
            reason: reason.to_owned(),
            ms: 1_500,
            command,
        }
    }

    #[test]
    fn the_record_tells_what_was_found_and_what_stayed_valid() {
        let tests = [
            test("18667", true, Standing::Unknown, "not found yet"),
            test("18667", true, Standing::Passed, "members differ | <b>"),
            test("18667", true, Standing::Skipped, ""),
            test("control", false, Standing::Passed, "an order explains all"),
            test("20418", true, Standing::Failed, "nothing was found"),
            test("15220", true, Standing::Skipped, ""),
        ];
        let record = campaign_record("track", &tests).expect("a record");
        let row = |name: &str| {
            let line = record.lines().find(|line| line.starts_with(&format!("| {name} ")));
            line.map(str::to_owned).unwrap_or_default()
        };
        assert!(row("18667").starts_with("| 18667 | found | 2 | 3 s | members differ"), "{record}");
        assert!(!record.contains("<b>"), "{record}");
        assert!(row("control").starts_with("| control | valid | 1 |"), "{record}");
        assert!(row("20418").starts_with("| 20418 | not found | 1 |"), "{record}");
        assert!(row("15220").starts_with("| 15220 | not run | 0 |"), "{record}");
        assert_eq!(campaign_record("track", &tests[3..4]), None);
    }
}
