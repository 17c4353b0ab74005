//! Judges histories of concurrent clients: linearizability, isolation and simpler properties.
//!
//! A checker is a pure function from a history to a [`Judgement`]: no input or output, no clock
//! but for its own limits, no randomness without a seed; it knows nothing of etcd's wire, of
//! networks or of time zones. Histories come from [`ordeal_history`], and nothing else of Ordeal is
//! needed to use this crate.
//!
//! # Judging a history
//!
//! A history is a list of events: an operation is invoked, and it ends `ok`, `fail` (it certainly
//! did not happen) or `info` (nobody knows). Here a client reads 1, though 2 was written over it
//! before the read began:
//!
//! ```
//! use ordeal_checker::{Checker, Limits, Verdict};
//! use ordeal_checker::linear::Linearizable;
//! use ordeal_checker::models::Register;
//! use ordeal_history::{ReadOptions, read_jsonl};
//!
//! let text = r#"
//! {"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}
//! {"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}
//! {"index":2,"time":2,"process":0,"type":"invoke","f":"write","value":2}
//! {"index":3,"time":3,"process":0,"type":"ok","f":"write","value":2}
//! {"index":4,"time":4,"process":1,"type":"invoke","f":"read","value":null}
//! {"index":5,"time":5,"process":1,"type":"ok","f":"read","value":1}"#;
//! let history = read_jsonl(text.as_bytes(), ReadOptions::default())?;
//! let judgement = Linearizable::new(Register::default()).check(&history, &Limits::default());
//! let Verdict::Invalid(counterexample) = judgement.verdict else { panic!("a stale read passed") };
//! assert_eq!(counterexample.operations, [0, 1, 2]);
//! for sentence in &counterexample.story {
//!     println!("{sentence}");
//! }
//! # Ok::<(), ordeal_history::ReadError>(())
//! ```
//!
//! A verdict is [`Verdict::Valid`] with a witness, [`Verdict::Invalid`] with a counterexample from
//! which nothing can be left out, or [`Verdict::Unknown`] with the reason. Unknown is no pass:
//! [`check_all()`] joins many checkers' judgements so that it neither hides a violation nor passes.
//!
//! # Which checker
//!
//! | what the clients do | checker |
//! |---|---|
//! | read, write, cas on one value a key | [`linear::Linearizable`] of [`models::Register`] |
//! | use a queue, a set, a lock, a counter | the other [`models`] |
//! | do the same on etcd, with revisions in the answers | [`etcd::EtcdRevisions`] |
//! | run transactions over many keys | [`isolation::ListAppend`], [`isolation::RwRegister`] |
//! | watch, hold leases, lock, elect, and all else | [`others`] |
//!
//! [`registry`] has them by name.
//!
//! # A model of one's own
//!
//! A [`linear::Model`] says what one operation does to a state, one after the other; what
//! concurrency makes of it is the checker's work. This one is a number that only rises:
//!
//! ```
//! use ordeal_checker::linear::{Linearizable, Misfit, Model};
//! use ordeal_checker::{Checker, Limits, Verdict};
//! use ordeal_history::{History, Operation, Outcome};
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Op {
//!     Raise(i64),
//!     Read(i64),
//! }
//!
//! struct HighWater;
//!
//! impl Model for HighWater {
//!     type State = i64;
//!     type Op = Op;
//!     fn name(&self) -> &str { "high-water" }
//!     fn summary(&self) -> &str { "raises to a number, and reads of the highest so far" }
//!     fn initial(&self) -> i64 { 0 }
//!     fn compile(&self, operation: &Operation) -> Result<Option<Op>, Misfit> {
//!         let wrong = "expected a whole number";
//!         match (&*operation.f, operation.outcome) {
//!             (_, Outcome::Fail) | ("read", Outcome::Info) => Ok(None),
//!             ("raise", _) => {
//!                 let to = operation.input.as_i64().ok_or_else(|| Misfit::invocation(wrong))?;
//!                 Ok(Some(Op::Raise(to)))
//!             }
//!             ("read", _) => {
//!                 let seen = operation.output.as_i64().ok_or_else(|| Misfit::completion(wrong))?;
//!                 Ok(Some(Op::Read(seen)))
//!             }
//!             _ => Err(Misfit::unknown_f("high-water", operation, "raise and read")),
//!         }
//!     }
//!     fn step(&self, highest: &i64, op: &Op) -> Option<i64> {
//!         match op {
//!             Op::Raise(to) => Some(*highest.max(to)),
//!             Op::Read(seen) => (seen == highest).then_some(*highest),
//!         }
//!     }
//!     // A read leaves every state as it is: the search need not branch on it.
//!     fn observes(&self, op: &Op) -> bool { matches!(op, Op::Read(_)) }
//! }
//!
//! let judgement = Linearizable::new(HighWater).check(&History::default(), &Limits::default());
//! assert!(matches!(judgement.verdict, Verdict::Valid(_)));
//! ```
//!
//! The example `own_model` has the whole of it, with histories to judge. A checker that is no
//! question of linearizability implements [`Checker`] itself.

mod compose;
pub mod etcd;
pub mod isolation;
pub mod linear;
pub mod models;
pub mod online;
pub mod others;
pub mod registry;
mod stop;
mod verdict;

pub use compose::{Composed, Overall, check_all, compose};
pub use online::{Online, Violation};
pub use registry::{checker, checkers};
pub use verdict::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
