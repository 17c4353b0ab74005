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
    /// Checks cannot begin before somebody may end them.
    #[error("etcdserver: root user does not exist")]
    RootUserNotExist,
    /// See [`ApiError::RootUserNotExist`].
    #[error("etcdserver: root user does not have root role")]
    RootRoleNotExist,
    /// A user without a name, or a request of nobody where users are checked.
    #[error("etcdserver: user name is empty")]
    UserEmpty,
    /// The name is taken.
    #[error("etcdserver: user name already exists")]
    UserAlreadyExists,
    /// No such user.
    #[error("etcdserver: user name not found")]
    UserNotFound,
    /// A role without a name.
    #[error("etcdserver: role name is empty")]
    RoleEmpty,
    /// The name is taken.
    #[error("etcdserver: role name already exists")]
    RoleAlreadyExists,
    /// No such role.
    #[error("etcdserver: role name not found")]
    RoleNotFound,
    /// A grant that says not of what.
    #[error("etcdserver: permission not given")]
    PermissionNotGiven,
    /// The caller may not.
    #[error("etcdserver: permission denied")]
    PermissionDenied,
    /// The user does not have the role that is to be taken away.
    #[error("etcdserver: role is not granted to the user")]
    RoleNotGranted,
    /// The role does not have the permission that is to be taken away.
    #[error("etcdserver: permission is not granted to the role")]
    PermissionNotGranted,
    /// Nobody can log in where nobody is checked.
    #[error("etcdserver: authentication is not enabled")]
    AuthNotEnabled,
    /// No such user, or another password.
    #[error("etcdserver: authentication failed, invalid user ID or password")]
    AuthFailed,
    /// The user has no password to log in with. etcd gives this one as it is, without a code.
    #[error("auth: authentication failed, password was given for no password user")]
    PasswordOfNoPasswordUser,
    /// The token is not known, or no longer.
    #[error("etcdserver: invalid auth token")]
    InvalidAuthToken,
    /// [`ApiError::UserEmpty`], where etcd gives the error of its innards, without a code.
    #[error("auth: user name is empty")]
    UserEmptyWithoutCode,
    /// [`ApiError::PermissionDenied`], likewise.
    #[error("auth: permission denied")]
    PermissionDeniedWithoutCode,
    /// [`ApiError::InvalidAuthToken`], likewise.
    #[error("auth: invalid auth token")]
    InvalidAuthTokenWithoutCode,
    /// What would leave nobody in charge, or a permission on no key.
    #[error("etcdserver: invalid auth management")]
    InvalidAuthManagement,
    /// Users, roles or permissions have changed since the caller was found out.
    #[error("etcdserver: revision of auth store is old")]
    AuthOldRevision,
    /// A member was to be named that is not there.
    #[error("etcdserver: member not found")]
    MemberNotFound,
    /// A member was to be added with the id of another.
    #[error("etcdserver: member ID already exist")]
    MemberExists,
    /// A member was to have a peer URL of another.
    #[error("etcdserver: Peer URLs already exists")]
    PeerUrlExists,
    /// Peer URLs that are none.
    #[error("etcdserver: given member URLs are invalid")]
    MemberBadUrls,
    /// The change would leave fewer members that have ever started than a majority.
    #[error("etcdserver: re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// The change needs a majority that is not in reach.
    #[error("etcdserver: unhealthy cluster")]
    Unhealthy,
    /// A member that votes already was to be promoted.
    #[error("etcdserver: can only promote a learner member")]
    NotLearner,
    /// A learner was to be promoted whose log is far behind the leader's.
    #[error("etcdserver: can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    /// There are as many learners as there may be.
    #[error("etcdserver: too many learner members in cluster")]
    TooManyLearners,
    /// A learner answers neither writes nor linearizable reads.
    #[error("etcdserver: rpc not supported for learner")]
    Learner,
    /// Only the leader can do what was asked.
    #[error("etcdserver: not leader")]
    NotLeader,
    /// The leadership was to go to somebody who is no voting member.
    #[error("etcdserver: bad leader transferee")]
    BadTransferee,
    /// The leadership did not move within the bound.
    #[error("etcdserver: request timed out, leader transfer took too long")]
    TransferTimeout,
    /// The quota is used up.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// The alarm says that members differ.
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
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
    /// Try again, or elsewhere.
    Unavailable,
    /// The state of things does not allow it, or something must be done first.
    FailedPrecondition,
    /// The caller may not.
    PermissionDenied,
    /// Nobody knows who the caller is.
    Unauthenticated,
    /// etcd has no code for it.
    Unknown,
    /// What was stored is damaged.
    DataLoss,
}

impl ApiError {
    /// The error as etcd gives it where it does not translate those of its package `auth`.
    pub(crate) fn without_code(self) -> Self {
        match self {
            Self::UserEmpty => Self::UserEmptyWithoutCode,
            Self::PermissionDenied => Self::PermissionDeniedWithoutCode,
            Self::InvalidAuthToken => Self::InvalidAuthTokenWithoutCode,
            other => other,
        }
    }

    /// The status code that etcd gives the error.
    pub fn code(self) -> Code {
        use ApiError::*;
        match self {
            EmptyKey
            | KeyNotFound
            | ValueProvided
            | LeaseProvided
            | TooManyOps
            | DuplicateKey
            | InvalidSortOption
            | RequestTooLarge
            | MemberBadUrls
            | UserEmpty
            | RoleEmpty
            | PermissionNotGiven
            | AuthFailed
            | InvalidAuthManagement
            | AuthOldRevision => Code::InvalidArgument,
            MemberExists | PeerUrlExists | NotEnoughStarted | NotLearner | LearnerNotReady
            | TooManyLearners | NotLeader | BadTransferee | LeaseExists | RootUserNotExist
            | RootRoleNotExist | UserAlreadyExists | UserNotFound | RoleAlreadyExists
            | RoleNotFound | RoleNotGranted | PermissionNotGranted | AuthNotEnabled => {
                Code::FailedPrecondition
            }
            PermissionDenied => Code::PermissionDenied,
            InvalidAuthToken => Code::Unauthenticated,
            PasswordOfNoPasswordUser
            | UserEmptyWithoutCode
            | PermissionDeniedWithoutCode
            | InvalidAuthTokenWithoutCode => Code::Unknown,
            LeaseNotFound | MemberNotFound => Code::NotFound,
            Compacted | FutureRevision | LeaseTtlTooLarge => Code::OutOfRange,
            TooManyRequests | NoSpace => Code::ResourceExhausted,
            Timeout | LeaderChanged | NoLeader | Stopped | Unhealthy | Learner
            | TransferTimeout => Code::Unavailable,
            Corrupt => Code::DataLoss,
        }
    }
}
