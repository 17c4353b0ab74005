//! The sending end: one task a peer.

use std::io;
use std::time::Duration;

use raft::eraftpb::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Link, RemovedError, frame};
use crate::core::Event;
use crate::server::driver::Input;
use crate::server::say::say;
use crate::server::stream::Stream;

/// Pauses between tries to connect: short, because a peer that comes back is wanted at once.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Messages that are written together.
const BATCH_MAX: usize = 256;

/// Sends what is queued until the queue is closed.
pub(super) async fn run(
    link: Link,
    mut queue: mpsc::Receiver<Message>,
    inputs: mpsc::Sender<Input>,
) {
    let mut backoff = BACKOFF_MIN;
    let mut told = String::new();
    loop {
        let error = match link.connect(0).await {
            Ok(stream) => {
                backoff = BACKOFF_MIN;
                told.clear();
                say(format_args!("connected to {:x}", link.peer));
                if inputs.send(Input::Event(Event::Reachable(link.peer))).await.is_err() {
                    return;
                }
                match pump(stream, &mut queue).await {
                    Ok(()) => return,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let why = error.to_string();
        if error.get_ref().is_some_and(|error| error.is::<RemovedError>()) {
            // Nobody else is left to hear of it.
            let _ = inputs.send(Input::Removed).await;
            return;
        }
        if why != told {
            say(format_args!("cannot send to {:x}: {why}", link.peer));
            told = why;
        }
        // What is queued is stale by the time that there is a connection again.
        while queue.try_recv().is_ok() {}
        if queue.is_closed() || inputs.send(unreachable(&link)).await.is_err() {
            return;
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn unreachable(link: &Link) -> Input {
    Input::Event(Event::Disconnected(link.peer))
}

/// Writes messages until the queue is closed or the connection fails.
async fn pump(stream: Stream, queue: &mut mpsc::Receiver<Message>) -> io::Result<()> {
    match stream {
        Stream::Plain(stream) => {
            let (read, write) = stream.into_split();
            pump_halves(read, write, queue).await
        }
        Stream::Tls(stream) => {
            let (read, write) = tokio::io::split(stream);
            pump_halves(read, write, queue).await
        }
    }
}

async fn pump_halves(
    mut read: impl AsyncRead + Unpin,
    mut write: impl AsyncWrite + Unpin,
    queue: &mut mpsc::Receiver<Message>,
) -> io::Result<()> {
    let mut batch = Vec::new();
    let mut bytes = Vec::new();
    loop {
        tokio::select! {
            biased;
            taken = queue.recv_many(&mut batch, BATCH_MAX) => {
                if taken == 0 {
                    return Ok(());
                }
                batch.drain(..).for_each(|message| frame::put(&mut bytes, &message));
                write.write_all(&bytes).await?;
                // TLS may hold something back until it is told not to.
                write.flush().await?;
                bytes.clear();
            }
            // Nothing comes back; an end or an error tells at once that the peer is gone, where a
            // write would tell only at the second message.
            ended = read.read_u8() => {
                ended?;
                return Err(frame::invalid("the peer sent what it should not"));
            }
        }
    }
}
