//! A cluster in memory, on virtual time: one map, and nodes that can be killed, stopped, cut off.

use crate::run::environment::{Death, Environment, EnvironmentError};
use ordeal_nemesis::clock::{ClockReading, ClockSkew, Offset};
use ordeal_nemesis::disk::{Loss, Rule, RuleId, Survivors};
use ordeal_nemesis::link::{Counters, Shape, Shaped};
use ordeal_nemesis::{
    Capability, InjectError, Kind, Link, Machinery, Member, NodeId, Side, Standing, Task, TaskDone,
    Time, VirtualTime,
};
use ordeal_workloads::etcd::{Hash, Inspected};
use ordeal_workloads::{Answer, Login, Memory, Request, Store, StoreError};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(2);

#[derive(Default)]
pub struct State {
    memory: Memory,
    pub down: BTreeSet<NodeId>,
    pub paused: BTreeSet<NodeId>,
    pub cut: BTreeSet<Link>,
    pub shaped: BTreeSet<Link>,
    pub clocks: BTreeMap<NodeId, ClockReading>,
    pub deaths: Vec<Death>,
    /// The members, with the ids that they have had so far.
    pub members: BTreeMap<NodeId, u64>,
    ids: u64,
    /// Whom an operator has made the leader.
    leader: Option<NodeId>,
    /// A node that holds other keys than the rest.
    pub differs: Option<NodeId>,
    /// Nodes that never answer.
    pub mute: BTreeSet<NodeId>,
    /// A node that answers reads from what was held at some moment.
    frozen: Option<(NodeId, Memory)>,
    /// What the nemesis did, and when, in milliseconds.
    pub told: Vec<String>,
}

pub struct Fake {
    pub time: VirtualTime,
    pub nodes: Vec<NodeId>,
    pub state: Rc<RefCell<State>>,
    pub offers: RefCell<Vec<Capability>>,
}

pub struct FakeStore {
    time: VirtualTime,
    node: NodeId,
    state: Rc<RefCell<State>>,
}

impl Fake {
    pub fn new(time: &VirtualTime, count: usize) -> Fake {
        let nodes: Vec<NodeId> = (1..=count).map(NodeId::numbered).collect();
        let mut state = State::default();
        for node in &nodes {
            state.add(node);
        }
        let offers = Kind::ALL.into_iter().map(Kind::needs).collect();
        let state = Rc::new(RefCell::new(state));
        Fake { time: time.clone(), nodes, state, offers: RefCell::new(offers) }
    }

    fn tell(&self, verb: &str, node: &NodeId) {
        let now_ms = self.time.now().as_millis();
        self.state.borrow_mut().told.push(format!("{now_ms} {verb} {node}"));
    }
}

impl Store for FakeStore {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        self.time.sleep(ANSWER).await;
        if self.state.borrow().down.contains(&self.node) {
            return Err(StoreError::Indeterminate("the connection broke".to_owned()));
        }
        // Stopped, or without a majority: it hangs, until whoever waits gives up.
        while self.hangs() {
            self.time.sleep(ANSWER).await;
        }
        let mut state = self.state.borrow_mut();
        let revision = state.memory.revision;
        if let (Request::Range(_), Some((node, held))) = (&request, &mut state.frozen)
            && *node == self.node
        {
            return Ok(Answer { revision, ..held.answer(request)? });
        }
        state.memory.answer(request)
    }
}

impl FakeStore {
    fn hangs(&self) -> bool {
        let state = self.state.borrow();
        let reached = |other: &&NodeId| {
            let link =
                Link { from: Side::Node(self.node.clone()), to: Side::Node((*other).clone()) };
            !state.cut.contains(&link)
                && !state.down.contains(other)
                && !state.paused.contains(other)
        };
        state.paused.contains(&self.node)
            || state.mute.contains(&self.node)
            || state.members.keys().filter(reached).count() * 2 <= state.members.len()
    }
}

impl State {
    fn add(&mut self, node: &NodeId) -> u64 {
        self.ids += 1;
        self.members.insert(node.clone(), self.ids);
        self.ids
    }

    /// From now on reads through this node show what is held now; with none, the truth again.
    pub fn freeze(&mut self, node: Option<NodeId>) {
        self.frozen = node.map(|node| (node, self.memory.clone()));
    }
}

impl Environment for Fake {
    type Store = FakeStore;
    type Machinery = Fake;

    fn machinery(&self) -> &Fake {
        self
    }

    async fn start(&self) -> Result<(), EnvironmentError> {
        Ok(())
    }

    async fn connect(&self, node: &NodeId) -> Result<FakeStore, StoreError> {
        if self.state.borrow().down.contains(node) {
            return Err(StoreError::DidNotHappen(format!("{node} refused the connection")));
        }
        let (time, node) = (self.time.clone(), node.clone());
        Ok(FakeStore { time, node, state: self.state.clone() })
    }

    fn members(&self) -> Vec<NodeId> {
        self.state.borrow().members.keys().cloned().collect()
    }

    fn log_in(&self, _: &Login) {}

    async fn inspect(&self, node: &NodeId, _: Option<i64>) -> Result<Inspected, StoreError> {
        self.time.sleep(ANSWER).await;
        let state = self.state.borrow();
        if state.down.contains(node) || state.mute.contains(node) {
            return Err(StoreError::DidNotHappen(format!("{node} does not answer")));
        }
        let differs = state.differs.as_ref() == Some(node);
        let hash = Hash { hash: u32::from(differs), compact_revision: 0 };
        Ok(Inspected { revision: state.memory.revision, hash, ..Inspected::default() })
    }

    async fn keys(&self, node: &NodeId) -> Result<BTreeMap<String, String>, StoreError> {
        let differs = self.state.borrow().differs.as_ref() == Some(node);
        let held = [("k1", "1"), ("k2", if differs { "3" } else { "2" })];
        Ok(held.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    }

    fn deaths(&self) -> Vec<Death> {
        std::mem::take(&mut self.state.borrow_mut().deaths)
    }

    async fn revive(&self) -> Result<(), EnvironmentError> {
        let down = std::mem::take(&mut self.state.borrow_mut().down);
        down.iter().for_each(|node| self.tell("revive", node));
        Ok(())
    }

    fn last_words(&self, node: &NodeId) -> String {
        format!("{node} has nothing to say")
    }

    async fn stop(&self) -> Result<(), EnvironmentError> {
        self.state.borrow_mut().told.push("stop".to_owned());
        Ok(())
    }
}

impl Machinery for Fake {
    fn offers(&self) -> Vec<Capability> {
        self.offers.borrow().clone()
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.nodes.clone()
    }

    async fn leader(&self) -> Option<NodeId> {
        let state = self.state.borrow();
        let up = |node: &&NodeId| !state.down.contains(*node);
        let chosen = state.leader.iter().filter(|node| state.members.contains_key(node));
        chosen.chain(state.members.keys()).find(up).cloned()
    }

    async fn kill(&self, node: &NodeId) -> Result<(), InjectError> {
        self.tell("kill", node);
        let mut state = self.state.borrow_mut();
        // The process that stood still is gone; the next one runs.
        state.paused.remove(node);
        let fresh = state.down.insert(node.clone());
        if fresh { Ok(()) } else { Err(InjectError(format!("{node} is not running"))) }
    }

    async fn terminate(&self, node: &NodeId) -> Result<bool, InjectError> {
        self.kill(node).await.map(|()| true)
    }

    async fn start(&self, node: &NodeId) -> Result<(), InjectError> {
        self.tell("start", node);
        self.state.borrow_mut().down.remove(node);
        Ok(())
    }

    async fn pause(&self, node: &NodeId) -> Result<(), InjectError> {
        self.tell("pause", node);
        self.state.borrow_mut().paused.insert(node.clone());
        Ok(())
    }

    async fn resume(&self, node: &NodeId) -> Result<(), InjectError> {
        self.tell("resume", node);
        self.state.borrow_mut().paused.remove(node);
        Ok(())
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.state.borrow_mut().cut.extend(links.iter().cloned());
        Ok(())
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        let mut state = self.state.borrow_mut();
        links.iter().for_each(|link| {
            state.cut.remove(link);
        });
        Ok(links.len() as u64)
    }

    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        let mut state = self.state.borrow_mut();
        for link in links {
            if shape.is_perfect() {
                state.shaped.remove(link);
            } else {
                state.shaped.insert(link.clone());
            }
        }
        Ok(())
    }

    /// As if everything happened to a packet of each link every microsecond.
    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        let packets = self.time.now().as_micros() as u64 * links.len() as u64;
        let shaped = Shaped {
            delayed: packets,
            lost: packets,
            duplicated: packets,
            reordered: packets,
            corrupted: packets,
            throttled: packets,
            reset: packets,
        };
        Ok(Counters { forwarded: packets, bytes: packets, dropped: packets, shaped })
    }

    async fn set_clock(
        &self,
        node: &NodeId,
        skew: ClockSkew,
    ) -> Result<Option<ClockReading>, InjectError> {
        let mut state = self.state.borrow_mut();
        let reading = state.clocks.entry(node.clone()).or_default();
        for (clock, change) in
            [(&mut reading.wall, skew.wall), (&mut reading.monotonic, skew.monotonic)]
        {
            let Some(change) = change else { continue };
            clock.rate_ppm = change.rate_ppm;
            match change.offset {
                Offset::Keep => {}
                Offset::By(ns) => clock.ahead_ns += ns,
                Offset::To(ns) => clock.ahead_ns = ns,
            }
        }
        Ok(Some(*reading))
    }

    async fn break_disk(&self, node: &NodeId, _: &Rule) -> Result<RuleId, InjectError> {
        self.tell("slow", node);
        Ok(RuleId(1))
    }

    async fn mend_disk(&self, node: &NodeId, _: RuleId) -> Result<u64, InjectError> {
        self.tell("mend", node);
        Ok(1)
    }

    async fn lose_power(&self, node: &NodeId, _: Survivors, _: u64) -> Result<Loss, InjectError> {
        // It holds everything in memory that never fails: no more than a kill.
        let _ = self.kill(node).await;
        Ok(Loss::default())
    }

    async fn read_clock(&self, node: &NodeId) -> Result<Option<ClockReading>, InjectError> {
        Ok(self.state.borrow().clocks.get(node).copied())
    }

    async fn members(&self) -> Result<Vec<Member>, InjectError> {
        let state = self.state.borrow();
        let listed = state.members.iter();
        Ok(listed
            .map(|(node, id)| Member { node: Some(node.clone()), id: *id, learner: false })
            .collect())
    }

    async fn remove_member(&self, node: &NodeId) -> Result<u64, InjectError> {
        self.tell("remove", node);
        let id = self.state.borrow_mut().members.remove(node);
        id.ok_or_else(|| InjectError(format!("{node} is no member")))
    }

    async fn add_member(&self, node: &NodeId, _: bool) -> Result<u64, InjectError> {
        self.tell("add", node);
        let mut state = self.state.borrow_mut();
        state.down.insert(node.clone());
        Ok(state.add(node))
    }

    async fn promote_member(&self, _: &NodeId) -> Result<(), InjectError> {
        Ok(())
    }

    async fn wipe(&self, _: &NodeId) -> Result<u64, InjectError> {
        Ok(1)
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, InjectError> {
        let has_leader = !self.state.borrow().down.contains(node);
        let version = "fake".to_owned();
        Ok(Standing { version, term: 1, revision: 1, has_leader, learner: false, db_bytes: 1 })
    }

    async fn maintain(&self, task: &Task) -> Result<TaskDone, InjectError> {
        if let Task::MoveLeader(to) = task {
            self.state.borrow_mut().leader = Some(to.clone());
        }
        Ok(TaskDone::Bytes(1))
    }
}
