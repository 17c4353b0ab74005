//! Hosts that are there already, reached by the system's own `ssh`.
//!
//! # Model
//!
//! Each node is a host of its own. Ordeal copies itself and the database there, into a folder of
//! the run's own, and starts an [agent](crate::agent), whose standard input and output are the
//! stream. Nothing need be installed there but a shell; links are cut by the host's own nftables
//! ([`filter`]), if the user may: as root, or by a `sudo` that does not ask.
//!
//! # Who dies with whom
//!
//! When the runner dies its `ssh` processes read the end of their input, and so does each agent:
//! the node's process, the filter's tables and the folder on the host go with it.
//!
//! # What is not here
//!
//! Delay, loss and the like: not every host's kernel has them. What a host lacks is not offered,
//! and a plan that needs it is refused by name.

mod connection;
mod error;
mod filter;

use crate::agent::protocol::{Reply, Request, Stream};
use crate::agent::{Ended, Remote, offered_by_all, serve};
use crate::plan::{Host, Hosts, Plan};
use crate::run::place::Place;
use crate::run::target::{CLIENT_PORT, PEER_PORT};
use crate::sandbox::{Answer, Order, keep_mounts_private};
use connection::Connection;
use error::SshError;
use filter::{Filter, OnHost};
use ordeal_nemesis::{Capability, InjectError, Link, NodeId, Side};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The hidden first argument.
const AGENT: &str = "__ssh-agent";
/// Ordeal's own binary in a node's folder; others lie beside it.
const ORDEAL: &str = "./ordeal";

/// The hosts of a run. When this is dropped nothing of it is left on them.
pub(crate) struct Ssh {
    order: Vec<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    /// The run's folder on each host.
    folder: PathBuf,
    /// Where the run keeps what the nodes have written.
    kept: PathBuf,
    sockets: PathBuf,
}

struct Node {
    address: Ipv4Addr,
    // In this order: the agent ends before the connection that it lives by.
    remote: Remote,
    _agent: AgentProcess,
    connection: Connection,
}

/// The `ssh` that carries an agent's stream.
struct AgentProcess(Child);

impl Drop for AgentProcess {
    fn drop(&mut self) {
        // Its input is closed: it ends by itself, and the host is clean then.
        let _ = self.0.wait();
    }
}

/// Ordeal's own binary, as a node's folder has it.
pub(crate) fn own_program() -> PathBuf {
    ORDEAL.into()
}

/// Another program of this machine, as a node's folder has it: two may have the same name.
pub(crate) fn program(path: &Path) -> PathBuf {
    let path = path.display().to_string();
    let word = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("./db{}", path.chars().map(word).collect::<String>()).into()
}

/// When this process was started to be a host's agent, is that; gives the exit status.
pub(crate) fn play_role(args: &[&str]) -> Option<u8> {
    let [AGENT, run, node] = args else { return None };
    // A disk of the node's is mounted for the node alone.
    let disks = keep_mounts_private() && crate::sandbox::disks_can_be_had();
    let mut surroundings = OnHost { filter: Filter::new(run), disks };
    let streams = || -> io::Result<_> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        Ok((input, io::stdout().as_fd().try_clone_to_owned()?))
    };
    let node = NodeId((*node).to_owned());
    let served =
        streams().and_then(|(input, output)| serve(&node, input, output, &mut surroundings));
    Some(if served.is_ok() { 0 } else { 70 })
}

/// Installs everything on the hosts, and starts their agents; no node is started yet.
///
/// `kept` is where the nodes' files are brought at the end.
///
/// # Errors
///
/// [`SshError`]. Nothing is left on any host then.
pub(crate) fn start(plan: &Plan, hosts: &Hosts, kept: &Path) -> Result<Ssh, SshError> {
    let run = format!("{:012x}", RandomState::new().build_hasher().finish() & 0xffff_ffff_ffff);
    let folder = PathBuf::from(format!("/tmp/ordeal-{run}"));
    let sockets = kept.with_file_name("ssh");
    std::fs::create_dir_all(&sockets).map_err(|source| SshError::Io {
        doing: format!("making the folder {}", sockets.display()),
        source,
    })?;
    let everyone = plan.everyone();
    let rig = Rig {
        plan,
        config: hosts.config.as_deref(),
        run: &run,
        folder: &folder,
        sockets: &sockets,
    };
    let raised: Vec<Result<Node, SshError>> = std::thread::scope(|scope| {
        let raise = |(node, host)| {
            let rig = &rig;
            scope.spawn(move || rig.raise(node, host))
        };
        let raising: Vec<_> = everyone.iter().zip(&hosts.hosts).map(raise).collect();
        let joined = raising.into_iter().map(|thread| match thread.join() {
            Ok(raised) => raised,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    let mut nodes = BTreeMap::new();
    for (name, node) in everyone.iter().zip(raised) {
        nodes.insert(name.clone(), node?);
    }
    Ok(Ssh { order: everyone, nodes, folder, kept: kept.to_owned(), sockets })
}

struct Rig<'a> {
    plan: &'a Plan,
    config: Option<&'a Path>,
    run: &'a str,
    folder: &'a Path,
    sockets: &'a Path,
}

impl Rig<'_> {
    fn raise(&self, node: &NodeId, host: &Host) -> Result<Node, SshError> {
        let own = self.folder.join(&node.0);
        let own = own.display().to_string();
        let connection =
            Connection::open(&host.destination, self.config, self.sockets, &node.0, &own)?;
        connection.install(Path::new("/proc/self/exe"), &format!("{own}/ordeal"))?;
        for program in self.plan.programs() {
            connection
                .install(&program, &format!("{own}/{}", self::program(&program).display()))?;
        }
        let tried =
            connection.run("trying Ordeal", &format!("{own}/ordeal --version"), Stdio::null());
        tried.map_err(|error| match error {
            SshError::Remote { host, why, .. } => SshError::DoesNotRun { host, why },
            other => other,
        })?;
        let script = format!("cd {own} && exec ./ordeal {AGENT} {} {node}", self.run);
        let mut agent = connection.start(&script)?;
        let failed = |source: io::Error| SshError::Remote {
            host: host.destination.clone(),
            doing: "starting the agent".to_owned(),
            why: source.to_string(),
        };
        let (input, output) = agent
            .stdout
            .take()
            .zip(agent.stdin.take())
            .ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let agent = AgentProcess(agent);
        let gone = "the connection to its host is gone";
        let remote =
            Remote::new(node.clone(), BufReader::new(input), output, gone).map_err(failed)?;
        Ok(Node { address: host.address, remote, _agent: agent, connection })
    }
}

impl Ssh {
    /// The nodes' addresses, in order.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        self.order.iter().filter_map(|node| Some(self.nodes.get(node)?.address)).collect()
    }

    /// The run's folder on each host.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn node(&self, node: &NodeId) -> Result<&Node, InjectError> {
        self.nodes.get(node).ok_or_else(|| InjectError(format!("there is no node {node}")))
    }

    /// What each host must drop to cut these links.
    fn streams(&self, links: &[Link]) -> Result<BTreeMap<NodeId, Vec<Stream>>, InjectError> {
        let mut streams: BTreeMap<NodeId, Vec<Stream>> = BTreeMap::new();
        for link in links {
            let (at, stream) = match (&link.from, &link.to) {
                (Side::Node(from), Side::Node(to)) => {
                    let from = self.node(from)?.address;
                    (to, Stream::Peer { from, port: PEER_PORT })
                }
                (Side::Clients, Side::Node(to)) => (to, Stream::ClientsTo(CLIENT_PORT)),
                (Side::Node(from), Side::Clients) => (from, Stream::ToClients(CLIENT_PORT)),
                (Side::Clients, Side::Clients) => continue,
            };
            streams.entry(at.clone()).or_default().push(stream);
        }
        Ok(streams)
    }

    /// Asks each host at once; the sum of what was dropped.
    async fn ask(
        &self,
        links: &[Link],
        request: impl Fn(Vec<Stream>) -> Request,
    ) -> Result<u64, InjectError> {
        let asked = self.streams(links)?.into_iter().map(|(node, streams)| {
            let request = request(streams);
            async move {
                let remote = &self.node(&node)?.remote;
                match remote.ask(request).await? {
                    Reply::Dropped(packets) => Ok(packets),
                    Reply::Answer(_) => Err(remote.nonsense()),
                }
            }
        });
        Ok(futures::future::try_join_all(asked).await?.into_iter().sum())
    }

    /// Brings a node's log and data to the run's folder.
    fn bring(&self, name: &NodeId, node: &Node) -> Result<(), String> {
        let from = self.folder.join(&name.0);
        let script =
            format!("cd {} && tar --exclude=./db_* --exclude=./ordeal -cf - .", from.display());
        let archive = node.connection.run("packing its files", &script, Stdio::null());
        let archive = archive.map_err(|error| error.to_string())?;
        let to = self.kept.join(&name.0);
        let unpacked = std::fs::create_dir_all(&to)
            .and_then(|()| tar::Archive::new(archive.as_slice()).unpack(&to));
        unpacked.map_err(|error| format!("cannot unpack into {}: {error}", to.display()))
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        self.nodes.clear();
        // Each connection has taken its socket away.
        let _ = std::fs::remove_dir(&self.sockets);
    }
}

impl Place for Ssh {
    fn nodes(&self) -> Vec<NodeId> {
        self.order.clone()
    }

    fn offers(&self) -> Vec<Capability> {
        offered_by_all(self.nodes.values().map(|node| &node.remote))
    }

    fn has_folders(&self) -> bool {
        false
    }

    async fn obey(&self, node: &NodeId, order: Order) -> Result<Answer, InjectError> {
        self.node(node)?.remote.obey(order).await
    }

    fn runs(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| node.remote.runs())
    }

    fn ended(&self, node: &NodeId) -> Option<Ended> {
        self.nodes.get(node)?.remote.ended()
    }

    fn last_words(&self, node: &NodeId, log: &Path) -> String {
        let Ok(it) = self.node(node) else { return String::new() };
        let script = format!("tail -n 6 {}", log.display());
        let said = it.connection.run("reading its log", &script, Stdio::null());
        said.map_or_else(
            |error| error.to_string(),
            |said| String::from_utf8_lossy(&said).into_owned(),
        )
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.ask(links, Request::Drop).await.map(drop)
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        self.ask(links, Request::Pass).await
    }

    async fn collect(&self) -> Result<(), String> {
        let failed: Vec<String> = self
            .nodes
            .iter()
            .filter_map(|(name, node)| {
                let error = self.bring(name, node).err()?;
                Some(format!(
                    "the files of {name} are not here: {} {error}",
                    node.connection.host()
                ))
            })
            .collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}
