//! The simulated cluster: what is due next, and what comes of it.
//!
//! One queue of happenings in the order of their time, and where that is equal in the order in
//! which they were made. Nothing else moves, so a seed is the whole story.

mod links;
mod rare;
mod turns;

pub use rare::RARE;

use super::host::{Answered, Host, Place, as_ns};
use super::safety::Safety;
use super::settings::Settings;
use super::story::Story;
use super::trace::Trace;
use super::wire::{CLIENTS, End, Parcel, Wire};
use crate::plan::Plan;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::core::{
    Credentials, Effect, Message, Request, RequestId, StateRole, StreamId, WatchInput,
};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::log::snapshot::Image;
use ordeal_cluster::proto::etcdserverpb::{Member, WatchResponse};
use ordeal_nemesis::clock::{ClockReading, ClockSkew};
use ordeal_nemesis::disk::Loss;
use ordeal_nemesis::{NodeId, Time, VirtualTime};
use ordeal_reports::Spacetime;
use ordeal_workloads::Login;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What happens to a node.
pub enum Happening {
    Tick,
    Message(Box<Message>),
    Reachable(u64),
    Disconnected(u64),
    Sync,
    Save(Box<Image>),
    SnapshotSent {
        peer: u64,
        arrived: bool,
    },
    Ask(Box<Asked>),
    Open(StreamId, Outlet),
    Watch(StreamId, Box<WatchInput>),
    /// The others say that it is no member any more.
    Expelled,
}

/// What comes over a stream of watches, or why it ends.
pub type Streamed = Result<WatchResponse, ApiError>;

/// A process' end of a stream of watches.
#[derive(Clone)]
pub struct Outlet {
    end: End,
    process: u64,
    id: StreamId,
    client: UnboundedSender<Streamed>,
}

/// A client's request on its way.
pub struct Asked {
    pub request: Request,
    pub credentials: Credentials,
    pub answer: oneshot::Sender<Answered>,
}

/// What goes over the wire.
enum Cargo {
    Raft(Box<Message>),
    Ask(Box<Asked>),
    Answer(oneshot::Sender<Answered>, Box<Answered>),
    Open(StreamId, Outlet),
    Watch(StreamId, Box<WatchInput>),
    Watched(Outlet, Box<Streamed>),
    /// Whether a process is there to take a connection, and which.
    Knock(oneshot::Sender<Option<u64>>),
    Knocked(oneshot::Sender<Option<u64>>, Option<u64>),
}

enum Due {
    /// For this process of the host, and no other.
    Process(End, u64, Happening),
    /// Arrives at its end; from a client, for this process.
    Parcel(Parcel<Cargo>, u64),
    /// If the link is still cut, the connection is gone.
    GiveUp(End, End, Duration),
}

/// The cluster, its network and its disks.
pub struct World {
    pub time: VirtualTime,
    inner: RefCell<Inner>,
}

struct Inner {
    settings: Settings,
    members: Vec<Member>,
    seed: u64,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Due>,
    made: u64,
    hosts: Vec<Host>,
    wire: Wire<(Cargo, u64)>,
    trace: Trace,
    story: Story,
    safety: Safety,
    effects: Vec<Effect>,
    last_request: RequestId,
    /// Those whose answers can come no more, and who cannot know it: the link is cut.
    limbo: Vec<oneshot::Sender<Answered>>,
    /// Streams of the same kind.
    limbo_streams: Vec<Outlet>,
    last_stream: StreamId,
    last_token: u64,
    /// As whom operators ask.
    operator: Option<Login>,
    /// How often the nodes said what.
    notes: BTreeMap<&'static str, u64>,
    /// Who became the leader, and when.
    led: Vec<(Duration, End)>,
}

impl World {
    /// The plan's cluster, no node of it started.
    ///
    /// # Errors
    /// When the plan names a bug that there is not.
    pub fn new(time: &VirtualTime, plan: &Plan) -> Result<World, String> {
        let (settings, seed, everyone) = (Settings::of(plan)?, plan.seed, plan.everyone());
        let numbered = (1_u64..).zip(&everyone);
        let hosts: Vec<Host> = numbered
            .map(|(number, id)| Host::new(id, number, plan.nodes.contains(id), seed))
            .collect();
        let first = hosts.iter().filter(|host| host.place == Place::In);
        let members = first.map(|host| member(&host.id, host.number)).collect();
        let wire = Wire::new(hosts.len(), settings.latency, seed);
        let inner = Inner {
            settings,
            members,
            seed,
            now: time.now(),
            queue: BTreeMap::new(),
            made: 0,
            hosts,
            wire,
            trace: Trace::default(),
            story: Story::of(
                everyone.iter().map(ToString::to_string).collect(),
                plan.script.is_some(),
            ),
            safety: Safety::default(),
            effects: Vec::new(),
            last_request: 0,
            limbo: Vec::new(),
            limbo_streams: Vec::new(),
            last_stream: 0,
            last_token: 0,
            operator: None,
            notes: BTreeMap::new(),
            led: Vec::new(),
        };
        Ok(World { time: time.clone(), inner: RefCell::new(inner) })
    }

    /// Lets everything happen whose time has come, for ever. Must be polled after whoever may
    /// make something happen.
    pub async fn live(&self) {
        poll_fn(|context| {
            let mut inner = self.inner.borrow_mut();
            loop {
                inner.now = self.time.now();
                let Some((at, _)) = inner.queue.first_key_value().map(|(key, _)| *key) else {
                    return Poll::Pending;
                };
                if at > inner.now && pin!(self.time.sleep_until(at)).poll(context).is_pending() {
                    return Poll::Pending;
                }
                inner.turn();
            }
        })
        .await
    }

    /// Everything that happened, as one number.
    pub fn trace(&self) -> u64 {
        self.inner.borrow().trace.value()
    }

    /// What of Raft's promises was broken first, if any was.
    pub fn broken(&self) -> Option<String> {
        self.inner.borrow().safety.broken.clone()
    }

    /// What a picture of it is drawn from, where that was kept.
    pub fn story(&self, origin: Duration) -> Option<Spacetime> {
        self.inner.borrow().story.told(origin)
    }

    /// Who was the last to become the leader at this time.
    pub fn led_at(&self, at: Duration) -> Option<NodeId> {
        let inner = self.inner.borrow();
        let (_, end) = inner.led.iter().rev().find(|(since, _)| *since <= at)?;
        Some(inner.hosts[end - 1].id.clone())
    }

    /// How often what happened that seldom does.
    pub fn notes(&self) -> BTreeMap<&'static str, u64> {
        self.inner.borrow().notes.clone()
    }

    /// The bugs that are on.
    pub fn bugs(&self) -> Bugs {
        self.inner.borrow().settings.bugs
    }

    /// From now on operators ask as this user.
    pub fn set_operator(&self, login: &Login) {
        self.inner.borrow_mut().operator = Some(login.clone());
    }

    /// As whom operators ask.
    pub fn operator(&self) -> Option<Login> {
        self.inner.borrow().operator.clone()
    }

    /// The random part of a token; here it need only be new.
    pub fn token_prefix(&self) -> String {
        let mut inner = self.inner.borrow_mut();
        inner.last_token += 1;
        format!("token{}", inner.last_token)
    }

    /// Whether clients and a node's process can talk.
    pub fn is_in_reach(&self, end: End) -> bool {
        let inner = self.inner.borrow();
        let whole = !inner.wire.is_cut(CLIENTS, end) && !inner.wire.is_cut(end, CLIENTS);
        let host = &inner.hosts[end - 1];
        whole && host.process.is_some() && !host.paused
    }

    /// Counts what a power loss took.
    pub fn count_loss(&self, loss: &Loss) {
        self.inner.borrow_mut().count_loss(loss);
    }

    /// Does something with a host.
    pub fn with_host<T>(&self, node: &NodeId, work: impl FnOnce(&mut Host) -> T) -> Option<T> {
        let mut inner = self.inner.borrow_mut();
        let end = inner.end(node)?;
        Some(work(&mut inner.hosts[end - 1]))
    }

    /// All nodes.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.inner.borrow().hosts.iter().map(|host| host.id.clone()).collect()
    }

    /// The end of a node's links.
    pub fn end(&self, node: &NodeId) -> Option<End> {
        self.inner.borrow().end(node)
    }

    /// The leader of the highest term.
    pub fn leader(&self) -> Option<NodeId> {
        let inner = self.inner.borrow();
        let running = inner.hosts.iter().filter_map(|host| Some((host.status()?, host)));
        let leaders = running.filter(|(status, _)| status.role == StateRole::Leader);
        leaders.max_by_key(|(status, _)| status.term).map(|(_, host)| host.id.clone())
    }

    /// Starts the node's process; nothing if one runs.
    pub fn start(&self, node: &NodeId) {
        let mut inner = self.inner.borrow_mut();
        inner.now = self.time.now();
        if let Some(end) = inner.end(node) {
            inner.start(end);
        }
    }

    /// Ends the node's process at once; whether one ran.
    pub fn kill(&self, node: &NodeId) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.now = self.time.now();
        inner.end(node).is_some_and(|end| inner.kill(end))
    }

    /// Stops the process, or lets it go on; whether that changed anything.
    pub fn pause(&self, node: &NodeId, pause: bool) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.now = self.time.now();
        inner.end(node).is_some_and(|end| inner.pause(end, pause))
    }

    /// Changes a node's clocks, and reads them.
    ///
    /// # Errors
    /// When there are no numbers for it.
    pub fn set_clock(
        &self,
        node: &NodeId,
        skew: ClockSkew,
    ) -> Result<Option<ClockReading>, String> {
        let now_ns = as_ns(self.time.now());
        let changed = self.with_host(node, |host| {
            host.clock.change(skew, now_ns).map_err(|error| error.to_string())?;
            Ok(host.process.as_ref().map(|_| host.clock.reading(now_ns)))
        });
        changed.unwrap_or(Ok(None))
    }

    /// Cuts links; how many were whole.
    pub fn cut(&self, links: &[(End, End)]) {
        let mut inner = self.inner.borrow_mut();
        let now = self.time.now();
        inner.now = now;
        for &(from, to) in links {
            if inner.wire.cut(now, from, to) {
                let at = now + Wire::<()>::give_up();
                inner.later(at, Due::GiveUp(from, to, now));
            }
        }
    }

    /// Heals links.
    pub fn heal(&self, links: &[(End, End)]) {
        let mut inner = self.inner.borrow_mut();
        inner.now = self.time.now();
        for &(from, to) in links {
            inner.heal(from, to);
        }
    }

    /// Looks at or changes the network.
    pub fn with_wire<T>(&self, work: impl FnOnce(&mut WireView<'_>) -> T) -> T {
        work(&mut WireView(&mut self.inner.borrow_mut()))
    }

    /// Asks whether a process is there to take a connection; its number, if there is.
    pub fn knock(&self, to: End) -> oneshot::Receiver<Option<u64>> {
        let (say, hear) = oneshot::channel();
        self.send_from_client(to, Cargo::Knock(say), 0, 64);
        hear
    }

    /// Sends a request to the process of this number on a node.
    pub fn ask(
        &self,
        to: End,
        process: u64,
        request: Request,
        credentials: Credentials,
    ) -> oneshot::Receiver<Answered> {
        let (answer, hear) = oneshot::channel();
        let asked = Box::new(Asked { request, credentials, answer });
        self.send_from_client(to, Cargo::Ask(asked), process, 128);
        hear
    }

    /// Opens a stream of watches to the process of this number on a node.
    pub fn open_stream(&self, to: End, process: u64) -> (StreamId, UnboundedReceiver<Streamed>) {
        let (client, responses) = unbounded();
        let mut inner = self.inner.borrow_mut();
        inner.last_stream += 1;
        let id = inner.last_stream;
        drop(inner);
        let outlet = Outlet { end: to, process, id, client };
        self.send_from_client(to, Cargo::Open(id, outlet), process, 64);
        (id, responses)
    }

    /// Sends something on a stream of watches.
    pub fn tell_stream(&self, to: End, process: u64, id: StreamId, input: WatchInput) {
        self.send_from_client(to, Cargo::Watch(id, Box::new(input)), process, 96);
    }

    fn send_from_client(&self, to: End, cargo: Cargo, process: u64, bytes: usize) {
        let mut inner = self.inner.borrow_mut();
        inner.now = self.time.now();
        inner.send(CLIENTS, to, bytes, cargo, process);
    }
}

/// The network, for the nemesis.
pub struct WireView<'a>(&'a mut Inner);

impl WireView<'_> {
    /// Gives a link a shape.
    pub fn shape(&mut self, from: End, to: End, shape: ordeal_nemesis::link::Shape) {
        self.0.wire.shape(from, to, shape);
    }

    /// What a link has done.
    pub fn counters(&self, from: End, to: End) -> ordeal_nemesis::link::Counters {
        self.0.wire.counters(from, to)
    }
}

/// A node as a member with this id.
pub fn member(node: &NodeId, id: u64) -> Member {
    Member {
        id,
        name: node.0.clone(),
        peer_ur_ls: vec![peer_url(node)],
        client_ur_ls: vec![format!("http://{node}:2379")],
        is_learner: false,
    }
}

/// Where other members reach a node.
pub fn peer_url(node: &NodeId) -> String {
    format!("http://{node}:2380")
}
