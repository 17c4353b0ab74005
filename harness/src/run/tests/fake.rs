//! A cluster in memory, on virtual time: one map, and nodes that can be killed, stopped, cut off.

use crate::run::environment::{Death, Environment, EnvironmentError};
use ordeal_nemesis::clock::{ClockReading, ClockSkew, Offset};
use ordeal_nemesis::disk::{Loss, Rule, RuleId, Survivors};
use ordeal_nemesis::link::{Counters, Shape, Shaped};
use ordeal_nemesis::{
    Capability, InjectError, Kind, Link, Machinery, NodeId, Side, Time, VirtualTime,
};
use ordeal_workloads::{
    Answer, CompareTarget, KeyValue, Request, Store, StoreError, TxnOp, TxnResult,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(2);

#[derive(Default)]
pub struct State {
    revision: i64,
    held: BTreeMap<Vec<u8>, KeyValue>,
    pub down: BTreeSet<NodeId>,
    pub paused: BTreeSet<NodeId>,
    pub cut: BTreeSet<Link>,
    pub shaped: BTreeSet<Link>,
    pub clocks: BTreeMap<NodeId, ClockReading>,
    pub deaths: Vec<Death>,
    /// Nodes that never answer.
    pub mute: BTreeSet<NodeId>,
    /// A node that answers reads from what was held at some moment.
    frozen: Option<(NodeId, BTreeMap<Vec<u8>, KeyValue>)>,
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
    nodes: Vec<NodeId>,
    state: Rc<RefCell<State>>,
}

impl Fake {
    pub fn new(time: &VirtualTime, count: usize) -> Fake {
        let nodes = (1..=count).map(NodeId::numbered).collect();
        let offers = Kind::ALL.into_iter().map(Kind::needs).collect();
        Fake { time: time.clone(), nodes, state: Rc::default(), offers: RefCell::new(offers) }
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
        if let (Request::Get { key, .. }, Some((node, held))) = (&request, &state.frozen)
            && *node == self.node
        {
            return Ok(Answer::Got { revision: state.revision, kv: held.get(key).cloned() });
        }
        Ok(state.answer(request))
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
            || self.nodes.iter().filter(reached).count() * 2 <= self.nodes.len()
    }
}

impl State {
    /// From now on reads through this node show what is held now; with none, the truth again.
    pub fn freeze(&mut self, node: Option<NodeId>) {
        self.frozen = node.map(|node| (node, self.held.clone()));
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let version = self.held.get(&key).map_or(0, |kv| kv.version) + 1;
        let revision = self.revision;
        let (create_revision, mod_revision, lease) = (revision, revision, 0);
        let kv =
            KeyValue { key: key.clone(), value, create_revision, mod_revision, version, lease };
        self.held.insert(key, kv);
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Get { key, .. } => {
                Answer::Got { revision: self.revision, kv: self.held.get(&key).cloned() }
            }
            Request::Put { key, value } => {
                self.revision += 1;
                self.put(key, value);
                Answer::Put { revision: self.revision }
            }
            Request::Txn { compares, then, otherwise } => {
                let succeeded = compares.iter().all(|compare| {
                    let held = self.held.get(&compare.key).map(|kv| kv.value.clone());
                    matches!(&compare.target, CompareTarget::Value(v) if held.as_ref() == Some(v))
                });
                self.revision += i64::from(succeeded);
                let mut results = Vec::new();
                for op in if succeeded { then } else { otherwise } {
                    results.push(match op {
                        TxnOp::Get(key) => TxnResult::Got(self.held.get(&key).cloned()),
                        TxnOp::Put(key, value) => {
                            self.put(key, value);
                            TxnResult::Put
                        }
                        TxnOp::Delete(key) => {
                            TxnResult::Deleted(i64::from(self.held.remove(&key).is_some()))
                        }
                    });
                }
                Answer::Txn { revision: self.revision, succeeded, results }
            }
        }
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
        let (time, nodes) = (self.time.clone(), self.nodes.clone());
        Ok(FakeStore { time, node: node.clone(), nodes, state: self.state.clone() })
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
        self.nodes.iter().find(|node| !state.down.contains(node)).cloned()
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
}
