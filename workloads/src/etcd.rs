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
mod operator;
mod rights;
mod services;
mod sockets;
mod status;
mod stream;
mod survey;
mod tokens;
mod v2;
mod watches;

pub use error::{classify, classify_connect, refuses};
pub use operator::{EtcdOperator, ListedMember};
pub use sockets::Sockets;
pub use status::{Status, status};
pub use stream::{Stream, host, stream};
pub use survey::{Contents, HELD_MAX, Hash, Inspected, inspect, keys, named, told};
pub use tokens::Tokens;

use crate::people::root;
use crate::store::{Answer, Login, Range, Request, Said, Store, StoreError, V2};
use etcd_client::{Channel, Client, CompactionOptions};
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use v2::OldConnection;
use watches::Watches;

/// What a store may send ahead on a stream that nobody reads, in bytes: as etcd's own clients have
/// it, so that a slow reader is one.
const STREAM_WINDOW_BYTES: u32 = 65_535;

/// How to connect.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The longest that making the connection may take.
    pub connect_timeout: Duration,
    /// Who asks, where the store asks for that.
    pub login: Option<Login>,
    /// Certificates, where the endpoint is `https`.
    pub tls: Option<TlsOptions>,
    /// Where sockets come from, when not from this process' own network.
    pub sockets: Option<Sockets>,
    /// What those who logged in have got for it.
    pub tokens: Tokens,
}

/// What a client needs for an encrypted connection, as PEM.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// The authority that must have signed the server's certificate.
    pub authority: String,
    /// The client's own certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        let connect_timeout = Duration::from_secs(1);
        let tokens = Tokens::default();
        EtcdOptions { connect_timeout, login: None, tls: None, sockets: None, tokens }
    }
}

/// A connection to one member.
pub struct EtcdStore {
    endpoint: String,
    options: EtcdOptions,
    channel: tonic::transport::Channel,
    tokens: Tokens,
    login: Option<Login>,
    /// A client for each who asked.
    clients: BTreeMap<Option<Login>, Client>,
    watches: Watches,
    /// For the v2 API, once somebody asked by it.
    old: Option<OldConnection>,
}

impl EtcdStore {
    /// Connects to `endpoint`, such as `http://10.0.0.1:2379`.
    ///
    /// Errors are always [`StoreError::DidNotHappen`]: no request was sent.
    pub async fn connect(endpoint: &str, options: &EtcdOptions) -> Result<EtcdStore, StoreError> {
        let channel = channel(endpoint, options).await?;
        Ok(EtcdStore {
            endpoint: endpoint.to_owned(),
            options: options.clone(),
            channel,
            tokens: options.tokens.clone(),
            login: options.login.clone(),
            clients: BTreeMap::new(),
            watches: Watches::default(),
            old: None,
        })
    }

    /// Whether the endpoint acknowledges a linearizable read: it is up, and a leader answers it.
    pub async fn is_ready(endpoint: &str, options: &EtcdOptions) -> bool {
        let Ok(mut store) = EtcdStore::connect(endpoint, options).await else {
            return false;
        };
        store.send(Request::Range(Range::of("ready"))).await.is_ok()
    }

    /// The client of whoever asks. An error of logging in means that the request was not sent.
    async fn client(&mut self, login: &Option<Login>) -> Result<Client, StoreError> {
        if let Some(client) = self.clients.get(login) {
            return Ok(client.clone());
        }
        let no_session = |error: String| StoreError::DidNotHappen(format!("no session: {error}"));
        let channel = match login {
            None => Channel::Tonic(self.channel.clone()),
            Some(login) => {
                let token = self.tokens.get(&self.endpoint, login, self.channel.clone()).await;
                let token = token.map_err(|error| no_session(error.to_string()))?;
                tokens::shown(self.channel.clone(), token)
            }
        };
        let made = Client::from_channel(channel, None).await;
        let client = made.map_err(|error| no_session(error.to_string()))?;
        self.clients.insert(login.clone(), client.clone());
        Ok(client)
    }

    /// An error drops the connection: what is left in it belongs to nobody.
    async fn ask_old(&mut self, asked: &V2) -> Result<Answer, StoreError> {
        let mut connection = match self.old.take() {
            Some(connection) => connection,
            None => OldConnection::open(&self.endpoint, &self.options).await?,
        };
        let said = connection.ask(asked).await?;
        self.old = Some(connection).filter(|connection| !connection.is_over());
        // An index of v2 is no revision, and must not be compared with one.
        Ok(Answer { revision: 0, said: Said::V2(said) })
    }

    async fn ask(&mut self, client: &mut Client, request: Request) -> Result<Answer, StoreError> {
        match request {
            Request::Range(range) => {
                let options = convert::range(&range);
                let answer = client.get(range.key, Some(options)).await.map_err(classify)?.0;
                let header = answer.header;
                convert::answer(header.as_ref(), convert::ranged(answer))
            }
            Request::Put(put) => {
                let options = convert::put(&put);
                let answer = client.put(put.key, put.value, Some(options)).await;
                let answer = answer.map_err(classify)?.0;
                convert::answer(answer.header.clone().as_ref(), convert::was_put(answer))
            }
            Request::Delete(delete) => {
                let options = convert::delete(&delete);
                let answer = client.delete(delete.key, Some(options)).await.map_err(classify)?.0;
                convert::answer(answer.header.clone().as_ref(), convert::deleted(answer))
            }
            Request::Txn(txn) => {
                let answer = client.txn(convert::txn(txn)?).await.map_err(classify)?.0;
                convert::answer(answer.header.clone().as_ref(), convert::txn_said(answer)?)
            }
            Request::Compact(revision) => {
                let options = CompactionOptions::new();
                let answer = client.compact(revision, Some(options)).await.map_err(classify)?.0;
                convert::answer(answer.header.as_ref(), Said::Done)
            }
            other => self.ask_services(client, other).await,
        }
    }

    async fn ask_services(
        &mut self,
        client: &mut Client,
        request: Request,
    ) -> Result<Answer, StoreError> {
        match request {
            Request::LeaseGrant { id, ttl_s } => services::grant(client, id, ttl_s).await,
            Request::LeaseKeepAlive(id) => services::keep_alive(client, id).await,
            Request::LeaseRevoke(id) => services::revoke(client, id).await,
            Request::LeaseTimeToLive(id) => services::time_to_live(client, id).await,
            Request::Lock { name, lease } => services::lock(client, name, lease).await,
            Request::Unlock(key) => services::unlock(client, key).await,
            Request::Campaign { name, lease, value } => {
                services::campaign(client, name, lease, value).await
            }
            Request::Proclaim { leader, value } => services::proclaim(client, leader, value).await,
            Request::Leads(name) => services::leads(client, name).await,
            Request::Resign(leader) => services::resign(client, leader).await,
            Request::Watch(watch) => self.watches.begin(client, watch).await,
            Request::WatchNext(number) => self.watches.next(number).await,
            Request::WatchProgress => self.watches.ask_progress().await,
            Request::WatchCancel(number) => self.watches.cancel(number).await,
            Request::Auth(change) => {
                rights::change(client, change).await?;
                Ok(Answer { revision: 0, said: Said::Done })
            }
            other => Err(StoreError::DidNotHappen(format!("etcd has no request {other:?}"))),
        }
    }
}

impl Store for EtcdStore {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        let (login, request) = match request {
            Request::V2(asked) => return self.ask_old(&asked).await,
            Request::As(login, request) => (Some(login), *request),
            // Where there are users only root may compact.
            compaction @ Request::Compact(_) if self.login.is_some() => (Some(root()), compaction),
            request => (self.login.clone(), request),
        };
        let mut client = self.client(&login).await?;
        let answer = self.ask(&mut client, request).await;
        if let (Err(error), Some(login)) = (&answer, &login)
            && error.to_string().contains("invalid auth token")
        {
            self.tokens.forget(&self.endpoint, login);
            self.clients.remove(&Some(login.clone()));
        }
        answer
    }

    fn log_in(&mut self, login: &Login) {
        self.login = Some(login.clone());
    }
}

/// A client, of whoever the options say, who logs in anew: a token that was kept may be one that
/// the member does not know any more.
async fn connect(endpoint: &str, options: &EtcdOptions) -> Result<Client, StoreError> {
    let options = EtcdOptions { tokens: Tokens::default(), ..options.clone() };
    let mut store = EtcdStore::connect(endpoint, &options).await?;
    store.client(&options.login).await
}

/// A connection that stands.
async fn channel(
    endpoint: &str,
    options: &EtcdOptions,
) -> Result<tonic::transport::Channel, StoreError> {
    let refused = |error: tonic::transport::Error| classify_connect(endpoint, &error);
    let mut target = Endpoint::from_shared(endpoint.to_owned())
        .map_err(refused)?
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .connect_timeout(options.connect_timeout);
    if let Some(tls) = &options.tls {
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&tls.authority))
            .identity(Identity::from_pem(&tls.certificate, &tls.key));
        target = target.tls_config(config).map_err(refused)?;
    }
    let connecting = async {
        match &options.sockets {
            Some(sockets) => target.connect_with_connector(sockets.connector()).await,
            None => target.connect().await,
        }
    };
    match tokio::time::timeout(options.connect_timeout, connecting).await {
        Ok(channel) => channel.map_err(refused),
        Err(_) => {
            let ms = options.connect_timeout.as_millis();
            Err(StoreError::DidNotHappen(format!("no connection to {endpoint} in {ms} ms")))
        }
    }
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
                store.send(Request::Put(crate::Put::of("k", "1"))).await
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
