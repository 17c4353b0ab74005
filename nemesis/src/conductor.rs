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
mod processes;
mod state;

use crate::{Capability, Fault, Machinery, NodeId, Schedule, ScheduledFault, Time};
use futures::future::{Either, select};
use note::{ended, failed, started};
use ordeal_history::Value;
use state::{Active, State};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// How long a fault that is aimed at the leader waits for one to be elected. Other faults go on
/// meanwhile: it may be that there can be none before they are over.
const LEADER_WAIT_MAX: Duration = Duration::from_millis(3_000);
/// How often the cluster is asked meanwhile.
const LEADER_POLL: Duration = Duration::from_millis(100);

/// Plays schedules. `note` gets each fault's name and what is to stand in the history.
pub struct Conductor<'a, M, T, N> {
    machinery: &'a M,
    time: &'a T,
    note: N,
    nodes: Vec<NodeId>,
    state: State,
    active: BTreeMap<u32, Active>,
    /// Faults that wait for a leader, and since when.
    leaderless: BTreeMap<u32, Duration>,
}

/// How a fault began.
enum Begun {
    Yes,
    /// None of it took hold.
    No,
    /// Nobody leads just now.
    NotYet,
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
        let (state, active, leaderless) = (State::default(), BTreeMap::new(), BTreeMap::new());
        Conductor { machinery, time, note, nodes, state, active, leaderless }
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
        while let Some(((at, _, _), step)) = steps.pop_first() {
            let wait = pin!(self.time.sleep_until(at));
            if let Either::Left(_) = select(stop.as_mut(), wait).await {
                break;
            }
            match step {
                Step::End(id) => self.end(id).await,
                Step::Turn(id) => {
                    if let Some(again) = self.turn(id).await {
                        steps.insert((self.time.now() + again, id, false), Step::Turn(id));
                    }
                }
                Step::Start(position) => {
                    let fault = &schedule.0[position];
                    match self.start(fault).await {
                        Begun::No => {}
                        Begun::NotYet => {
                            let again = self.time.now() + LEADER_POLL;
                            steps.insert((again, fault.id, false), Step::Start(position));
                        }
                        Begun::Yes => {
                            let now = self.time.now();
                            let end = now + Duration::from_millis(fault.for_ms);
                            steps.insert((end, fault.id, true), Step::End(fault.id));
                            if let Some(wait) = fault.fault.next_turn(0, fault.for_ms) {
                                steps.insert((now + wait, fault.id, false), Step::Turn(fault.id));
                            }
                        }
                    }
                }
            }
        }
        while let Some(id) = self.active.keys().next().copied() {
            self.end(id).await;
        }
    }

    /// Injects a fault, as far as that goes.
    async fn start(&mut self, scheduled: &ScheduledFault) -> Begun {
        let (id, fault) = (scheduled.id, &scheduled.fault);
        let leader = if fault.wants_leader() { self.machinery.leader().await } else { None };
        let mut active = Active::new(fault, scheduled.for_ms, leader.as_ref());
        if fault.wants_leader() && leader.is_none() {
            let now = self.time.now();
            if now < *self.leaderless.entry(id).or_insert(now) + LEADER_WAIT_MAX {
                return Begun::NotYet;
            }
            let wait_ms = LEADER_WAIT_MAX.as_millis();
            active.errors.push(format!("no node led for {wait_ms} ms"));
        } else {
            self.inject(id, leader.as_ref(), &mut active).await;
        }
        self.leaderless.remove(&id);
        let name = fault.kind().name();
        if active.took_hold() {
            (self.note)(name, started(id, &active));
            self.active.insert(id, active);
            Begun::Yes
        } else {
            (self.note)(name, failed(id, &active));
            Begun::No
        }
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
        }
    }

    /// The next turn of a fault that has several; how long until the one after it, if there is one.
    async fn turn(&mut self, id: u32) -> Option<Duration> {
        let active = self.active.get_mut(&id)?;
        active.turn += 1;
        match &active.fault {
            Fault::ClockStrobe { .. } => self.state.clocks.toggle(self.machinery, id, active).await,
            Fault::Slow { .. } => self.state.slow(self.machinery, id, active).await,
            Fault::Flap { .. } => self.state.flap(self.machinery, active).await,
            Fault::Swizzle { .. } => self.state.swizzle(self.machinery, active).await,
            _ => {}
        }
        active.fault.next_turn(active.turn, active.for_ms)
    }

    /// Ends a fault that is under way.
    async fn end(&mut self, id: u32) {
        let Some(mut active) = self.active.remove(&id) else {
            return;
        };
        active.errors.clear();
        match active.fault.kind().needs() {
            Capability::Kill | Capability::Terminate => {
                self.state.unkill(self.machinery, id, &mut active).await;
            }
            Capability::Pause => {
                self.state.resume(self.machinery, id, &mut active).await;
            }
            Capability::Link | Capability::ClientLink => {
                self.state.heal_all(self.machinery, &mut active).await;
            }
            Capability::Shape => {
                self.state.shapes.end(self.machinery, id, &mut active).await;
            }
            Capability::Clock => {
                self.state.clocks.end(self.machinery, id, &mut active).await;
            }
            Capability::Disk => {
                self.state.mend_disks(self.machinery, id, &mut active).await;
            }
        }
        (self.note)(active.fault.kind().name(), ended(id, &active));
    }
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
