//! Judges histories.
//!
//! A checker is a pure function from a history to a [`Judgement`]: no input or output, no clock
//! but for its own limits, no randomness without a seed; it knows nothing of etcd's wire, of
//! networks or of time zones.

mod compose;
pub mod etcd;
pub mod isolation;
pub mod linear;
pub mod models;
pub mod others;
pub mod registry;
mod verdict;

pub use compose::{Composed, Overall, check_all, compose};
pub use registry::{checker, checkers};
pub use verdict::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
