//! The simulated cluster: what is due next, and what comes of it.
//!
//! One queue of happenings in the order of their time, and where that is equal in the order in
//! which they were made. Nothing else moves, so a seed is the whole story.

mod turns;

use super::host::{Answered, Host, as_ns};
use super::safety::Safety;
use super::settings::Settings;
use super::trace::Trace;
use super::wire::{CLIENTS, End, Parcel, Wire};
use futures::channel::oneshot;
use ordeal_cluster::core::{Effect, Message, Request, RequestId, StateRole};
use ordeal_cluster::log::snapshot::Image;
use ordeal_cluster::proto::etcdserverpb::Member;
use ordeal_nemesis::clock::{ClockReading, ClockSkew};
use ordeal_nemesis::{NodeId, Time, VirtualTime};
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
    SnapshotSent { peer: u64, arrived: bool },
    Ask(Box<Asked>),
}

/// A client's request on its way.
pub struct Asked {
    pub request: Request,
    pub answer: oneshot::Sender<Answered>,
}

/// What goes over the wire.
enum Cargo {
    Raft(Box<Message>),
    Ask(Box<Asked>),
    Answer(oneshot::Sender<Answered>, Box<Answered>),
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
    safety: Safety,
    effects: Vec<Effect>,
    last_request: RequestId,
    /// Those whose answers can come no more, and who cannot know it: the link is cut.
    limbo: Vec<oneshot::Sender<Answered>>,
    /// How often the nodes said what.
    notes: BTreeMap<&'static str, u64>,
}

impl World {
    /// A cluster of so many nodes, none of them started.
    pub fn new(time: &VirtualTime, nodes: usize, settings: Settings, seed: u64) -> World {
        let members = (1..=nodes as u64).map(member).collect();
        let wire = Wire::new(nodes, settings.latency, seed);
        let inner = Inner {
            settings,
            members,
            seed,
            now: time.now(),
            queue: BTreeMap::new(),
            made: 0,
            hosts: (1..=nodes as u64).map(|number| Host::new(number, seed)).collect(),
            wire,
            trace: Trace::default(),
            safety: Safety::default(),
            effects: Vec::new(),
            last_request: 0,
            limbo: Vec::new(),
            notes: BTreeMap::new(),
        };
        World { time: time.clone(), inner: RefCell::new(inner) }
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

    /// How often the nodes said what.
    pub fn notes(&self) -> BTreeMap<&'static str, u64> {
        self.inner.borrow().notes.clone()
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
    pub fn ask(&self, to: End, process: u64, request: Request) -> oneshot::Receiver<Answered> {
        let (answer, hear) = oneshot::channel();
        let asked = Box::new(Asked { request, answer });
        self.send_from_client(to, Cargo::Ask(asked), process, 128);
        hear
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

fn member(number: u64) -> Member {
    Member {
        id: number,
        name: format!("n{number}"),
        peer_ur_ls: vec![format!("http://n{number}:2380")],
        client_ur_ls: vec![format!("http://n{number}:2379")],
        is_learner: false,
    }
}
