//! Many judgements, one verdict.

use crate::{Checker, Cost, Judgement, Limits, Verdict};
use ordeal_history::History;
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What several judgements come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overall {
    /// All are valid.
    Valid,
    /// At least one is invalid, whatever the others say.
    Invalid,
    /// None is invalid, and not all are valid; or there is none.
    Unknown,
}

impl Overall {
    /// The word in `results.json`.
    pub fn name(self) -> &'static str {
        match self {
            Overall::Valid => "valid",
            Overall::Invalid => "invalid",
            Overall::Unknown => "unknown",
        }
    }
}

/// Judgements, and what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// What they come to.
    pub overall: Overall,
    /// Why, in one sentence.
    pub reason: String,
    /// Each checker's, in the order of the checkers.
    pub judgements: Vec<Judgement>,
}

/// Joins judgements: unknown never hides invalid, and never passes.
///
/// Without any judgement nothing is proven, so that is unknown too.
pub fn compose(judgements: Vec<Judgement>) -> Composed {
    let mut invalid = Vec::new();
    let mut unknown = Vec::new();
    for judgement in &judgements {
        let line = || format!("{}: {}", judgement.checker, judgement.reason);
        match &judgement.verdict {
            Verdict::Invalid(_) => invalid.push(line()),
            Verdict::Unknown(_) => unknown.push(line()),
            Verdict::Valid(_) => {}
        }
    }
    let (overall, reason) = match (invalid.as_slice(), unknown.as_slice()) {
        ([], []) if judgements.is_empty() => {
            (Overall::Unknown, "no checker judged the history".to_owned())
        }
        ([], []) => (Overall::Valid, format!("all {} checkers say valid", judgements.len())),
        ([], unknown) => (Overall::Unknown, unknown.join("; ")),
        (invalid, _) => (Overall::Invalid, invalid.join("; ")),
    };
    Composed { overall, reason, judgements }
}

/// Runs all of `checkers` on `history`, on the threads of the current pool, and joins what they
/// say. One that panics is a fault of ours, and says unknown.
pub fn check_all(checkers: &[Box<dyn Checker>], history: &History, limits: &Limits) -> Composed {
    let judge = |checker: &dyn Checker| {
        let judged = catch_unwind(AssertUnwindSafe(|| checker.check(history, limits)));
        judged.unwrap_or_else(|_| {
            let reason = format!("the checker {} failed; please report it", checker.name());
            Judgement {
                checker: checker.name().to_owned(),
                verdict: Verdict::Unknown(reason.clone()),
                algorithm: "none".to_owned(),
                reason,
                operations: history.operations.len() as u64,
                cost: Cost::default(),
            }
        })
    };
    compose(checkers.par_iter().map(|checker| judge(checker.as_ref())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counterexample, Witness};

    struct Says(&'static str);

    impl Checker for Says {
        fn name(&self) -> &str {
            self.0
        }

        fn summary(&self) -> &str {
            "says what it is told to"
        }

        fn check(&self, _: &History, _: &Limits) -> Judgement {
            let verdict = match self.0 {
                "valid" => Verdict::Valid(Witness::default()),
                "invalid" => Verdict::Invalid(Counterexample::default()),
                "unknown" => Verdict::Unknown("who knows".to_owned()),
                other => panic!("{other}"),
            };
            Judgement {
                checker: self.0.to_owned(),
                verdict,
                algorithm: "none".to_owned(),
                reason: "because".to_owned(),
                operations: 0,
                cost: Cost::default(),
            }
        }
    }

    /// All lists of up to four checkers of each kind, in every order.
    fn combinations() -> Vec<Vec<&'static str>> {
        let kinds = ["valid", "invalid", "unknown", "a fault of ours"];
        let mut all = vec![Vec::new()];
        let mut longest = all.clone();
        for _ in 0..4 {
            longest = longest
                .iter()
                .flat_map(|says: &Vec<&str>| kinds.map(|kind| [says.as_slice(), &[kind]].concat()))
                .collect();
            all.extend(longest.iter().cloned());
        }
        all
    }

    #[test]
    fn unknown_never_hides_invalid_and_never_passes() {
        let all = combinations();
        assert_eq!(all.len(), 1 + 4 + 16 + 64 + 256);
        for says in all {
            let checkers: Vec<Box<dyn Checker>> =
                says.iter().map(|says| Box::new(Says(says)) as Box<dyn Checker>).collect();
            let composed = check_all(&checkers, &History::default(), &Limits::default());
            let expected = if says.contains(&"invalid") {
                Overall::Invalid
            } else if !says.is_empty() && says.iter().all(|says| *says == "valid") {
                Overall::Valid
            } else {
                Overall::Unknown
            };
            assert_eq!(composed.overall, expected, "{says:?}: {}", composed.reason);
            let names: Vec<&str> = composed.judgements.iter().map(|j| &*j.checker).collect();
            assert_eq!(names, says);
            let to_blame = composed.judgements.iter().filter(|judgement| match composed.overall {
                Overall::Invalid => matches!(judgement.verdict, Verdict::Invalid(_)),
                Overall::Unknown => matches!(judgement.verdict, Verdict::Unknown(_)),
                Overall::Valid => false,
            });
            for judgement in to_blame {
                let line = format!("{}: {}", judgement.checker, judgement.reason);
                assert!(composed.reason.contains(&line), "{says:?}: {}", composed.reason);
            }
        }
    }
}
