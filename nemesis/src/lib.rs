//! What goes wrong, and when: faults as data, their schedules, and the injectors.
//!
//! A [`Schedule`] is drawn from a seed before the run and stands in the plan in full. A fault names
//! the [`Capability`] that it needs; an environment offers some as a [`Machinery`]. This crate does
//! not know which environment it is in: no namespaces here, no containers, no simulated time.

pub mod disk;
mod fault;
mod machinery;

pub use fault::{Cut, Fault, Nodes, ScheduledFault};
pub use machinery::{Capability, InjectError, Link, Machinery, NodeId, Side};
