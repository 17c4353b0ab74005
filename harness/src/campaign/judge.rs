//! What a campaign comes to: each test held against what must come out of its row.

use super::file::Expected;
use super::ledger::{Again, Entry, Head, Listed};
use crate::status;
use ordeal_reports::{CampaignTest, Ruling, Standing};
use std::collections::{BTreeMap, BTreeSet};

/// Every test of the campaign, in order, and what became of it.
pub fn judge(head: &Head, entries: &BTreeMap<String, Entry>) -> Vec<CampaignTest> {
    let invalid = |test: &&Listed| {
        entries.get(&test.id).is_some_and(|entry| entry.verdict == Some(Ruling::Invalid))
    };
    let found: BTreeSet<&str> =
        head.tests.iter().filter(invalid).map(|test| test.row.as_str()).collect();
    let waits = head.tests.iter().filter(|test| !entries.contains_key(&test.id));
    let waiting: BTreeSet<&str> = waits.map(|test| test.row.as_str()).collect();
    let tell = |test: &Listed| {
        let row = test.row.as_str();
        let (standing, reason) = match (entries.get(&test.id), test.expected) {
            (None, Expected::Invalid) if found.contains(row) => {
                (Standing::Skipped, "it was found with another seed".to_owned())
            }
            (None, _) => (Standing::Skipped, "the campaign ended before its turn".to_owned()),
            (Some(entry), Expected::Valid) => expected_valid(entry),
            (Some(entry), Expected::Invalid) => {
                expected_invalid(entry, found.contains(row), waiting.contains(row))
            }
        };
        let entry = entries.get(&test.id);
        CampaignTest {
            row: test.row.clone(),
            sought: test.expected == Expected::Invalid,
            seeds: test.seeds.clone(),
            standing,
            reason,
            ms: entry.map_or(0, |entry| entry.ms),
            command: entry.map_or_else(String::new, |entry| entry.command.clone()),
        }
    };
    head.tests.iter().map(tell).collect()
}

fn expected_valid(entry: &Entry) -> (Standing, String) {
    let standing = match entry.verdict {
        Some(Ruling::Valid) => Standing::Passed,
        Some(Ruling::Invalid) => Standing::Failed,
        Some(Ruling::Unknown) => Standing::Unknown,
        None => Standing::Broken,
    };
    let again = match entry.again {
        Some(Again { failed: 0, tries }) => {
            format!(" (flaky: it did not fail again in {tries} more)")
        }
        Some(Again { failed, tries }) => format!(" (failed again {failed} of {tries} times)"),
        None => String::new(),
    };
    (standing, format!("{}{again}", entry.sentence))
}

/// A seed that did not find what another did has done no wrong.
fn expected_invalid(entry: &Entry, found: bool, waits: bool) -> (Standing, String) {
    match entry.verdict {
        Some(Ruling::Invalid) => (Standing::Passed, format!("found: {}", entry.sentence)),
        None => (Standing::Broken, entry.sentence.clone()),
        Some(_) if found => (Standing::Passed, "found with another seed".to_owned()),
        Some(_) if waits => (Standing::Unknown, "not found yet".to_owned()),
        Some(_) => (Standing::Failed, "no violation was found, and one must be there".to_owned()),
    }
}

/// The exit status: its worst, and that of an interrupt when somebody ended it.
pub fn exit_status(tests: &[CampaignTest], interrupted: bool) -> u8 {
    let worst = tests.iter().map(|test| test.standing).max();
    match worst {
        Some(Standing::Broken) => status::SOFTWARE,
        Some(Standing::Failed) => status::INVALID,
        _ if interrupted => status::INTERRUPTED,
        Some(Standing::Unknown) => status::UNKNOWN,
        // Where not one was run nothing is proved.
        Some(Standing::Skipped | Standing::Passed)
            if tests.iter().any(|test| test.standing == Standing::Passed) =>
        {
            status::VALID
        }
        _ => status::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, verdict: Option<Ruling>) -> Entry {
        Entry {
            id: id.to_owned(),
            status: 0,
            verdict,
            sentence: "because".to_owned(),
            ms: 5,
            again: None,
            folder: String::new(),
            command: "ordeal run".to_owned(),
        }
    }

    /// What becomes of two tests of one row that came out so, and the campaign's status.
    fn judged(expected: Expected, verdicts: [Option<Option<Ruling>>; 2]) -> ([Standing; 2], u8) {
        let listed = |id: &str| Listed {
            id: id.to_owned(),
            row: "row".to_owned(),
            seeds: id.to_owned(),
            expected,
        };
        let head =
            Head { campaign: "c".to_owned(), shard: None, tests: vec![listed("1"), listed("2")] };
        let entries = ["1", "2"].iter().zip(verdicts);
        let entries = entries
            .filter_map(|(id, verdict)| Some((id.to_string(), entry(id, verdict?))))
            .collect();
        let tests = judge(&head, &entries);
        ([tests[0].standing, tests[1].standing], exit_status(&tests, false))
    }

    #[test]
    fn each_test_is_held_against_what_is_expected_and_the_worst_decides() {
        use Expected::{Invalid, Valid};
        use Ruling::{Invalid as Bad, Unknown as Open, Valid as Good};
        use Standing::{Broken, Failed, Passed, Skipped, Unknown};
        let rows = [
            (Valid, [Some(Some(Good)), Some(Some(Good))], [Passed, Passed], 0),
            (Valid, [Some(Some(Good)), None], [Passed, Skipped], 0),
            (Valid, [None, None], [Skipped, Skipped], 2),
            (Valid, [Some(Some(Good)), Some(Some(Open))], [Passed, Unknown], 2),
            (Valid, [Some(Some(Bad)), Some(Some(Open))], [Failed, Unknown], 1),
            (Valid, [Some(Some(Bad)), Some(None)], [Failed, Broken], 70),
            (Invalid, [Some(Some(Good)), Some(Some(Bad))], [Passed, Passed], 0),
            (Invalid, [Some(Some(Bad)), None], [Passed, Skipped], 0),
            (Invalid, [Some(Some(Good)), Some(Some(Open))], [Failed, Failed], 1),
            (Invalid, [Some(Some(Good)), None], [Unknown, Skipped], 2),
            (Invalid, [Some(None), Some(Some(Bad))], [Broken, Passed], 70),
        ];
        for (expected, verdicts, standings, status) in rows {
            assert_eq!(
                judged(expected, verdicts),
                (standings, status),
                "{expected:?} {verdicts:?}"
            );
        }
    }
}
