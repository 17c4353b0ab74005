//! The receiving end: a task for each connection that comes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::roster::Roster;
use super::{CONNECT_TIMEOUT, frame, prepare, snapshot};
use crate::core::Event;
use crate::proto::ordealpb::Hello;
use crate::server::driver::Input;
use crate::server::say::say;
use crate::server::stream::Stream;
use crate::server::tls::Tls;

/// Accepts connections for as long as the node runs.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<Tls>,
    roster: Roster,
    inputs: mpsc::Sender<Input>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, tls.clone(), roster.clone(), inputs.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: let some be given back.
                say(format_args!("cannot accept a peer: {error}"));
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<Tls>, roster: Roster, inputs: mpsc::Sender<Input>) {
    if let Err(error) = converse(stream, tls, &roster, &inputs).await {
        say(format_args!("a peer's connection ends: {error}"));
    }
}

async fn converse(
    stream: TcpStream,
    tls: Option<Tls>,
    roster: &Roster,
    inputs: &mpsc::Sender<Input>,
) -> io::Result<()> {
    prepare(&stream)?;
    let mut stream = match tls {
        Some(tls) => tls.accept(stream).await?,
        None => Stream::Plain(stream),
    };
    let hello: Hello = match timeout(CONNECT_TIMEOUT, frame::read(&mut stream)).await {
        Ok(hello) => hello?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    let welcome = roster.answer(&hello);
    frame::write(&mut stream, &welcome).await?;
    if !welcome.refused.is_empty() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, welcome.refused));
    }
    if hello.asks_members
        || inputs.send(Input::Meet(hello.from, hello.from_urls.clone())).await.is_err()
    {
        return Ok(());
    }
    if hello.snapshot_bytes > 0 {
        return snapshot::receive(stream, &hello, inputs).await;
    }
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    while let Some(message) = frame::take(&mut stream).await? {
        if message.to != roster.own {
            return Err(frame::invalid("a message for another member"));
        }
        // A member may have been removed without hearing of it: at its next connection it does.
        if roster.has_removed(hello.from) {
            let message = format!("{:x} has been removed from the cluster", hello.from);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        if inputs.send(Input::Event(Event::Message(message))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads exactly as many bytes as were announced, without trusting the announcement to be small.
pub(super) async fn read_announced(
    stream: &mut (impl AsyncReadExt + Unpin),
    bytes: u64,
) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    stream.take(bytes).read_to_end(&mut data).await?;
    if data.len() as u64 == bytes { Ok(data) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
