//! Isolation, judged from outside: rows, a simulated store, and an oracle that tries everything.

mod agreement;
mod anomalies;
mod online;
mod oracle;
mod rows;
mod simulated;
#[path = "../support/mod.rs"]
mod support;
