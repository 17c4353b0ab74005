//! The same check, fed as the test runs: a violation is known at the event that makes it one.
//!
//! Safety is what makes this possible: a history that is wrong stays wrong whatever comes after.
//! What is open may have happened, so a read may be explained by a write that has not ended, and
//! nothing is called wrong while any continuation could still be right. Which checkers can do it
//! is told by [`crate::Checker::online`]; two kinds of check stand behind it:
//!
//! - [`Linear`], for registers whose written values are different while they matter: raises a
//!   violation at the very event, O(log n) an event, and remembers what is open or unsettled, a
//!   few values of every key, and every indeterminate write that nobody saw.
//! - [`Recheck`], for any checker of a safety property: raises a violation before the history is
//!   twice as long, costs twice the last check in all, and keeps the history.
//!
//! Deliberately absent: witnesses and minimal counterexamples. A check in bounded memory has
//! forgotten what they are made of; whoever recorded the history has it, and the checker itself
//! explains from there what was wrong.

mod linear;
mod recheck;
mod register;
mod ring;

pub use linear::Linear;
pub use recheck::Recheck;
pub(crate) use recheck::recheck;

use crate::{Counterexample, Judgement, Verdict};
use ordeal_history::{Event, Value};

/// A check that takes a history event by event.
pub trait Online {
    /// Takes the next event of the history. After a violation nothing more is looked at.
    fn feed(&mut self, event: &Event);

    /// The violation, once the history cannot be valid any more, whatever comes after.
    fn violation(&self) -> Option<&Violation>;

    /// The verdict on all that was fed; operations that are still open are indeterminate.
    ///
    /// It is the checker's own verdict wherever it is not unknown. A valid one bears no witness,
    /// an invalid one no operations: those are for the checker, which sees the whole history.
    fn finish(&mut self) -> Judgement;

    /// Whether every event costs so little that a test can feed it without being held up; else
    /// some of them cost a check of all that was fed.
    fn is_light(&self) -> bool;
}

/// Why a history that still goes on is wrong already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The event at which that was known.
    pub event: u64,
    /// Nanoseconds from the start of the run to that event.
    pub time_ns: u64,
    /// The object that it is about.
    pub key: Option<Value>,
    /// Events that show it, ascending, that one among them.
    pub events: Vec<u64>,
    /// What is wrong, as one sentence without its full stop.
    pub reason: String,
}

/// What a judgement says of `violation`.
fn invalid(violation: &Violation) -> (Verdict, String) {
    let named = match &violation.key {
        Some(key) => {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            format!("{key}: {}", violation.reason)
        }
        None => violation.reason.clone(),
    };
    let counterexample = Counterexample {
        key: violation.key.clone(),
        story: vec![format!("{}.", violation.reason)],
        broken_at_event: Some(violation.event),
        ..Counterexample::default()
    };
    (Verdict::Invalid(counterexample), named)
}
