//! One logical process after another, in one slot, pinned to one node.

use super::environment::Environment;
use super::flag::Flag;
use super::pace::Pace;
use super::record::Recorder;
use futures::future::select;
use ordeal_history::Outcome;
use ordeal_nemesis::{NodeId, Time, by};
use ordeal_workloads::{Completion, Generator, Next, Options, Planned, StoreError, Workload};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::pin;
use std::time::Duration;

/// How long a slot rests after a connection was refused, so that it does not spin.
const REFUSED_REST: Duration = Duration::from_millis(100);

/// Every other slot waits so many times shorter for an answer than the rest.
const IMPATIENCE: u32 = 8;

/// What all slots share.
pub struct Shared<'a, W, E, T> {
    pub environment: &'a E,
    pub time: &'a T,
    pub recorder: &'a Recorder<'a, T>,
    pub generator: RefCell<Box<dyn Generator>>,
    pub slots: u32,
    /// How long a patient client waits for an answer.
    pub op_timeout: Duration,
    pub workload: PhantomData<W>,
}

/// A slot: a sequence of processes, of which one is alive.
pub struct Client<'a, W, E: Environment, T> {
    shared: &'a Shared<'a, W, E, T>,
    slot: usize,
    node: NodeId,
    process: i64,
    store: Option<E::Store>,
    patience: Duration,
    rng: ChaCha8Rng,
}

impl<'a, W: Workload, E: Environment, T: Time> Client<'a, W, E, T> {
    /// The slot's first process. All draws of the slot come from `rng`.
    ///
    /// Patient clients see what a late answer says. Impatient ones are free again while an election
    /// lasts, and so the first to find a new leader, and to see whether the old one knows of it.
    pub fn new(
        shared: &'a Shared<'a, W, E, T>,
        slot: usize,
        node: NodeId,
        rng: ChaCha8Rng,
    ) -> Self {
        let process = i64::try_from(slot).unwrap_or(i64::MAX);
        let patience = match slot % 2 {
            0 => shared.op_timeout,
            _ => (shared.op_timeout / IMPATIENCE).max(Duration::from_millis(1)),
        };
        Client { shared, slot, node, process, store: None, patience, rng }
    }

    /// Works from `origin` until `end`, or until `stop` is raised. An operation that is under way
    /// then is finished, which takes no longer than its timeout.
    pub async fn work(
        &mut self,
        options: &Options,
        rate_per_s: u32,
        origin: Duration,
        end: Duration,
        stop: &Flag,
    ) {
        let time = self.shared.time;
        let mut pace = Pace::new(origin, self.slot, self.shared.slots, rate_per_s);
        loop {
            let due = pace.due(time.now(), &mut self.rng);
            select(pin!(stop.raised()), pin!(time.sleep_until(due.min(end)))).await;
            if stop.is_raised() || due >= end || time.now() >= end {
                return;
            }
            let next = self.shared.generator.borrow_mut().next(self.slot, &mut self.rng);
            match next {
                Next::Done => return,
                // Asked again when the next operation is due.
                Next::Wait => {}
                Next::Invoke(operation) => {
                    if !self.perform(options, &operation).await {
                        select(pin!(stop.raised()), pin!(time.sleep(REFUSED_REST))).await;
                    }
                }
            }
        }
    }

    /// The reads after the last heal, until there are none left or `stop` is raised.
    pub async fn final_reads(&mut self, options: &Options, stop: &Flag) {
        while !stop.is_raised() {
            let next = self.shared.generator.borrow_mut().next_final(self.slot);
            match next {
                Next::Done => return,
                Next::Wait => self.shared.time.sleep(Duration::from_millis(1)).await,
                Next::Invoke(operation) => {
                    if !self.perform(options, &operation).await {
                        self.shared.time.sleep(REFUSED_REST).await;
                    }
                }
            }
        }
    }

    /// One operation, recorded. Whether there was a connection for it.
    async fn perform(&mut self, options: &Options, operation: &Planned) -> bool {
        let recorder = self.shared.recorder;
        recorder.invoke(self.process, &self.node, operation);
        let deadline = self.shared.time.now() + self.patience;
        let (completion, connected) = match self.connection(deadline).await {
            Ok(mut store) => {
                (self.send(&mut store, options, operation, deadline).await, Some(store))
            }
            Err(error) => (Completion::of_error(error), None),
        };
        recorder.complete(self.process, &self.node, operation, &completion);
        self.shared.generator.borrow_mut().observe(operation, &completion);
        let reached = connected.is_some();
        if completion.error.is_none() {
            // After an error the next operation gets a connection of its own: this one may be
            // broken, and the request may still be on its way in it.
            self.store = connected;
        }
        if completion.outcome == Outcome::Info {
            self.process += i64::from(self.shared.slots);
        }
        reached
    }

    /// The connection that there is, or a new one.
    async fn connection(&mut self, deadline: Duration) -> Result<E::Store, StoreError> {
        if let Some(store) = self.store.take() {
            return Ok(store);
        }
        let connecting = self.shared.environment.connect(&self.node);
        by(self.shared.time, deadline, connecting).await.unwrap_or_else(|| {
            let ms = self.patience.as_millis();
            Err(StoreError::DidNotHappen(format!("no connection to {} in {ms} ms", self.node)))
        })
    }

    async fn send(
        &self,
        store: &mut E::Store,
        options: &Options,
        operation: &Planned,
        deadline: Duration,
    ) -> Completion {
        let sending = W::send(store, options, operation);
        by(self.shared.time, deadline, sending).await.unwrap_or_else(|| {
            let ms = self.patience.as_millis();
            Completion::of_error(StoreError::Indeterminate(format!("no answer in {ms} ms")))
        })
    }
}
