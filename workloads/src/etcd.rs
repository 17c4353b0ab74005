//! A [`Store`] that speaks to one etcd endpoint by the `etcd-client` crate.
//!
//! One connection, to one endpoint, made before the first request: with several endpoints the crate
//! balances between them, and a lazy connection cannot tell "refused" from "lost". It would make
//! the connection again in secret when it breaks, but never sends a request twice (that it does
//! only with `with_auto_token_refresh`, which is left off); whoever holds this store drops it after
//! an error, so even that does not happen.
//!
//! Not here: timeouts of requests. Whoever sends bounds the waiting.

mod convert;
mod error;
mod status;

pub use error::{classify, classify_connect};
pub use status::{Status, status};

use crate::{Answer, Request, Store, StoreError};
use etcd_client::{Channel, Client, ConnectOptions, GetOptions};
use std::time::Duration;
use tonic::transport::Endpoint;

/// How to connect.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The longest that making the connection may take.
    pub connect_timeout: Duration,
    /// User and password, where the store asks for them.
    pub user: Option<(String, String)>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        EtcdOptions { connect_timeout: Duration::from_secs(1), user: None }
    }
}

/// A connection to one member.
pub struct EtcdStore {
    client: Client,
}

impl EtcdStore {
    /// Connects to `endpoint`, such as `http://10.0.0.1:2379`.
    ///
    /// Errors are always [`StoreError::DidNotHappen`]: no request was sent. Whoever calls bounds
    /// the waiting once more if a user is given, for the password is checked by a request.
    pub async fn connect(endpoint: &str, options: &EtcdOptions) -> Result<EtcdStore, StoreError> {
        let client = connect(endpoint, options).await?;
        Ok(EtcdStore { client })
    }

    /// Whether the endpoint acknowledges a linearizable read: it is up, and a leader answers it.
    pub async fn is_ready(endpoint: &str, options: &EtcdOptions) -> bool {
        let Ok(mut store) = EtcdStore::connect(endpoint, options).await else {
            return false;
        };
        store.send(Request::Get { key: b"ready".to_vec(), serializable: false }).await.is_ok()
    }
}

impl Store for EtcdStore {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        match request {
            Request::Get { key, serializable } => {
                let options = serializable.then(|| GetOptions::new().with_serializable());
                let answer = self.client.get(key, options).await.map_err(classify)?;
                convert::got(&answer)
            }
            Request::Put { key, value } => {
                let answer = self.client.put(key, value, None).await.map_err(classify)?;
                Ok(Answer::Put { revision: convert::revision(answer.header())? })
            }
            Request::Txn { compares, then, otherwise } => {
                let txn = convert::txn(compares, then, otherwise);
                let answer = self.client.txn(txn).await.map_err(classify)?;
                convert::txn_answer(&answer)
            }
        }
    }
}

/// A client whose connection stands.
async fn connect(endpoint: &str, options: &EtcdOptions) -> Result<Client, StoreError> {
    let refused = |error: tonic::transport::Error| classify_connect(endpoint, &error);
    let target = Endpoint::from_shared(endpoint.to_owned())
        .map_err(refused)?
        .connect_timeout(options.connect_timeout);
    let channel = match tokio::time::timeout(options.connect_timeout, target.connect()).await {
        Ok(channel) => channel.map_err(refused)?,
        Err(_) => {
            let ms = options.connect_timeout.as_millis();
            return Err(StoreError::DidNotHappen(format!(
                "no connection to {endpoint} in {ms} ms"
            )));
        }
    };
    let mut connect = ConnectOptions::new();
    if let Some((user, password)) = &options.user {
        connect = connect.with_user(user, password);
    }
    // Only a password's check, if any, is sent here: the request itself is not.
    Client::from_channel(Channel::Tonic(channel), Some(connect))
        .await
        .map_err(|error| StoreError::DidNotHappen(format!("no session with {endpoint}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }

    #[test]
    fn a_refused_connection_is_a_definite_fail_and_does_not_wait() -> std::io::Result<()> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let endpoint = format!("http://{free}");
        let result = runtime()?.block_on(EtcdStore::connect(&endpoint, &EtcdOptions::default()));
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("refused") && error.contains(&endpoint), "{error}");
        Ok(())
    }

    /// Reads HTTP/2 until a request's headers have come.
    async fn take_request(stream: &mut TcpStream) -> std::io::Result<()> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await?;
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            let mut body = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut body).await?;
            if head[3] == 1 {
                return Ok(());
            }
        }
    }

    #[test]
    fn a_connection_that_breaks_under_a_request_leaves_the_outcome_open() -> std::io::Result<()> {
        runtime()?.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let endpoint = format!("http://{}", listener.local_addr()?);
            let peer = async {
                let (mut stream, _) = listener.accept().await?;
                take_request(&mut stream).await
            };
            let put = async {
                let mut store = EtcdStore::connect(&endpoint, &EtcdOptions::default()).await?;
                store.send(Request::Put { key: b"k".to_vec(), value: b"1".to_vec() }).await
            };
            let both = async { tokio::join!(put, peer) };
            let (answer, peer) = tokio::time::timeout(Duration::from_secs(10), both).await?;
            peer?;
            assert!(matches!(answer, Err(StoreError::Indeterminate(_))), "{answer:?}");
            Ok(())
        })
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_told() -> std::io::Result<()> {
        let result = runtime()?.block_on(EtcdStore::connect("no address", &EtcdOptions::default()));
        assert!(matches!(result, Err(StoreError::DidNotHappen(_))));
        Ok(())
    }
}
