//! A cluster of cores driven by hand: simulated time, network and disks, one thread, one seed.
//!
//! Fault model: messages are late, out of order, lost or cut off by links; a sync takes a while; a
//! crash loses or tears what was not synced. After every flush the world checks that no term has
//! two leaders, and that all nodes which applied the same entry hold the same revision.

pub mod disk;
mod draw;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::core::{
    Credentials, Effect, Event, Node, Request, RequestId, Response, Status, StreamId, WatchInput,
};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::log::{Log, LogError, Position, snapshot};
use ordeal_cluster::proto::etcdserverpb::{PutRequest, RangeRequest, WatchResponse};
use ordeal_cluster::state::{Applied, State};
use prost::Message as _;
use raft::StateRole;
use raft::eraftpb::{Message, SnapshotMetadata};

use disk::{Line, Watched};
pub use draw::Draw;

pub const TICK_US: u64 = 100_000;
const CLUSTER: u64 = 77;
/// What the clocks on the walls show when a world begins.
const WALL_US: u64 = 1_000_000_000_000;

pub struct Options {
    pub nodes: u64,
    pub seed: u64,
    pub bugs: Bugs,
    pub snapshot_count: u64,
    pub segment_bytes: u64,
    /// Of a hundred messages, so many are lost.
    pub loss_percent: u64,
}

impl Options {
    pub fn new(nodes: u64, seed: u64) -> Self {
        let bugs = Bugs::default();
        Self { nodes, seed, bugs, snapshot_count: 1_000, segment_bytes: 1 << 20, loss_percent: 0 }
    }
}

enum Happening {
    Tick,
    Deliver(Box<Message>),
    Reachable(u64),
    Sync,
    SnapshotSaved(Position),
    SnapshotSent { peer: u64, arrived: bool },
    Taken(StreamId, usize),
}

pub struct World {
    pub options: Options,
    pub now_us: u64,
    pub draw: Draw,
    /// What is due, by time and order of making: for whom, and for which of its incarnations.
    due: BTreeMap<(u64, u64), (u64, u64, Happening)>,
    made: u64,
    places: BTreeMap<u64, Place>,
    /// Directed links that are cut.
    pub cut: BTreeSet<(u64, u64)>,
    pub answers: BTreeMap<RequestId, Result<Response, ApiError>>,
    last_request: RequestId,
    leaders: BTreeMap<u64, u64>,
    revisions: BTreeMap<u64, (u64, i64)>,
    pub notes: Vec<String>,
    /// If asked for: what all who have applied up to an entry hold, by its index.
    pub records_states: bool,
    pub states: BTreeMap<u64, Vec<u8>>,
    pub trace: u64,
    /// What each stream of watches was told.
    pub told: BTreeMap<StreamId, Vec<WatchResponse>>,
    /// The streams whose clients take nothing.
    pub idle: BTreeSet<StreamId>,
    /// The nodes that are stopped, and until when.
    paused: BTreeMap<u64, u64>,
    /// By how much the wall clocks that are wrong are behind.
    pub behind_us: BTreeMap<u64, u64>,
}

struct Place {
    disk: Watched,
    incarnation: u64,
    up: Option<(Node, Log)>,
    /// The newest number written, and whether a sync is under way.
    written: u64,
    syncing: bool,
}

impl World {
    pub fn new(options: Options) -> Self {
        let mut world = Self {
            now_us: 0,
            draw: Draw(options.seed),
            due: BTreeMap::new(),
            made: 0,
            places: BTreeMap::new(),
            cut: BTreeSet::new(),
            answers: BTreeMap::new(),
            last_request: 0,
            leaders: BTreeMap::new(),
            revisions: BTreeMap::new(),
            notes: Vec::new(),
            records_states: false,
            states: BTreeMap::new(),
            trace: 0,
            told: BTreeMap::new(),
            idle: BTreeSet::new(),
            paused: BTreeMap::new(),
            behind_us: BTreeMap::new(),
            options,
        };
        for id in 1..=world.options.nodes {
            world.join(id);
        }
        world
    }

    /// Starts a node that was not there before: one beyond the first joins the running cluster.
    pub fn join(&mut self, id: u64) {
        let disk = Watched::default();
        let place = Place { disk, incarnation: 0, up: None, written: 0, syncing: false };
        self.places.insert(id, place);
        self.start(id);
    }

    pub fn ids(&self) -> Vec<u64> {
        self.places.keys().copied().collect()
    }

    pub fn start(&mut self, id: u64) {
        let place = self.places.get_mut(&id).expect("a node of the world");
        place.incarnation += 1;
        (place.written, place.syncing) = (0, false);
        let (disk, incarnation) = (place.disk.clone(), place.incarnation);
        let Some((log, recovered)) = self.powered(id, self.open(id, Arc::new(disk))) else {
            return;
        };
        let node = Node::new(self.config(id, incarnation), recovered);
        let node = node.expect("the configuration is good");
        self.places.get_mut(&id).expect("a node of the world").up = Some((node, log));
        let offset = self.draw.below(TICK_US);
        self.later(offset, id, Happening::Tick);
        for peer in self.ids() {
            if peer != id && self.is_up(peer) && !self.cut.contains(&(id, peer)) {
                self.later(1_000, id, Happening::Reachable(peer));
                self.later(1_000, peer, Happening::Reachable(id));
            }
        }
    }

    /// Cuts a node's power.
    pub fn crash(&mut self, id: u64) {
        let place = self.places.get_mut(&id).expect("a node of the world");
        if place.up.take().is_some() || place.disk.is_off() {
            let draw = &mut self.draw;
            place.disk.crash(|| draw.next());
        }
    }

    /// What the disk gave; a node whose disk has lost its power is down.
    fn powered<T>(&mut self, id: u64, result: Result<T, LogError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(_) if self.places[&id].disk.is_off() => {
                self.crash(id);
                None
            }
            Err(error) => panic!("seed {}, node {id}: {error}", self.options.seed),
        }
    }

    /// The disk of a node.
    pub fn disk(&self, id: u64) -> &Watched {
        &self.places[&id].disk
    }

    pub fn is_up(&self, id: u64) -> bool {
        self.places[&id].up.is_some()
    }

    pub fn status(&self, id: u64) -> Option<Status> {
        self.places[&id].up.as_ref().map(|(node, _)| node.status())
    }

    /// The state of a node that is up.
    pub fn state(&self, id: u64) -> Option<&State> {
        self.places[&id].up.as_ref().map(|(node, _)| node.state())
    }

    /// Whether a node leads, as far as it knows.
    pub fn leads(&self, id: u64) -> bool {
        self.status(id).is_some_and(|status| status.role == StateRole::Leader)
    }

    /// Isolates a node from all others, both ways.
    pub fn isolate(&mut self, id: u64) {
        for other in self.ids() {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// The leader of the highest term.
    pub fn leader(&self) -> Option<u64> {
        let leads = |id: &u64| {
            self.status(*id).filter(|s| s.role == StateRole::Leader).map(|s| (s.term, *id))
        };
        self.ids().iter().filter_map(leads).max().map(|(_, id)| id)
    }

    pub fn ask(&mut self, id: u64, request: Request) -> RequestId {
        self.last_request += 1;
        let request_id = self.last_request;
        self.event(id, Event::Request(request_id, request));
        request_id
    }

    pub fn watch(&mut self, id: u64, stream: StreamId, input: WatchInput) {
        self.event(id, Event::Watch(stream, input));
    }

    /// Stops a node for a while, as a signal would: its messages and ticks wait.
    pub fn pause(&mut self, id: u64, time_us: u64) {
        let until = self.now_us + time_us;
        let waiting: Vec<(u64, u64)> = self
            .due
            .iter()
            .filter(|((at, _), (whose, ..))| *whose == id && *at < until)
            .map(|(when, _)| *when)
            .collect();
        for (at, made) in waiting {
            if let Some(happening) = self.due.remove(&(at, made)) {
                self.due.insert((until, made), happening);
            }
        }
        self.paused.insert(id, until);
    }

    /// Asks with a simple token, or with none if it is empty.
    pub fn ask_as(&mut self, id: u64, request: Request, token: &str) -> RequestId {
        self.last_request += 1;
        let credentials = match token {
            "" => Credentials::None,
            token => Credentials::SimpleToken(token.to_owned()),
        };
        self.event(id, Event::RequestAs(self.last_request, request, credentials));
        self.last_request
    }

    /// The auth revision of a node that is up.
    pub fn auth_revision(&self, id: u64) -> u64 {
        let up = self.places[&id].up.as_ref();
        up.map_or(0, |(node, _)| node.state().auth.revision())
    }

    pub fn put(&mut self, id: u64, key: &str, value: u64) -> RequestId {
        let (key, value) = (key.to_owned().into(), value.to_string().into());
        self.ask(id, Request::Put(PutRequest { key, value, ..PutRequest::default() }))
    }

    pub fn get(&mut self, id: u64, key: &str) -> RequestId {
        let key = key.to_owned().into();
        self.ask(id, Request::Range(RangeRequest { key, ..RangeRequest::default() }))
    }

    /// The number that a get found, 0 for none.
    pub fn got(&self, id: RequestId) -> Option<u64> {
        match self.answers.get(&id)? {
            Ok(Response::Applied(Applied::Range(range))) => {
                let value = range.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value));
                Some(value.map_or(0, |value| value.parse().expect("values are numbers")))
            }
            _ => None,
        }
    }

    pub fn acknowledged(&self, id: RequestId) -> bool {
        matches!(self.answers.get(&id), Some(Ok(_)))
    }

    /// Runs until the condition holds; fails the test if it does not within the time.
    pub fn until(&mut self, what: &str, within_us: u64, holds: impl Fn(&Self) -> bool) {
        let end = self.now_us + within_us;
        while !holds(self) {
            assert!(self.now_us < end, "seed {}: not in time: {what}", self.options.seed);
            self.next();
        }
    }

    pub fn run_us(&mut self, time_us: u64) {
        let end = self.now_us + time_us;
        while self.now_us < end {
            self.next();
        }
    }

    fn later(&mut self, delay_us: u64, id: u64, happening: Happening) {
        self.made += 1;
        let incarnation = self.places[&id].incarnation;
        let at = (self.now_us + delay_us).max(*self.paused.get(&id).unwrap_or(&0));
        self.due.insert((at, self.made), (id, incarnation, happening));
    }

    fn next(&mut self) {
        let Some(((at, _), (id, incarnation, happening))) = self.due.pop_first() else {
            // Every node is down: time passes.
            self.now_us += TICK_US;
            return;
        };
        self.now_us = at;
        let place = self.places.get_mut(&id).expect("a node of the world");
        let message = matches!(happening, Happening::Deliver(_));
        if place.up.is_none() || (place.incarnation != incarnation && !message) {
            return;
        }
        match happening {
            Happening::Tick => {
                self.later(TICK_US, id, Happening::Tick);
                self.event(id, Event::Tick);
            }
            Happening::Deliver(message) => {
                if !self.cut.contains(&(message.from, id)) {
                    self.event(id, Event::Message(*message));
                }
            }
            Happening::Sync => {
                place.syncing = false;
                let number = place.written;
                let Some((_, log)) = &mut place.up else { return };
                let synced = log.sync();
                if self.powered(id, synced).is_some() {
                    self.places[&id].disk.note(Line::Promised);
                    self.event(id, Event::Persisted(number));
                }
            }
            Happening::Taken(stream, bytes) => {
                self.watch(id, stream, WatchInput::Taken(bytes));
            }
            Happening::Reachable(peer) => self.event(id, Event::Reachable(peer)),
            Happening::SnapshotSaved(position) => self.event(id, Event::SnapshotSaved(position)),
            Happening::SnapshotSent { peer, arrived } => {
                self.event(id, Event::SnapshotSent { peer, arrived });
            }
        }
    }

    fn event(&mut self, id: u64, event: Event) {
        let now_us = self.now_us;
        let wall_us = WALL_US + now_us - self.behind_us.get(&id).unwrap_or(&0);
        let Some((node, _)) = &mut self.places.get_mut(&id).expect("a node").up else { return };
        let mut effects = Vec::new();
        node.step(now_us, Event::WallClock(wall_us), &mut effects);
        node.step(now_us, event, &mut effects);
        node.flush(&mut effects);
        for effect in effects {
            if self.is_up(id) {
                self.perform(id, effect);
            }
        }
        self.check(id);
    }

    fn perform(&mut self, id: u64, effect: Effect) {
        match effect {
            Effect::Send(message) => {
                self.mark(&format!("{id} {} {message:?}", self.now_us));
                self.deliver(message);
            }
            Effect::SendSnapshot(mut message, image) => {
                self.mark(&format!("{id} {} {message:?}", self.now_us));
                message.mut_snapshot().data = image.encode();
                let peer = message.to;
                let arrived = self.deliver(message);
                self.later(50_000, id, Happening::SnapshotSent { peer, arrived });
            }
            Effect::Write(write, number) => {
                self.mark(&format!("{id} {} {write:?}", self.now_us));
                self.write(id, &write, number);
            }
            Effect::SaveSnapshot(image) => {
                let position = image.position();
                self.mark(&format!("{id} {} {position:?}", self.now_us));
                let saved = snapshot::save(&self.places[&id].disk, &image);
                if self.powered(id, saved).is_none() {
                    return;
                }
                let delay = 1_000 + self.draw.below(50_000);
                self.later(delay, id, Happening::SnapshotSaved(position));
            }
            Effect::Respond(request, result) => {
                self.mark(&format!("{id} {} {request} {result:?}", self.now_us));
                let before = self.answers.insert(request, result);
                assert!(before.is_none(), "request {request} was answered twice");
            }
            Effect::Watch(stream, response) => {
                self.mark(&format!("{id} {} {stream} {response:?}", self.now_us));
                if !self.idle.contains(&stream) {
                    self.later(500, id, Happening::Taken(stream, response.encoded_len()));
                }
                self.told.entry(stream).or_default().push(response);
            }
            Effect::WatchEnded(stream, error) => {
                panic!("stream {stream} ended: {error}");
            }
            Effect::Members { .. } | Effect::Removed => {
                self.mark(&format!("{id} {} {effect:?}", self.now_us));
            }
            Effect::Note(note) => {
                self.mark(&format!("{id} {} {note}", self.now_us));
                self.notes.push(note.to_string());
            }
        }
    }

    fn write(&mut self, id: u64, write: &ordeal_cluster::log::Write, number: Option<u64>) {
        let place = self.places.get_mut(&id).expect("a node of the world");
        let Some((_, log)) = &mut place.up else { return };
        place.disk.note(Line::Wrote(Box::new(write.clone())));
        let taken = log.append(write);
        if self.powered(id, taken).is_none() {
            return;
        }
        let Some(number) = number else { return };
        let place = self.places.get_mut(&id).expect("a node of the world");
        place.written = number;
        if !place.syncing {
            place.syncing = true;
            // Now and then a sync is slow.
            let slowest = if self.draw.below(4) == 0 { 50_000 } else { 5_000 };
            let delay = 200 + self.draw.below(slowest);
            self.later(delay, id, Happening::Sync);
        }
    }

    fn deliver(&mut self, message: Message) -> bool {
        let lost = self.draw.below(100) < self.options.loss_percent;
        let delay = 100 + self.draw.below(2_000);
        let absent = !self.places.contains_key(&message.to);
        if lost || absent || self.cut.contains(&(message.from, message.to)) {
            return false;
        }
        self.later(delay, message.to, Happening::Deliver(Box::new(message)));
        true
    }

    fn mark(&mut self, line: &str) {
        self.trace = line.bytes().fold(self.trace, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(5)
        });
    }

    fn check(&mut self, id: u64) {
        let Some(status) = self.status(id) else { return };
        if status.role == StateRole::Leader {
            let first = *self.leaders.entry(status.term).or_insert(id);
            assert_eq!(first, id, "two leaders in term {}", status.term);
        }
        let here = (status.applied.term, status.revision);
        let there = *self.revisions.entry(status.applied.index).or_insert(here);
        assert_eq!(there, here, "nodes differ after entry {}", status.applied.index);
        if self.records_states {
            let state = Self::bytes_of(self.state(id).expect("it is up"));
            let known = self.states.entry(status.applied.index).or_insert_with(|| state.clone());
            assert!(*known == state, "the states differ after entry {}", status.applied.index);
        }
    }

    /// A state as the bytes of a snapshot without a place.
    pub fn bytes_of(state: &State) -> Vec<u8> {
        snapshot::Image { metadata: SnapshotMetadata::default(), state: state.clone() }.encode()
    }
}
