//! Linearizability, from tiny histories that a person can read to random ones held against
//! exhaustive search.

mod agreement;
mod common;
mod etcd;
mod etcd_store;
mod laws;
mod register;
mod store_trial;
mod text;
mod trial;
