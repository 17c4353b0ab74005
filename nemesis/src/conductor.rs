//! Plays a schedule against the machinery, and notes in the history what really happened.
//!
//! One thing at a time, in the order of the schedule, so that the same answers of the machinery
//! give the same notes. Whatever happens, every fault that was injected is ended: at its time, or
//! when the run is stopped. Faults that overlap are counted: a link that two cuts took away
//! carries again when both are over, a node that two faults killed starts again after the second.

mod clocks;
mod disks;
mod links;
mod note;
mod operator;
mod processes;
mod state;
mod triggers;

use crate::{Capability, Fault, Machinery, NodeId, Schedule, ScheduledFault, Time};
use futures::future::{Either, select};
use note::{ended, failed, started};
use operator::Tried;
use ordeal_history::Value;
use state::{Active, State};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use triggers::Triggers;

/// How long a fault that is aimed at the leader waits for one to be elected. Other faults go on
/// meanwhile: it may be that there can be none before they are over.
const LEADER_WAIT_MAX: Duration = Duration::from_millis(3_000);
/// How long one that the cluster refuses is tried; the others must be over first, as a rule.
const REFUSAL_WAIT_MAX: Duration = Duration::from_millis(10_000);
/// How often the cluster is asked meanwhile.
const POLL: Duration = Duration::from_millis(100);
/// How often a fault that waits for a state looks for it.
const TRIGGER_POLL: Duration = Duration::from_millis(50);
/// How long the cluster may take to be as it was, when all other faults are over.
const HEAL_MAX: Duration = Duration::from_millis(15_000);

/// Plays schedules. `note` gets each fault's name and what is to stand in the history.
pub struct Conductor<'a, M, T, N> {
    machinery: &'a M,
    time: &'a T,
    note: N,
    nodes: Vec<NodeId>,
    state: State,
    active: BTreeMap<u32, Active>,
    /// Faults that wait for a leader, or for the cluster to let them, and since when.
    waiting: BTreeMap<u32, Duration>,
    triggers: Triggers,
    lock_is_held: Box<dyn Fn() -> bool + 'a>,
}

/// How a fault began.
enum Begun {
    Yes,
    /// None of it took hold.
    No,
    /// Nobody leads just now, or the cluster does not let it.
    NotYet,
    /// What it waits for has not come.
    Dormant,
}

/// What the schedule has next.
enum Step {
    Start(usize),
    /// A clock that strobes leaps again, a link that flaps carries again.
    Turn(u32),
    End(u32),
}

impl<'a, M: Machinery, T: Time, N: Fn(&'static str, Value)> Conductor<'a, M, T, N> {
    /// A conductor with no fault under way.
    pub fn new(machinery: &'a M, time: &'a T, note: N) -> Self {
        let nodes = machinery.nodes();
        Conductor {
            machinery,
            time,
            note,
            nodes,
            state: State::default(),
            active: BTreeMap::new(),
            waiting: BTreeMap::new(),
            triggers: Triggers::default(),
            lock_is_held: Box::new(|| false),
        }
    }

    /// The same, that learns from this whether a client of the workload holds a lock.
    pub fn with_locks(mut self, lock_is_held: impl Fn() -> bool + 'a) -> Self {
        self.lock_is_held = Box::new(lock_is_held);
        self
    }

    /// Plays `schedule`, whose times count from `origin`, until it is over or `stop` is ready;
    /// then ends whatever is still under way. A fault is not begun after `stop`.
    pub async fn play(
        &mut self,
        schedule: &Schedule,
        origin: Duration,
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = pin!(stop);
        let mut steps: BTreeMap<(Duration, u32, bool), Step> = BTreeMap::new();
        for (position, fault) in schedule.0.iter().enumerate() {
            let at = origin + Duration::from_millis(fault.at_ms);
            steps.insert((at, fault.id, false), Step::Start(position));
        }
        while let Some((key, step)) = steps.pop_first() {
            let wait = pin!(self.time.sleep_until(key.0));
            if let Either::Left(_) = select(stop.as_mut(), wait).await {
                steps.insert(key, step);
                break;
            }
            match step {
                Step::End(id) => {
                    if let Some(again) = self.end(id).await {
                        steps.insert((self.time.now() + again, id, true), Step::End(id));
                    }
                }
                Step::Turn(id) => {
                    if let Some(again) = self.turn(id).await {
                        steps.insert((self.time.now() + again, id, false), Step::Turn(id));
                    }
                }
                Step::Start(position) => {
                    let fault = &schedule.0[position];
                    let (time, id) = (self.time, fault.id);
                    let now = time.now();
                    let again = |poll| steps.insert((time.now() + poll, id, false), step);
                    match self.start(fault).await {
                        Begun::No => {}
                        // Others must have their turn as well, where a try takes long.
                        Begun::NotYet => drop(again(POLL.max(time.now() - now))),
                        Begun::Dormant => drop(again(TRIGGER_POLL)),
                        Begun::Yes => {
                            let now = self.time.now();
                            let end = now + Duration::from_millis(fault.for_ms);
                            steps.insert((end, id, true), Step::End(id));
                            if let Some(wait) = self.next_turn(id) {
                                steps.insert((now + wait, id, false), Step::Turn(id));
                            }
                        }
                    }
                }
            }
        }
        self.tell_of_the_dormant(schedule, origin, steps.into_values());
        self.end_all().await;
    }

    /// Ends whatever is under way; last what an operator did, which takes a majority to undo.
    async fn end_all(&mut self) {
        let by_operator = |(id, active): (&u32, &Active)| (active.operation.is_some(), *id);
        let mut ids: Vec<(bool, u32)> = self.active.iter().map(by_operator).collect();
        ids.sort_unstable();
        for (_, id) in ids {
            let give_up = self.time.now() + HEAL_MAX;
            if let Some(operation) = self.active.get_mut(&id).and_then(|it| it.operation.as_mut()) {
                operation.hurry();
            }
            while self.time.now() < give_up {
                if self.next_turn(id).is_some_and(|_| self.is_operated(id)) {
                    self.turn(id).await;
                }
                let Some(again) = self.end(id).await else { break };
                self.time.sleep(again).await;
            }
            if let Some(mut active) = self.active.remove(&id) {
                let why = active.operation.as_ref().and_then(|operation| operation.refusal());
                let (why, ms) = (why.unwrap_or("it took too long"), HEAL_MAX.as_millis());
                active.errors.push(format!("not undone in {ms} ms: {why}"));
                (self.note)(active.fault.kind().name(), ended(id, &active));
            }
        }
    }

    fn is_operated(&self, id: u32) -> bool {
        self.active.get(&id).is_some_and(|active| active.operation.is_some())
    }

    /// Notes the faults that waited for what never came.
    fn tell_of_the_dormant(
        &self,
        schedule: &Schedule,
        origin: Duration,
        left: impl Iterator<Item = Step>,
    ) {
        for step in left {
            let Step::Start(position) = step else { continue };
            let scheduled = &schedule.0[position];
            if let Some(trigger) = &scheduled.when
                && self.time.now() >= origin + Duration::from_millis(scheduled.at_ms)
            {
                let mut active = Active::new(scheduled, None);
                active.errors.push(format!("no {}", trigger.awaited()));
                (self.note)(scheduled.fault.kind().name(), failed(scheduled.id, &active));
            }
        }
    }

    /// Injects a fault, as far as that goes.
    async fn start(&mut self, scheduled: &ScheduledFault) -> Begun {
        let (id, fault) = (scheduled.id, &scheduled.fault);
        if let Some(trigger) = &scheduled.when
            && !self.waiting.contains_key(&id)
        {
            let lock_is_held = (self.lock_is_held)();
            if !self.triggers.has_come(self.machinery, id, trigger, lock_is_held).await {
                return Begun::Dormant;
            }
        }
        let now = self.time.now();
        let waited = now - *self.waiting.entry(id).or_insert(now);
        let leader = if fault.wants_leader() { self.machinery.leader().await } else { None };
        let mut active = Active::new(scheduled, leader.as_ref());
        if fault.wants_leader() && leader.is_none() {
            let wait_max = leader_wait_max(fault);
            if waited < wait_max {
                return Begun::NotYet;
            }
            let wait_ms = wait_max.as_millis();
            active.errors.push(format!("no node led for {wait_ms} ms"));
        } else if active.operation.is_some() {
            if !self.operate(id, &mut active).await {
                if self.hangs(&active) {
                    // It may have been done: now it must be gone through with, for this node.
                    active.errors.clear();
                } else if waited < REFUSAL_WAIT_MAX {
                    return Begun::NotYet;
                }
            }
        } else {
            self.inject(id, leader.as_ref(), &mut active).await;
        }
        self.waiting.remove(&id);
        let name = fault.kind().name();
        if active.took_hold() || self.hangs(&active) {
            (self.note)(name, started(id, &active));
            self.active.insert(id, active);
            Begun::Yes
        } else {
            (self.note)(name, failed(id, &active));
            Begun::No
        }
    }

    /// Takes the first step of what an operator does; whether it was done.
    async fn operate(&mut self, id: u32, active: &mut Active) -> bool {
        let others = self.active.values();
        if active.fault.changes_members()
            && others.into_iter().any(|other| other.fault.changes_members())
        {
            active.errors.push("another change of members is under way".to_owned());
            return false;
        }
        let now = self.time.now();
        if let Tried::Done = self.state.step(self.machinery, now, id, active).await {
            return true;
        }
        let refusal = active.operation.as_ref().and_then(|operation| operation.refusal());
        active.errors.extend(refusal.map(str::to_owned));
        false
    }

    /// Whether it is not known if the change of members that the fault begins with was made.
    fn hangs(&self, active: &Active) -> bool {
        let changes = active.operation.as_ref().and_then(|operation| operation.changes());
        changes.is_some_and(|node| self.machinery.is_uncertain(node))
    }

    async fn inject(&mut self, id: u32, leader: Option<&NodeId>, active: &mut Active) {
        match active.fault.kind().needs() {
            Capability::Kill | Capability::Terminate => {
                self.state.kill(self.machinery, id, active).await;
            }
            Capability::Pause => {
                self.state.pause(self.machinery, id, active).await;
            }
            Capability::Link | Capability::ClientLink => {
                let links = active.fault.cuts(&self.nodes, leader).unwrap_or_default();
                self.state.cut(self.machinery, links, active).await;
            }
            Capability::Shape => {
                self.state.shapes.begin(self.machinery, id, leader, active).await;
            }
            Capability::Clock => {
                self.state.clocks.begin(self.machinery, id, active).await;
            }
            Capability::Disk => {
                self.state.break_disks(self.machinery, id, active).await;
            }
            // These are done step by step.
            Capability::Members
            | Capability::Maintenance
            | Capability::Restore
            | Capability::Upgrade => {}
        }
    }

    /// How long until the next turn of a fault, if there is one.
    fn next_turn(&self, id: u32) -> Option<Duration> {
        let active = self.active.get(&id)?;
        match &active.operation {
            Some(operation) if operation.has_begun() => None,
            Some(operation) if operation.refusal().is_some() => Some(POLL),
            Some(_) => Some(Duration::ZERO),
            None => active.fault.next_turn(active.turn, active.for_ms),
        }
    }

    /// The next turn of a fault that has several; how long until the one after it, if there is one.
    async fn turn(&mut self, id: u32) -> Option<Duration> {
        let active = self.active.get_mut(&id)?;
        active.turn += 1;
        let begins = active.operation.as_ref().is_some_and(|operation| !operation.has_begun());
        match &active.fault {
            _ if begins => {
                let now = self.time.now();
                self.state.step(self.machinery, now, id, active).await;
            }
            Fault::ClockStrobe { .. } => self.state.clocks.toggle(self.machinery, id, active).await,
            Fault::Slow { .. } => self.state.slow(self.machinery, id, active).await,
            Fault::Flap { .. } => self.state.flap(self.machinery, active).await,
            Fault::Swizzle { .. } => self.state.swizzle(self.machinery, active).await,
            _ => {}
        }
        self.next_turn(id)
    }

    /// Ends a fault that is under way; when it cannot be ended yet, how long until the next try.
    async fn end(&mut self, id: u32) -> Option<Duration> {
        let active = self.active.get_mut(&id)?;
        if let Some(operation) = &active.operation {
            if !operation.has_begun() {
                return Some(POLL);
            }
            match self.state.step(self.machinery, self.time.now(), id, active).await {
                Tried::Done => return Some(Duration::ZERO),
                Tried::Again => return Some(POLL),
                Tried::Over => {}
            }
        }
        let mut active = self.active.remove(&id)?;
        if active.operation.is_none() {
            active.errors.clear();
            self.undo(id, &mut active).await;
        } else {
            // A spare that is out again is held by nobody.
            self.state.let_go(id);
        }
        (self.note)(active.fault.kind().name(), ended(id, &active));
        None
    }

    async fn undo(&mut self, id: u32, active: &mut Active) {
        match active.fault.kind().needs() {
            Capability::Kill | Capability::Terminate => {
                self.state.unkill(self.machinery, id, active).await;
            }
            Capability::Pause => {
                self.state.resume(self.machinery, id, active).await;
            }
            Capability::Link | Capability::ClientLink => {
                self.state.heal_all(self.machinery, active).await;
            }
            Capability::Shape => {
                self.state.shapes.end(self.machinery, id, active).await;
            }
            Capability::Clock => {
                self.state.clocks.end(self.machinery, id, active).await;
            }
            Capability::Disk => {
                self.state.mend_disks(self.machinery, id, active).await;
            }
            // These are done step by step.
            Capability::Members
            | Capability::Maintenance
            | Capability::Restore
            | Capability::Upgrade => {}
        }
    }
}

/// How long the fault waits for somebody to lead: an operator's as long as for anything else that
/// it needs of the cluster.
fn leader_wait_max(fault: &Fault) -> Duration {
    match fault.needs() {
        Capability::Members | Capability::Maintenance | Capability::Restore => REFUSAL_WAIT_MAX,
        _ => LEADER_WAIT_MAX,
    }
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod tests;
