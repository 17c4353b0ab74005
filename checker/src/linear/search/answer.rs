//! What a search may use, and what it says.

use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What one search may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'a> {
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Bytes for the memory of configurations.
    pub memory_bytes: usize,
    /// Configurations after which to give up.
    pub configurations: u64,
    /// Set from outside to give up.
    pub cancel: Option<&'a AtomicBool>,
}

impl Budget<'_> {
    /// Why it is time to give up, if it is.
    pub(crate) fn spent(&self) -> Option<&'static str> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Some("out of time");
        }
        self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)).then_some("cancelled")
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The answer.
    pub answer: Answer,
    /// Configurations that were remembered.
    pub configurations: u64,
    /// Bytes that they took.
    pub memory_bytes: u64,
    /// What may show of a part of the history that it has no linearization either.
    pub hint: Hint,
}

/// What showed that a history has no linearization, to be tried first on a part of it.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    /// The moments (as in an entry's `call`) around which it was shown; `None` where there is no
    /// hint.
    pub times: Option<(u64, u64)>,
    /// What a member of a class of indeterminate operations costs once this one, given by its
    /// position in the history, has begun; empty where no prices were needed.
    pub prices: FxHashMap<u32, u32>,
}

/// The search's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A linearization, as indexes into the entries.
    Valid(Vec<u32>),
    /// None exists; no path gets past the end at this moment (as in [`Entry::ret`]).
    Invalid(u64),
    /// The budget is spent: why, and how many of the certain operations were placed at best.
    Unknown {
        /// What ran out.
        why: &'static str,
        /// Certain operations placed on the best path.
        placed: usize,
        /// Certain operations in all.
        certain: usize,
    },
}
