//! Whether each kind of operation ever succeeded: a test in which one never did shows nothing.

use super::availability::availability;
use crate::{Checker, Cost, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;

/// `Unknown` if some function never succeeded, else `Valid`; never `Invalid`. O(operations).
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats;

impl Checker for Stats {
    fn name(&self) -> &str {
        "stats"
    }

    fn summary(&self) -> &str {
        "every kind of operation succeeded at least once"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let counts = availability(history, u64::MAX);
        let never: Vec<&str> =
            counts.by_f.iter().filter(|(_, counts)| counts.ok == 0).map(|(f, _)| &**f).collect();
        let (verdict, reason) = if never.is_empty() {
            let reason = "every kind of operation succeeded".to_owned();
            (Verdict::Valid(Witness::default()), reason)
        } else {
            let reason = format!("no {} ever succeeded", never.join(" and no "));
            (Verdict::Unknown(reason.clone()), reason)
        };
        Judgement {
            checker: self.name().to_owned(),
            verdict,
            algorithm: "count".to_owned(),
            reason,
            operations: history.operations.len() as u64,
            cost: Cost::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;

    #[test]
    fn a_kind_of_operation_that_never_succeeded_shows_nothing() {
        check(
            &super::Stats,
            &[
                (&[], "valid"),
                (&["0 read null -> fail", "0 read null -> 1"], "valid"),
                (
                    &["0 read null", "0 cas [1,2] -> fail", "0 write 1 -> info"],
                    "unknown: no cas and no write ever succeeded",
                ),
            ],
        );
    }
}
