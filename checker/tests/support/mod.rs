//! Histories of transactions: written by hand (`rows`), and from a simulated store (`store`).

mod events;
pub mod store;

pub use events::{Events, Step, steps_value};
