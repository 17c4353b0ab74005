//! What a checker says.

use crate::linear::MisfitAt;
use crate::online::Online;
use ordeal_history::{History, Value};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Judges a history. One file a checker.
pub trait Checker: Send + Sync {
    /// The name that stands in `results.json` and in the report.
    fn name(&self) -> &str;
    /// One sentence on what it demands, for `ordeal list checkers`.
    fn summary(&self) -> &str;
    /// The first operation that it does not understand; such a history is wrong input, and
    /// [`Checker::check`] answers `Unknown` on it.
    fn misfit(&self, _history: &History) -> Option<MisfitAt> {
        None
    }
    /// The verdict on `history`, within `limits`: out of time or memory is `Unknown`, never a pass.
    fn check(&self, history: &History, limits: &Limits) -> Judgement;
    /// The same check, fed event by event; `None` where only a whole history can be judged.
    ///
    /// `limits` bound what it may do in between; see [`crate::online`] for what each costs.
    fn online(&self, _limits: &Limits) -> Option<Box<dyn Online>> {
        None
    }
}

/// What a check may use before it must answer `Unknown`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wall-clock time; `None` is without bound.
    pub time: Option<Duration>,
    /// Bytes that the search may hold in its memory of configurations, and isolation in its graph.
    pub memory_bytes: usize,
    /// Configurations that one search may look at: a bound that is the same on every machine.
    pub configurations: u64,
    /// Threads to use; 0 is one a core.
    pub threads: usize,
    /// Set from outside to make the check end early, as `Unknown`.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            time: None,
            memory_bytes: 4 << 30,
            configurations: u64::MAX,
            threads: 0,
            cancel: None,
        }
    }
}

/// Valid, invalid or unknown, each with what shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It holds; the witness was accepted by a verifier that shares no code with the checker.
    Valid(Witness),
    /// It does not hold; the counterexample is minimal, unless the time for that ran out.
    Invalid(Counterexample),
    /// Nothing is proved either way; the reason, as a sentence.
    Unknown(String),
}

/// A linearization for each object, as positions in `History::operations`.
///
/// Empty for checkers whose proof is not an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Witness {
    /// The object, and its operations in an order that explains every answer.
    pub orders: Vec<(Option<Value>, Vec<u32>)>,
}

/// A part of the history that is still wrong and of which nothing can be left out.
///
/// Where deciding takes long, the time to make it smaller may run out; then it is the smallest
/// that was found, and still wrong by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counterexample {
    /// The object that it is about.
    pub key: Option<Value>,
    /// Positions in `History::operations`, ascending.
    pub operations: Vec<u32>,
    /// What happened and why no order can hold: one sentence an entry, for a person.
    pub story: Vec<String>,
    /// The event at which the history became wrong; `None` too if the time to find it ran out.
    pub broken_at_event: Option<u64>,
    /// Names of the anomalies, in Elle's words, for transactional models.
    pub anomalies: Vec<String>,
}

/// What a verdict cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Configurations that the search visited; 0 for algorithms that do not search.
    pub configurations: u64,
    /// The most bytes that its memory of configurations held.
    pub memory_bytes_max: u64,
}

/// One checker's line in the composed verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The checker's name.
    pub checker: String,
    /// What it says.
    pub verdict: Verdict,
    /// Which algorithm decided (`blocks`, `search`, …).
    pub algorithm: String,
    /// One sentence for a person.
    pub reason: String,
    /// Operations that were judged.
    pub operations: u64,
    /// What it cost.
    pub cost: Cost,
}
