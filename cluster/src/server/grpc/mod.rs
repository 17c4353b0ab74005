//! The services of etcd's API, as far as they are served, on the client port.

mod cluster;
mod health;
mod kv;
mod maintenance;

use tokio::net::TcpListener;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::Config;
use super::driver::Handle;
use super::http;
use super::say::say;
use crate::core::{Request, Response};
use crate::error::{ApiError, Code};
use crate::proto::etcdserverpb::cluster_server::ClusterServer;
use crate::proto::etcdserverpb::kv_server::KvServer;
use crate::proto::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::proto::healthpb::health_server::HealthServer;

/// What a message may have around the largest request, in bytes (etcd's `grpcOverheadBytes`).
const OVERHEAD_BYTES: usize = 512 << 10;

/// Serves clients on a listener for as long as the runtime lives.
pub(super) fn serve(listener: TcpListener, config: &Config, handle: Handle) {
    // Without TCP_NODELAY an answer may wait 40 ms for the client's acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let api = Api { handle: handle.clone() };
    let bytes_max = config.limits.request_bytes.saturating_add(OVERHEAD_BYTES);
    let kv = KvServer::new(api.clone()).max_decoding_message_size(bytes_max);
    let routes = Routes::new(kv)
        .add_service(ClusterServer::new(api.clone()))
        .add_service(MaintenanceServer::new(api.clone()))
        .add_service(HealthServer::new(api));
    let routes = Routes::from(http::add_to(routes.prepare().into_axum_router(), handle));
    let server = Server::builder()
        // Health checks and Prometheus speak HTTP/1.1.
        .accept_http1(true)
        .max_concurrent_streams(config.max_concurrent_streams)
        .add_routes(routes);
    tokio::spawn(async move {
        if let Err(error) = server.serve_with_incoming(incoming).await {
            say(format_args!("the client port fails: {error}"));
        }
    });
}

#[derive(Clone)]
struct Api {
    handle: Handle,
}

impl Api {
    async fn ask(&self, metadata: &MetadataMap, request: Request) -> Result<Response, Status> {
        // A client may ask to be refused at once where there is no leader.
        let needs_leader = metadata.get("hasleader").is_some_and(|value| value == "true");
        if needs_leader && !self.handle.has_leader() {
            return Err(status(ApiError::NoLeader));
        }
        self.handle.ask(request).await.map_err(status)
    }
}

fn status(error: ApiError) -> Status {
    let code = match error.code() {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::NotFound => tonic::Code::NotFound,
        Code::OutOfRange => tonic::Code::OutOfRange,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
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
        let (metadata, _, body) = $grpc.into_parts();
        match $api.ask(&metadata, $request(body)).await? {
            $answer => Ok(tonic::Response::new($taken)),
            _ => Err(unexpected()),
        }
    }};
}

use ask;
