//! Counts gRPC calls, by method and outcome, on their way through the router.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

/// The names of the codes, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

const UNIMPLEMENTED: usize = 12;

/// What was called how often. Only methods that exist count, so that nobody can fill the memory
/// with names.
#[derive(Debug, Default)]
pub(in crate::server) struct GrpcCounts(Mutex<BTreeMap<String, Calls>>);

/// The calls of one method.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    pub started: u64,
    /// By code.
    pub handled: BTreeMap<&'static str, u64>,
}

impl GrpcCounts {
    /// The calls by path, `/package.Service/Method`.
    pub(super) fn snapshot(&self) -> BTreeMap<String, Calls> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Calls>> {
        // Nothing that holds it can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes a call on and counts it when its answer begins. An error that comes at the end of a
/// stream counts as OK: by then the call is out of sight.
pub(super) async fn count(
    State(counts): State<Arc<GrpcCounts>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok());
    let code = code.and_then(|code| code.parse::<usize>().ok()).unwrap_or(0);
    if response.status() == StatusCode::OK && code != UNIMPLEMENTED {
        let name = CODES.get(code).copied().unwrap_or("Unknown");
        let mut counts = counts.lock();
        let calls = counts.entry(path).or_default();
        calls.started += 1;
        *calls.handled.entry(name).or_default() += 1;
    }
    response
}
