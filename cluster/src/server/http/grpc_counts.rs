//! Counts gRPC calls, by method and outcome, on their way through the router.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::{self, StatusCode};
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

    /// Counts a call when its answer begins. An error that comes at the end of a stream counts as
    /// OK: by then the call is out of sight.
    pub(in crate::server) fn add<B>(&self, path: &str, response: &http::Response<B>) {
        let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok());
        let code = code.and_then(|code| code.parse::<usize>().ok()).unwrap_or(0);
        if response.status() != StatusCode::OK || code == UNIMPLEMENTED {
            return;
        }
        let name = CODES.get(code).copied().unwrap_or("Unknown");
        let mut counts = self.lock();
        if !counts.contains_key(path) {
            counts.insert(path.to_owned(), Calls::default());
        }
        if let Some(calls) = counts.get_mut(path) {
            calls.started += 1;
            *calls.handled.entry(name).or_default() += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Calls>> {
        // Nothing that holds it can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes a call on and counts it.
pub(super) async fn count(
    State(counts): State<Arc<GrpcCounts>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    counts.add(&path, &response);
    response
}
