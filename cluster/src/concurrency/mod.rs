//! Locks and elections, as etcd's package `concurrency` has them: keys of one prefix, one a lease,
//! the oldest of which holds the lock or leads.
//!
//! Nothing here knows where the node is: the services Lock and Election ask the one that they
//! belong to, and a simulation's clients ask theirs over a simulated network.

mod election;
mod lock;

pub use election::{campaign, leader, proclaim, resign};
pub use lock::{lock, unlock};

use std::future::Future;

use bytes::Bytes;
use thiserror::Error;

use crate::core::{Request, Response};
use crate::error::ApiError;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::response_op::Response as Done;
use crate::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest, PutRequest, RangeRequest,
    RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchResponse,
};
use crate::proto::mvccpb::KeyValue;
use crate::state::Applied;

/// The time to live of a lease that a client leaves to the server, in seconds.
const SESSION_TTL: i64 = 60;

/// Why a lock is not had, or an office.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The node says so. etcd's own client within its server loses the code of such an error.
    #[error("{0}")]
    Said(String),
    /// The node's error, with its code.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It answered another question.
    #[error("the node gave the answer to another request")]
    Unexpected,
}

/// A node, and who asks it.
pub trait Behind: Clone {
    /// A watch of it.
    type Watching: Watching;
    /// Asks, and waits for the answer.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Response, Failure>>;
    /// Watches.
    fn watch(
        &self,
        create: WatchCreateRequest,
    ) -> impl Future<Output = Result<Self::Watching, Failure>>;
    /// Asks, and nobody waits for the answer.
    fn withdraw(&self, txn: TxnRequest);
}

/// A watch that goes on until it is dropped.
pub trait Watching {
    /// The next response.
    ///
    /// # Errors
    /// The watch has ended: the node stops, or has compacted what was to come.
    fn next(&mut self) -> impl Future<Output = Result<WatchResponse, Failure>>;
}

/// Acts for one client: with its credentials, as if it had asked itself.
pub(crate) struct Session<'a, B> {
    pub behind: &'a B,
}

/// The key with which a client stands in line.
pub(crate) struct Place {
    pub key: Bytes,
    pub lease: i64,
    /// The revision that created it.
    pub revision: i64,
    /// The key as it was found, if it was there already.
    pub found: Option<KeyValue>,
    pub header: ResponseHeader,
}

/// Takes a place in line back when it is dropped, unless it was kept: whoever stands behind must
/// not wait for a client that has failed or gone away. If that fails the key goes when its lease
/// ends.
pub(crate) struct Withdrawal<B: Behind> {
    behind: B,
    key: Bytes,
    revision: i64,
    kept: bool,
}

impl<B: Behind> Withdrawal<B> {
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl<B: Behind> Drop for Withdrawal<B> {
    fn drop(&mut self) {
        if !self.kept {
            self.behind.withdraw(delete_if_still_there(self.key.clone(), self.revision));
        }
    }
}

/// Deletes a key unless it has been made anew since.
pub(crate) fn delete_if_still_there(key: Bytes, revision: i64) -> TxnRequest {
    let delete = DeleteRangeRequest { key: key.clone(), ..Default::default() };
    TxnRequest {
        compare: vec![created_at(key, revision)],
        success: vec![op(Op::RequestDeleteRange(delete))],
        failure: Vec::new(),
    }
}

impl<B: Behind> Session<'_, B> {
    /// Guards a place in line.
    pub fn guard(&self, place: &Place) -> Withdrawal<B> {
        let (behind, key) = (self.behind.clone(), place.key.clone());
        Withdrawal { behind, key, revision: place.revision, kept: false }
    }

    async fn ask(&self, request: Request) -> Result<Response, Failure> {
        self.behind.ask(request).await
    }

    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        match self.ask(Request::Range(request)).await? {
            Response::Applied(Applied::Range(response)) => Ok(response),
            _ => Err(Failure::Unexpected),
        }
    }

    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Failure> {
        match self.ask(Request::Txn(request)).await? {
            Response::Applied(Applied::Txn(response)) => Ok(response),
            _ => Err(Failure::Unexpected),
        }
    }

    pub async fn delete(&self, key: Bytes) -> Result<DeleteRangeResponse, Failure> {
        let request = DeleteRangeRequest { key, ..Default::default() };
        match self.ask(Request::DeleteRange(request)).await? {
            Response::Applied(Applied::DeleteRange(response)) => Ok(response),
            _ => Err(Failure::Unexpected),
        }
    }

    /// The lease to use: the client's, or one that is made for it.
    async fn lease(&self, asked: i64) -> Result<i64, Failure> {
        if asked != 0 {
            return Ok(asked);
        }
        let request = LeaseGrantRequest { ttl: SESSION_TTL, id: 0 };
        match self.ask(Request::LeaseGrant(request)).await? {
            Response::Applied(Applied::LeaseGrant(response)) => Ok(response.id),
            _ => Err(Failure::Unexpected),
        }
    }

    /// Stands in line under a prefix, or finds that the lease stands there already.
    pub async fn stand(&self, prefix: &[u8], lease: i64, value: Bytes) -> Result<Place, Failure> {
        let lease = self.lease(lease).await?;
        let key: Bytes = [prefix, hex(lease).as_bytes()].concat().into();
        let put = PutRequest { key: key.clone(), value, lease, ..Default::default() };
        let get = RangeRequest { key: key.clone(), ..Default::default() };
        let txn = TxnRequest {
            compare: vec![created_at(key.clone(), 0)],
            success: vec![op(Op::RequestPut(put))],
            failure: vec![op(Op::RequestRange(get))],
        };
        let response = self.txn(txn).await?;
        let header = response.header.unwrap_or_default();
        let found = match response.responses.into_iter().next().and_then(|done| done.response) {
            Some(Done::ResponseRange(range)) => range.kvs.into_iter().next(),
            _ => None,
        };
        let revision = found.as_ref().map_or(header.revision, |kv| kv.create_revision);
        Ok(Place { key, lease, revision, found, header })
    }

    /// Waits until no key under the prefix is older than `revision`.
    pub async fn wait_for_older(&self, prefix: &[u8], revision: i64) -> Result<(), Failure> {
        loop {
            let older = RangeRequest {
                max_create_revision: revision - 1,
                sort_order: SortOrder::Descend.into(),
                ..first_created(prefix)
            };
            let response = self.range(older).await?;
            let Some(newest) = response.kvs.into_iter().next() else { return Ok(()) };
            let from = response.header.unwrap_or_default().revision + 1;
            let mut watch = self.watch(newest.key, Bytes::new(), from).await?;
            while !watch.next().await?.events.iter().any(is_deletion) {}
        }
    }

    /// Watches a key, or an interval, from a revision on.
    pub async fn watch(
        &self,
        key: Bytes,
        range_end: Bytes,
        from: i64,
    ) -> Result<B::Watching, Failure> {
        let create =
            WatchCreateRequest { key, range_end, start_revision: from, ..Default::default() };
        self.behind.watch(create).await
    }
}

pub(crate) fn is_deletion(event: &crate::proto::mvccpb::Event) -> bool {
    event.r#type() == crate::proto::mvccpb::event::EventType::Delete
}

/// The prefix that a lock's or an election's name stands for.
pub(crate) fn prefix_of(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The first key after those of a prefix that ends in a slash.
pub(crate) fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// Asks for the oldest key of a prefix.
pub(crate) fn first_created(prefix: &[u8]) -> RangeRequest {
    RangeRequest {
        key: prefix.to_vec().into(),
        range_end: end_of(prefix),
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..Default::default()
    }
}

/// Holds when the key was created at the revision; 0 when it is not there.
pub(crate) fn created_at(key: Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key,
        target_union: Some(TargetUnion::CreateRevision(revision)),
        range_end: Bytes::new(),
    }
}

pub(crate) fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// A lease as etcd's clients write it into keys: negative ids keep their sign.
fn hex(lease: i64) -> String {
    let sign = if lease < 0 { "-" } else { "" };
    format!("{sign}{:x}", lease.unsigned_abs())
}
