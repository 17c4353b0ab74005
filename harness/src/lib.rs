//! Ordeal's harness: the runner, the environments, the store of runs and the command line.
//!
//! It alone wires: no other crate reads a file, a flag or the process' environment.

#[macro_use]
mod say;

pub mod agent;
pub mod calendar;
pub mod campaign;
pub mod check;
pub mod cli;
mod docker;
pub mod doctor;
pub mod duration;
pub mod list;
pub mod manual;
pub mod nearest;
pub mod node;
pub mod packed;
pub mod plan;
pub mod replay;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod seed;
pub mod serve;
pub mod sim;
mod ssh;
pub mod status;
pub mod store;
pub mod version;
pub mod zoo;
