//! What clients do, how each operation is sent, and which checkers judge it.
//!
//! One file a workload. A workload's generator and its way of sending know nothing of sockets or
//! of real time: they speak to a [`Store`], which `etcd` implements over gRPC and the simulation
//! over messages.

pub mod etcd;
mod register;
mod registry;
mod store;
mod workload;

pub use register::Register;
pub use registry::{Described, Visitor, all, visit};
pub use store::{
    Answer, Compare, CompareOp, CompareTarget, KeyValue, Request, Store, StoreError, TxnOp,
    TxnResult,
};
pub use workload::{Completion, Generator, Next, Options, Planned, Workload};
