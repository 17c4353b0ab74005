//! The errors that a client may get, with etcd's own words and codes: clients compare both.

use thiserror::Error;

/// An error of the API. The text is etcd's (`api/v3rpc/rpctypes/error.go`), to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ApiError {
    /// A key of no bytes.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` or `ignore_lease` on a key that is not there, or an operation without a body.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A value together with `ignore_value`.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// A lease together with `ignore_lease`.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// More operations than a transaction may have.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// One transaction would write a key twice.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// An order or target of sorting that does not exist.
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    /// The revision is below the compacted one.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The revision is above the newest.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// A lease that is not there.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A lease of the id is there already.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// A lease that would live longer than any may.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// The request is larger than the server takes.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// Too many requests wait for an answer.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// No answer within the bound: a write may have happened, or may yet.
    #[error("etcdserver: request timed out")]
    Timeout,
    /// The leader changed while a read waited for it.
    #[error("etcdserver: leader changed")]
    LeaderChanged,
    /// There is no leader.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// The node is stopping.
    #[error("etcdserver: server stopped")]
    Stopped,
}

/// The gRPC status codes that the errors above use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request is wrong in itself.
    InvalidArgument,
    /// What it names is not there.
    NotFound,
    /// It asks for a revision outside what is kept.
    OutOfRange,
    /// A bound is reached.
    ResourceExhausted,
    /// The state of things does not allow it.
    FailedPrecondition,
    /// Try again, or elsewhere.
    Unavailable,
}

impl ApiError {
    /// The status code that etcd gives the error.
    pub fn code(self) -> Code {
        use ApiError::*;
        match self {
            EmptyKey | KeyNotFound | ValueProvided | LeaseProvided | TooManyOps | DuplicateKey
            | InvalidSortOption | RequestTooLarge => Code::InvalidArgument,
            LeaseNotFound => Code::NotFound,
            LeaseExists => Code::FailedPrecondition,
            Compacted | FutureRevision | LeaseTtlTooLarge => Code::OutOfRange,
            TooManyRequests => Code::ResourceExhausted,
            Timeout | LeaderChanged | NoLeader | Stopped => Code::Unavailable,
        }
    }
}
