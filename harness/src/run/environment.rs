//! What the runner needs of the place where a cluster runs.
//!
//! The sandbox implements it with real processes; a simulation can with simulated ones. Nothing
//! here, nor in the runner, tells which.

use ordeal_nemesis::{Machinery, NodeId};
use ordeal_workloads::etcd::Inspected;
use ordeal_workloads::{Login, Store, StoreError};
use std::collections::BTreeMap;
use std::future::Future;

/// A cluster, and ways to it.
pub trait Environment {
    /// A client's connection.
    type Store: Store;
    /// What the nemesis may touch.
    type Machinery: Machinery;

    /// What the nemesis may touch.
    fn machinery(&self) -> &Self::Machinery;
    /// Starts every node, and returns when their processes are there; they may not answer yet.
    fn start(&self) -> impl Future<Output = Result<(), EnvironmentError>>;
    /// A new connection to a node. Errors are definite: nothing was asked of the store yet.
    fn connect(&self, node: &NodeId) -> impl Future<Output = Result<Self::Store, StoreError>>;
    /// The nodes that clients may be sent to now: the members with a vote, in the plan's order.
    fn members(&self) -> Vec<NodeId> {
        self.machinery().nodes()
    }
    /// The members of a second cluster, where there is one.
    fn elsewhere(&self) -> Vec<NodeId> {
        Vec::new()
    }
    /// From now on the store asks for users, and what is not a client's is asked as this one.
    fn log_in(&self, login: &Login);
    /// What a node says of its own state: all that it holds, its keys as of the revision `at`;
    /// without one, its own revision alone.
    fn inspect(
        &self,
        node: &NodeId,
        at: Option<i64>,
    ) -> impl Future<Output = Result<Inspected, StoreError>>;
    /// The keys that a node holds now, by its own state alone, each with what it says of it.
    fn keys(
        &self,
        node: &NodeId,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, StoreError>>;
    /// The nodes that have died since the last call without the nemesis' doing.
    fn deaths(&self) -> Vec<Death>;
    /// Starts those nodes that do not run.
    fn revive(&self) -> impl Future<Output = Result<(), EnvironmentError>>;
    /// The last lines of a node's log, for a person.
    fn last_words(&self, node: &NodeId) -> String;
    /// Ends every node, orderly if it can.
    fn stop(&self) -> impl Future<Output = Result<(), EnvironmentError>>;
}

/// A node that died on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which.
    pub node: NodeId,
    /// How: `exit status 1`, `SIGSEGV`.
    pub how: String,
    /// The end of its log.
    pub last_words: String,
}

/// Why the environment could not do its part. One sentence that names the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EnvironmentError(pub String);
