//! Faults of the cluster's own making: what an operator does, step by step.

use super::Fault;
use crate::{Capability, NodeId, Nodes, Task};

/// One thing that an operator does. Each may be refused for a while, and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Take a member out; the others must be able to go on without it.
    Remove(NodeId),
    /// Its process is gone.
    Gone(NodeId),
    /// SIGKILL; the others must be able to go on without it.
    Kill(NodeId),
    /// SIGTERM; the others must be able to go on without it.
    Terminate(NodeId),
    /// Take away all that it stored.
    Wipe(NodeId),
    /// Make it a member that is still to start.
    Add(NodeId),
    /// The same, without a vote.
    AddLearner(NodeId),
    /// Start it, unless another fault holds it down.
    Start(NodeId),
    /// Give it its vote.
    Promote(NodeId),
    /// Wait until it knows of a leader.
    Serve(NodeId),
    /// Have its next start be as the other binary.
    Upgrade(NodeId),
    /// Every node's process is gone.
    Halt,
    /// All that members stored is as it was when this one's snapshot was saved under this name.
    Restore(NodeId, String),
    /// Start those that were restored, unless other faults hold them down.
    StartRestored,
    /// Any other task.
    Do(Task),
}

/// What is done when the fault begins, and what when it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) first: Vec<Step>,
    pub(crate) then: Vec<Step>,
}

impl Fault {
    /// What it does step by step, aimed at `nodes` while `leader` leads; `None` when it is of
    /// another kind. `id` is the fault's number.
    pub(crate) fn steps(
        &self,
        id: u32,
        nodes: &[NodeId],
        leader: Option<&NodeId>,
    ) -> Option<Steps> {
        let one = || nodes.first().cloned();
        let out = |node: &NodeId| {
            vec![Step::Remove(node.clone()), Step::Gone(node.clone()), Step::Wipe(node.clone())]
        };
        let join = |node: &NodeId| {
            vec![Step::Add(node.clone()), Step::Start(node.clone()), Step::Serve(node.clone())]
        };
        let steps = |first, then| Some(Steps { first, then });
        let each = |task: fn(NodeId) -> Task| {
            nodes.iter().cloned().map(|node| Step::Do(task(node))).collect()
        };
        match self {
            Fault::MemberAdd { node } => steps(join(node), out(node)),
            Fault::MemberRemove { .. } => one().and_then(|node| steps(out(&node), join(&node))),
            Fault::MemberReplace { .. } => {
                one().and_then(|node| steps([out(&node), join(&node)].concat(), Vec::new()))
            }
            Fault::Wipe { .. } => one().and_then(|node| {
                let first = vec![Step::Kill(node.clone()), Step::Wipe(node.clone())];
                steps(first, [vec![Step::Remove(node.clone())], join(&node)].concat())
            }),
            Fault::Learner { .. } => one().and_then(|node| {
                let mut first = out(&node);
                first.extend([Step::AddLearner(node.clone()), Step::Start(node.clone())]);
                steps(first, vec![Step::Promote(node.clone()), Step::Serve(node)])
            }),
            Fault::MoveLeader { .. } => {
                let to = nodes.iter().find(|node| Some(*node) != leader)?;
                steps(vec![Step::Do(Task::MoveLeader(to.clone()))], Vec::new())
            }
            Fault::Compact {} => steps(vec![Step::Do(Task::Compact)], Vec::new()),
            Fault::Defrag { .. } => steps(each(Task::Defragment), Vec::new()),
            Fault::Snapshot { .. } => {
                let save = |node: &NodeId| Task::Snapshot(node.clone(), saved(id));
                steps(nodes.iter().map(|node| Step::Do(save(node))).collect(), Vec::new())
            }
            Fault::Restore { .. } => one().and_then(|node| {
                let save = Step::Do(Task::Snapshot(node.clone(), saved(id)));
                let restore = Step::Restore(node.clone(), saved(id));
                let again = [Step::Halt, restore, Step::StartRestored, Step::Serve(node)];
                steps(vec![save], again.into())
            }),
            Fault::Alarm { .. } => {
                steps(each(Task::RaiseAlarm), vec![Step::Do(Task::DisarmAlarms)])
            }
            Fault::RollingRestart { order } => steps(rolling(order, false), Vec::new()),
            Fault::Upgrade { order } => steps(rolling(order, true), Vec::new()),
            _ => None,
        }
    }

    /// Whether it changes who is a member, or takes it for given: one such fault at a time.
    pub fn changes_members(&self) -> bool {
        matches!(self.needs(), Capability::Members | Capability::Restore)
    }

    /// What is wrong with its nodes, as a sentence's end; `None` when nothing.
    pub(super) fn steps_mistake(&self) -> Option<String> {
        match self {
            Fault::MemberRemove { nodes }
            | Fault::MemberReplace { nodes }
            | Fault::Wipe { nodes }
            | Fault::Learner { nodes } => match nodes {
                Nodes::These(these) if these.len() != 1 => {
                    Some(format!("it names {} nodes; members change one at a time", these.len()))
                }
                _ => None,
            },
            Fault::Restore { nodes: Nodes::These(these) } if these.len() != 1 => {
                Some(format!("it names {} nodes; the state of one is restored", these.len()))
            }
            Fault::MoveLeader { nodes: Nodes::Leader } => {
                Some("the leader cannot hand over to itself".to_owned())
            }
            Fault::RollingRestart { order } | Fault::Upgrade { order } => {
                let mut sorted = order.clone();
                sorted.sort();
                sorted.dedup();
                (sorted.len() != order.len()).then(|| "it names a node twice".to_owned())
            }
            _ => None,
        }
    }
}

/// What the snapshot of the fault with this number is called.
fn saved(id: u32) -> String {
    format!("snapshot-{id}")
}

/// One after the other, each when the one before it serves.
fn rolling(order: &[NodeId], upgrade: bool) -> Vec<Step> {
    let one = |node: &NodeId| {
        let mut steps = vec![Step::Terminate(node.clone())];
        steps.extend(upgrade.then(|| Step::Upgrade(node.clone())));
        steps.extend([Step::Start(node.clone()), Step::Serve(node.clone())]);
        steps
    };
    order.iter().flat_map(one).collect()
}
