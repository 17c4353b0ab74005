//! Named anomalies, gathered: of each kind the one that showed first.

use super::objects::{counterexample, judgement};
use crate::{Judgement, Verdict, Witness};
use ordeal_history::{History, Operation};
use std::collections::BTreeMap;

/// An anomaly: the operations that show it, and the story.
pub(super) struct Finding {
    operations: Vec<u32>,
    story: Vec<String>,
    /// The event by which it had shown.
    shown: u64,
}

/// Of each kind of anomaly the one that showed first, so memory does not grow with the damage.
pub(super) struct Findings<'h> {
    history: &'h History,
    found: BTreeMap<&'static str, Finding>,
}

impl<'h> Findings<'h> {
    pub(super) fn new(history: &'h History) -> Self {
        Findings { history, found: BTreeMap::new() }
    }

    /// Notes an anomaly of `kind`; its story begins with `sentence`, and tells then what each of
    /// `operations` was.
    pub(super) fn note(&mut self, kind: &'static str, operations: &[u32], sentence: String) {
        let mut operations = operations.to_vec();
        operations.sort_unstable();
        operations.dedup();
        let named = |&at: &u32| &self.history.operations[at as usize];
        let shown = operations.iter().map(|at| end(named(at))).max().unwrap_or(u64::MAX);
        if self.found.get(kind).is_some_and(|known| known.shown <= shown) {
            return;
        }
        let mut story = vec![sentence];
        story.extend(operations.iter().map(|at| tell(named(at))));
        self.found.insert(kind, Finding { operations, story, shown });
    }

    /// Invalid if anything was found, by what showed first; else unknown for the reason of
    /// `missing`, else valid with `reason`.
    pub(super) fn judge(
        self,
        name: &str,
        algorithm: &str,
        missing: Option<String>,
        reason: &str,
    ) -> Judgement {
        let kinds: Vec<String> = self.found.keys().map(|kind| (*kind).to_owned()).collect();
        // What is wrong in itself says more than that something else is missing in its place.
        let rank = |kind: &str, finding: &Finding| (finding.shown, kind.starts_with("missing"));
        let first = self.found.into_iter().min_by_key(|(kind, finding)| rank(kind, finding));
        let (verdict, reason) = match (first, missing) {
            (Some((_, Finding { operations, story, .. })), _) => {
                let reason = story.first().cloned().unwrap_or_default();
                let mut wrong = counterexample(self.history, None, operations, story);
                wrong.anomalies = kinds;
                (Verdict::Invalid(wrong), reason)
            }
            (None, Some(why)) => (Verdict::Unknown(why.clone()), why),
            (None, None) => (Verdict::Valid(Witness::default()), reason.to_owned()),
        };
        judgement(name, algorithm, self.history, verdict, reason)
    }
}

/// The last event that an operation has.
fn end(operation: &Operation) -> u64 {
    operation.complete.unwrap_or(operation.invoke)
}

/// One sentence on an operation: who asked what when, and what the answer was.
fn tell(operation: &Operation) -> String {
    let Operation { process, f, input, output, invoke, .. } = operation;
    let key = operation.key.as_ref().map_or(String::new(), |key| format!(" {key}"));
    let at = operation.revision.map_or(String::new(), |at| format!(" at revision {at}"));
    let answer = match (operation.outcome, operation.complete) {
        (ordeal_history::Outcome::Ok, Some(event)) => format!("{output}{at} (event {event})"),
        (ordeal_history::Outcome::Fail, _) => "it failed".to_owned(),
        _ => "nobody knows".to_owned(),
    };
    format!("Process {process}, event {invoke}: {f}{key} {input}; the answer: {answer}.")
}
