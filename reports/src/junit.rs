//! JUnit XML, as CI systems read it: a test case a checker.

use crate::results::{CheckerResult, Results, Ruling};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean};
use crate::verdict::{bug_warning, sentence};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The results as JUnit XML. Invalid is a failure, unknown an error: neither passes.
pub fn junit(results: &Results) -> String {
    let workload = match results.tested.workload.as_str() {
        "" => "run".to_owned(),
        workload => clean(workload, NAME_MAX),
    };
    let mut suite = TestSuite::new(format!("ordeal.{workload}"));
    let checked_ms: u64 = results.checkers.iter().map(|c| c.ms).sum();
    suite.set_time(Duration::from_millis(results.duration_ms.saturating_add(checked_ms)));
    for (name, value) in properties(results) {
        suite.add_property((name, value.as_str()));
    }
    for checker in &results.checkers {
        suite.add_test_case(case(results, checker, &workload));
    }
    if results.checkers.is_empty() {
        let nothing = CheckerResult {
            name: "verdict".to_owned(),
            verdict: results.verdict,
            reason: sentence(results),
            ..Default::default()
        };
        suite.add_test_case(case(results, &nothing, &workload));
    }
    let mut report = Report::new("ordeal");
    report.add_test_suite(suite);
    report.to_string().expect("XML can be written to memory")
}

fn properties(results: &Results) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("seed", results.seed.to_string()),
        ("db", clean(&results.tested.db, 240)),
        ("db_version", clean(results.tested.db_version.as_deref().unwrap_or(""), NAME_MAX)),
        ("bug", clean(&results.bug.join(","), 240)),
        ("command", clean(&results.command, 4_000)),
    ];
    all.retain(|(_, value)| !value.is_empty());
    all
}

fn case(results: &Results, checker: &CheckerResult, workload: &str) -> TestCase {
    let mut status = match checker.verdict {
        Ruling::Valid => TestCaseStatus::success(),
        Ruling::Invalid => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Ruling::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if checker.verdict != Ruling::Valid {
        status.set_message(clean(&checker.reason, SENTENCE_MAX));
        status.set_type(checker.verdict.word());
        let mut lines: Vec<String> = vec![clean(&checker.reason, SENTENCE_MAX)];
        lines.extend(bug_warning(results).map(|warning| format!("{warning}.")));
        if let Some(found) = &checker.counterexample {
            lines.extend(found.story.iter().take(20).map(|s| clean(s, SENTENCE_MAX)));
        }
        if !results.command.is_empty() {
            lines.push(format!("Again: {}", clean(&results.command, 4_000)));
        }
        status.set_description(lines.join("\n"));
    }
    let mut case = TestCase::new(clean(&checker.name, NAME_MAX), status);
    case.set_classname(format!("ordeal.{workload}"));
    case.set_time(Duration::from_millis(checker.ms));
    case
}
