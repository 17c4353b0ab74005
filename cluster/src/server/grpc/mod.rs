//! The services of etcd's API, as far as they are served, on the client port.

mod auth;
mod cluster;
mod concurrency;
mod election;
mod front;
mod health;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod snapshot;
mod watch;

use std::sync::Arc;

use futures::TryStreamExt;
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Extensions, Status};

use front::{Answers, Front};

use super::Config;
use super::authority::AnyAuthority;
use super::driver::Handle;
use super::http::{self, GrpcCounts};
use super::say::say;
use super::stream::Certificate;
use super::tls::Tls;
use super::token::Tokens;
use crate::bugs::Bugs;
use crate::core::{Credentials, Request, Response};
use crate::error::{ApiError, Code};
use crate::proto::etcdserverpb::auth_server::AuthServer;
use crate::proto::etcdserverpb::cluster_server::ClusterServer;
use crate::proto::etcdserverpb::kv_server::KvServer;
use crate::proto::etcdserverpb::lease_server::LeaseServer;
use crate::proto::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::proto::etcdserverpb::watch_server::WatchServer;
use crate::proto::healthpb::health_server::HealthServer;
use crate::proto::v3electionpb::election_server::ElectionServer;
use crate::proto::v3lockpb::lock_server::LockServer;

/// What a message may have around the largest request, in bytes (etcd's `grpcOverheadBytes`).
const OVERHEAD_BYTES: usize = 512 << 10;

/// Serves clients on a listener for as long as the runtime lives.
pub(super) fn serve(listener: TcpListener, tls: Option<Tls>, config: &Config, api: Api) {
    let handle = api.handle.clone();
    let bytes_max = config.limits.request_bytes.saturating_add(OVERHEAD_BYTES);
    let kv = KvServer::new(api.clone()).max_decoding_message_size(bytes_max);
    let routes = Routes::new(kv.clone())
        .add_service(AuthServer::new(api.clone()))
        .add_service(ClusterServer::new(api.clone()))
        .add_service(MaintenanceServer::new(api.clone()))
        .add_service(LeaseServer::new(api.clone()))
        .add_service(LockServer::new(api.clone()))
        .add_service(ElectionServer::new(api.clone()))
        .add_service(HealthServer::new(api.clone()))
        .add_service(WatchServer::new(api).max_decoding_message_size(bytes_max));
    let counts = Arc::new(GrpcCounts::default());
    let routes = Routes::from(http::add_to(
        routes.prepare().into_axum_router(),
        handle,
        counts.clone(),
        config.serving.gateway,
    ));
    let keepalive = Some(config.serving.keepalive_interval).filter(|every| !every.is_zero());
    let server = Server::builder()
        // Health checks and Prometheus speak HTTP/1.1.
        .accept_http1(true)
        .max_concurrent_streams(config.max_concurrent_streams)
        .http2_keepalive_interval(keepalive)
        .http2_keepalive_timeout(Some(config.serving.keepalive_timeout));
    serve_on(listener, tls, server, Front::new(kv, routes, counts));
}

/// Serves what comes to a listener for as long as the runtime lives.
pub(super) fn serve_on<S: Answers>(
    listener: TcpListener,
    tls: Option<Tls>,
    server: Server,
    service: S,
) {
    tokio::spawn(async move {
        let served = match tls {
            Some(tls) => {
                let incoming = ReceiverStream::new(tls.incoming(listener));
                server.serve_with_incoming(service, incoming.map_ok(AnyAuthority::new)).await
            }
            // Without TCP_NODELAY an answer may wait 40 ms for the client's acknowledgement.
            None => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                server.serve_with_incoming(service, incoming.map_ok(AnyAuthority::new)).await
            }
        };
        if let Err(error) = served {
            say(format_args!("the client port fails: {error}"));
        }
    });
}

/// What the services share.
#[derive(Clone)]
pub(super) struct Api {
    pub handle: Handle,
    pub bugs: Bugs,
    pub tokens: Arc<Tokens>,
    /// `--bcrypt-cost`.
    pub bcrypt_cost: u32,
    /// `--client-cert-auth`: where no token is given, the common name of the client's certificate
    /// is the user.
    pub certificates_name_users: bool,
}

/// What a call tells of its client, besides what it asks.
#[derive(Clone)]
pub(super) struct Caller {
    metadata: MetadataMap,
    extensions: Extensions,
}

impl Caller {
    /// Takes a call apart.
    fn of<T>(grpc: tonic::Request<T>) -> (Caller, T) {
        let (metadata, extensions, body) = grpc.into_parts();
        (Caller { metadata, extensions }, body)
    }

    /// A client may ask to be refused at once where there is no leader.
    fn needs_leader(&self) -> bool {
        self.metadata.get("hasleader").is_some_and(|value| value == "true")
    }
}

impl Api {
    async fn ask(&self, caller: &Caller, request: Request) -> Result<Response, Status> {
        if caller.needs_leader() && !self.handle.has_leader() {
            return Err(status(ApiError::NoLeader));
        }
        self.ask_wherever(caller, request).await.map_err(status)
    }

    /// Asks whether or not there is a leader.
    async fn ask_wherever(&self, caller: &Caller, request: Request) -> Result<Response, ApiError> {
        let credentials = self.credentials(caller);
        self.handle.ask_as(request, credentials).await
    }

    /// How a client shows who it is: by a token, or else by the certificate of its connection.
    fn credentials(&self, Caller { metadata, extensions }: &Caller) -> Credentials {
        match metadata.get("token").or_else(|| metadata.get("authorization")) {
            Some(token) => {
                token.to_str().map_or(Credentials::InvalidToken, |token| self.tokens.read(token))
            }
            None if self.certificates_name_users => {
                let shown = extensions.get::<Certificate>();
                let user = shown.and_then(|shown| shown.common_name.clone());
                user.map_or(Credentials::None, Credentials::Certificate)
            }
            None => Credentials::None,
        }
    }
}

pub(super) fn status(error: ApiError) -> Status {
    let code = match error.code() {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::NotFound => tonic::Code::NotFound,
        Code::OutOfRange => tonic::Code::OutOfRange,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
        Code::PermissionDenied => tonic::Code::PermissionDenied,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::Unknown => tonic::Code::Unknown,
        Code::DataLoss => tonic::Code::DataLoss,
    };
    Status::new(code, error.to_string())
}

fn unexpected() -> Status {
    Status::internal("the node gave the answer to another request")
}

/// Asks with a request of one kind, and takes the answer of that kind.
macro_rules! ask {
    ($api:expr, $grpc:expr, $request:expr, $answer:pat => $taken:expr) => {{
        let (caller, body) = super::Caller::of($grpc);
        match $api.ask(&caller, $request(body)).await? {
            $answer => Ok(tonic::Response::new($taken)),
            _ => Err(unexpected()),
        }
    }};
}

use ask;
