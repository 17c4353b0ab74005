//! Where the nodes are, and what can be done to them there.
//!
//! [`Cluster`](super::cluster::Cluster) knows what a cluster is and asks a place to do the rest.
//! The sandbox is a place, so are containers and hosts.

use crate::agent::{Ended, tail};
use crate::sandbox::{Answer, Order, Sandbox, SandboxError};
use ordeal_nemesis::link::{Counters, Shape};
use ordeal_nemesis::{Capability, InjectError, Link, NodeId};
use ordeal_workloads::etcd::Sockets;
use std::path::Path;

/// Nodes, each of which runs one process, and the links between them and to clients.
///
/// Errors are sentences that name the node.
pub(crate) trait Place {
    /// The nodes, in order.
    fn nodes(&self) -> Vec<NodeId>;
    /// What can be done to them.
    fn offers(&self) -> Vec<Capability>;
    /// Does something to a node's process, clocks or disk.
    async fn obey(&self, node: &NodeId, order: Order) -> Result<Answer, InjectError>;
    /// Whether the node's process runs.
    fn runs(&self, node: &NodeId) -> bool;
    /// How the node's last process ended when nobody asked it to.
    fn ended(&self, node: &NodeId) -> Option<Ended>;
    /// The end of a node's log, which the process writes to this path.
    fn last_words(&self, _node: &NodeId, log: &Path) -> String {
        // A log that is not there says nothing.
        tail(log).unwrap_or_default()
    }
    /// Whether the nodes' folders are folders of this machine.
    fn has_folders(&self) -> bool {
        true
    }
    /// Where clients' sockets come from; `None` when this process can reach the nodes by itself.
    fn sockets(&self) -> Option<Sockets> {
        None
    }
    /// Drops everything on these links.
    async fn cut(&self, links: &[Link]) -> Result<(), InjectError>;
    /// Lets them carry again, and tells how many packets were dropped.
    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError>;
    /// Gives these links a shape.
    async fn shape(&self, _links: &[Link], _shape: Shape) -> Result<(), InjectError> {
        Err(InjectError("links cannot be shaped here".to_owned()))
    }
    /// What these links have carried since the start.
    async fn traffic(&self, _links: &[Link]) -> Result<Counters, InjectError> {
        Err(InjectError("what links carry is not counted here".to_owned()))
    }
    /// Brings what the nodes have written to the run's folder, where it is not there already.
    async fn collect(&self) -> Result<(), String> {
        Ok(())
    }
    /// Why this place is gone as a whole, if it is.
    fn lost(&self) -> Option<String> {
        None
    }
}

impl Place for Sandbox {
    fn nodes(&self) -> Vec<NodeId> {
        self.nodes()
    }

    fn offers(&self) -> Vec<Capability> {
        self.offers()
    }

    async fn obey(&self, node: &NodeId, order: Order) -> Result<Answer, InjectError> {
        self.obey(node, order).map_err(refused)
    }

    fn runs(&self, node: &NodeId) -> bool {
        matches!(self.pid(node), Ok(Some(_)))
    }

    fn ended(&self, node: &NodeId) -> Option<Ended> {
        let how = self.exited(node).ok()??.to_string();
        Some(Ended { how, last_words: String::new() })
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.cut(links).map_err(refused)
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        self.heal(links).map_err(refused)
    }

    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        self.shape(links, shape).map_err(refused)
    }

    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        links.iter().map(|link| self.counters(link)).sum::<Result<_, _>>().map_err(refused)
    }
}

fn refused(error: SandboxError) -> InjectError {
    InjectError(error.to_string())
}
