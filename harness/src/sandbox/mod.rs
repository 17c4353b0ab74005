//! The sandbox: each node in namespaces of its own, on a network that the harness owns.
//!
//! # Model
//!
//! [`enter`] makes one set of namespaces a run and goes on inside of it. There a [`Sandbox`] gives
//! each node a network namespace with a TUN device, whose other end is on a switch of ours
//! ([`ordeal_nemesis::link`]); the harness' own clients have one too. A node's process has mount,
//! pid, uts and ipc namespaces besides, new with each start; its network stays, as a machine's
//! does when a program on it is restarted.
//!
//! Nothing survives the harness, however it dies: the kernel ends a pid namespace with its first
//! process, and everything else here goes with the last process that uses it.
//!
//! No root, no daemon, no program of the host's is needed.
//!
//! # What is not here
//!
//! Whom to start, with which flags, and who leads: the runner knows that. No way out: inside the
//! sandbox there is no network but its own.

mod clock;
mod disk;
#[allow(unsafe_code)]
mod enter;
mod error;
#[allow(unsafe_code)]
mod init;
mod launch;
pub(crate) mod network;
mod order;
mod process;
mod report;
mod slot;
#[allow(unsafe_code)]
pub(crate) mod sys;

pub use enter::enter;
pub(crate) use enter::try_user_namespace;
pub use error::{Facility, SandboxError};
pub use launch::{Launch, run_init_if_asked};
pub(crate) use order::{Answer, Order};
pub use process::ExitReason;

use clock::Clock;
use disk::DiskSlot;
pub(crate) use disk::{fuse_path, is_offered as disks_can_be_had};
pub(crate) use init::keep_mounts_private;
use nix::sys::signal::Signal;
use ordeal_nemesis::link::{Counters, Port, Shape, Switch};
use ordeal_nemesis::{Capability, Link, NodeId, Side};
use process::{Process, State};
use slot::{SIGNAL_TIMEOUT, Slot};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The clients' address is the last of the network, the nodes' are the first.
const CLIENTS: u8 = 254;
/// What to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSpec {
    /// The nodes, in order; 253 at most.
    pub nodes: Vec<NodeId>,
    /// What the links' draws come from.
    pub seed: u64,
}

/// Nodes on a network. When it is dropped every process on it is killed.
///
/// All calls are thread-safe. They block, for a few milliseconds where nothing else is said.
pub struct Sandbox {
    nodes: BTreeMap<NodeId, Node>,
    order: Vec<NodeId>,
    switch: Switch,
    /// Whether clocks can be taken over here, or what stands in the way.
    clocks: Result<(), String>,
}

struct Node {
    address: Ipv4Addr,
    /// `None` on a node that is this machine itself.
    network: Option<OwnedFd>,
    slot: Mutex<Slot>,
    clock: Clock,
    disk: DiskSlot,
}

/// The address of the node with this place in the order, from 0.
fn address(place: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 10, 0, place)
}

impl Sandbox {
    /// Builds the network: about a millisecond a node. No process is started.
    ///
    /// The TUN device is `/dev/net/tun`, or what `ORDEAL_TUN` names.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Missing`] when the machine gives no network namespaces or no TUN devices,
    /// with the way out; [`SandboxError::NotEntered`] outside of [`enter`].
    pub fn new(spec: SandboxSpec) -> Result<Sandbox, SandboxError> {
        if !init::is_entered() {
            return Err(SandboxError::NotEntered);
        }
        let (asked, max) = (spec.nodes.len(), usize::from(CLIENTS) - 1);
        if asked > max {
            return Err(SandboxError::TooManyNodes { asked, max });
        }
        let tun = network::tun_path();
        let device = network::open_device(&tun, address(CLIENTS))?;
        let mut ports = vec![Port { side: Side::Clients, address: address(CLIENTS), device }];
        let mut nodes = BTreeMap::new();
        for (node, place) in spec.nodes.iter().zip(1..) {
            let address = address(place);
            let made = network::new_namespace(&tun, address)?;
            ports.push(Port { side: Side::Node(node.clone()), address, device: made.device });
            let slot = Mutex::default();
            let (clock, disk) = (Clock::default(), DiskSlot::default());
            let made = Node { address, network: Some(made.namespace), slot, clock, disk };
            nodes.insert(node.clone(), made);
        }
        let switch = Switch::start(ports, spec.seed)
            .map_err(|source| SandboxError::io("starting the network's switch", source))?;
        let clocks = ordeal_nemesis::clock::probe().map_err(|error| error.to_string());
        Ok(Sandbox { nodes, order: spec.nodes, switch, clocks })
    }

    /// One node that is this machine, or this container, itself: its process stays in the
    /// namespaces of the caller, and ends with the calling thread. It has no links.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Io`].
    pub(crate) fn bare(node: NodeId) -> Result<Sandbox, SandboxError> {
        let switch = Switch::start(Vec::new(), 0)
            .map_err(|source| SandboxError::io("starting no network", source))?;
        let clocks = ordeal_nemesis::clock::probe().map_err(|error| error.to_string());
        let (slot, clock, disk) = (Mutex::default(), Clock::default(), DiskSlot::default());
        let it = Node { address: Ipv4Addr::LOCALHOST, network: None, slot, clock, disk };
        Ok(Sandbox { nodes: [(node.clone(), it)].into(), order: vec![node], switch, clocks })
    }

    /// The nodes, in the order of the specification.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.order.clone()
    }

    /// What this environment can do to them.
    pub fn offers(&self) -> Vec<Capability> {
        let links = [Capability::Link, Capability::ClientLink, Capability::Shape];
        let disk = disk::is_offered().then_some(Capability::Disk);
        self.offers_of_processes().into_iter().chain(links).chain(disk).collect()
    }

    /// What can be done to the nodes' processes alone.
    pub(crate) fn offers_of_processes(&self) -> Vec<Capability> {
        let always = [Capability::Kill, Capability::Terminate, Capability::Pause];
        let clock = self.clocks.is_ok().then_some(Capability::Clock);
        always.into_iter().chain(clock).collect()
    }

    /// A descriptor that becomes readable when the node's process ends, if one runs.
    pub(crate) fn ending(&self, node: &NodeId) -> Option<OwnedFd> {
        self.node(node).ok()?.lock().process.as_ref()?.ending()
    }

    /// The node's address, for other nodes and for clients.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoSuchNode`].
    pub fn address(&self, node: &NodeId) -> Result<Ipv4Addr, SandboxError> {
        Ok(self.node(node)?.address)
    }

    /// The clients' address, as nodes see it.
    pub fn clients_address(&self) -> Ipv4Addr {
        address(CLIENTS)
    }

    /// Starts a process on the node, and returns when its program is being executed.
    ///
    /// The process is the first of its pid namespace: a SIGTERM that it does not handle does
    /// nothing to it. Its hostname is the node's name.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Running`] when the node has a process; [`SandboxError::Start`] with what
    /// went wrong, such as a program that is not there.
    pub fn start(&self, node: &NodeId, launch: &Launch) -> Result<(), SandboxError> {
        let it = self.node(node)?;
        let mut slot = it.lock();
        slot.look();
        if slot.process.is_some() {
            return Err(SandboxError::Running(node.clone()));
        }
        let traced = self.clocks.is_ok();
        let process = Process::new(launch::spawn(node, it.network.as_ref(), launch, traced)?);
        if traced {
            it.clock.take_over(process.pid().as_raw());
        }
        slot.process = Some(process);
        slot.exited = None;
        slot.asked = false;
        Ok(())
    }

    /// The number of the node's process in the supervisor's pid namespace, if it runs.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoSuchNode`].
    pub fn pid(&self, node: &NodeId) -> Result<Option<i32>, SandboxError> {
        let mut slot = self.node(node)?.lock();
        slot.look();
        Ok(slot.process.as_ref().map(|process| process.pid().as_raw()))
    }

    /// How the node's process ended when that was neither [`kill`](Self::kill) nor
    /// [`terminate`](Self::terminate): `None` as long as it runs, or when it was never started.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoSuchNode`].
    pub fn exited(&self, node: &NodeId) -> Result<Option<ExitReason>, SandboxError> {
        let mut slot = self.node(node)?.lock();
        slot.look();
        Ok(slot.exited)
    }

    /// Ends the node's process at once (SIGKILL), and returns when it and its children are gone.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotRunning`]; [`SandboxError::Stuck`] when the kernel does not let it go.
    pub fn kill(&self, node: &NodeId) -> Result<(), SandboxError> {
        let it = self.node(node)?;
        let mut slot = it.lock();
        slot.look();
        it.disk.kill_off(&slot);
        slot.finish(node, Duration::ZERO).map(drop)
    }

    /// Asks the processes of these nodes to end (SIGTERM), all at once, and kills those that have
    /// not after `bound`. Nodes that do not run are passed over. Tells how each ended.
    ///
    /// Blocks for up to `bound`.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoSuchNode`]; [`SandboxError::Stuck`] when the kernel does not let one go.
    pub fn terminate(
        &self,
        nodes: &[NodeId],
        bound: Duration,
    ) -> Result<Vec<(NodeId, ExitReason)>, SandboxError> {
        let deadline = Instant::now() + bound;
        for node in nodes {
            if let Ok(process) = self.node(node)?.lock().running(node) {
                process.signal(Signal::SIGTERM);
                // A stopped process gets its signals when it goes on.
                process.signal(Signal::SIGCONT);
            }
        }
        let mut ended = Vec::new();
        for node in nodes {
            let mut slot = self.node(node)?.lock();
            if slot.process.is_some() {
                let left = deadline.saturating_duration_since(Instant::now());
                ended.push((node.clone(), slot.finish(node, left)?));
            }
        }
        Ok(ended)
    }

    /// Asks the node's process to end (SIGTERM), and does not wait: [`pid`](Self::pid) tells when
    /// it has. That is no end that nobody asked for.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotRunning`].
    pub fn ask_to_end(&self, node: &NodeId) -> Result<(), SandboxError> {
        let mut slot = self.node(node)?.lock();
        let process = slot.running(node)?;
        process.signal(Signal::SIGTERM);
        // A stopped process gets its signals when it goes on.
        process.signal(Signal::SIGCONT);
        slot.asked = true;
        Ok(())
    }

    /// Whether the node's process, if one runs, may end by itself without that being an end that
    /// nobody asked for: a member that is taken out of its cluster does.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoSuchNode`].
    pub fn expect_end(&self, node: &NodeId, expected: bool) -> Result<(), SandboxError> {
        let mut slot = self.node(node)?.lock();
        slot.look();
        slot.asked = expected && slot.process.is_some();
        Ok(())
    }

    /// Stops the node's process (SIGSTOP), and returns when every thread of it stands still.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotRunning`]; [`SandboxError::Stuck`] when a thread hangs in the kernel.
    pub fn pause(&self, node: &NodeId) -> Result<(), SandboxError> {
        self.send(node, Signal::SIGSTOP, State::Stopped, "running")
    }

    /// Lets the node's process go on (SIGCONT), and returns when it does. One that was not stopped
    /// is left as it is.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotRunning`].
    pub fn resume(&self, node: &NodeId) -> Result<(), SandboxError> {
        self.send(node, Signal::SIGCONT, State::Runs, "stopped")
    }

    fn send(
        &self,
        node: &NodeId,
        signal: Signal,
        wanted: State,
        state: &'static str,
    ) -> Result<(), SandboxError> {
        let mut slot = self.node(node)?.lock();
        let process = slot.running(node)?;
        process.signal(signal);
        match process.await_state(wanted, SIGNAL_TIMEOUT) {
            reached if reached == wanted => Ok(()),
            State::Ended => Err(SandboxError::NotRunning(node.clone())),
            _ => Err(slot::stuck(node, signal.as_str(), state)),
        }
    }

    /// Drops everything on these links, silently; see [`Switch::cut`].
    ///
    /// # Errors
    ///
    /// When an end of a link is not here; then nothing is changed.
    pub fn cut(&self, links: &[Link]) -> Result<(), SandboxError> {
        Ok(self.switch.cut(links)?)
    }

    /// Lets these links carry again, and returns how many packets vanished since they were cut.
    ///
    /// # Errors
    ///
    /// When an end of a link is not here; then nothing is changed.
    pub fn heal(&self, links: &[Link]) -> Result<u64, SandboxError> {
        Ok(self.switch.heal(links)?)
    }

    /// Gives these links delay, loss and the like; see [`Switch::shape`].
    ///
    /// # Errors
    ///
    /// When an end of a link is not here; then nothing is changed.
    pub fn shape(&self, links: &[Link], shape: Shape) -> Result<(), SandboxError> {
        Ok(self.switch.shape(links, shape)?)
    }

    /// What a link has carried, dropped and done to packets since the start.
    ///
    /// # Errors
    ///
    /// When an end of the link is not here.
    pub fn counters(&self, link: &Link) -> Result<Counters, SandboxError> {
        Ok(self.switch.counters(link)?)
    }

    /// Writes what passes between these two from now on to a file, as pcapng; see
    /// [`Switch::capture`].
    ///
    /// # Errors
    ///
    /// When one of them is not here, or the file cannot be made.
    pub fn capture(&self, one: &Side, other: &Side, path: &Path) -> Result<(), SandboxError> {
        let captured = File::create(path).and_then(|file| self.switch.capture(one, other, file));
        let what = format!("capturing to {}", path.display());
        captured.map_err(|source| SandboxError::io(what, source))
    }

    fn node(&self, node: &NodeId) -> Result<&Node, SandboxError> {
        self.nodes.get(node).ok_or_else(|| SandboxError::NoSuchNode(node.clone()))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for node in self.nodes.values() {
            let slot = node.lock();
            if let Some(process) = &slot.process {
                process.signal(Signal::SIGKILL);
            }
            drop(slot);
            // A process that waits for its disk ends once it is answered.
            node.disk.take();
        }
        for node in self.nodes.values() {
            let slot = node.lock();
            if let Some(process) = &slot.process {
                // One that the kernel does not let go ends with the pid namespace.
                let _ = process.wait(SIGNAL_TIMEOUT);
            }
        }
    }
}

impl Node {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Each change of a slot is one assignment: a panic cannot leave it half done.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
