//! Linearizability, from tiny histories that a person can read to random ones held against
//! exhaustive search.

mod agreement;
mod common;
mod etcd;
mod etcd_store;
mod laws;
mod laws_of_all;
#[path = "../../examples/generate/load.rs"]
mod load;
mod memory;
mod multi_register;
mod online;
mod register;
mod revision_trial;
mod store_trial;
mod text;
mod toy;
mod trial;
