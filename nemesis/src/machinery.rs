//! What an environment offers to the nemesis.

use crate::clock::{ClockReading, ClockSkew};
use crate::disk::{Corruption, Damage, Files, Loss, Rule, RuleId, Survivors};
use crate::link::{Counters, Shape};
use crate::operator::{Member, Standing, Task, TaskDone};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, ready};

/// A member of the cluster under test: `n1`, `n2`, …
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub String);

impl NodeId {
    /// The node with this number, from 1.
    pub fn numbered(number: usize) -> NodeId {
        NodeId(format!("n{number}"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// A node of the cluster.
    Node(NodeId),
    /// The harness' own clients.
    Clients,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Side::Node(node) => node.fmt(f),
            Side::Clients => f.write_str("the clients"),
        }
    }
}

/// A directed link: what `from` sends to `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// The sender.
    pub from: Side,
    /// The receiver.
    pub to: Side,
}

/// Something that an environment can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Kill a node's process and start it again.
    Kill,
    /// Have a node's process end in order.
    Terminate,
    /// Stop a node's process and let it go on.
    Pause,
    /// Cut directed links between nodes, silently.
    Link,
    /// Cut directed links between clients and nodes, silently.
    ClientLink,
    /// Delay, lose, double, reorder, corrupt, hold back or reset what directed links carry, those
    /// of clients too.
    Shape,
    /// Change the clocks that a node's process reads, wall and monotonic apart.
    Clock,
    /// Cut the power of a node's disk, and break it in other ways.
    Disk,
    /// Change who is a member, by the store's own interface, and take a node's data away.
    Members,
    /// What operators do by the store's own interface: hand over, compact, defragment, back up.
    Maintenance,
    /// Put a saved snapshot in place of what members stored.
    Restore,
    /// Start nodes as another binary.
    Upgrade,
}

/// Why a fault could not be injected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InjectError(pub String);

/// The machinery under a cluster, as far as the nemesis may touch it.
///
/// Every call returns when the effect is there: after `kill` the process is gone, after `cut` no
/// packet passes.
pub trait Machinery {
    /// What it can do; a plan that asks for more is refused before the start.
    fn offers(&self) -> Vec<Capability>;
    /// All nodes, in order.
    fn nodes(&self) -> Vec<NodeId>;
    /// The node that leads now, as the cluster itself says; `None` when none does.
    fn leader(&self) -> impl Future<Output = Option<NodeId>>;
    /// Ends the node's process at once (SIGKILL), and waits until it is gone.
    fn kill(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>>;
    /// Starts a node that is not running.
    fn start(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>>;
    /// Stops the node's process (SIGSTOP).
    fn pause(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>>;
    /// Lets a stopped process go on (SIGCONT).
    fn resume(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>>;
    /// Drops everything on these links until they are healed.
    fn cut(&self, links: &[Link]) -> impl Future<Output = Result<(), InjectError>>;
    /// Lets these links carry again, and returns how many packets were dropped on them meanwhile.
    fn heal(&self, links: &[Link]) -> impl Future<Output = Result<u64, InjectError>>;
    /// Asks the node's process to end (SIGTERM) and waits until it is gone; kills it when it does
    /// not end in time. Whether it ended by itself.
    fn terminate(&self, node: &NodeId) -> impl Future<Output = Result<bool, InjectError>> {
        ready(Err(InjectError(format!("{node} cannot be asked to end here"))))
    }
    /// Gives these links a shape; the default one makes them perfect again. Cuts stay.
    fn shape(
        &self,
        _links: &[Link],
        _shape: Shape,
    ) -> impl Future<Output = Result<(), InjectError>> {
        ready(Err(InjectError("links cannot be shaped here".to_owned())))
    }
    /// What these links have carried and done to packets since the start, together.
    fn traffic(&self, _links: &[Link]) -> impl Future<Output = Result<Counters, InjectError>> {
        ready(Err(InjectError("what links carry is not counted here".to_owned())))
    }
    /// Changes a node's clocks, whether its process runs or not: a restart sets no clock right.
    /// What the process reads now; `None` when none runs.
    fn set_clock(
        &self,
        node: &NodeId,
        _skew: ClockSkew,
    ) -> impl Future<Output = Result<Option<ClockReading>, InjectError>> {
        ready(Err(InjectError(format!("the clocks of {node} cannot be changed here"))))
    }
    /// What the node's process reads on its clocks now; `None` when none runs.
    fn read_clock(
        &self,
        node: &NodeId,
    ) -> impl Future<Output = Result<Option<ClockReading>, InjectError>> {
        ready(Err(InjectError(format!("the clocks of {node} cannot be read here"))))
    }
    /// Lets a rule stand for a node's disk.
    fn break_disk(
        &self,
        node: &NodeId,
        _rule: &Rule,
    ) -> impl Future<Output = Result<RuleId, InjectError>> {
        ready(Err(no_disk(node)))
    }
    /// Takes the rule away, and returns how many requests it hit.
    fn mend_disk(
        &self,
        node: &NodeId,
        _rule: RuleId,
    ) -> impl Future<Output = Result<u64, InjectError>> {
        ready(Err(no_disk(node)))
    }
    /// Cuts a node's power: its process, if one runs, is gone afterwards, and its disk is as it
    /// was fsynced, or as `survivors` says.
    fn lose_power(
        &self,
        node: &NodeId,
        _survivors: Survivors,
        _seed: u64,
    ) -> impl Future<Output = Result<Loss, InjectError>> {
        ready(Err(no_disk(node)))
    }
    /// Keeps a copy of these files as they are on the disk now, for [`Corruption::OldCopy`].
    fn remember_files(
        &self,
        node: &NodeId,
        _files: &Files,
    ) -> impl Future<Output = Result<(), InjectError>> {
        ready(Err(no_disk(node)))
    }
    /// Damages a file of a node that does not run.
    fn corrupt(
        &self,
        node: &NodeId,
        _corruption: Corruption,
        _files: &Files,
        _seed: u64,
    ) -> impl Future<Output = Result<Damage, InjectError>> {
        ready(Err(no_disk(node)))
    }
    /// The members as the cluster lists them, by the word of a node that is up.
    fn members(&self) -> impl Future<Output = Result<Vec<Member>, InjectError>> {
        ready(Err(no_operator()))
    }
    /// Takes a node out of the cluster, by another member. Its process may end by itself then, and
    /// Whether the change of members that was last asked for on behalf of this node may have been
    /// made without our hearing of it. Until that is known it must be asked for again.
    fn is_uncertain(&self, _node: &NodeId) -> bool {
        false
    }
    /// Starts a node again that ended by itself while it joined, as it does when the member that
    /// it asked had not heard of it yet. Whether it was started.
    fn rejoin(&self, _node: &NodeId) -> impl Future<Output = Result<bool, InjectError>> {
        ready(Ok(false))
    }
    /// that is no death. The id that it had.
    fn remove_member(&self, _node: &NodeId) -> impl Future<Output = Result<u64, InjectError>> {
        ready(Err(no_operator()))
    }
    /// Makes a node a member that is still to start, with no vote if it is to be a learner: its
    /// next start joins it. Its new id.
    fn add_member(
        &self,
        _node: &NodeId,
        _learner: bool,
    ) -> impl Future<Output = Result<u64, InjectError>> {
        ready(Err(no_operator()))
    }
    /// Gives a learner its vote; refused as long as it is behind.
    fn promote_member(&self, _node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(Err(no_operator()))
    }
    /// Takes away all that a node stored, which does not run. How many bytes that were.
    fn wipe(&self, _node: &NodeId) -> impl Future<Output = Result<u64, InjectError>> {
        ready(Err(no_operator()))
    }
    /// What a node says of itself.
    fn standing(&self, _node: &NodeId) -> impl Future<Output = Result<Standing, InjectError>> {
        ready(Err(no_operator()))
    }
    /// Does an operator's task, and returns when it is done.
    fn maintain(&self, _task: &Task) -> impl Future<Output = Result<TaskDone, InjectError>> {
        ready(Err(no_operator()))
    }
    /// Puts the snapshot of a node that was saved under this name ([`Task::Snapshot`]) in place of
    /// what the first members stored, none of which runs: their next starts go on from it, as one
    /// cluster. Which nodes these are, in order.
    fn restore(
        &self,
        _of: &NodeId,
        _name: &str,
    ) -> impl Future<Output = Result<Vec<NodeId>, InjectError>> {
        ready(Err(InjectError("snapshots cannot be restored here".to_owned())))
    }
    /// From its next start on the node runs what the plan upgrades to.
    fn upgrade(&self, _node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(Err(InjectError("there is nothing to upgrade to".to_owned())))
    }
    /// How many snapshots each member has begun to send to others since its start; of those members
    /// that answer.
    fn snapshots_begun(&self) -> impl Future<Output = Result<BTreeMap<NodeId, u64>, InjectError>> {
        ready(Err(InjectError("it cannot be seen here when snapshots are sent".to_owned())))
    }
    /// Whether a key begins so, as far as a node knows.
    fn has_key(&self, _prefix: &str) -> impl Future<Output = Result<bool, InjectError>> {
        ready(Err(no_operator()))
    }
}

fn no_operator() -> InjectError {
    InjectError("the cluster's own interface for operators is out of reach here".to_owned())
}

fn no_disk(node: &NodeId) -> InjectError {
    InjectError(format!("the disk of {node} is not ours to break here"))
}
