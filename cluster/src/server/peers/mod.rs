//! Messages between members: one TCP connection for each direction, and one more for each
//! snapshot, so that a large one does not hold up heartbeats.
//!
//! Whoever connects says who it is and to which cluster it belongs ([`Hello`]) and is welcomed or
//! refused; then it sends frames, and nothing comes back on a connection of messages. What cannot
//! be sent is dropped and reported as unreachable: Raft sends again what matters.

mod frame;
mod receive;
mod roster;
mod send;
pub(super) mod snapshot;

use std::io;
use std::time::Duration;

use raft::eraftpb::Message;
use roster::Roster;
use rustc_hash::FxHashMap;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::config::{Config, address, is_secure};
use super::driver::Input;
use super::stream::Stream;
use super::tls::Tls;
use crate::log::snapshot::Image;
use crate::proto::etcdserverpb::Member;
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
    /// Where this node is reached.
    own_urls: Vec<String>,
    peer: u64,
    /// The peer's URLs.
    urls: Vec<String>,
    /// What https URLs need.
    tls: Option<Tls>,
    /// Data that has not been acknowledged for so long means that the connection is dead.
    stall: Duration,
}

/// The ways to the other members, who come and go.
pub(super) struct Peers {
    queues: FxHashMap<u64, (mpsc::Sender<Message>, Link)>,
    inputs: mpsc::Sender<Input>,
    roster: Roster,
    own_urls: Vec<String>,
    tls: Option<Tls>,
    stall: Duration,
}

/// What a member tells one that it refuses for ever.
#[derive(Debug, Error)]
#[error("{0}")]
struct RemovedError(String);

impl Peers {
    /// No peer yet: they come with [`Peers::set`] and [`Peers::meet`].
    pub fn new(
        config: &Config,
        (cluster_id, own): (u64, u64),
        tls: Option<Tls>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            queues: FxHashMap::default(),
            inputs,
            roster: Roster::new(cluster_id, own),
            own_urls: config.own_peer_urls(),
            tls,
            stall: config.election_timeout.max(Duration::from_secs(1)),
        }
    }

    /// Takes the messages of others that come to a listener.
    pub fn listen(&self, listener: tokio::net::TcpListener, tls: Option<Tls>) {
        tokio::spawn(receive::run(listener, tls, self.roster.clone(), self.inputs.clone()));
    }

    /// Learns who the members are. One that is not among them stays in reach until it is known to
    /// have been removed: this node may be the one who is behind.
    pub fn set(&mut self, members: &[Member], removed: &[u64]) {
        self.roster.set(members, removed);
        self.queues.retain(|id, _| !removed.contains(id));
        for member in members {
            self.link(member.id, &member.peer_ur_ls);
        }
    }

    /// Learns from a peer's own call where it is, if nothing else has told.
    pub fn meet(&mut self, peer: u64, urls: &[String]) {
        if !self.queues.contains_key(&peer) {
            self.link(peer, urls);
        }
    }

    /// Sees to it that there is a way to a peer: one task, which connects and keeps the connection
    /// up.
    fn link(&mut self, peer: u64, urls: &[String]) {
        let sound = |url: &&String| address("--initial-cluster", url).is_ok();
        let urls: Vec<String> = urls.iter().filter(sound).cloned().collect();
        let same = self.queues.get(&peer).is_some_and(|(_, link)| link.urls == urls);
        if peer == self.roster.own || urls.is_empty() || same {
            return;
        }
        let link = Link {
            cluster_id: self.roster.cluster_id,
            own: self.roster.own,
            own_urls: self.own_urls.clone(),
            peer,
            urls,
            tls: self.tls.clone(),
            stall: self.stall,
        };
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(send::run(link.clone(), waiting, self.inputs.clone()));
        // A task that was there before ends with its queue.
        self.queues.insert(peer, (queue, link));
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
        let mut stream = secured(url, address, self.tls.as_ref(), stream).await?;
        let Link { cluster_id, own, peer, .. } = *self;
        let hello = Hello {
            format: FORMAT,
            cluster_id,
            from: own,
            to: peer,
            snapshot_bytes,
            from_urls: self.own_urls.clone(),
            asks_members: false,
        };
        frame::write(&mut stream, &hello).await?;
        let welcome: Welcome = frame::read(&mut stream).await?;
        if welcome.removed {
            Err(io::Error::other(RemovedError(welcome.refused)))
        } else if welcome.refused.is_empty() {
            Ok(stream)
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, welcome.refused))
        }
    }
}

/// Asks whoever listens at a URL which cluster it belongs to, and who the members are.
pub(super) async fn ask_members(url: &str, tls: Option<&Tls>) -> io::Result<(u64, Vec<Member>)> {
    let ask = async {
        let address = address("--initial-cluster", url).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        let mut stream = secured(url, address, tls, stream).await?;
        let hello = Hello { format: FORMAT, asks_members: true, ..Hello::default() };
        frame::write(&mut stream, &hello).await?;
        let welcome: Welcome = frame::read(&mut stream).await?;
        if welcome.members.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it knows no members itself"));
        }
        Ok((welcome.cluster_id, welcome.members))
    };
    timeout(CONNECT_TIMEOUT, ask).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The connection as its URL wants it: with TLS, or as it is.
async fn secured(
    url: &str,
    address: &str,
    tls: Option<&Tls>,
    stream: TcpStream,
) -> io::Result<Stream> {
    match tls {
        Some(tls) if is_secure(url) => tls.connect(address, stream).await,
        _ => Ok(Stream::Plain(stream)),
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
