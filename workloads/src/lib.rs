//! What clients do, how each operation is sent, and which checkers judge it.
//!
//! One file a workload. A workload's generator and its way of sending know nothing of sockets or
//! of real time: they speak to a [`Store`], which `etcd` implements over gRPC and the simulation
//! over messages.

mod append;
mod auth;
mod counter;
mod discovery;
mod election;
pub mod etcd;
mod form;
mod idle;
mod kubernetes;
mod kv;
mod lease;
mod listing;
mod lock;
mod lock_set;
mod memory;
mod mirror;
mod people;
mod register;
mod registry;
mod rollout;
mod rotation;
mod set;
mod store;
mod transactions;
#[cfg(test)]
mod trial;
mod v2;
mod watch;
mod watching;
mod workload;
mod wr;

pub use append::Append;
pub use auth::Auth;
pub use counter::Counters;
pub use discovery::Registry;
pub use election::Elections;
pub use idle::Idle;
pub use kubernetes::Kubernetes;
pub use kv::{Kv, Mixed};
pub use lease::Leases;
pub use lock::Locks;
pub use lock_set::{LockSet, LockSetFenced};
pub use memory::Memory;
pub use mirror::Mirror;
pub use people::{client, root, setup};
pub use register::Register;
pub use registry::{Described, Visitor, all, visit};
pub use rollout::Rollouts;
pub use set::Sets;
pub use store::{
    Answer, AuthChange, Change, Compare, CompareOp, CompareTarget, Delete, Grant, Heard, KeyValue,
    Leader, Login, Order, Put, Range, Request, Rights, Said, SortBy, Store, StoreError, Told, Txn,
    V2, V2Condition, V2Said, WatchRequest, after,
};
pub use v2::OldApi;
pub use watch::Watches;
pub use workload::{Completion, Generator, Next, Options, Patience, Planned, Workload};
pub use wr::Wr;
