//! Errors, divided by the one question that matters: may the request have happened?
//!
//! The rule: only what the store defines as "it did not happen" is a definite fail, and what never
//! left this machine. A code alone defines nothing: `Unavailable` is a refused connection as well
//! as one that broke with the request on its way, and `Unknown` is anything. So the store's own
//! sentences decide, and all that is in no list is indeterminate.

use crate::StoreError;
use etcd_client::Error;
use tonic::{Code, ConnectError, Status};

/// Sentences by which etcd refuses a request without applying any of it (its `rpctypes`, as of
/// 3.3 to 3.5). Compared as prefixes, after `etcdserver: `.
///
/// Deliberately not here, for they may follow a proposal that is applied later: `request timed
/// out` in all its forms, `leader changed`, `no leader`, `server stopped`, `not leader`,
/// `unhealthy cluster`, `corrupt cluster`, `corrupt alarm`, `stopped`.
const REFUSALS: &[&str] = &[
    "key is not provided",
    "key not found",
    "value is provided",
    "lease is provided",
    "too many operations in txn request",
    "duplicate key given in txn request",
    "invalid count of",
    "invalid sort option",
    // Issue #18667: a transaction that reads at a future revision is refused by one member and
    // applied by the others. It is still a fail by definition: members that differ are found by
    // comparing members.
    "mvcc: required revision has been compacted",
    "mvcc: required revision is a future revision",
    "mvcc: database space exceeded",
    "request is too large",
    // Before the proposal: too far behind in applying.
    "too many requests",
    "requested lease not found",
    "lease already exists",
    "too large lease TTL",
    "permission denied",
    "invalid auth token",
    "revision of auth store is old",
    "authentication failed",
    "authentication is not enabled",
    "user name is empty",
    "user name not found",
    "role name not found",
    "user name already exists",
    "role name already exists",
    "role is not granted to the user",
    "permission is not granted to the role",
    "not capable",
    "learner is not allowed",
    "rpc not supported for learner",
];

/// The meaning of an error that came in place of an answer.
pub fn classify(error: Error) -> StoreError {
    let text = match &error {
        Error::GRpcStatus(status) => format!("{:?}: {}", status.code(), status.message()),
        other => other.to_string(),
    };
    if never_happened(&error) {
        StoreError::DidNotHappen(text)
    } else {
        StoreError::Indeterminate(text)
    }
}

/// An error in making the connection: whatever it is, no request was sent.
pub fn classify_connect(endpoint: &str, error: &tonic::transport::Error) -> StoreError {
    let mut text = format!("no connection to {endpoint}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    StoreError::DidNotHappen(text)
}

fn never_happened(error: &Error) -> bool {
    match error {
        // Refused by the crate before it was sent.
        Error::InvalidArgs(_)
        | Error::InvalidUri(_)
        | Error::InvalidMetadataValue(_)
        | Error::EndpointsNotManaged => true,
        Error::GRpcStatus(status) => refused_by_store(status) || never_connected(status),
        _ => false,
    }
}

fn refused_by_store(status: &Status) -> bool {
    status.code() == Code::Unimplemented || refuses(status.message())
}

/// Whether etcd says with these words that it has applied nothing of a request.
pub fn refuses(message: &str) -> bool {
    message
        .strip_prefix("etcdserver: ")
        .is_some_and(|rest| REFUSALS.iter().any(|refusal| rest.starts_with(refusal)))
}

/// Whether the connection could not be made: tonic hangs a [`ConnectError`] under the status. A
/// keepalive that timed out bears the same code, but came after the request.
fn never_connected(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_store_defines_as_not_happened_is_a_fail() {
        let fails = true;
        let may_have_happened = false;
        let rows = [
            (Code::InvalidArgument, "etcdserver: duplicate key given in txn request", fails),
            (Code::InvalidArgument, "etcdserver: request is too large", fails),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old", fails),
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", fails),
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision", fails),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", fails),
            (Code::ResourceExhausted, "etcdserver: too many requests", fails),
            (Code::NotFound, "etcdserver: requested lease not found", fails),
            (Code::PermissionDenied, "etcdserver: permission denied", fails),
            (Code::Unauthenticated, "etcdserver: invalid auth token", fails),
            (Code::Unimplemented, "unknown service etcdserverpb.KV", fails),
            (Code::Unavailable, "etcdserver: request timed out", may_have_happened),
            (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to previous leader failure",
                may_have_happened,
            ),
            (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to connection lost",
                may_have_happened,
            ),
            (Code::Unavailable, "etcdserver: leader changed", may_have_happened),
            (Code::Unavailable, "etcdserver: no leader", may_have_happened),
            (Code::Unavailable, "etcdserver: server stopped", may_have_happened),
            (Code::DataLoss, "etcdserver: corrupt cluster", may_have_happened),
            (Code::Unavailable, "transport is closing", may_have_happened),
            (Code::Unavailable, "keep-alive timed out", may_have_happened),
            (Code::Cancelled, "Timeout expired", may_have_happened),
            (Code::Cancelled, "context canceled", may_have_happened),
            (Code::DeadlineExceeded, "context deadline exceeded", may_have_happened),
            (Code::Unknown, "h2 protocol error", may_have_happened),
            (Code::Internal, "panic", may_have_happened),
            // The code alone is no proof, nor is the sentence of another server.
            (Code::PermissionDenied, "denied by a proxy", may_have_happened),
            (Code::InvalidArgument, "malformed", may_have_happened),
            (Code::Unavailable, "permission denied", may_have_happened),
        ];
        for (code, message, definite) in rows {
            let kind = classify(Error::GRpcStatus(Status::new(code, message)));
            assert_eq!(matches!(kind, StoreError::DidNotHappen(_)), definite, "{code:?} {message}");
        }
    }

    #[test]
    fn a_status_that_a_failed_connection_caused_is_a_fail_and_one_without_is_not() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let status = Status::from_error(Box::new(ConnectError(Box::new(refused))));
        assert_eq!(status.code(), Code::Unavailable);
        assert!(matches!(classify(Error::GRpcStatus(status)), StoreError::DidNotHappen(_)));
        let status = Status::unavailable("tcp connect error: connection refused");
        assert!(matches!(classify(Error::GRpcStatus(status)), StoreError::Indeterminate(_)));
    }

    #[test]
    fn what_the_crate_refuses_to_send_is_a_fail_and_a_broken_pipe_is_not() {
        let error = Error::InvalidArgs("empty endpoints".to_owned());
        assert!(matches!(classify(error), StoreError::DidNotHappen(_)));
        let error = Error::IoError(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(classify(error), StoreError::Indeterminate(_)));
    }
}
