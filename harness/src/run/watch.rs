//! The check that runs along: what the recorder writes down is judged at once.
//!
//! It only ever looks for violations; the verdict of a run is that of its checkers on the whole
//! history. Without being asked for it takes no check that could hold the run up: one that costs
//! microseconds an event runs along with every run, so that a person sees a violation when it
//! happens, and whoever wants the run to end there (`--fail-fast`) gets the others besides.

use super::flag::Flag;
use ordeal_checker::{Checker, Limits, Online, Violation};
use ordeal_history::Event;
use std::time::Duration;

/// How long a check that is made between two events may hold the run up.
const HELD_UP_MAX: Duration = Duration::from_millis(250);

/// Checks that are fed event by event.
#[derive(Default)]
pub struct Watch {
    checks: Vec<Box<dyn Online>>,
    fail_fast: bool,
    violation: Option<Violation>,
    /// Raised at the first violation, if that is to end the run.
    pub enough: Flag,
}

impl Watch {
    /// What can be fed of `checkers`; with `fail_fast` the first violation is enough.
    pub fn new(checkers: &[Box<dyn Checker>], fail_fast: bool) -> Self {
        let limits = Limits { time: Some(HELD_UP_MAX), ..Limits::default() };
        let checks = checkers.iter().filter_map(|checker| checker.online(&limits));
        let checks = checks.filter(|check| fail_fast || check.is_light()).collect();
        Watch { checks, fail_fast, ..Watch::default() }
    }

    /// Whether any check can be fed.
    pub fn is_watching(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Takes the next event. Returns the violation if there is one now and was none before.
    pub fn see(&mut self, event: &Event) -> Option<&Violation> {
        if self.violation.is_some() {
            return None;
        }
        for check in &mut self.checks {
            check.feed(event);
            if let Some(violation) = check.violation() {
                self.violation = Some(violation.clone());
                if self.fail_fast {
                    self.enough.raise();
                }
                return self.violation.as_ref();
            }
        }
        None
    }

    /// The first violation that was seen.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}
