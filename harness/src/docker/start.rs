//! How a run's containers come up.

use super::control::{Caller, Control, INSIDE, Role};
use super::engine::{Container, Engine, encoded};
use super::error::DockerError;
use super::roles::{AGENT, SIDECAR, SOCKETS};
use super::watch::Watcher;
use super::{Docker, descriptors, image};
use crate::agent::Remote;
use crate::plan::Plan;
use crate::run::target::Target;
use futures::future::try_join_all;
use nix::sys::memfd::{MFdFlags, memfd_create};
use ordeal_nemesis::link::{Port, Switch};
use ordeal_nemesis::{NodeId, Side};
use ordeal_workloads::etcd::Sockets;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufReader, Cursor, Read};
use std::net::{Ipv4Addr, Shutdown};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The clients' address, as in the sandbox, is the last of the network, the nodes' are the first.
const CLIENTS: Ipv4Addr = address(254);
/// What the clients' container is called.
const CLIENTS_NAME: &str = "clients";
/// How long a container may take to report after it was started.
const REPORT_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const LOOK_REST: Duration = Duration::from_millis(5);
/// How often it is asked whether a container that says nothing is still there.
const ASK_REST: Duration = Duration::from_millis(500);
/// How long a socket may take.
const SOCKET_MAX: Duration = Duration::from_secs(2);

/// The address of the node with this place in the order, from 1.
pub(crate) const fn address(place: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 10, 0, place)
}

/// Builds the image, starts the containers, and joins them to a switch; no node is started yet.
///
/// `folder` is the run's; containers may write into `folder/nodes`, each into its node's part.
///
/// # Errors
///
/// [`DockerError`]. Nothing is left then.
pub(crate) async fn start(plan: &Plan, folder: &Path) -> Result<Docker, DockerError> {
    let engine = Engine::named()?;
    let lifeline = Lifeline::watch(&engine).await?;
    let about = engine.about().await?;
    if about.remaps {
        return Err(DockerError::UsersRemapped);
    }
    let run = format!("run-{:016x}", random());
    let control_folder = folder.join("docker");
    let watcher = Watcher::start(&engine, &run, &control_folder)?;
    let word = format!("{:016x}{:016x}", random(), random());
    let control = Control::listen(&control_folder, &word)?;
    build(&engine, &run, plan, folder, control.folder()).await?;
    let user = if about.rootless {
        // Who is root there is the daemon's own user here.
        "0:0".to_owned()
    } else {
        format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid())
    };
    let certificates = plan.tls.then(|| Target::certificates(&folder.join("nodes")));
    if let Some(folder) = &certificates {
        let doing = format!("making the folder {}", folder.display());
        std::fs::create_dir_all(folder).map_err(DockerError::io(doing))?;
    }
    let rig = Rig {
        engine: &engine,
        run: &run,
        folder,
        word: &word,
        control: &control,
        user: &user,
        certificates,
    };
    let mut ports = Vec::new();
    let raised = rig.raise(&plan.everyone()).await?;
    let mut nodes = BTreeMap::new();
    let mut sockets = None;
    for ((role, caller), (device, address)) in raised {
        let side = match role {
            Role::Agent(node) => Side::Node(NodeId(node)),
            _ => Side::Clients,
        };
        match &side {
            Side::Node(node) => {
                nodes.insert(node.clone(), agent(node, caller)?);
            }
            Side::Clients => sockets = Some(caller.stream),
        }
        ports.push(Port { side, address, device });
    }
    let sockets = sockets.ok_or_else(|| not_up(CLIENTS_NAME, "it has not reported"))?;
    let switch = Switch::start(ports, plan.seed)
        .map_err(DockerError::io("starting the network's switch"))?;
    let sockets = sockets_from(sockets);
    Ok(Docker { order: plan.everyone(), nodes, switch, sockets, lifeline, watcher })
}

/// Builds an image with nothing but a short file in it, and removes it.
pub(super) async fn try_out() -> Result<(), DockerError> {
    let engine = Engine::named()?;
    if engine.about().await?.remaps {
        return Err(DockerError::UsersRemapped);
    }
    let run = format!("try-{:016x}", random());
    let memory = memfd_create("image", MFdFlags::MFD_CLOEXEC);
    let archive = memory.map_err(|errno| DockerError::io("asking for memory")(errno.into()))?;
    let archive = File::from(archive);
    image::write_short(&archive)?;
    engine.import(&run, Path::new("/"), archive).await?;
    engine.remove(&run).await.map(drop)
}

/// A number that nobody can know.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn not_up(role: impl ToString, why: impl ToString) -> DockerError {
    DockerError::NotUp { role: role.to_string(), why: why.to_string() }
}

async fn build(
    engine: &Engine,
    run: &str,
    plan: &Plan,
    folder: &Path,
    control: &Path,
) -> Result<(), DockerError> {
    let path = control.join("image.tar");
    let doing = format!("writing {}", path.display());
    let archive = File::options().read(true).write(true).create_new(true).open(&path);
    let archive = archive.map_err(DockerError::io(doing))?;
    // Without a name it goes with its descriptor.
    let unnamed = std::fs::remove_file(&path);
    unnamed.map_err(DockerError::io(format!("removing {}", path.display())))?;
    image::write(&archive, &plan.programs())?;
    engine.import(run, folder, archive).await
}

fn agent(node: &NodeId, caller: Caller) -> Result<Remote, DockerError> {
    let gone = "its container is gone";
    let Caller { stream, more, .. } = caller;
    let input =
        stream.try_clone().map(|input| BufReader::new(Read::chain(Cursor::new(more), input)));
    let remote = input.and_then(|input| Remote::new(node.clone(), input, Line(stream), gone));
    remote.map_err(|error| not_up(node, error))
}

/// The line to an agent, which is cut when nobody speaks any more: whoever listens holds a copy.
struct Line(UnixStream);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // One that the other end has cut is cut.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Has a socket made by who is at the other end whenever one is wanted.
fn sockets_from(stream: UnixStream) -> Sockets {
    let stream = Mutex::new(stream);
    Sockets::new(move || -> io::Result<OwnedFd> {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.set_read_timeout(Some(SOCKET_MAX))?;
        descriptors::send(&stream, b"?", None)?;
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the clients' container is gone");
        descriptors::receive(&stream)?.1.ok_or_else(gone)
    })
}

/// What it takes to start a container and to hear from it.
struct Rig<'a> {
    engine: &'a Engine,
    run: &'a str,
    folder: &'a Path,
    word: &'a str,
    control: &'a Control,
    user: &'a str,
    /// Where the members' certificates will be, if they have any.
    certificates: Option<PathBuf>,
}

/// Who reported from a container, and the outer end of the device in it, with its address.
type Raised = ((Role, Caller), (OwnedFd, Ipv4Addr));

impl Rig<'_> {
    /// Starts the containers of all nodes and of the clients, and gives each its device.
    async fn raise(&self, nodes: &[NodeId]) -> Result<Vec<Raised>, DockerError> {
        let mut wanted: Vec<(Role, &str, Ipv4Addr)> = Vec::new();
        for (node, place) in nodes.iter().zip(1..) {
            wanted.push((Role::Agent(node.0.clone()), &node.0, address(place)));
        }
        wanted.push((Role::Sockets, CLIENTS_NAME, CLIENTS));
        let started = wanted.iter().map(|(role, name, _)| self.start(role, name));
        let ids = try_join_all(started).await?;
        let roles = || wanted.iter().map(|(role, ..)| role.clone());
        let mut callers = self.hear(roles().zip(ids.iter().cloned()).collect()).await?;
        let sidecars = wanted.iter().zip(&ids).map(|((_, name, address), id)| async move {
            let role = Role::Sidecar((*name).to_owned());
            Ok((role, self.sidecar(name, id, *address).await?))
        });
        let sidecars: BTreeMap<_, _> = try_join_all(sidecars).await?.into_iter().collect();
        let mut devices = self.hear(sidecars).await?;
        let mut raised = Vec::new();
        for (role, name, address) in wanted {
            let caller = callers.remove(&role);
            let device = devices.remove(&Role::Sidecar(name.to_owned()));
            let device = device.and_then(|caller| caller.descriptor);
            let (Some(caller), Some(device)) = (caller, device) else {
                return Err(not_up(role, "it has no network device"));
            };
            raised.push(((role, caller), (device, address)));
        }
        Ok(raised)
    }

    async fn start(&self, role: &Role, name: &str) -> Result<String, DockerError> {
        let mut mounts = vec![self.control_mount()];
        let args = match role {
            Role::Agent(node) => {
                let own = self.folder.join("nodes").join(node);
                let doing = format!("making the folder {}", own.display());
                std::fs::create_dir_all(&own).map_err(DockerError::io(doing))?;
                mounts.push(mount(&own, &own));
                if let Some(certificates) = &self.certificates {
                    mounts.push(read_only(certificates));
                }
                vec![AGENT.to_owned(), self.word.to_owned(), node.clone()]
            }
            _ => vec![SOCKETS.to_owned(), self.word.to_owned()],
        };
        let host = json!({"NetworkMode": "none", "Mounts": mounts});
        self.container(name, args, host, self.user, Some(name)).await
    }

    async fn sidecar(
        &self,
        of: &str,
        joins: &str,
        address: Ipv4Addr,
    ) -> Result<String, DockerError> {
        let tun = crate::sandbox::network::tun_path();
        let host = json!({
            "NetworkMode": format!("container:{joins}"),
            "Mounts": [self.control_mount()],
            // The socket is the user's own, and root without this is nobody in particular.
            "CapAdd": ["NET_ADMIN", "DAC_OVERRIDE"],
            "Devices": [{
                "PathOnHost": tun,
                "PathInContainer": "/dev/net/tun",
                "CgroupPermissions": "rw",
            }],
        });
        let args = [SIDECAR, self.word, of, &address.to_string()].map(str::to_owned);
        let name = format!("{of}-sidecar");
        self.container(&name, args.to_vec(), host, "0:0", None).await
    }

    async fn container(
        &self,
        name: &str,
        args: Vec<String>,
        host: Value,
        user: &str,
        hostname: Option<&str>,
    ) -> Result<String, DockerError> {
        let name = format!("ordeal-{}-{name}", self.run);
        let folder = self.folder;
        let container = Container { name: &name, folder, args, host, user, hostname };
        self.engine.start(self.run, container).await
    }

    fn control_mount(&self) -> Value {
        mount(self.control.folder(), Path::new(INSIDE))
    }

    /// Waits until each of these roles has reported, or one of their containers is gone.
    async fn hear(
        &self,
        mut awaited: BTreeMap<Role, String>,
    ) -> Result<BTreeMap<Role, Caller>, DockerError> {
        let (begun, mut asked) = (Instant::now(), Instant::now());
        let mut heard = BTreeMap::new();
        while let Some((role, id)) = awaited.first_key_value() {
            match self.control.callers.try_recv() {
                Ok(Caller { role, trouble: Some(trouble), .. }) => {
                    return Err(not_up(role, trouble));
                }
                Ok(caller) => {
                    awaited.remove(&caller.role);
                    heard.insert(caller.role.clone(), caller);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(not_up(role, "nobody listens")),
            }
            if begun.elapsed() > REPORT_MAX {
                let why = format!("it has not reported for {} s", REPORT_MAX.as_secs());
                return Err(not_up(role, why));
            }
            if asked.elapsed() > ASK_REST {
                asked = Instant::now();
                // A sidecar ends when it has reported, which is heard at the next turn.
                let sidecar = matches!(role, Role::Sidecar(_));
                if !sidecar && !self.engine.runs(id).await? {
                    return Err(not_up(role, "it ended before it reported"));
                }
            }
            tokio::time::sleep(LOOK_REST).await;
        }
        Ok(heard)
    }
}

/// A folder of this machine in a container.
fn mount(from: &Path, to: &Path) -> Value {
    json!({"Type": "bind", "Source": from, "Target": to})
}

/// A folder of this machine at the same place in a container, which may not write there.
fn read_only(folder: &Path) -> Value {
    json!({"Type": "bind", "Source": folder, "Target": folder, "ReadOnly": true})
}

/// A connection to the daemon whose end is the daemon's.
pub(super) struct Lifeline(Arc<Mutex<Option<String>>>);

impl Lifeline {
    /// Connects, and watches from then on, as a task of the runtime.
    async fn watch(engine: &Engine) -> Result<Lifeline, DockerError> {
        let mut stream = engine.connect().await?;
        // A connection on which nothing was asked would be closed after a while. This one tells of
        // the daemon's own reloads, until its end.
        let filters = encoded(&json!({"type": ["daemon"]}).to_string());
        let events = format!("GET /events?filters={filters} HTTP/1.1\r\nhost: docker\r\n\r\n");
        let asked = stream.write_all(events.as_bytes()).await;
        asked.map_err(|error| engine.gone("asking for its events", error))?;
        let broken = Arc::new(Mutex::new(None));
        let (told, engine) = (broken.clone(), engine.clone());
        tokio::spawn(async move {
            let mut events = [0; 4096];
            let why = loop {
                match stream.read(&mut events).await {
                    Ok(0) => break "it closed its socket".to_owned(),
                    Ok(_) => {}
                    Err(error) => break error.to_string(),
                }
            };
            let gone = engine.gone("the test ran", why).to_string();
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(gone);
        });
        Ok(Lifeline(broken))
    }

    /// That it has gone away, in a sentence.
    pub fn broken(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
