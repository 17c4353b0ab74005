//! Linearizability, from tiny histories that a person can read to random ones held against
//! exhaustive search.

mod agreement;
mod common;
mod etcd;
mod laws;
#[path = "../../examples/generate/load.rs"]
mod load;
mod online;
mod register;
mod text;
mod trial;
