//! The other checkers: simple properties, each decided in near-linear time. One file a checker.
//!
//! They follow Jepsen's of the same names, but for one thing: where Jepsen trusts the test to have
//! ended well (a final read, a drained queue), these look for the proof of it in the history, and
//! answer `Unknown` where it is missing. A history with keys is judged key by key.
//!
//! What is first of all a report stands here as data ([`availability()`], [`performance()`],
//! [`unhandled_errors()`], [`log_matches()`]) and as a checker that judges it by bounds.

mod availability;
mod bank;
mod changes;
mod counter;
mod election;
mod errors;
mod fenced_mutex;
mod findings;
mod lease;
mod lists;
mod log_patterns;
mod long_fork;
mod objects;
mod performance;
mod rollout;
#[cfg(test)]
mod rows;
mod set;
mod set_full;
mod stats;
mod total_queue;
mod unique_ids;
mod watch;

pub use availability::{Availability, Available, Counts, Outage, availability};
pub use bank::Bank;
pub use counter::Counter;
pub use election::Election;
pub use errors::{Unhandled, UnhandledError, unhandled_errors};
pub use fenced_mutex::FencedMutex;
pub use lease::Lease;
pub use lists::Lists;
pub use log_patterns::{CleanLogs, LogMatch, log_matches, log_patterns};
pub use long_fork::LongFork;
pub use performance::{Latencies, Performance, Responsive, performance};
pub use rollout::Rollout;
pub use set::Set;
pub use set_full::{Element, Fate, SetFull};
pub use stats::Stats;
pub use total_queue::TotalQueue;
pub use unique_ids::UniqueIds;
pub use watch::Watch;
