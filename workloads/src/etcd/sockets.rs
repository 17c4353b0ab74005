//! Connections from another network than this process' own.
//!
//! A socket belongs to the network namespace that it was made in, whoever holds it. So a client can
//! be on a network that its process is not: somebody there makes its sockets and hands them over.

use hyper_util::rt::TokioIo;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream as Unconnected};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::{TcpSocket, TcpStream};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;

type Make = dyn Fn() -> io::Result<OwnedFd> + Send + Sync;

/// Gives a new TCP socket, of IPv4 and not yet connected, for each connection.
#[derive(Clone)]
pub struct Sockets(Arc<Make>);

impl Sockets {
    /// Sockets that `make` makes.
    pub fn new(make: impl Fn() -> io::Result<OwnedFd> + Send + Sync + 'static) -> Sockets {
        Sockets(Arc::new(make))
    }

    /// A connection to this address, such as `10.0.0.1:2379`.
    ///
    /// # Errors
    ///
    /// When there is no socket, or nobody answers there.
    pub async fn connect(&self, authority: &str) -> io::Result<TcpStream> {
        connect((self.0)()?, authority).await
    }

    pub(super) fn connector(&self) -> Connector {
        Connector(self.clone())
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sockets")
    }
}

/// What `tonic` connects by.
#[derive(Clone)]
pub(super) struct Connector(Sockets);

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let socket = (self.0.0)();
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        Box::pin(async move { connect(socket?, &authority).await.map(TokioIo::new) })
    }
}

async fn connect(socket: OwnedFd, authority: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = authority.parse().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{authority}` is no address"))
    })?;
    let unconnected = Unconnected::from(socket);
    unconnected.set_nonblocking(true)?;
    let stream = TcpSocket::from_std_stream(unconnected).connect(address).await?;
    // As tonic's own connector does: a request is not held back for more to come.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_connection_is_made_on_the_socket_that_was_given() -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let sockets = Sockets::new(|| {
                let socket = TcpSocket::new_v4()?;
                // Bound, so that the connection can be told from any other.
                socket.bind(([127, 0, 0, 7], 0).into())?;
                socket.as_fd().try_clone_to_owned()
            });
            let uri = Uri::try_from(format!("http://{}", listener.local_addr()?));
            let mut connector = sockets.connector();
            let uri = uri.map_err(io::Error::other)?;
            let (connected, accepted) = tokio::join!(connector.call(uri), listener.accept());
            drop(connected?);
            assert_eq!(accepted?.1.ip().to_string(), "127.0.0.7");
            let no_address = connector.call(Uri::from_static("http://somewhere:1")).await;
            assert!(no_address.is_err_and(|error| error.to_string().contains("no address")));
            Ok(())
        })
    }
}
