//! `ordeal sim`: the same test, from a seed, in one process and on simulated time.
//!
//! What runs is the embedded cluster's own core with its log, its snapshots and its recovery; the
//! runner, the workloads, the nemesis and the checkers of `ordeal run`. Simulated are the network
//! ([`wire`]), the disks ([`disk`]), the clocks and the processes ([`host`]), by [`world`].

pub mod args;
mod disk;
mod environment;
mod host;
pub mod interrupt;
mod machinery;
mod many;
mod messages;
mod one;
mod operators;
mod panics;
mod safety;
mod sessions;
mod settings;
mod shrink;
mod store;
mod story;
mod swarm;
#[cfg(test)]
mod tests;
mod trace;
mod watches;
mod way;
mod wire;
mod world;

pub use args::SimArgs;
pub use machinery::OFFERED;
pub use many::{keep, on_all, run};
pub use one::{Simulated as Outcome, simulate};
pub use settings::Simulated;
pub use shrink::{class_of, shrink};
pub use swarm::Swarm;
