//! An embedded Raft KV that speaks etcd v3, with switchable bugs.
//!
//! - [`core`]: the node without I/O: Raft, the state machine, the requests that wait.
//! - [`state`] and [`mvcc`]: the replicated state machine, a pure function of its commands.
//! - [`auth`]: users, roles, permissions and the checks of them; a part of the state.
//! - [`log`]: the write-ahead log and snapshots over a small [`disk`] trait.
//! - [`bolt`]: the state as the database file that etcd's own tools read.
//! - [`restore`](mod@restore): a member that begins with what a saved snapshot holds.
//! - [`concurrency`]: locks and elections, made of keys and leases.
//! - [`server`]: the sockets, threads and files around the core.
//! - [`bugs`]: the bugs that can be switched on.
//!
//! Architecture invariant: only [`server`] reads a clock, opens a socket or starts a thread, and
//! only [`disk::RealDisk`] touches a file. Everything else runs in a simulation as it is.

pub mod auth;
pub mod bolt;
pub mod bugs;
pub mod concurrency;
pub mod core;
pub mod disk;
pub mod error;
pub mod log;
pub mod mvcc;
pub mod restore;
pub mod server;
pub mod state;

/// The messages of etcd's v3 API, and our own, generated from `proto/`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    /// Users, roles and permissions.
    pub mod authpb {
        tonic::include_proto!("authpb");
    }
    /// The stored key-value pair.
    pub mod mvccpb {
        tonic::include_proto!("mvccpb");
    }
    /// The lease, as etcd keeps it.
    pub mod leasepb {
        tonic::include_proto!("leasepb");
    }
    /// etcd's services.
    pub mod etcdserverpb {
        tonic::include_proto!("etcdserverpb");
    }
    /// etcd's service Lock.
    pub mod v3lockpb {
        tonic::include_proto!("v3lockpb");
    }
    /// etcd's service Election.
    pub mod v3electionpb {
        tonic::include_proto!("v3electionpb");
    }
    /// The standard health service.
    pub mod healthpb {
        tonic::include_proto!("grpc.health.v1");
    }
    /// What the nodes write to their logs and to each other.
    pub mod ordealpb {
        tonic::include_proto!("ordealpb");
    }
}

/// The version of etcd whose API is served, as clients that ask for it are told.
pub const SERVED_VERSION: &str = "3.5.30";

/// The version that etcd says its whole cluster speaks: without the patch.
pub fn cluster_version() -> String {
    let minor = SERVED_VERSION.rsplit_once('.').map_or(SERVED_VERSION, |(minor, _)| minor);
    format!("{minor}.0")
}
