//! Runs the core: takes what comes, steps the node, and carries out its effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::disk_thread::LogThread;
use super::peers::Peers;
use super::say::say;
use super::syncs::Syncs;
use super::{Config, ServerError};
use crate::core::{Effect, Event, Node, Request, RequestId, Response};
use crate::disk::Disk;
use crate::error::ApiError;
use crate::log::snapshot::{self, Image};

/// Inputs stepped together before a flush.
const BATCH_MAX: usize = 1_024;

/// What reaches the driver.
pub(super) enum Input {
    Event(Event),
    Request(Request, oneshot::Sender<Result<Response, ApiError>>),
    /// A peer has called, and this is where it is reached.
    Meet(u64, Vec<String>),
    /// A peer says that this node is no member any more.
    Removed,
    /// Something broke that the node cannot go on without.
    Failed(String),
}

/// How the API's handlers reach the node.
#[derive(Clone)]
pub(super) struct Handle {
    inputs: mpsc::Sender<Input>,
    leader: Arc<AtomicU64>,
    syncs: Arc<Syncs>,
}

impl Handle {
    pub fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self { inputs, leader: Arc::default(), syncs: Arc::default() }
    }

    /// Asks the node. The request runs its course even if the caller does not wait for the answer.
    pub async fn ask(&self, request: Request) -> Result<Response, ApiError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.inputs.send(Input::Request(request, answer)).await;
        sent.map_err(|_| ApiError::Stopped)?;
        answered.await.unwrap_or(Err(ApiError::Stopped))
    }

    /// How long the log's syncs take.
    pub fn syncs(&self) -> &Syncs {
        &self.syncs
    }

    /// Whether the node knows a leader.
    pub fn has_leader(&self) -> bool {
        self.leader.load(Ordering::Relaxed) != 0
    }
}

pub(super) struct Driver {
    node: Node,
    tick: Duration,
    handle: Handle,
    log: LogThread,
    disk: Arc<dyn Disk>,
    peers: Peers,
    inputs: mpsc::Sender<Input>,
    waiting: FxHashMap<RequestId, oneshot::Sender<Result<Response, ApiError>>>,
    last_request: RequestId,
    started: Instant,
    /// The log's thread has ended: nothing more would become durable.
    log_is_gone: bool,
    /// This node has been removed, and goes on until then so that the others hear of it.
    ends: Option<Instant>,
    /// How long that is.
    farewell: Duration,
}

impl Driver {
    pub fn new(
        node: Node,
        config: &Config,
        handle: Handle,
        log: LogThread,
        disk: Arc<dyn Disk>,
        peers: Peers,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            node,
            tick: config.heartbeat_interval,
            handle,
            log,
            disk,
            peers,
            inputs,
            waiting: FxHashMap::default(),
            last_request: 0,
            started: Instant::now(),
            log_is_gone: false,
            ends: None,
            farewell: config.election_timeout,
        }
    }

    /// Runs until `stop` is done or something breaks; then gives up the data directory.
    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = interval(self.tick);
        // A process that was stopped for a while must not take the ticks that it missed for
        // silence of the leader.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let mut effects = Vec::new();
        let result = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                _ = ticks.tick() => batch.push(Input::Event(Event::Tick)),
                _ = inputs.recv_many(&mut batch, BATCH_MAX) => {}
            }
            let now_us = self.started.elapsed().as_micros() as u64;
            let failed = batch.drain(..).find_map(|input| self.take(now_us, input, &mut effects));
            if let Some(error) = failed {
                break Err(error);
            }
            if self.ends.is_some_and(|ends| ends <= Instant::now()) {
                break Err(ServerError::Removed);
            }
            self.node.flush(&mut effects);
            self.handle.leader.store(self.node.status().leader, Ordering::Relaxed);
            let mut unreachable = Vec::new();
            for effect in effects.drain(..) {
                unreachable.extend(self.perform(effect));
            }
            if std::mem::take(&mut self.log_is_gone) && inputs.is_empty() {
                let what = "the thread that writes the log has ended";
                break Err(ServerError::Failed(what.into()));
            }
            for peer in unreachable {
                self.node.step(now_us, Event::Unreachable(peer), &mut effects);
            }
        };
        self.end(inputs).await;
        result
    }

    fn take(&mut self, now_us: u64, input: Input, out: &mut Vec<Effect>) -> Option<ServerError> {
        match input {
            Input::Event(event) => self.node.step(now_us, event, out),
            Input::Request(request, answer) => {
                self.last_request += 1;
                self.waiting.insert(self.last_request, answer);
                self.node.step(now_us, Event::Request(self.last_request, request), out);
            }
            Input::Meet(peer, urls) => self.peers.meet(peer, &urls),
            Input::Removed => return Some(ServerError::Removed),
            Input::Failed(what) => return Some(ServerError::Failed(what)),
        }
        None
    }

    /// Carries out an effect; gives the peer that a message could not be sent to.
    fn perform(&mut self, effect: Effect) -> Option<u64> {
        match effect {
            Effect::Send(message) => return self.peers.send(message).err(),
            Effect::SendSnapshot(message, image) => self.peers.send_snapshot(message, image),
            Effect::Write(write, number) => {
                // A thread that ended on an error has said why, and that is in the inputs already;
                // this is for one that panicked.
                self.log_is_gone |= self.log.jobs.send((write, number)).is_err();
            }
            Effect::SaveSnapshot(image) => self.save_snapshot(image),
            Effect::Respond(id, result) => {
                if let Some(answer) = self.waiting.remove(&id) {
                    // The client may be gone; the request has run its course all the same.
                    let _ = answer.send(result);
                }
            }
            Effect::Members { members, removed } => self.peers.set(&members, &removed),
            Effect::Removed => self.ends = Some(Instant::now() + self.farewell),
            Effect::Note(note) => say(format_args!("{note}")),
        }
        None
    }

    fn save_snapshot(&self, image: Image) {
        let disk = self.disk.clone();
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            let input = match snapshot::save(&*disk, &image) {
                Ok(()) => Input::Event(Event::SnapshotSaved(image.position())),
                Err(error) => Input::Failed(error.to_string()),
            };
            // If the driver is gone the file is an orphan, which the next start removes.
            let _ = inputs.blocking_send(input);
        });
    }

    async fn end(self, inputs: mpsc::Receiver<Input>) {
        // Whoever waits to report something is let go first, or the log's thread would never end.
        drop(inputs);
        let LogThread { jobs, thread } = self.log;
        drop(jobs);
        // If the thread panicked there is no more to say than the panic has said.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}
