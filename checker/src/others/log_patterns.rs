//! Lines in the nodes' logs that must not be there: panics, corruption, data races.
//!
//! A pure function over lines that are given in; who reads the files is not its business.

use crate::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;

/// The judgement on logs as a checker among others; the history says nothing of logs.
///
/// `Unknown` as long as nobody gave what [`log_matches`] found: logs that were not read are not
/// clean.
#[derive(Clone, Debug, Default)]
pub struct CleanLogs {
    /// The matches in all logs; `None` when none was read.
    pub matches: Option<Vec<LogMatch>>,
}

impl Checker for CleanLogs {
    fn name(&self) -> &str {
        "log-patterns"
    }

    fn summary(&self) -> &str {
        "no log of a node has a line that must not be there, such as a panic"
    }

    fn check(&self, _: &History, _: &Limits) -> Judgement {
        let judged = log_patterns(self.matches.as_deref().unwrap_or_default());
        if self.matches.is_some() {
            return judged;
        }
        let reason = "no log was read".to_owned();
        Judgement { verdict: Verdict::Unknown(reason.clone()), reason, ..judged }
    }
}

/// A line that a pattern was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMatch {
    /// Where the line comes from, such as a node's name.
    pub source: String,
    /// Its number there, from 1.
    pub line: u64,
    /// The pattern.
    pub pattern: String,
    /// The line itself.
    pub text: String,
}

/// The lines of `source` that have one of `patterns`.
///
/// A pattern is text, in which `*` stands for any text: `panic: *nil`. A line is listed once, by
/// the first pattern that it has. O(lines × patterns).
pub fn log_matches<'l>(
    source: &str,
    lines: impl IntoIterator<Item = &'l str>,
    patterns: &[&str],
) -> Vec<LogMatch> {
    let found = |(number, text): (u64, &'l str)| {
        let pattern = patterns.iter().find(|pattern| has(text, pattern))?;
        Some(LogMatch {
            source: source.to_owned(),
            line: number,
            pattern: (*pattern).to_owned(),
            text: text.to_owned(),
        })
    };
    (1..).zip(lines).filter_map(found).collect()
}

/// The judgement on logs: `Invalid` if there is any match.
pub fn log_patterns(matches: &[LogMatch]) -> Judgement {
    let (verdict, reason) = match matches.first() {
        None => {
            let reason = "no log has a line that must not be there".to_owned();
            (Verdict::Valid(Witness::default()), reason)
        }
        Some(first) => {
            let reason = format!(
                "{} lines of the logs must not be there; the first is {}:{}: {}",
                matches.len(),
                first.source,
                first.line,
                first.text
            );
            let story = matches.iter().map(|m| format!("{}:{}: {}", m.source, m.line, m.text));
            let wrong = Counterexample { story: story.collect(), ..Counterexample::default() };
            (Verdict::Invalid(wrong), reason)
        }
    };
    Judgement {
        checker: "log-patterns".to_owned(),
        verdict,
        algorithm: "scan".to_owned(),
        reason,
        operations: 0,
        cost: Cost::default(),
    }
}

/// Whether the parts of `pattern` between its stars stand in `text`, one after the other.
fn has(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_anywhere_in_a_line() {
        for (pattern, text, expected) in [
            ("panic", "goroutine 1: panic: oh no", true),
            ("panic*nil", "panic: something is nil", true),
            ("nil*panic", "panic: something is nil", false),
            ("*", "", true),
            ("µ*µ", "µ", false),
            ("Panic", "panic", false),
        ] {
            assert_eq!(has(text, pattern), expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn a_match_makes_the_logs_invalid_and_names_file_and_line() {
        let matches = log_matches("n1", ["all is well", "fatal: the log is corrupt"], &["corrupt"]);
        let judgement = log_patterns(&matches);
        assert!(matches!(judgement.verdict, Verdict::Invalid(_)));
        assert!(judgement.reason.contains("n1:2: fatal: the log is corrupt"));
        assert!(matches!(log_patterns(&[]).verdict, Verdict::Valid(_)));
        let clean =
            |matches| CleanLogs { matches }.check(&History::default(), &Limits::default()).verdict;
        assert!(matches!(clean(None), Verdict::Unknown(_)));
        assert!(matches!(clean(Some(Vec::new())), Verdict::Valid(_)));
        assert!(matches!(clean(Some(matches)), Verdict::Invalid(_)));
    }
}
