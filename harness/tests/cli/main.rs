//! The command line as its users meet it, on real clusters.

mod campaign;
mod common;
mod endings;
mod kills;
mod leftovers;
mod operator;
mod reports;
mod run;
mod serve;
mod sim;
mod workloads;
