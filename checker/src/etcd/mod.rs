//! Histories of etcd, in the order of its revisions.

mod registers;

pub use registers::EtcdRevisions;
