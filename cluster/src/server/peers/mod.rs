//! Messages between members: one TCP connection for each direction, and one more for each
//! snapshot, so that a large one does not hold up heartbeats.
//!
//! Whoever connects says who it is and to which cluster it belongs ([`Hello`]) and is welcomed or
//! refused; then it sends frames, and nothing comes back on a connection of messages. What cannot
//! be sent is dropped and reported as unreachable: Raft sends again what matters.

mod frame;
mod receive;
mod send;
mod snapshot;

use std::io;
use std::time::Duration;

use raft::eraftpb::Message;
use rustc_hash::FxHashMap;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::config::{Config, Membership, address, is_secure};
use super::driver::Input;
use super::stream::Stream;
use super::tls::Tls;
use crate::log::snapshot::Image;
use crate::proto::ordealpb::{Hello, Welcome};

/// The version of what goes over the wire.
const FORMAT: u32 = 1;

/// Messages that may wait for one peer.
const QUEUE_MAX: usize = 4_096;

/// How long a connection may take to be made and welcomed. In a partition nothing answers, and a
/// new try after a heal must not wait for the kernel's growing pauses.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Who talks to whom.
#[derive(Clone)]
struct Link {
    cluster_id: u64,
    own: u64,
    peer: u64,
    /// The peer's URLs.
    urls: Vec<String>,
    /// What https URLs need.
    tls: Option<Tls>,
    /// Data that has not been acknowledged for so long means that the connection is dead.
    stall: Duration,
}

/// The ways to the other members.
pub(super) struct Peers {
    queues: FxHashMap<u64, (mpsc::Sender<Message>, Link)>,
    inputs: mpsc::Sender<Input>,
    cluster_id: u64,
    own: u64,
}

impl Peers {
    /// Starts one task a peer, which connects and keeps the connection up.
    pub fn new(
        config: &Config,
        membership: &Membership,
        tls: Option<Tls>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let Membership { cluster_id, id: own, .. } = *membership;
        let mut queues = FxHashMap::default();
        for member in membership.members.iter().filter(|member| member.id != own) {
            let link = Link {
                cluster_id,
                own,
                peer: member.id,
                urls: member.peer_ur_ls.clone(),
                tls: tls.clone(),
                stall: config.election_timeout.max(Duration::from_secs(1)),
            };
            let (queue, waiting) = mpsc::channel(QUEUE_MAX);
            tokio::spawn(send::run(link.clone(), waiting, inputs.clone()));
            queues.insert(member.id, (queue, link));
        }
        Self { queues, inputs, cluster_id, own }
    }

    /// Takes the messages of others that come to a listener.
    pub fn listen(&self, listener: tokio::net::TcpListener, tls: Option<Tls>) {
        let known = self.queues.keys().copied().collect();
        let doorkeeper = receive::Doorkeeper::new(self.cluster_id, self.own, known);
        tokio::spawn(receive::run(listener, tls, doorkeeper, self.inputs.clone()));
    }

    /// Queues a message for its peer.
    ///
    /// # Errors
    /// Gives the peer if its queue is full: then the message is dropped.
    pub fn send(&self, message: Message) -> Result<(), u64> {
        let peer = message.to;
        match self.queues.get(&peer) {
            Some((queue, _)) => queue.try_send(message).map_err(|_| peer),
            None => Ok(()),
        }
    }

    /// Sends a snapshot on a connection of its own, and reports how it went.
    pub fn send_snapshot(&self, message: Message, image: Image) {
        if let Some((_, link)) = self.queues.get(&message.to) {
            tokio::spawn(snapshot::send(link.clone(), message, image, self.inputs.clone()));
        }
    }
}

impl Link {
    /// Connects to the first of the peer's addresses that answers, and is welcomed there.
    async fn connect(&self, snapshot_bytes: u64) -> io::Result<Stream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the peer has no address");
        for url in &self.urls {
            match timeout(CONNECT_TIMEOUT, self.greet(url, snapshot_bytes)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn greet(&self, url: &str, snapshot_bytes: u64) -> io::Result<Stream> {
        let address = address("--initial-cluster", url).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        prepare(&stream)?;
        SockRef::from(&stream).set_tcp_user_timeout(Some(self.stall))?;
        let mut stream = match &self.tls {
            Some(tls) if is_secure(url) => tls.connect(address, stream).await?,
            _ => Stream::Plain(stream),
        };
        let Link { cluster_id, own, peer, .. } = *self;
        let hello = Hello { format: FORMAT, cluster_id, from: own, to: peer, snapshot_bytes };
        frame::write(&mut stream, &hello).await?;
        let welcome: Welcome = frame::read(&mut stream).await?;
        if welcome.refused.is_empty() {
            Ok(stream)
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, welcome.refused))
        }
    }
}

/// Sets what both ends of a connection want: no delay, and to notice when the other end is gone.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(1))
        .with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
