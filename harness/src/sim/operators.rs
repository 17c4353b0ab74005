//! What an operator does to a simulated cluster, by the store's own interface: requests to its
//! members over the simulated network, and a roster of who is in.

use super::disk::SimDisk;
use super::host::Place;
use super::world::{World, peer_url};
use ordeal_cluster::SERVED_VERSION;
use ordeal_cluster::core::{Credentials, Request, Response};
use ordeal_cluster::proto::etcdserverpb::alarm_request::AlarmAction;
use ordeal_cluster::proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, Member as Listed, RangeRequest,
};
use ordeal_cluster::proto::ordealpb::member_change::Kind;
use ordeal_cluster::proto::ordealpb::{ChangeMembers, MemberChange};
use ordeal_cluster::state::Applied;
use ordeal_nemesis::{InjectError, Member, NodeId, Standing, Task, TaskDone, within};
use ordeal_workloads::after;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a member may take for a request of an operator.
const REQUEST_MAX: Duration = Duration::from_secs(2);

impl World {
    /// Whether the node is a member, with a vote or without.
    pub fn is_in(&self, node: &NodeId) -> bool {
        self.with_host(node, |host| host.place != Place::Out).unwrap_or(false)
    }

    /// The nodes that clients may be sent to: the members with a vote.
    pub fn serving(&self) -> Vec<NodeId> {
        let serves = |node: &NodeId| self.with_host(node, |host| host.place) == Some(Place::In);
        self.nodes().into_iter().filter(serves).collect()
    }

    fn put(&self, node: &NodeId, place: Place, joining: Option<(u64, Vec<Listed>)>) {
        self.with_host(node, |host| (host.place, host.joining) = (place, joining));
    }

    /// A member other than `but` that answers and knows of a leader; the leader, if it can be.
    fn able(&self, but: Option<&NodeId>) -> Result<NodeId, InjectError> {
        let knows = |node: NodeId| {
            let end = self.end(&node)?;
            let status = self.with_host(&node, |host| host.status())??;
            let member = self.with_host(&node, |host| host.member)?;
            let fit = self.is_in_reach(end) && status.leader != 0 && Some(&node) != but;
            fit.then_some(((status.term, status.leader == member), node))
        };
        let able = self.serving().into_iter().filter_map(knows);
        let best = able.max_by_key(|(rank, _)| *rank).map(|(_, node)| node);
        best.ok_or_else(|| refusal("no member that answers knows a leader"))
    }

    /// Asks one member.
    async fn operate(&self, node: &NodeId, request: Request) -> Result<Response, InjectError> {
        let failed = |error: &dyn std::fmt::Display| InjectError(format!("{node}: {error}"));
        let end = self.end(node).ok_or_else(|| failed(&"there is no such node"))?;
        let asked = async {
            let process = self.knock(end).await.ok().flatten();
            let Some(process) = process else { return Err(failed(&"it refused the connection")) };
            let credentials = match self.operator() {
                Some(login) => {
                    let token = self.authenticate(end, process, &login).await;
                    Credentials::SimpleToken(token.map_err(|error| failed(&error))?)
                }
                None => Credentials::None,
            };
            let answer = self.ask_as(end, process, request, credentials).await;
            answer.map_err(|error| failed(&error))
        };
        let silent = || failed(&format!("no answer in {} ms", REQUEST_MAX.as_millis()));
        within(&self.time, REQUEST_MAX, asked).await.unwrap_or_else(|| Err(silent()))
    }

    /// A member other than `but`, and the members as it lists them.
    async fn listed(&self, but: Option<&NodeId>) -> Result<(NodeId, Vec<Listed>), InjectError> {
        let via = self.able(but)?;
        match self.operate(&via, Request::MemberList { linearizable: true }).await? {
            Response::MemberList(listed) => Ok((via, listed.members)),
            _ => Err(unexpected()),
        }
    }

    /// The members, as one lists them that knows of a leader.
    ///
    /// # Errors
    /// When none does, or it does not answer in time.
    pub async fn listed_members(&self) -> Result<Vec<Member>, InjectError> {
        let (_, listed) = self.listed(None).await?;
        let known = |member: &Listed| {
            let node = self.nodes().into_iter().find(|node| is(member, node));
            Member { node, id: member.id, learner: member.is_learner }
        };
        Ok(listed.iter().map(known).collect())
    }

    async fn change(
        &self,
        via: &NodeId,
        kind: Kind,
        id: u64,
        peer_urls: Vec<String>,
    ) -> Result<Vec<Listed>, InjectError> {
        let change = MemberChange { kind: kind as i32, id, peer_urls };
        let request = Request::ChangeMembers(ChangeMembers { changes: vec![change] });
        match self.operate(via, request).await? {
            Response::Applied(Applied::Members(response)) => Ok(response.members),
            _ => Err(unexpected()),
        }
    }

    /// Takes the node out.
    ///
    /// # Errors
    /// When it is no member, or the others do not let it go in time.
    pub async fn remove(&self, node: &NodeId) -> Result<u64, InjectError> {
        let (via, listed) = self.listed(Some(node)).await?;
        let asked = self.with_host(node, |host| host.uncertain).flatten();
        let id = match (id_among(&listed, node), asked) {
            (Ok(id), _) => {
                self.with_host(node, |host| host.uncertain = Some(id));
                self.change(&via, Kind::Remove, id, Vec::new()).await?;
                id
            }
            // An earlier try succeeded without our hearing of it.
            (Err(_), Some(gone)) => gone,
            (Err(never_in), None) => return Err(never_in),
        };
        self.with_host(node, |host| host.uncertain = None);
        self.put(node, Place::Out, None);
        Ok(id)
    }

    /// Makes the node a member, which its next start joins.
    ///
    /// # Errors
    /// When the others do not let it in in time.
    pub async fn add(&self, node: &NodeId, learner: bool) -> Result<u64, InjectError> {
        let (via, listed) = self.listed(Some(node)).await?;
        let kind = if learner { Kind::AddLearner } else { Kind::Add };
        // An earlier try may have succeeded without our hearing of it.
        let listed = match id_among(&listed, node) {
            Ok(_) => listed,
            Err(_) => {
                self.with_host(node, |host| host.uncertain = Some(0));
                self.change(&via, kind, 0, vec![peer_url(node)]).await?
            }
        };
        let id = id_among(&listed, node)?;
        self.with_host(node, |host| host.uncertain = None);
        let place = if learner { Place::Learner } else { Place::In };
        self.put(node, place, Some((id, listed)));
        Ok(id)
    }

    /// Gives a learner its vote.
    ///
    /// # Errors
    /// When it is behind, or the others do not answer in time.
    pub async fn promote(&self, node: &NodeId) -> Result<(), InjectError> {
        let (via, listed) = self.listed(Some(node)).await?;
        let learner = listed.iter().find(|member| member.is_learner && is(member, node));
        // Without one an earlier try succeeded.
        if let Some(learner) = learner {
            self.change(&via, Kind::Promote, learner.id, Vec::new()).await?;
        }
        self.with_host(node, |host| host.place = Place::In);
        Ok(())
    }

    /// Takes away all that a node stored, which does not run. How many bytes that were.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn wipe(&self, node: &NodeId) -> Result<u64, InjectError> {
        let wiped = self.with_host(node, |host| {
            let bytes = host.disk.stored_bytes();
            host.disk = SimDisk::default();
            bytes
        });
        wiped.ok_or_else(|| refusal(&format!("there is no node {node}")))
    }

    /// What a node says of itself.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn standing(&self, node: &NodeId) -> Result<Standing, InjectError> {
        match self.operate(node, Request::Status).await? {
            Response::Status(status) => Ok(Standing {
                version: SERVED_VERSION.to_owned(),
                term: status.raft_term,
                revision: status.header.as_ref().map_or(0, |header| header.revision),
                has_leader: status.leader != 0,
                learner: status.is_learner,
                db_bytes: u64::try_from(status.db_size).unwrap_or_default(),
            }),
            _ => Err(unexpected()),
        }
    }

    /// Does a task.
    ///
    /// # Errors
    /// When the member that it takes does not answer in time, or refuses.
    pub async fn maintain(&self, task: &Task) -> Result<TaskDone, InjectError> {
        match task {
            Task::MoveLeader(to) => {
                let (_, listed) = self.listed(None).await?;
                let id = id_among(&listed, to)?;
                let from = self.leader().ok_or_else(|| refusal("no node leads"))?;
                self.operate(&from, Request::MoveLeader { to: id }).await?;
                Ok(TaskDone::Done)
            }
            Task::Compact => self.compact().await,
            Task::Defragment(node) => {
                let before = self.standing(node).await?.db_bytes;
                self.operate(node, Request::Defragment).await?;
                Ok(TaskDone::Shrunk(before, self.standing(node).await?.db_bytes))
            }
            Task::Snapshot(node, _) => match self.operate(node, Request::Snapshot).await? {
                Response::Image(image, _) => Ok(TaskDone::Bytes(image.encode().len() as u64)),
                _ => Err(unexpected()),
            },
            Task::RaiseAlarm(node) => {
                let (via, listed) = self.listed(None).await?;
                let id = id_among(&listed, node)?;
                self.alarm(&via, AlarmAction::Activate, id).await
            }
            Task::DisarmAlarms => {
                let via = self.able(None)?;
                for member in self.listed(None).await?.1 {
                    self.alarm(&via, AlarmAction::Deactivate, member.id).await?;
                }
                self.alarm(&via, AlarmAction::Get, 0).await
            }
        }
    }

    async fn compact(&self) -> Result<TaskDone, InjectError> {
        let via = self.able(None)?;
        let range =
            RangeRequest { key: "ordeal/now".into(), count_only: true, ..Default::default() };
        let Response::Applied(Applied::Range(got)) =
            self.operate(&via, Request::Range(range)).await?
        else {
            return Err(unexpected());
        };
        let revision = got.header.map_or(0, |header| header.revision);
        let compact = CompactionRequest { revision, ..Default::default() };
        self.operate(&via, Request::Compact(compact)).await?;
        Ok(TaskDone::Revision(revision))
    }

    /// Raises, disarms or asks for alarms of no space. How many stand then.
    async fn alarm(
        &self,
        via: &NodeId,
        action: AlarmAction,
        member_id: u64,
    ) -> Result<TaskDone, InjectError> {
        let request = |action: AlarmAction, alarm: AlarmType| {
            Request::Alarm(AlarmRequest { action: action as i32, member_id, alarm: alarm as i32 })
        };
        if action != AlarmAction::Get {
            self.operate(via, request(action, AlarmType::Nospace)).await?;
        }
        match self.operate(via, request(AlarmAction::Get, AlarmType::None)).await? {
            Response::Applied(Applied::Alarm(said)) => {
                Ok(TaskDone::Alarms(said.alarms.len() as u64))
            }
            _ => Err(unexpected()),
        }
    }

    /// How many snapshots each member has begun to send to others since its start.
    pub fn snapshots_begun(&self) -> BTreeMap<NodeId, u64> {
        let begun = |node: NodeId| {
            let process =
                self.with_host(&node, |host| Some(host.process.as_ref()?.snapshots_begun));
            Some((node, process??))
        };
        self.nodes().into_iter().filter_map(begun).collect()
    }

    /// Whether a key begins so, as far as some member knows.
    ///
    /// # Errors
    /// When no member answers in time.
    pub async fn has_key(&self, prefix: &str) -> Result<bool, InjectError> {
        let via = self.able(None)?;
        let range = RangeRequest {
            key: prefix.to_owned().into(),
            range_end: after(prefix.as_bytes()).into(),
            count_only: true,
            serializable: true,
            ..Default::default()
        };
        match self.operate(&via, Request::Range(range)).await? {
            Response::Applied(Applied::Range(got)) => Ok(got.count > 0),
            _ => Err(unexpected()),
        }
    }
}

fn is(member: &Listed, node: &NodeId) -> bool {
    member.peer_ur_ls.contains(&peer_url(node))
}

fn id_among(listed: &[Listed], node: &NodeId) -> Result<u64, InjectError> {
    let member = listed.iter().find(|member| is(member, node));
    member.map(|it| it.id).ok_or_else(|| refusal(&format!("{node} is no member")))
}

fn refusal(why: &str) -> InjectError {
    InjectError(why.to_owned())
}

fn unexpected() -> InjectError {
    refusal("the node gave the answer to another request")
}
