//! What an operator does to the cluster of a run, by the store's own interface.
//!
//! It knows the nodes by where clients and other members reach them, and nothing of where they run.
//! It keeps a roster, by which nodes are started and clients are sent: who is in, who joins with
//! its next start, who is out.

use futures::StreamExt;
use futures::future::{Either, join_all, select};
use futures::stream::FuturesUnordered;
use ordeal_nemesis::{InjectError, Member, NodeId, Standing, Task, TaskDone};
use ordeal_workloads::etcd::{
    EtcdOperator, EtcdOptions, Inspected, ListedMember, Status, inspect, keys, status,
};
use ordeal_workloads::{Login, StoreError};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

mod metrics;

/// How long a member may take to say who leads.
const STATUS_MAX: Duration = Duration::from_millis(300);
/// The same, where it takes a handshake of TLS first.
const STATUS_TLS_MAX: Duration = Duration::from_millis(1_000);
/// The same, where nobody has said it by then.
const STATUS_BUSY_MAX: Duration = Duration::from_millis(1_500);
/// How long a member may take for a request of an operator.
const REQUEST_MAX: Duration = Duration::from_millis(2_000);

/// Where a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// By clients.
    pub endpoint: String,
    /// By other members.
    pub peer_url: String,
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A member with a vote.
    In,
    /// One without.
    Learner,
    /// No member.
    Out,
}

/// Operators of one cluster.
pub struct Operators {
    nodes: Vec<NodeId>,
    reach: BTreeMap<NodeId, Reach>,
    options: RefCell<EtcdOptions>,
    places: RefCell<BTreeMap<NodeId, Place>>,
    /// Nodes that are members anew, with what their starts must name as the initial cluster.
    joining: RefCell<BTreeMap<NodeId, String>>,
    /// As which member each node was last asked to go, heard of or not.
    leaving: RefCell<BTreeMap<NodeId, u64>>,
    upgraded: RefCell<BTreeSet<NodeId>>,
    /// Nodes for which a change was asked for that may have been made without our hearing of it.
    uncertain: RefCell<BTreeSet<NodeId>>,
    /// Nodes that joined and have answered since.
    served: RefCell<BTreeSet<NodeId>>,
}

impl Operators {
    /// Operators of a cluster whose members are `nodes` at first; `reach` may know more of them.
    pub fn new(
        nodes: &[NodeId],
        reach: BTreeMap<NodeId, Reach>,
        options: EtcdOptions,
    ) -> Operators {
        let place = |node: &NodeId| if nodes.contains(node) { Place::In } else { Place::Out };
        let places = reach.keys().map(|node| (node.clone(), place(node))).collect();
        let spares = reach.keys().filter(|node| !nodes.contains(node)).cloned();
        Operators {
            nodes: nodes.iter().cloned().chain(spares).collect(),
            reach,
            options: RefCell::new(options),
            places: RefCell::new(places),
            joining: RefCell::default(),
            leaving: RefCell::default(),
            upgraded: RefCell::default(),
            uncertain: RefCell::default(),
            served: RefCell::default(),
        }
    }

    /// From now on they ask as this user.
    pub fn log_in(&self, login: &Login) {
        self.options.borrow_mut().login = Some(login.clone());
    }

    /// What the node holds; see [`inspect`].
    pub async fn inspect(&self, node: &NodeId, at: Option<i64>) -> Result<Inspected, StoreError> {
        let endpoint = self.endpoint(node);
        let endpoint = endpoint.map_err(|error| StoreError::DidNotHappen(error.to_string()))?;
        inspect(endpoint, &self.options(), at).await
    }

    /// The keys that the node holds; see [`keys`].
    pub async fn keys(&self, node: &NodeId) -> Result<BTreeMap<String, String>, StoreError> {
        let endpoint = self.endpoint(node);
        let endpoint = endpoint.map_err(|error| StoreError::DidNotHappen(error.to_string()))?;
        keys(endpoint, &self.options()).await
    }

    fn options(&self) -> EtcdOptions {
        self.options.borrow().clone()
    }

    /// Whether the node is a member, with a vote or without.
    pub fn is_in(&self, node: &NodeId) -> bool {
        self.places.borrow().get(node).is_some_and(|place| *place != Place::Out)
    }

    /// The nodes that clients may be sent to: the members with a vote, in order.
    pub fn serving(&self) -> Vec<NodeId> {
        let places = self.places.borrow();
        let serves = |node: &&NodeId| places.get(*node) == Some(&Place::In);
        self.nodes.iter().filter(serves).cloned().collect()
    }

    /// What the node's start must name as the initial cluster when it has joined after the others.
    pub fn joins(&self, node: &NodeId) -> Option<String> {
        self.joining.borrow().get(node).cloned()
    }

    /// Whether the node has become a member and not answered yet.
    pub fn is_joining(&self, node: &NodeId) -> bool {
        self.joining.borrow().contains_key(node) && !self.served.borrow().contains(node)
    }

    /// Whether the change that was last asked for on behalf of this node may have been made.
    pub fn is_uncertain(&self, node: &NodeId) -> bool {
        self.uncertain.borrow().contains(node)
    }

    /// Asks for a change on behalf of a node, and remembers where it is not known what came of it.
    async fn change<T>(
        &self,
        node: &NodeId,
        via: &NodeId,
        request: impl AsyncFnOnce(&mut EtcdOperator) -> Result<T, StoreError>,
    ) -> Result<T, InjectError> {
        let was_uncertain = self.is_uncertain(node);
        let asked = self.ask(via, async |it| {
            self.uncertain.borrow_mut().insert(node.clone());
            let answer = request(it).await;
            let refused = matches!(answer, Err(StoreError::DidNotHappen(_)));
            // A refusal says nothing of an earlier try; it may come of that one's success.
            if answer.is_ok() || (refused && !was_uncertain) {
                self.uncertain.borrow_mut().remove(node);
            }
            answer
        });
        asked.await
    }

    /// The cluster is as it was at first: its members start as they did then.
    pub fn begin_anew(&self, members: &[NodeId]) {
        self.joining.borrow_mut().clear();
        self.leaving.borrow_mut().clear();
        self.uncertain.borrow_mut().clear();
        for (node, place) in self.places.borrow_mut().iter_mut() {
            *place = if members.contains(node) { Place::In } else { Place::Out };
        }
    }

    /// From its next start on the node is another binary.
    pub fn upgrade(&self, node: &NodeId) {
        self.upgraded.borrow_mut().insert(node.clone());
    }

    /// Whether it is.
    pub fn is_upgraded(&self, node: &NodeId) -> bool {
        self.upgraded.borrow().contains(node)
    }

    /// What the members that answer in time say of themselves. Where nobody has said yet what is
    /// `wanted`, there is more time: on a busy machine all are slow.
    async fn statuses(&self, wanted: impl Fn(&(NodeId, Status)) -> bool) -> Vec<(NodeId, Status)> {
        let members = self.nodes.iter().filter(|node| self.is_in(node));
        let mut asked: FuturesUnordered<_> = members
            .map(|node| async move {
                let said = self.status_within(node, STATUS_BUSY_MAX).await;
                said.ok().map(|status| (node.clone(), status))
            })
            .collect();
        let mut soon = pin!(tokio::time::sleep(self.status_max()));
        let mut found = Vec::new();
        loop {
            match select(asked.next(), soon.as_mut()).await {
                Either::Left((Some(said), _)) => found.extend(said),
                Either::Left((None, _)) => return found,
                Either::Right(_) => break,
            }
        }
        while !found.iter().any(&wanted) {
            let Some(said) = asked.next().await else { break };
            found.extend(said);
        }
        found
    }

    fn status_max(&self) -> Duration {
        if self.options.borrow().tls.is_some() { STATUS_TLS_MAX } else { STATUS_MAX }
    }

    async fn status(&self, node: &NodeId) -> Result<Status, InjectError> {
        self.status_within(node, self.status_max()).await
    }

    async fn status_within(&self, node: &NodeId, bound: Duration) -> Result<Status, InjectError> {
        let options = self.options();
        let said = bounded(node, bound, status(self.endpoint(node)?, &options)).await;
        if said.is_ok() {
            // From now on its death is its own, whoever asked.
            self.served.borrow_mut().insert(node.clone());
        }
        said
    }

    /// What the node says of itself.
    ///
    /// # Errors
    ///
    /// When it does not answer in time.
    pub async fn standing(&self, node: &NodeId) -> Result<Standing, InjectError> {
        let Status { version, term, revision, leader_id, learner, db_bytes, .. } =
            self.status(node).await?;
        Ok(Standing { version, term, revision, has_leader: leader_id != 0, learner, db_bytes })
    }

    /// The members, as one lists them that knows of a leader.
    ///
    /// # Errors
    ///
    /// When none does, or it does not answer in time.
    pub async fn members(&self) -> Result<Vec<Member>, InjectError> {
        let (_, listed) = self.listed(None).await?;
        Ok(listed.iter().map(|member| self.known(member)).collect())
    }

    /// A member other than `but`, and the members as it lists them.
    async fn listed(
        &self,
        but: Option<&NodeId>,
    ) -> Result<(NodeId, Vec<ListedMember>), InjectError> {
        let via = self.able(but).await?;
        let listed = self.ask(&via, async |it| it.members().await).await?;
        Ok((via, listed))
    }

    fn known(&self, member: &ListedMember) -> Member {
        let at = |(_, reach): &(&NodeId, &Reach)| member.peer_urls.contains(&reach.peer_url);
        let node = self.reach.iter().find(at).map(|(node, _)| node.clone());
        Member { node, id: member.id, learner: member.learner }
    }

    /// Takes the node out.
    ///
    /// # Errors
    ///
    /// When it is no member, or the others do not let it go in time.
    pub async fn remove(&self, node: &NodeId) -> Result<u64, InjectError> {
        let (via, listed) = self.listed(Some(node)).await?;
        let asked = self.leaving.borrow().get(node).copied();
        let id = match (self.id_among(&listed, node), asked) {
            (Ok(id), _) => {
                self.leaving.borrow_mut().insert(node.clone(), id);
                self.change(node, &via, async |it| it.remove(id).await).await?;
                id
            }
            // An earlier try succeeded without our hearing of it.
            (Err(_), Some(gone)) => {
                self.uncertain.borrow_mut().remove(node);
                gone
            }
            (Err(never_in), None) => return Err(never_in),
        };
        self.places.borrow_mut().insert(node.clone(), Place::Out);
        Ok(id)
    }

    /// Makes the node a member, which its next start joins.
    ///
    /// # Errors
    ///
    /// When the others do not let it in in time.
    pub async fn add(&self, node: &NodeId, learner: bool) -> Result<u64, InjectError> {
        let (via, listed) = self.listed(Some(node)).await?;
        let gone = self.leaving.borrow().get(node).copied();
        // An earlier try may have succeeded without our hearing of it.
        let (id, listed) = match self.id_among(&listed, node) {
            Ok(id) if Some(id) == gone => {
                return Err(refusal(&format!("{via} does not know yet that {node} went")));
            }
            Ok(id) => {
                self.uncertain.borrow_mut().remove(node);
                (id, listed)
            }
            Err(_) => {
                let url = &self.reach(node)?.peer_url;
                self.change(node, &via, async |it| it.add(url, learner).await).await?
            }
        };
        let name = |member: &ListedMember| {
            let node = self.known(member).node?;
            Some(format!("{node}={}", self.reach.get(&node)?.peer_url))
        };
        let cluster: Vec<String> = listed.iter().filter_map(name).collect();
        self.joining.borrow_mut().insert(node.clone(), cluster.join(","));
        let place = if learner { Place::Learner } else { Place::In };
        self.places.borrow_mut().insert(node.clone(), place);
        self.leaving.borrow_mut().remove(node);
        self.served.borrow_mut().remove(node);
        Ok(id)
    }

    /// Gives a learner its vote.
    ///
    /// # Errors
    ///
    /// When it is behind, or the others do not answer in time.
    pub async fn promote(&self, node: &NodeId) -> Result<(), InjectError> {
        let (via, listed) = self.listed(Some(node)).await?;
        let learns = listed
            .iter()
            .find(|member| member.learner && self.known(member).node.as_ref() == Some(node));
        // Without one an earlier try succeeded.
        if let Some(member) = learns {
            self.ask(&via, async |it| it.promote(member.id).await).await?;
        }
        self.places.borrow_mut().insert(node.clone(), Place::In);
        Ok(())
    }

    /// Does a task; a snapshot goes to the folder that `folder` names for a node.
    ///
    /// # Errors
    ///
    /// When the member that it takes does not answer in time, or refuses.
    pub async fn maintain(
        &self,
        task: &Task,
        folder: impl Fn(&NodeId) -> std::path::PathBuf,
    ) -> Result<TaskDone, InjectError> {
        match task {
            Task::MoveLeader(to) => {
                let (_, listed) = self.listed(None).await?;
                let id = self.id_among(&listed, to)?;
                let from = self.leader().await.ok_or_else(|| refusal("no node leads"))?;
                self.ask(&from, async |it| it.move_leader(id).await).await?;
                Ok(TaskDone::Done)
            }
            Task::Compact => {
                let via = self.able(None).await?;
                let compacted = self.ask(&via, async |it| it.compact().await).await?;
                Ok(TaskDone::Revision(compacted))
            }
            Task::Defragment(node) => {
                let sizes = self.ask(node, async |it| it.defragment().await).await?;
                Ok(TaskDone::Shrunk(sizes.0, sizes.1))
            }
            Task::Snapshot(node, name) => {
                let path = folder(node).join(format!("{name}.db"));
                let bytes = self.ask(node, async |it| save(it, &path).await).await?;
                Ok(TaskDone::Bytes(bytes))
            }
            Task::RaiseAlarm(node) => {
                let (via, listed) = self.listed(None).await?;
                let id = self.id_among(&listed, node)?;
                let standing = self.ask(&via, async |it| it.raise_no_space(id).await).await?;
                Ok(TaskDone::Alarms(standing))
            }
            Task::DisarmAlarms => {
                let via = self.able(None).await?;
                Ok(TaskDone::Alarms(self.ask(&via, async |it| it.disarm().await).await?))
            }
        }
    }

    /// The node that leads: of those that say so the one of the highest term, for one that was cut
    /// off says so for a while yet.
    pub async fn leader(&self) -> Option<NodeId> {
        let leads = |(_, status): &(NodeId, Status)| status.leads();
        let leading = self.statuses(leads).await.into_iter().filter(leads);
        leading.max_by_key(|(_, status)| status.term).map(|(node, _)| node)
    }

    /// Whether a key begins so, as far as some member knows.
    ///
    /// # Errors
    ///
    /// When no member answers in time.
    pub async fn has_key(&self, prefix: &str) -> Result<bool, InjectError> {
        let via = self.able(None).await?;
        self.ask(&via, async |it| it.has_key(prefix).await).await
    }

    /// How many snapshots each member has begun to send to others since its start, by its own
    /// metrics; of those members that answer in time.
    ///
    /// # Errors
    ///
    /// When none answers in time, or none counts them.
    pub async fn snapshots_begun(&self) -> Result<BTreeMap<NodeId, u64>, InjectError> {
        let members = self.nodes.iter().filter(|node| self.is_in(node));
        let options = &self.options();
        let asked = members.map(|node| async move {
            let fetching = metrics::fetch(self.endpoint(node)?, options);
            let text = bounded(node, self.status_max(), fetching).await?;
            metrics::snapshots_begun(&text)
                .map(|begun| (node.clone(), begun))
                .ok_or_else(|| refusal(&format!("{node} does not count snapshots")))
        });
        let counts = join_all(asked).await;
        if let [Err(first), ..] = &counts[..]
            && counts.iter().all(Result::is_err)
        {
            return Err(first.clone());
        }
        Ok(counts.into_iter().flatten().collect())
    }

    /// A member other than `but` that knows of a leader; the leader itself, if it can be.
    async fn able(&self, but: Option<&NodeId>) -> Result<NodeId, InjectError> {
        let knows = |(node, status): &(NodeId, Status)| {
            Some(node) != but && status.leader_id != 0 && !status.learner
        };
        let able = self.statuses(knows).await.into_iter().filter(knows);
        let best = able.max_by_key(|(_, status)| (status.term, status.leads()));
        best.map(|(node, _)| node).ok_or_else(|| refusal("no member that answers knows a leader"))
    }

    /// Asks one member, on a connection of its own.
    async fn ask<T>(
        &self,
        node: &NodeId,
        request: impl AsyncFnOnce(&mut EtcdOperator) -> Result<T, StoreError>,
    ) -> Result<T, InjectError> {
        let endpoint = self.endpoint(node)?;
        let asked = async {
            let mut operator = EtcdOperator::connect(endpoint, &self.options()).await?;
            request(&mut operator).await
        };
        bounded(node, REQUEST_MAX, asked).await
    }

    fn id_among(&self, listed: &[ListedMember], node: &NodeId) -> Result<u64, InjectError> {
        let mine = |member: &&ListedMember| self.known(member).node.as_ref() == Some(node);
        let member = listed.iter().find(mine);
        member.map(|it| it.id).ok_or_else(|| refusal(&format!("{node} is no member")))
    }

    fn endpoint(&self, node: &NodeId) -> Result<&str, InjectError> {
        self.reach(node).map(|reach| reach.endpoint.as_str())
    }

    fn reach(&self, node: &NodeId) -> Result<&Reach, InjectError> {
        self.reach.get(node).ok_or_else(|| refusal(&format!("there is no node {node}")))
    }
}

/// Saves the member's snapshot there.
async fn save(operator: &mut EtcdOperator, path: &Path) -> Result<u64, StoreError> {
    let failed = |error: std::io::Error| {
        StoreError::Indeterminate(format!("cannot write {}: {error}", path.display()))
    };
    let mut file = std::fs::File::create(path).map_err(failed)?;
    operator.snapshot(|piece| std::future::ready(file.write_all(&piece))).await
}

fn refusal(why: &str) -> InjectError {
    InjectError(why.to_owned())
}

async fn bounded<T, E: std::fmt::Display>(
    node: &NodeId,
    bound: Duration,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, InjectError> {
    match tokio::time::timeout(bound, asked).await {
        Ok(answer) => answer.map_err(|error| InjectError(format!("{node}: {error}"))),
        Err(_) => Err(InjectError(format!("{node} did not answer in {} ms", bound.as_millis()))),
    }
}
