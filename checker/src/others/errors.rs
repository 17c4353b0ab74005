//! The errors that clients saw, by their text.

use super::findings::Findings;
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells which errors nobody could classify; with `strict` each of them is wrong.
///
/// An error of an indeterminate operation is one of which nobody knows whether the operation
/// happened. Those are to be expected under faults, so without `strict` the reason is the report,
/// and the verdict `Valid`. O(n log n).
#[derive(Clone, Copy, Debug, Default)]
pub struct Unhandled {
    /// Whether such an error is wrong.
    pub strict: bool,
}

impl Checker for Unhandled {
    fn name(&self) -> &str {
        "unhandled-errors"
    }

    fn summary(&self) -> &str {
        "tells the errors of operations of unknown outcome; wrong only where they are forbidden"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let found = unhandled_errors(history, false);
        let line = |e: &UnhandledError| format!("{} {}: {}", e.count, e.f, e.error);
        let report = match found.as_slice() {
            [] => "no operation of unknown outcome bears an error".to_owned(),
            found => found.iter().take(5).map(line).collect::<Vec<_>>().join("; "),
        };
        let mut findings = Findings::new(history);
        if self.strict
            && let Some(first) = found.iter().map(|e| e.first_event).min()
        {
            let bears = |o: &ordeal_history::Operation| o.complete == Some(first);
            let at = history.operations.iter().position(bears).map(|at| at as u32);
            let at: Vec<u32> = at.into_iter().collect();
            findings.note("unhandled-error", &at, format!("Errors that nobody handles: {report}."));
        }
        findings.judge(self.name(), "count", None, &report)
    }
}

/// One error, and how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnhandledError {
    /// The text, in the store's or the client's words.
    pub error: Arc<str>,
    /// The function that it came from.
    pub f: Arc<str>,
    /// What became of the operations.
    pub outcome: Outcome,
    /// How often.
    pub count: u64,
    /// The event of the first completion that bears it.
    pub first_event: u64,
}

/// The errors of indeterminate operations, the most frequent first: nobody told the harness what
/// they mean. With `all`, those of failed ones too. O(n log n).
pub fn unhandled_errors(history: &History, all: bool) -> Vec<UnhandledError> {
    let mut found: BTreeMap<(Arc<str>, Arc<str>, bool), UnhandledError> = BTreeMap::new();
    for operation in &history.operations {
        let Some(error) = &operation.error else { continue };
        let fail = operation.outcome == Outcome::Fail;
        if operation.outcome == Outcome::Ok || (fail && !all) {
            continue;
        }
        let key = (error.clone(), operation.f.clone(), fail);
        let entry = found.entry(key).or_insert_with(|| UnhandledError {
            error: error.clone(),
            f: operation.f.clone(),
            outcome: operation.outcome,
            count: 0,
            first_event: u64::MAX,
        });
        entry.count += 1;
        entry.first_event = entry.first_event.min(operation.complete.unwrap_or(operation.invoke));
    }
    let mut found: Vec<UnhandledError> = found.into_values().collect();
    found.sort_by_key(|error| (std::cmp::Reverse(error.count), error.first_event));
    found
}

#[cfg(test)]
mod tests {
    use super::super::rows::{check, history};
    use super::*;

    #[test]
    fn an_error_is_wrong_only_where_it_is_forbidden() {
        let lost: &[&str] = &["0 read null -> fail", "0 write 1 -> info"];
        check(&Unhandled::default(), &[(&[], "valid"), (lost, "valid")]);
        check(
            &Unhandled { strict: true },
            &[
                (&[], "valid"),
                (&["0 read null -> fail"], "valid"),
                (lost, "Errors that nobody handles: 1 write: write failed"),
            ],
        );
    }

    #[test]
    fn errors_are_grouped_by_text_function_and_outcome() {
        let history = history(&[
            "0 read null -> fail",
            "0 write 1 -> info",
            "1 write 1 -> info",
            "2 cas [1,2] -> fail",
        ]);
        let row =
            |error: &UnhandledError| (error.error.to_string(), error.count, error.first_event);
        let found = |all| unhandled_errors(&history, all).iter().map(row).collect::<Vec<_>>();
        assert_eq!(found(false), [("write failed".to_owned(), 2, 3)]);
        assert_eq!(
            found(true),
            [
                ("write failed".to_owned(), 2, 3),
                ("read failed".to_owned(), 1, 1),
                ("cas failed".to_owned(), 1, 7),
            ]
        );
    }
}
