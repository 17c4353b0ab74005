//! An embedded Raft KV that speaks etcd v3, with switchable bugs.
//!
//!

pub mod disk;
pub mod error;

/// The messages of etcd's v3 API, and our own, generated from `proto/`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    /// The stored key-value pair.
    pub mod mvccpb {
        tonic::include_proto!("mvccpb");
    }
    /// etcd's services.
    pub mod etcdserverpb {
        tonic::include_proto!("etcdserverpb");
    }
    /// What the nodes write to their logs and to each other.
    pub mod ordealpb {
        tonic::include_proto!("ordealpb");
    }
}

/// The version of etcd whose API is served, as clients that ask for it are told.
pub const SERVED_VERSION: &str = "3.5.30";
