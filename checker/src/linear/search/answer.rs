//! What a search may use, and what it says.

use std::sync::atomic::AtomicBool;
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

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The answer.
    pub answer: Answer,
    /// Configurations that were remembered.
    pub configurations: u64,
    /// Bytes that they took.
    pub memory_bytes: u64,
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
