//! The API as JSON over plain HTTP: `POST /v3/kv/put` and its like, as etcd's gateway serves them.
//!
//! A path stands for a method. What is posted becomes the method's request by proto3's mapping of
//! JSON, the request goes the way of every gRPC call, and the answer comes back as JSON: fields by
//! their names in the interface, 64-bit numbers as text, bytes in base64, and what has its default
//! left out. Where a method answers with a stream each answer is a line, as `result` or as `error`.

mod codec;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt as _, stream};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor,
    SerializeOptions,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{MetadataKey, MetadataMap};
use tonic::{Code, Request, Status, Streaming};

use codec::Codec;

/// Where the methods are, behind `/v3/`: those of etcd's interface files.
const METHODS: &[(&str, &str)] = &[
    ("kv/range", "etcdserverpb.KV.Range"),
    ("kv/put", "etcdserverpb.KV.Put"),
    ("kv/deleterange", "etcdserverpb.KV.DeleteRange"),
    ("kv/txn", "etcdserverpb.KV.Txn"),
    ("kv/compaction", "etcdserverpb.KV.Compact"),
    ("watch", "etcdserverpb.Watch.Watch"),
    ("lease/grant", "etcdserverpb.Lease.LeaseGrant"),
    ("lease/revoke", "etcdserverpb.Lease.LeaseRevoke"),
    ("kv/lease/revoke", "etcdserverpb.Lease.LeaseRevoke"),
    ("lease/keepalive", "etcdserverpb.Lease.LeaseKeepAlive"),
    ("lease/timetolive", "etcdserverpb.Lease.LeaseTimeToLive"),
    ("kv/lease/timetolive", "etcdserverpb.Lease.LeaseTimeToLive"),
    ("lease/leases", "etcdserverpb.Lease.LeaseLeases"),
    ("kv/lease/leases", "etcdserverpb.Lease.LeaseLeases"),
    ("cluster/member/add", "etcdserverpb.Cluster.MemberAdd"),
    ("cluster/member/remove", "etcdserverpb.Cluster.MemberRemove"),
    ("cluster/member/update", "etcdserverpb.Cluster.MemberUpdate"),
    ("cluster/member/list", "etcdserverpb.Cluster.MemberList"),
    ("cluster/member/promote", "etcdserverpb.Cluster.MemberPromote"),
    ("maintenance/alarm", "etcdserverpb.Maintenance.Alarm"),
    ("maintenance/status", "etcdserverpb.Maintenance.Status"),
    ("maintenance/defragment", "etcdserverpb.Maintenance.Defragment"),
    ("maintenance/hash", "etcdserverpb.Maintenance.Hash"),
    ("maintenance/hashkv", "etcdserverpb.Maintenance.HashKV"),
    ("maintenance/snapshot", "etcdserverpb.Maintenance.Snapshot"),
    ("maintenance/transfer-leadership", "etcdserverpb.Maintenance.MoveLeader"),
    ("auth/enable", "etcdserverpb.Auth.AuthEnable"),
    ("auth/disable", "etcdserverpb.Auth.AuthDisable"),
    ("auth/status", "etcdserverpb.Auth.AuthStatus"),
    ("auth/authenticate", "etcdserverpb.Auth.Authenticate"),
    ("auth/user/add", "etcdserverpb.Auth.UserAdd"),
    ("auth/user/get", "etcdserverpb.Auth.UserGet"),
    ("auth/user/list", "etcdserverpb.Auth.UserList"),
    ("auth/user/delete", "etcdserverpb.Auth.UserDelete"),
    ("auth/user/changepw", "etcdserverpb.Auth.UserChangePassword"),
    ("auth/user/grant", "etcdserverpb.Auth.UserGrantRole"),
    ("auth/user/revoke", "etcdserverpb.Auth.UserRevokeRole"),
    ("auth/role/add", "etcdserverpb.Auth.RoleAdd"),
    ("auth/role/get", "etcdserverpb.Auth.RoleGet"),
    ("auth/role/list", "etcdserverpb.Auth.RoleList"),
    ("auth/role/delete", "etcdserverpb.Auth.RoleDelete"),
    ("auth/role/grant", "etcdserverpb.Auth.RoleGrantPermission"),
    ("auth/role/revoke", "etcdserverpb.Auth.RoleRevokePermission"),
    ("lock/lock", "v3lockpb.Lock.Lock"),
    ("lock/unlock", "v3lockpb.Lock.Unlock"),
    ("election/campaign", "v3electionpb.Election.Campaign"),
    ("election/proclaim", "v3electionpb.Election.Proclaim"),
    ("election/leader", "v3electionpb.Election.Leader"),
    ("election/observe", "v3electionpb.Election.Observe"),
    ("election/resign", "v3electionpb.Election.Resign"),
];

/// What the paths begin with; the second is of etcd 3.3's time and still served.
const PREFIXES: [&str; 2] = ["/v3", "/v3beta"];

/// Bytes of one request, at most, in JSON; the request itself is bounded where it arrives.
const JSON_BYTES_MAX: usize = 64 << 20;

/// Requests of a stream that may wait.
const REQUESTS_MAX: usize = 16;

static API: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let set: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/api.bin"));
    DescriptorPool::decode(set).expect("the build wrote it")
});

/// One method, and the way to it.
#[derive(Clone)]
struct Way {
    grpc: Router,
    method: MethodDescriptor,
}

/// The paths, for calls of what these routes serve.
pub(super) fn routes(grpc: &Router) -> Router {
    let mut paths = Router::new();
    for (path, name) in METHODS {
        let method = API.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let method = method.into_iter().find(|method| method.full_name() == *name);
        let way = Way { grpc: grpc.clone(), method: method.expect("the interface has it") };
        for prefix in PREFIXES {
            let call = post(call).fallback(not_allowed).with_state(way.clone());
            paths = paths.route(&format!("{prefix}/{path}"), call);
        }
    }
    for prefix in PREFIXES {
        paths = paths.route(&format!("{prefix}/{{*path}}"), axum::routing::any(not_found));
    }
    paths
}

async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, &Status::not_found("Not Found"))
}

async fn not_allowed() -> Response {
    refusal(StatusCode::NOT_IMPLEMENTED, &Status::unimplemented("Method Not Allowed"))
}

async fn call(State(way): State<Way>, headers: HeaderMap, body: Body) -> Response {
    match way.call(&headers, body).await {
        Ok(answer) => answer,
        Err(status) => refusal(http_status(status.code()), &status),
    }
}

impl Way {
    async fn call(self, headers: &HeaderMap, body: Body) -> Result<Response, Status> {
        let service = self.method.parent_service().full_name().to_owned();
        let path = PathAndQuery::try_from(format!("/{service}/{}", self.method.name()));
        let path = path.map_err(|error| Status::internal(error.to_string()))?;
        let codec = Codec { answers: self.method.output() };
        let mut grpc = Grpc::new(self.grpc).max_decoding_message_size(usize::MAX);
        let metadata = metadata(headers);
        if !self.method.is_server_streaming() {
            let mut request = Request::new(only_message(&self.method.input(), body).await?);
            *request.metadata_mut() = metadata;
            let answer = grpc.unary(request, path, codec).await?.into_inner();
            return Ok(json_of(StatusCode::OK, to_json(&answer)?));
        }
        let answers = if self.method.is_client_streaming() {
            let (requests, received) = mpsc::channel(REQUESTS_MAX);
            tokio::spawn(read_messages(self.method.input(), body, requests));
            let mut request = Request::new(ReceiverStream::new(received));
            *request.metadata_mut() = metadata;
            grpc.streaming(request, path, codec).await
        } else {
            let mut request = Request::new(only_message(&self.method.input(), body).await?);
            *request.metadata_mut() = metadata;
            grpc.server_streaming(request, path, codec).await
        };
        Ok(lines(answers.map(tonic::Response::into_inner)).await)
    }
}

/// The answers of a stream, a line each. If the first is an error, the status tells of it too.
async fn lines(answers: Result<Streaming<DynamicMessage>, Status>) -> Response {
    let (first, rest) = match answers {
        Ok(mut answers) => (answers.next().await, Some(answers)),
        Err(status) => (Some(Err(status)), None),
    };
    let status = match &first {
        Some(Err(status)) => http_status(status.code()),
        _ => StatusCode::OK,
    };
    let answers = stream::iter(first).chain(stream::iter(rest).flatten());
    let lines = answers.map(|answer| Ok::<_, std::convert::Infallible>(line(answer)));
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, Body::from_stream(lines)).into_response()
}

/// What goes on to the method of the headers: who asks, and what is named for it.
fn metadata(headers: &HeaderMap) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        let onward =
            if name == "authorization" { Some(name) } else { name.strip_prefix("grpc-metadata-") };
        if let Some(onward) = onward
            && let Ok(key) = MetadataKey::from_bytes(onward.as_bytes())
            && let Ok(text) = value.to_str()
            && let Ok(text) = text.parse()
        {
            metadata.insert(key, text);
        }
    }
    metadata
}

/// All that is posted, as the one message that a method takes.
async fn only_message(kind: &MessageDescriptor, body: Body) -> Result<DynamicMessage, Status> {
    let bytes = axum::body::to_bytes(body, JSON_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| Status::invalid_argument(error.to_string()))?;
    one_message(kind, &bytes)
}

/// The one message of a call; nothing at all is one with its defaults.
fn one_message(kind: &MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage, Status> {
    if bytes.trim_ascii().is_empty() {
        return Ok(DynamicMessage::new(kind.clone()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    message(kind, &mut json)
}

fn message(
    kind: &MessageDescriptor,
    json: &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>,
) -> Result<DynamicMessage, Status> {
    // What is not known is passed over, as etcd does.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    DynamicMessage::deserialize_with_options(kind.clone(), json, &options)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Reads one message after the other as they come, until the client has no more or one is none.
async fn read_messages(
    kind: MessageDescriptor,
    body: Body,
    requests: mpsc::Sender<DynamicMessage>,
) {
    let mut body = body.into_data_stream();
    let mut unread = Vec::new();
    while let Some(Ok(bytes)) = body.next().await {
        unread.extend_from_slice(&bytes);
        let mut whole = 0;
        let mut values = serde_json::Deserializer::from_slice(&unread)
            .into_iter::<&serde_json::value::RawValue>();
        while let Some(Ok(value)) = values.next() {
            whole = values.byte_offset();
            let Ok(message) = one_message(&kind, value.get().as_bytes()) else { return };
            if requests.send(message).await.is_err() {
                return;
            }
        }
        unread.drain(..whole);
        if unread.len() > JSON_BYTES_MAX {
            return;
        }
    }
}

fn to_json(message: &DynamicMessage) -> Result<Vec<u8>, Status> {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(true)
        .skip_default_fields(true);
    let mut json = serde_json::Serializer::new(Vec::new());
    let written = message.serialize_with_options(&mut json, &options);
    written.map_err(|error| Status::internal(error.to_string()))?;
    Ok(json.into_inner())
}

/// One line of a stream.
fn line(answer: Result<DynamicMessage, Status>) -> Vec<u8> {
    match answer.and_then(|answer| to_json(&answer)) {
        Ok(json) => [b"{\"result\":", &json[..], b"}\n"].concat(),
        Err(status) => format!("{}\n", json!({ "error": told(&status) })).into_bytes(),
    }
}

fn told(status: &Status) -> serde_json::Value {
    json!({ "code": i32::from(status.code()), "message": status.message() })
}

fn refusal(http: StatusCode, status: &Status) -> Response {
    json_of(http, told(status).to_string().into_bytes())
}

fn json_of(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // What other servers say of a client that has gone.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
