//! Faults that an operator makes: members change, leaders hand over, nodes restart one by one.
//!
//! Each is a list of steps, done one after the other as the cluster lets them be: a step that is
//! refused is tried again while other faults go on, for they may be what it is refused for. A node
//! is taken out, wiped or ended only where the others are enough to go on without it.

use super::state::{Active, State, release};
use crate::fault::{Step, Steps};
use crate::{Machinery, Member, NodeId, Task, TaskDone};
use ordeal_history::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to serve after its start, before the next step is taken all the same.
const SERVE_MAX: Duration = Duration::from_millis(10_000);

/// How far a fault has come with its steps.
#[derive(Default)]
pub(super) struct Operation {
    first: VecDeque<Step>,
    then: VecDeque<Step>,
    /// Since when the next step has been tried in vain, and why.
    refused: Option<(Duration, String)>,
    /// What was done, and what was seen of it.
    pub(super) done: Vec<Value>,
    pub(super) before: Option<Vec<Member>>,
    pub(super) after: Option<Vec<Member>>,
    /// The nodes whose data is a snapshot's, until they are started.
    restored: Vec<NodeId>,
    /// Whether something was seen to change.
    pub(super) landed: bool,
}

/// What came of trying the next step.
pub(super) enum Tried {
    /// It was done.
    Done,
    /// It must be tried again.
    Again,
    /// There was none left.
    Over,
}

impl Operation {
    pub(super) fn new(steps: Steps) -> Operation {
        let (first, then) = (steps.first.into(), steps.then.into());
        Operation { first, then, ..Operation::default() }
    }

    /// Whether what belongs to the fault's beginning is done.
    pub(super) fn has_begun(&self) -> bool {
        self.first.is_empty()
    }

    /// Why the next step was refused when it was last tried.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, why)| why.as_str())
    }

    /// The node that the next step takes into the cluster or out of it, if it does.
    pub(super) fn changes(&self) -> Option<&NodeId> {
        match self.first.front().or(self.then.front())? {
            Step::Remove(node) | Step::Add(node) | Step::AddLearner(node) => Some(node),
            _ => None,
        }
    }

    /// The fault is to end early: what was not begun for another node is left.
    pub(super) fn hurry(&mut self) {
        let next = |step: &Step| matches!(step, Step::Terminate(_));
        if let Some(at) = self.first.iter().position(next) {
            self.first.truncate(at);
        }
    }

    fn record(&mut self, did: &str, node: Option<&NodeId>, more: Vec<(&str, Value)>) {
        let mut members: BTreeMap<Arc<str>, Value> =
            more.into_iter().map(|(name, value)| (name.into(), value)).collect();
        members.insert("did".into(), Value::String(did.into()));
        if let Some(node) = node {
            members.insert("node".into(), Value::String(node.0.as_str().into()));
        }
        self.done.push(Value::Object(Arc::new(members)));
    }
}

/// A member's id as etcd writes it.
pub(super) fn hex(id: u64) -> Value {
    Value::String(format!("{id:x}").into())
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl State {
    /// Tries the next step of the fault's beginning, or of its end when that is over.
    pub(super) async fn step<M: Machinery>(
        &mut self,
        machinery: &M,
        now: Duration,
        id: u32,
        active: &mut Active,
    ) -> Tried {
        let Some(operation) = &mut active.operation else { return Tried::Over };
        let Some(step) = operation.first.front().or(operation.then.front()).cloned() else {
            return Tried::Over;
        };
        if operation.before.is_none() && active.fault.changes_members() {
            operation.before = machinery.members().await.ok();
        }
        let (since, tried) = match self.take(machinery, id, &step, operation).await {
            Ok(()) => (None, Tried::Done),
            Err(why) => {
                let since = operation.refused.as_ref().map_or(now, |(since, _)| *since);
                match &step {
                    Step::Serve(node) if now >= since + SERVE_MAX => {
                        active.errors.push(format!("{node} does not serve: {why}"));
                        (None, Tried::Done)
                    }
                    _ => (Some((since, why)), Tried::Again),
                }
            }
        };
        operation.refused = since;
        if let Tried::Done = tried {
            let _ = operation.first.pop_front().or_else(|| operation.then.pop_front());
        }
        tried
    }

    /// Does one step, or says why it cannot be done yet.
    async fn take<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        step: &Step,
        operation: &mut Operation,
    ) -> Result<(), String> {
        let told = |error: crate::InjectError| error.to_string();
        match step {
            Step::Remove(node) => {
                self.spare(machinery, node, 1).await?;
                let member = machinery.remove_member(node).await.map_err(told)?;
                operation.landed = true;
                operation.record("remove", Some(node), vec![("id", hex(member))]);
            }
            Step::Gone(node) => {
                let was_down = self.killed.contains_key(node);
                self.killed.entry(node.clone()).or_default().insert(id);
                let by_itself = !was_down && machinery.kill(node).await.is_err();
                let more = vec![("by_itself", Value::Bool(by_itself))];
                operation.record("gone", Some(node), more);
            }
            Step::Kill(node) => {
                self.hold_down(machinery, id, node).await?;
                if let Err(error) = machinery.kill(node).await {
                    release(&mut self.killed, id);
                    return Err(error.to_string());
                }
                operation.record("kill", Some(node), Vec::new());
            }
            Step::Terminate(node) => {
                self.hold_down(machinery, id, node).await?;
                let by_itself = match machinery.terminate(node).await {
                    Ok(by_itself) => by_itself,
                    Err(error) => {
                        release(&mut self.killed, id);
                        return Err(error.to_string());
                    }
                };
                operation.landed = true;
                let more = vec![("by_itself", Value::Bool(by_itself))];
                operation.record("end", Some(node), more);
            }
            Step::Wipe(node) => {
                let bytes = machinery.wipe(node).await.map_err(told)?;
                operation.landed = true;
                operation.record("wipe", Some(node), vec![("bytes", number(bytes))]);
            }
            Step::Add(node) | Step::AddLearner(node) => {
                let learner = matches!(step, Step::AddLearner(_));
                // Down until it is started, for this and for any other fault.
                self.killed.entry(node.clone()).or_default().insert(id);
                let member = machinery.add_member(node, learner).await.map_err(told)?;
                operation.landed = true;
                let did = if learner { "add learner" } else { "add" };
                operation.record(did, Some(node), vec![("id", hex(member))]);
            }
            Step::Start(node) => {
                if release(&mut self.killed, id).contains(node) {
                    if let Err(error) = machinery.start(node).await {
                        self.killed.entry(node.clone()).or_default().insert(id);
                        return Err(error.to_string());
                    }
                    operation.record("start", Some(node), Vec::new());
                }
            }
            Step::Promote(node) => {
                self.rejoin(machinery, node, operation).await?;
                machinery.promote_member(node).await.map_err(told)?;
                operation.record("promote", Some(node), Vec::new());
            }
            Step::Serve(node) => {
                if self.is_down(node) {
                    return Ok(());
                }
                self.rejoin(machinery, node, operation).await?;
                let standing = machinery.standing(node).await.map_err(told)?;
                if !standing.has_leader {
                    return Err(format!("{node} knows of no leader"));
                }
                let version = Value::String(standing.version.into());
                let more = vec![("version", version), ("revision", Value::Int(standing.revision))];
                operation.record("serve", Some(node), more);
            }
            Step::Upgrade(node) => machinery.upgrade(node).await.map_err(told)?,
            Step::Halt => self.halt(machinery, id, operation).await,
            Step::Restore(of, name) => {
                operation.restored = machinery.restore(of, name).await.map_err(told)?;
                operation.landed |= !operation.restored.is_empty();
                for node in &operation.restored.clone() {
                    operation.record("restore", Some(node), Vec::new());
                }
            }
            Step::StartRestored => self.start_restored(machinery, id, operation).await?,
            Step::Do(task) => maintain(machinery, task, operation).await?,
        }
        if matches!(step, Step::Add(_) | Step::AddLearner(_) | Step::Remove(_) | Step::Promote(_)) {
            operation.after = machinery.members().await.ok();
        }
        Ok(())
    }

    /// Starts a node again that ended by itself while it joined.
    async fn rejoin<M: Machinery>(
        &self,
        machinery: &M,
        node: &NodeId,
        operation: &mut Operation,
    ) -> Result<(), String> {
        let told = |error: crate::InjectError| error.to_string();
        if !self.is_down(node) && machinery.rejoin(node).await.map_err(told)? {
            operation.record("start again", Some(node), Vec::new());
        }
        Ok(())
    }

    /// Ends every node's process, and holds all nodes down for this fault.
    async fn halt<M: Machinery>(&mut self, machinery: &M, id: u32, operation: &mut Operation) {
        let nodes = machinery.nodes();
        let mut newest = None;
        for node in &nodes {
            // One that does not answer tells of none.
            let standing = machinery.standing(node).await.ok();
            newest = newest.max(standing.map(|standing| standing.revision));
        }
        for node in nodes {
            // One that does not run is held down all the same.
            let _ = machinery.kill(&node).await;
            self.killed.entry(node).or_default().insert(id);
        }
        let revision = newest.map(|revision| ("revision", Value::Int(revision)));
        operation.record("halt", None, revision.into_iter().collect());
    }

    /// Starts those restored nodes that no other fault holds down: it starts them later.
    async fn start_restored<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        operation: &mut Operation,
    ) -> Result<(), String> {
        let mut refused = Ok(());
        for node in release(&mut self.killed, id) {
            if !operation.restored.contains(&node) {
                continue;
            }
            match machinery.start(&node).await {
                Ok(()) => operation.record("start", Some(&node), Vec::new()),
                Err(error) => {
                    self.killed.entry(node).or_default().insert(id);
                    refused = Err(error.to_string());
                }
            }
        }
        refused
    }

    /// Holds no node down any more for this fault.
    pub(super) fn let_go(&mut self, id: u32) {
        release(&mut self.killed, id);
    }

    /// Marks the node as held down by this fault, if the others are enough without it and it runs.
    async fn hold_down<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        node: &NodeId,
    ) -> Result<(), String> {
        if self.is_down(node) {
            return Err(format!("{node} is down already"));
        }
        self.spare(machinery, node, 0).await?;
        self.killed.entry(node.clone()).or_default().insert(id);
        Ok(())
    }

    /// Whether a majority runs without the node, when `fewer` members are left to have one of.
    async fn spare<M: Machinery>(
        &self,
        machinery: &M,
        node: &NodeId,
        fewer: usize,
    ) -> Result<(), String> {
        let members = machinery.members().await.map_err(|error| error.to_string())?;
        let voters: Vec<&Member> = members.iter().filter(|member| !member.learner).collect();
        let others = voters.iter().filter_map(|member| member.node.as_ref());
        let up = others.filter(|other| *other != node && !self.is_down(other)).count();
        let majority = voters.len().saturating_sub(fewer) / 2 + 1;
        if up >= majority {
            return Ok(());
        }
        Err(format!("without {node} {up} members run, and {majority} are a majority"))
    }

    /// Whether a fault holds the node down or still.
    fn is_down(&self, node: &NodeId) -> bool {
        let held = |by: &BTreeMap<NodeId, _>| {
            by.get(node)
                .is_some_and(|holders: &std::collections::BTreeSet<u32>| !holders.is_empty())
        };
        held(&self.killed) || held(&self.paused)
    }
}

async fn maintain<M: Machinery>(
    machinery: &M,
    task: &Task,
    operation: &mut Operation,
) -> Result<(), String> {
    let leader = match task {
        Task::MoveLeader(_) => machinery.leader().await,
        _ => None,
    };
    let seen = machinery.maintain(task).await.map_err(|error| error.to_string())?;
    let (did, node) = match task {
        Task::MoveLeader(to) => ("move-leader", Some(to)),
        Task::Compact => ("compact", None),
        Task::Defragment(node) => ("defragment", Some(node)),
        Task::Snapshot(node, _) => ("snapshot", Some(node)),
        Task::RaiseAlarm(node) => ("raise", Some(node)),
        Task::DisarmAlarms => ("disarm", None),
    };
    let mut more = match seen {
        TaskDone::Done => Vec::new(),
        TaskDone::Revision(revision) => vec![("revision", Value::Int(revision))],
        TaskDone::Bytes(bytes) => vec![("bytes", number(bytes))],
        TaskDone::Shrunk(before, after) => {
            vec![("bytes_before", number(before)), ("bytes_after", number(after))]
        }
        TaskDone::Alarms(alarms) => vec![("alarms", number(alarms))],
    };
    operation.landed |= match (task, seen) {
        (Task::RaiseAlarm(_), TaskDone::Alarms(alarms)) => alarms > 0,
        (_, TaskDone::Bytes(bytes)) => bytes > 0,
        (Task::MoveLeader(_), _) => {
            let name = |leader: Option<NodeId>| {
                Value::String(leader.map_or_else(|| "nobody".to_owned(), |it| it.0).into())
            };
            let now = machinery.leader().await;
            let moved = now.is_some() && now != leader;
            more.extend([("from", name(leader)), ("leader", name(now))]);
            moved
        }
        (Task::DisarmAlarms, _) => false,
        _ => true,
    };
    operation.record(did, node, more);
    Ok(())
}
