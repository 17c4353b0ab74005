//! A cluster of real processes and real sockets, wherever it is: what all places share.

use super::environment::{Death, Environment, EnvironmentError};
use super::operators::Operators;
use super::place::Place;
use super::target::Target;
use crate::sandbox::{Answer, Order};
use ordeal_nemesis::clock::{ClockReading, ClockSkew};
use ordeal_nemesis::disk::{Corruption, Damage, Files, Loss, Rule, RuleId, Survivors};
use ordeal_nemesis::link::{Counters, Shape};
use ordeal_nemesis::{
    Capability, InjectError, Link, Machinery, Member, NodeId, Standing, Task, TaskDone,
};
use ordeal_workloads::etcd::{EtcdOptions, EtcdStore, Inspected};
use ordeal_workloads::{Login, StoreError};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Members that start in the same instant may elect in vain for two seconds.
const START_APART: Duration = Duration::from_millis(100);
/// How long members may take to end.
const STOP_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether one has.
const STOP_POLL: Duration = Duration::from_millis(5);

/// A cluster in some place.
pub struct Cluster<P> {
    place: P,
    target: Target,
    operators: Operators,
    /// Where this machine keeps what is of a node.
    kept: PathBuf,
    options: EtcdOptions,
    deaths: RefCell<Vec<Death>>,
    /// Nodes that lie dead and of which that was said.
    mourned: RefCell<BTreeSet<NodeId>>,
    version: RefCell<Option<String>>,
    /// Whether the nodes' data is on disks that can be broken.
    has_disks: Cell<bool>,
}

impl<P: Place> Cluster<P> {
    /// The target's members, none of them started; what this machine keeps of a node is in
    /// `kept/NODE/`.
    pub fn new(place: P, target: Target, kept: &Path) -> Cluster<P> {
        let (sockets, tls) = (place.sockets(), target.client_tls());
        let options = EtcdOptions { sockets, tls, ..EtcdOptions::default() };
        let operators = Operators::new(target.members(), target.reach(), options.clone());
        Cluster {
            place,
            target,
            operators,
            kept: kept.to_owned(),
            options,
            deaths: RefCell::default(),
            mourned: RefCell::default(),
            version: RefCell::default(),
            has_disks: Cell::default(),
        }
    }

    /// Puts each node's data on a disk that can be broken.
    ///
    /// # Errors
    ///
    /// When the machine gives no such disks, with the way out.
    pub async fn mount_disks(&self) -> Result<(), EnvironmentError> {
        self.has_disks.set(true);
        for node in self.place.nodes() {
            let mount = Order::MountDisk(self.target.data(&node));
            self.place.obey(&node, mount).await.map_err(failed)?;
        }
        Ok(())
    }

    /// The place.
    pub fn place(&self) -> &P {
        &self.place
    }

    /// Gives the place back.
    pub fn into_place(self) -> P {
        self.place
    }

    /// The version that a member named, if one was asked.
    pub fn version_seen(&self) -> Option<String> {
        self.version.borrow().clone()
    }

    async fn launch(&self, node: &NodeId) -> Result<(), InjectError> {
        self.notice(node);
        let joins = self.operators.joins(node);
        let upgraded = self.operators.is_upgraded(node);
        let launch = self.target.launch(node, joins.as_deref(), upgraded);
        self.place.obey(node, Order::Start(launch)).await?;
        self.mourned.borrow_mut().remove(node);
        Ok(())
    }

    /// Remembers how the node died, if it did and nobody killed it: its next start forgets it.
    ///
    /// One that joins ends where the member that it asks has not heard of it yet, and whoever
    /// operates it starts it again; its log tells if it was for something else.
    fn notice(&self, node: &NodeId) {
        if self.operators.is_joining(node) {
            return;
        }
        if let Some(ended) = self.place.ended(node)
            && self.mourned.borrow_mut().insert(node.clone())
        {
            let last_words = match ended.last_words {
                words if words.is_empty() => self.last_words(node),
                words => words,
            };
            self.deaths.borrow_mut().push(Death { node: node.clone(), how: ended.how, last_words });
        }
    }

    /// Waits until none of these nodes runs, at most so long. Those that still do.
    async fn await_end(&self, nodes: &[NodeId], bound: Duration) -> Vec<NodeId> {
        let give_up = tokio::time::Instant::now() + bound;
        loop {
            let running = |node: &&NodeId| self.place.runs(node);
            let left: Vec<NodeId> = nodes.iter().filter(running).cloned().collect();
            if left.is_empty() || tokio::time::Instant::now() >= give_up {
                return left;
            }
            tokio::time::sleep(STOP_POLL).await;
        }
    }

    async fn done(&self, node: &NodeId, order: Order) -> Result<(), InjectError> {
        self.place.obey(node, order).await.map(drop)
    }
}

impl<P: Place> Environment for Cluster<P> {
    type Store = EtcdStore;
    type Machinery = Cluster<P>;

    fn machinery(&self) -> &Cluster<P> {
        self
    }

    async fn start(&self) -> Result<(), EnvironmentError> {
        let nodes = self.target.members().iter().chain(self.target.second());
        for (place, node) in nodes.enumerate() {
            if place > 0 {
                tokio::time::sleep(START_APART).await;
            }
            self.launch(node).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn connect(&self, node: &NodeId) -> Result<EtcdStore, StoreError> {
        EtcdStore::connect(&self.target.endpoint(node), &self.options).await
    }

    fn members(&self) -> Vec<NodeId> {
        self.operators.serving()
    }

    fn elsewhere(&self) -> Vec<NodeId> {
        self.target.second().to_vec()
    }

    fn log_in(&self, login: &Login) {
        self.operators.log_in(login);
    }

    async fn inspect(&self, node: &NodeId, at: Option<i64>) -> Result<Inspected, StoreError> {
        let said = self.operators.inspect(node, at).await;
        if let Some(said) = said.as_ref().ok().filter(|said| !said.version.is_empty()) {
            self.version.replace(Some(said.version.clone()));
        }
        said
    }

    async fn keys(&self, node: &NodeId) -> Result<BTreeMap<String, String>, StoreError> {
        self.operators.keys(node).await
    }

    fn deaths(&self) -> Vec<Death> {
        self.place.nodes().iter().for_each(|node| self.notice(node));
        self.deaths.take()
    }

    async fn revive(&self) -> Result<(), EnvironmentError> {
        let second = self.target.second();
        let is_to_run = |node: &NodeId| self.operators.is_in(node) || second.contains(node);
        for node in self.place.nodes().into_iter().filter(is_to_run) {
            if !self.place.runs(&node) {
                self.launch(&node).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    fn last_words(&self, node: &NodeId) -> String {
        let path = self.target.log(node);
        let words = self.place.last_words(node, &path);
        if words.is_empty() { format!("(nothing in {})", path.display()) } else { words }
    }

    async fn stop(&self) -> Result<(), EnvironmentError> {
        let nodes = self.place.nodes();
        for node in nodes.iter().filter(|node| self.place.runs(node)) {
            // One that has just ended is as well.
            let _ = self.done(node, Order::End).await;
        }
        for node in self.await_end(&nodes, STOP_MAX).await {
            match self.done(&node, Order::Kill).await {
                Err(error) if self.place.runs(&node) => return Err(failed(error)),
                // It ended meanwhile.
                _ => {}
            }
        }
        if self.has_disks.get() {
            for node in &nodes {
                self.done(node, Order::UnmountDisk).await.map_err(failed)?;
            }
        }
        self.place.collect().await.map_err(EnvironmentError)
    }
}

impl<P: Place> Machinery for Cluster<P> {
    fn offers(&self) -> Vec<Capability> {
        let more = [Capability::Members, Capability::Maintenance];
        let upgrade = self.target.can_upgrade().then_some(Capability::Upgrade);
        let restores = self.target.can_restore() && self.place.has_folders();
        let restore = restores.then_some(Capability::Restore);
        self.place.offers().into_iter().chain(more).chain(restore).chain(upgrade).collect()
    }

    fn nodes(&self) -> Vec<NodeId> {
        let own = |node: &NodeId| !self.target.second().contains(node);
        self.place.nodes().into_iter().filter(own).collect()
    }

    async fn leader(&self) -> Option<NodeId> {
        let leader = self.operators.leader().await?;
        if let Ok(standing) = self.operators.standing(&leader).await {
            self.version.replace(Some(standing.version));
        }
        Some(leader)
    }

    async fn kill(&self, node: &NodeId) -> Result<(), InjectError> {
        self.done(node, Order::Kill).await
    }

    async fn terminate(&self, node: &NodeId) -> Result<bool, InjectError> {
        self.done(node, Order::End).await?;
        if self.await_end(std::slice::from_ref(node), STOP_MAX).await.is_empty() {
            return Ok(true);
        }
        self.done(node, Order::Kill).await?;
        Ok(false)
    }

    async fn start(&self, node: &NodeId) -> Result<(), InjectError> {
        self.launch(node).await
    }

    async fn pause(&self, node: &NodeId) -> Result<(), InjectError> {
        self.done(node, Order::Pause).await
    }

    async fn resume(&self, node: &NodeId) -> Result<(), InjectError> {
        self.done(node, Order::Resume).await
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.place.cut(links).await
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        self.place.heal(links).await
    }

    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        self.place.shape(links, shape).await
    }

    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        self.place.traffic(links).await
    }

    async fn set_clock(
        &self,
        node: &NodeId,
        skew: ClockSkew,
    ) -> Result<Option<ClockReading>, InjectError> {
        match self.place.obey(node, Order::ChangeClock(skew)).await? {
            Answer::In(wait) => tokio::time::sleep(wait).await,
            other => return Err(nonsense(node, &other)),
        }
        self.read_clock(node).await
    }

    async fn read_clock(&self, node: &NodeId) -> Result<Option<ClockReading>, InjectError> {
        match self.place.obey(node, Order::ReadClock).await? {
            Answer::Clock(reading) => Ok(reading),
            other => Err(nonsense(node, &other)),
        }
    }

    async fn break_disk(&self, node: &NodeId, rule: &Rule) -> Result<RuleId, InjectError> {
        match self.place.obey(node, Order::BreakDisk(rule.clone())).await? {
            Answer::Rule(rule) => Ok(rule),
            other => Err(nonsense(node, &other)),
        }
    }

    async fn mend_disk(&self, node: &NodeId, rule: RuleId) -> Result<u64, InjectError> {
        match self.place.obey(node, Order::MendDisk(rule)).await? {
            Answer::Hit(requests) => Ok(requests),
            other => Err(nonsense(node, &other)),
        }
    }

    async fn lose_power(
        &self,
        node: &NodeId,
        survivors: Survivors,
        seed: u64,
    ) -> Result<Loss, InjectError> {
        match self.place.obey(node, Order::LosePower(survivors, seed)).await? {
            Answer::Lost(loss) => Ok(loss),
            other => Err(nonsense(node, &other)),
        }
    }

    async fn remember_files(&self, node: &NodeId, files: &Files) -> Result<(), InjectError> {
        self.done(node, Order::Remember(files.clone())).await
    }

    async fn corrupt(
        &self,
        node: &NodeId,
        corruption: Corruption,
        files: &Files,
        seed: u64,
    ) -> Result<Damage, InjectError> {
        match self.place.obey(node, Order::Corrupt(corruption, files.clone(), seed)).await? {
            Answer::Damaged(damage) => Ok(damage),
            other => Err(nonsense(node, &other)),
        }
    }

    async fn members(&self) -> Result<Vec<Member>, InjectError> {
        self.operators.members().await
    }

    async fn remove_member(&self, node: &NodeId) -> Result<u64, InjectError> {
        self.done(node, Order::ExpectEnd(true)).await?;
        let removed = self.operators.remove(node).await;
        if removed.is_err() && !self.operators.is_uncertain(node) {
            self.done(node, Order::ExpectEnd(false)).await?;
        }
        removed
    }

    async fn add_member(&self, node: &NodeId, learner: bool) -> Result<u64, InjectError> {
        self.operators.add(node, learner).await
    }

    fn is_uncertain(&self, node: &NodeId) -> bool {
        self.operators.is_uncertain(node)
    }

    async fn rejoin(&self, node: &NodeId) -> Result<bool, InjectError> {
        if self.place.runs(node) || !self.operators.is_joining(node) {
            return Ok(false);
        }
        self.launch(node).await.map(|()| true)
    }

    async fn promote_member(&self, node: &NodeId) -> Result<(), InjectError> {
        self.operators.promote(node).await
    }

    async fn wipe(&self, node: &NodeId) -> Result<u64, InjectError> {
        match self.place.obey(node, Order::Wipe(self.target.data(node))).await? {
            Answer::Wiped(bytes) => Ok(bytes),
            other => Err(nonsense(node, &other)),
        }
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, InjectError> {
        self.operators.standing(node).await
    }

    async fn maintain(&self, task: &Task) -> Result<TaskDone, InjectError> {
        if let Task::Snapshot(node, _) = task {
            let folder = self.kept.join(&node.0);
            std::fs::create_dir_all(&folder).map_err(|error| {
                InjectError(format!("cannot make the folder {}: {error}", folder.display()))
            })?;
        }
        self.operators.maintain(task, |node| self.kept.join(&node.0)).await
    }

    async fn restore(&self, of: &NodeId, name: &str) -> Result<Vec<NodeId>, InjectError> {
        let snapshot = self.kept.join(&of.0).join(format!("{name}.db"));
        let members = self.target.members();
        for node in members {
            self.wipe(node).await?;
            let restoration = self.target.restoration(node, &snapshot);
            let nothing = || InjectError("there is nothing to restore a snapshot with".to_owned());
            let restoration = restoration.ok_or_else(nothing)?;
            // Clients wait for answers meanwhile, and the clock that they look at goes on.
            let done = tokio::task::spawn_blocking(move || restoration.run()).await;
            let done = done.unwrap_or_else(|panic| Err(panic.to_string()));
            done.map_err(|error| InjectError(format!("{node}: {error}")))?;
        }
        self.operators.begin_anew(members);
        Ok(members.to_vec())
    }

    async fn upgrade(&self, node: &NodeId) -> Result<(), InjectError> {
        self.operators.upgrade(node);
        Ok(())
    }

    async fn snapshots_begun(&self) -> Result<BTreeMap<NodeId, u64>, InjectError> {
        self.operators.snapshots_begun().await
    }

    async fn has_key(&self, prefix: &str) -> Result<bool, InjectError> {
        self.operators.has_key(prefix).await
    }
}

fn failed(error: InjectError) -> EnvironmentError {
    EnvironmentError(error.to_string())
}

/// What a place answers to an order is of the order's own kind; another place may be mistaken.
fn nonsense(node: &NodeId, answer: &Answer) -> InjectError {
    InjectError(format!("{node} answered {answer:?} to another question"))
}
