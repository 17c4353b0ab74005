//! What is served over plain HTTP on the client port: `/health`, `/metrics`, `/version`, and the
//! API as JSON (`gateway`).
//!
//! gRPC calls and HTTP requests share the listener, and the router: a gRPC call is a POST to the
//! name of its method.

mod gateway;
mod grpc_counts;
mod metrics;

pub(super) use grpc_counts::GrpcCounts;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::get;

use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;

use super::driver::Handle;
use super::grpc;
use super::tls::Tls;
use crate::core::{Credentials, Request, Response, Vitals};
use crate::error::ApiError;
use crate::proto::etcdserverpb::RangeRequest;

/// What the handlers need.
#[derive(Clone)]
struct Shared {
    handle: Handle,
    counts: Arc<GrpcCounts>,
}

/// Adds the paths to those of the gRPC services.
pub(super) fn add_to(
    router: Router,
    handle: Handle,
    counts: Arc<GrpcCounts>,
    with_gateway: bool,
) -> Router {
    let shared = Shared { handle, counts: counts.clone() };
    let paths = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(show_metrics))
        .route("/version", get(version))
        .with_state(shared);
    let counted = axum::middleware::from_fn_with_state(counts, grpc_counts::count);
    let grpc = router.layer(counted);
    let paths = if with_gateway { paths.merge(gateway::routes(&grpc)) } else { paths };
    grpc.merge(paths)
}

/// Serves `/metrics` and `/health`, and nothing else, for as long as the runtime lives.
pub(super) fn serve_metrics(listener: TcpListener, tls: Option<Tls>, handle: Handle) {
    let shared = Shared { handle, counts: Arc::default() };
    let paths = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(show_metrics))
        .with_state(shared);
    let server = Server::builder().accept_http1(true);
    grpc::serve_on(listener, tls, server, Routes::from(paths));
}

async fn version() -> Answer {
    let (version, cluster) = (crate::SERVED_VERSION, crate::cluster_version());
    json(StatusCode::OK, format!(r#"{{"etcdserver":"{version}","etcdcluster":"{cluster}"}}"#))
}

async fn show_metrics(State(shared): State<Shared>) -> Answer {
    let Some(vitals) = vitals(&shared.handle).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let text = metrics::render(&vitals, shared.handle.syncs(), &shared.counts);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn vitals(handle: &Handle) -> Option<Vitals> {
    match handle.ask_as(Request::Vitals, Credentials::None).await {
        Ok(Response::Vitals(vitals)) => Some(*vitals),
        _ => None,
    }
}

/// Healthy is a member without an alarm, with a leader, that can read: by a majority, or, with
/// `serializable=true`, by itself. `exclude=NOSPACE` passes over that alarm.
async fn health(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let parts: Vec<(&str, &str)> =
        query.split('&').map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    let serializable = parts.contains(&("serializable", "true"));
    let excluded: BTreeSet<&str> =
        parts.iter().filter(|(name, _)| *name == "exclude").map(|(_, alarm)| *alarm).collect();
    match sickness(&shared.handle, serializable, &excluded).await {
        None => json(StatusCode::OK, r#"{"health":"true","reason":""}"#.into()),
        Some(reason) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(r#"{{"health":"false","reason":"{reason}"}}"#),
        ),
    }
}

async fn sickness(
    handle: &Handle,
    serializable: bool,
    excluded: &BTreeSet<&str>,
) -> Option<String> {
    let Some(vitals) = vitals(handle).await else { return Some("server stopped".into()) };
    for (name, up) in [("NOSPACE", vitals.no_space), ("CORRUPT", vitals.corrupt)] {
        if up && !excluded.contains(name) {
            return Some(format!("ALARM {name}"));
        }
    }
    if !serializable && !vitals.has_leader {
        return Some("RAFT NO LEADER".into());
    }
    let key = "health".into();
    let request = Request::Range(RangeRequest { key, serializable, ..RangeRequest::default() });
    match handle.ask_as(request, Credentials::None).await {
        // One that refuses whom it does not know can tell.
        Ok(_) | Err(ApiError::UserEmpty | ApiError::PermissionDenied) => None,
        Err(error) => Some(format!("RANGE ERROR:{error}")),
    }
}

fn json(status: StatusCode, body: String) -> Answer {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
