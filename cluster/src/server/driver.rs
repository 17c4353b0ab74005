//! Runs the core: takes what comes, steps the node, and carries out its effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::disk_thread::LogThread;
use super::peers::Peers;
use super::say::say;
use super::syncs::Syncs;
use super::watching::{self, Outlet, Requests, Responses};
use super::{Config, ServerError};
use crate::bugs::Bug;
use crate::core::{
    Credentials, Effect, Event, Node, Request, RequestId, Response, StreamId, WatchInput,
};
use crate::disk::Disk;
use crate::error::ApiError;
use crate::log::snapshot::{self, Image};

/// Inputs stepped together before a flush.
const BATCH_MAX: usize = 1_024;

/// What reaches the driver.
pub(super) enum Input {
    Event(Event),
    /// A client opens a stream of watches.
    WatchOpen(StreamId, Outlet),
    Watch(StreamId, WatchInput),
    Request(Request, Credentials, oneshot::Sender<Result<Response, ApiError>>),
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
    last_stream: Arc<AtomicU64>,
    syncs: Arc<Syncs>,
}

impl Handle {
    pub fn new(inputs: mpsc::Sender<Input>) -> Self {
        let (leader, last_stream, syncs) = (Arc::default(), Arc::default(), Arc::default());
        Self { inputs, leader, last_stream, syncs }
    }

    /// Asks the node on behalf of whom the credentials show. The request runs its course even if
    /// the caller does not wait for the answer.
    pub async fn ask_as(
        &self,
        request: Request,
        credentials: Credentials,
    ) -> Result<Response, ApiError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.inputs.send(Input::Request(request, credentials, answer)).await;
        sent.map_err(|_| ApiError::Stopped)?;
        answered.await.unwrap_or(Err(ApiError::Stopped))
    }

    /// Opens a stream of watches.
    pub async fn watch(&self) -> Result<(Requests, Responses), ApiError> {
        let id = self.last_stream.fetch_add(1, Ordering::Relaxed) + 1;
        let (outlet, requests, responses) = watching::stream(id, self.inputs.clone());
        let sent = self.inputs.send(Input::WatchOpen(id, outlet)).await;
        sent.map_err(|_| ApiError::Stopped)?;
        Ok((requests, responses))
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
    outlets: FxHashMap<StreamId, Outlet>,
    tells_wall_clock: bool,
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
            outlets: FxHashMap::default(),
            tells_wall_clock: config.bugs.has(Bug::LeaseReadWallClock),
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
            if self.tells_wall_clock {
                self.node.step(now_us, Event::WallClock(wall_us()), &mut effects);
            }
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
            Input::WatchOpen(id, outlet) => {
                self.outlets.insert(id, outlet);
                self.node.step(now_us, Event::Watch(id, WatchInput::Open), out);
            }
            Input::Watch(id, input) => {
                if input == WatchInput::Close {
                    self.outlets.remove(&id);
                }
                self.node.step(now_us, Event::Watch(id, input), out);
            }
            Input::Request(request, credentials, answer) => {
                self.last_request += 1;
                self.waiting.insert(self.last_request, answer);
                let event = Event::RequestAs(self.last_request, request, credentials);
                self.node.step(now_us, event, out);
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
            Effect::SendSnapshot(message, image) => self.peers.send_snapshot(message, *image),
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
            Effect::Watch(id, response) => {
                if let Some(outlet) = self.outlets.get(&id) {
                    outlet.send(response);
                }
            }
            Effect::WatchEnded(id, error) => {
                if let Some(outlet) = self.outlets.remove(&id) {
                    outlet.end(error);
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

/// What the clock on the wall shows, in microseconds since 1970.
fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}
