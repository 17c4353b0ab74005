//! What goes wrong, and when: faults as data, their schedules, and the injectors.
//!
//! A [`Schedule`] is drawn from a seed before the run and stands in the plan in full. A fault names
//! the [`Capability`] that it needs; an environment offers some as a [`Machinery`]; a [`Conductor`]
//! plays the one on the other. This crate does not know which environment it is in: no namespaces
//! here, no containers, and all waiting goes through [`Time`].

mod asked;
mod budget;
pub mod clock;
mod conductor;
pub mod disk;
mod fault;
mod kind;
pub mod link;
mod links;
mod machinery;
mod operator;
mod schedule;
mod time;
mod trigger;
mod virtual_time;

pub use asked::{Asked, Target};
pub use budget::Budget;
pub use conductor::Conductor;
pub use fault::{Cut, Fault, Links, Nodes, ScheduledFault, Way, With};
pub use kind::Kind;
pub use machinery::{Capability, InjectError, Link, Machinery, NodeId, Side};
pub use operator::{Member, Standing, Task, TaskDone};
pub use schedule::{Cluster, Schedule};
pub use time::{Time, by, within};
pub use trigger::Trigger;
pub use virtual_time::VirtualTime;
