//! Snapshots on their way to a lagging follower: a connection each.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use raft::eraftpb::Message;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::receive::read_announced;
use super::{Link, frame};
use crate::core::Event;
use crate::log::snapshot::Image;
use crate::proto::ordealpb::{Hello, Welcome};
use crate::server::driver::Input;
use crate::server::say::say;
use crate::server::stream::Stream;

/// How long the peer may take to read a snapshot and hand it on.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Snapshots that this process began to send to others, and those whose sending is over.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);

/// How many snapshots this process is sending, and how many it has sent, well or in vain.
pub(in crate::server) fn counts() -> (u64, u64) {
    let over = OVER.load(Ordering::Relaxed);
    (BEGUN.load(Ordering::Relaxed).saturating_sub(over), over)
}

/// Sends one snapshot, and reports whether it arrived.
pub(super) async fn send(link: Link, message: Message, image: Image, inputs: mpsc::Sender<Input>) {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    let sent = timeout(ARRIVAL_TIMEOUT, try_send(&link, &message, image)).await;
    OVER.fetch_add(1, Ordering::Relaxed);
    let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    if let Err(error) = &sent {
        say(format_args!("cannot send the snapshot to {:x}: {error}", link.peer));
    }
    let event = Event::SnapshotSent { peer: link.peer, arrived: sent.is_ok() };
    // If the driver is gone nobody wants to know.
    let _ = inputs.send(Input::Event(event)).await;
}

async fn try_send(link: &Link, message: &Message, image: Image) -> io::Result<()> {
    let bytes = tokio::task::spawn_blocking(move || image.encode()).await;
    let bytes = bytes.map_err(io::Error::other)?;
    let mut stream = link.connect(bytes.len() as u64).await?;
    let mut head = Vec::new();
    frame::put(&mut head, message);
    stream.write_all(&head).await?;
    stream.write_all(&bytes).await?;
    let _: Welcome = frame::read(&mut stream).await?;
    Ok(())
}

/// Takes the one snapshot of a connection, and hands it to the node.
pub(super) async fn receive(
    mut stream: Stream,
    hello: &Hello,
    inputs: &mpsc::Sender<Input>,
) -> io::Result<()> {
    let Some(mut message) = frame::take(&mut stream).await? else { return Ok(()) };
    if message.to != hello.to {
        return Err(frame::invalid("a snapshot for another member"));
    }
    message.mut_snapshot().data = read_announced(&mut stream, hello.snapshot_bytes).await?;
    if inputs.send(Input::Event(Event::Message(message))).await.is_ok() {
        frame::write(&mut stream, &Welcome::default()).await?;
    }
    Ok(())
}
