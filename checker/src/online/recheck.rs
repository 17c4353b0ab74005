//! Any checker of a safety property, asked again and again as the history grows.

use super::{Online, Violation};
use crate::{Checker, Judgement, Limits, Verdict};
use ordeal_history::{Event, History};
use std::time::Instant;

/// The number of events at which the first check is made.
const FIRST: usize = 1_000;

/// Asks a checker each time that the history has doubled, so that all checks together cost no more
/// than twice the last one where a check's cost is linear.
///
/// A violation is raised before the history is twice as long as it was when it became wrong. The
/// whole history is kept. A check that gives up at its limits is the last but for the one at the
/// end: the next would have twice as much to do.
///
/// The checker must judge a safety property: what is invalid stays so, whatever comes after, and
/// operations without an end may have happened. One that demands that something comes in the end
/// (that a set shows what was added to it) is none.
pub struct Recheck<C> {
    checker: C,
    /// For each check but the last.
    limits: Limits,
    events: Vec<Event>,
    next: usize,
    violation: Option<Violation>,
}

impl<C: Checker> Recheck<C> {
    /// A check by `checker`, each within `limits` but for the one at the end, which has no bounds
    /// but the default ones.
    pub fn new(checker: C, limits: Limits) -> Self {
        Recheck { checker, limits, events: Vec::new(), next: FIRST, violation: None }
    }

    /// The same with the first check after so many events.
    pub fn with_first_check(mut self, events: usize) -> Self {
        self.next = events.max(1);
        self
    }

    fn judge(&self, limits: &Limits) -> Judgement {
        match History::from_events(self.events.iter().cloned()) {
            Ok(history) => self.checker.check(&history, limits),
            Err(malformed) => {
                let reason = format!("event {}: {}", malformed.line - 1, malformed.message);
                Judgement {
                    checker: self.checker.name().to_owned(),
                    verdict: Verdict::Unknown(reason.clone()),
                    algorithm: "none".to_owned(),
                    reason,
                    operations: 0,
                    cost: crate::Cost::default(),
                }
            }
        }
    }
}

/// The check by `checker` as [`Checker::online`] gives it.
pub(crate) fn recheck<C: Checker + 'static>(
    checker: C,
    limits: &Limits,
) -> Option<Box<dyn Online>> {
    Some(Box::new(Recheck::new(checker, limits.clone())))
}

impl<C: Checker> Online for Recheck<C> {
    fn feed(&mut self, event: &Event) {
        if self.violation.is_some() {
            return;
        }
        self.events.push(event.clone());
        if self.events.len() < self.next {
            return;
        }
        let start = Instant::now();
        let judgement = self.judge(&self.limits);
        let is_late = self.limits.time.is_some_and(|time| start.elapsed() > time);
        self.next = match judgement.verdict {
            Verdict::Unknown(_) => usize::MAX,
            // Not every checker looks at the time by itself.
            _ if is_late => usize::MAX,
            _ => self.next.saturating_mul(2),
        };
        if let Verdict::Invalid(found) = judgement.verdict {
            self.violation = Some(Violation {
                event: event.index,
                time_ns: event.time,
                key: found.key,
                events: found.broken_at_event.into_iter().chain([event.index]).collect(),
                reason: judgement.reason,
            });
        }
    }

    fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    fn is_light(&self) -> bool {
        false
    }

    fn finish(&mut self) -> Judgement {
        self.judge(&Limits::default())
    }
}
