//! The client's view of an etcd v3 store, in plain types.
//!
//! One request, one answer: what etcd has streams for (watches, keepalives) is asked for piece by
//! piece, so that each piece is an operation of a history with a beginning and an end.

mod heard;
mod kv;
mod rights;
mod services;
mod v2;

pub use heard::Heard;
pub use kv::{
    Compare, CompareOp, CompareTarget, Delete, KeyValue, Order, Put, Range, SortBy, Txn, after,
};
pub use rights::{AuthChange, Grant, Login, Rights};
pub use services::{Change, Leader, Told, WatchRequest};
pub use v2::{V2, V2Condition, V2Said};

use std::future::Future;

/// A request to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read keys.
    Range(Range),
    /// Write a key.
    Put(Put),
    /// Delete keys.
    Delete(Delete),
    /// Do the one or the other list of requests, at one revision.
    Txn(Txn),
    /// Forget what was before this revision.
    Compact(i64),
    /// Grant a lease.
    LeaseGrant {
        /// Chosen by the client; 0 lets the store choose.
        id: i64,
        /// Seconds.
        ttl_s: i64,
    },
    /// Keep a lease alive, once.
    LeaseKeepAlive(i64),
    /// End a lease and delete its keys.
    LeaseRevoke(i64),
    /// How long a lease has to live.
    LeaseTimeToLive(i64),
    /// Wait for a lock, and hold it for as long as the lease lives.
    Lock {
        /// The lock.
        name: Vec<u8>,
        /// The holder's lease.
        lease: i64,
    },
    /// Let go of a lock, by the key that holding it created.
    Unlock(Vec<u8>),
    /// Wait to be elected, and lead for as long as the lease lives.
    Campaign {
        /// The election.
        name: Vec<u8>,
        /// The candidate's lease.
        lease: i64,
        /// What it proclaims.
        value: Vec<u8>,
    },
    /// Proclaim another value, as the leader.
    Proclaim {
        /// The office.
        leader: Leader,
        /// What it proclaims.
        value: Vec<u8>,
    },
    /// Who leads.
    Leads(Vec<u8>),
    /// Give up leading.
    Resign(Leader),
    /// Begin a watch on this connection.
    Watch(WatchRequest),
    /// Wait for the next response to the watch of this number.
    WatchNext(i64),
    /// Ask how far all watches of this connection are; each is told by a response of its own.
    WatchProgress,
    /// End the watch of this number.
    WatchCancel(i64),
    /// Change users, roles and rights.
    Auth(AuthChange),
    /// Ask by the v2 API, whose keys are apart from all others.
    V2(V2),
    /// The same request as somebody else.
    As(Login, Box<Request>),
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The revision in its header.
    pub revision: i64,
    /// What it says besides.
    pub said: Said,
}

/// What an answer says, beside its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// To a range.
    Range {
        /// The keys, in the order that was asked for.
        kvs: Vec<KeyValue>,
        /// How many there are, whatever the limit.
        count: i64,
        /// Whether the limit cut some off.
        more: bool,
    },
    /// To a put.
    Put {
        /// What was there, if it was asked for.
        prev: Option<KeyValue>,
    },
    /// To a deletion.
    Delete {
        /// How many keys.
        deleted: i64,
        /// What they held, if it was asked for.
        prev: Vec<KeyValue>,
    },
    /// To a transaction.
    Txn {
        /// Whether the compares held.
        succeeded: bool,
        /// What each request of the branch says.
        results: Vec<Said>,
    },
    /// To a grant, a keepalive or a question for it.
    Lease {
        /// The lease.
        id: i64,
        /// Seconds that it has to live; 0 or below: there is no such lease.
        ttl_s: i64,
        /// Seconds that it was granted for.
        granted_s: i64,
    },
    /// To a lock that is now held.
    Locked {
        /// The key that stands for holding it.
        key: Vec<u8>,
    },
    /// To a campaign that was won.
    Elected(Leader),
    /// To the question who leads; `None`: nobody.
    Leader(Option<KeyValue>),
    /// To a watch that was begun.
    Watching,
    /// A watch's next response.
    Told(Told),
    /// To a request by the v2 API.
    V2(V2Said),
    /// To all that has no more to say.
    Done,
}

impl Said {
    /// The one key that was read; `None` when it is absent, or nothing was read.
    pub fn one(&self) -> Option<&KeyValue> {
        if let Said::Range { kvs, .. } = self { kvs.first() } else { None }
    }

    /// The keys that were read.
    pub fn kvs(&self) -> &[KeyValue] {
        if let Said::Range { kvs, .. } = self { kvs } else { &[] }
    }
}

/// An error, with the one thing that matters about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store defines it as "it did not happen", or it never left this machine.
    #[error("{0}")]
    DidNotHappen(String),
    /// Everything else: it may have happened, or may yet.
    #[error("{0}")]
    Indeterminate(String),
}

/// A connection of one process to one node. Never retries on its own.
pub trait Store {
    /// Sends one request and waits for its answer. The caller bounds the waiting; one who gives
    /// up waiting for a watch's next response has lost nothing of it.
    fn send(&mut self, request: Request) -> impl Future<Output = Result<Answer, StoreError>>;

    /// Who asks from now on. A password is checked at the next request.
    fn log_in(&mut self, _login: &Login) {}
}
