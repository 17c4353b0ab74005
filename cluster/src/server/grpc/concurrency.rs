//! What Lock and Election share, as etcd's package `concurrency` has it: keys of one prefix, one a
//! lease, the oldest of which holds the lock or leads.

use bytes::Bytes;
use tonic::Status;

use super::{Api, Caller, status, unexpected};
use crate::core::{Request, Response, WatchInput};
use crate::error::ApiError;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::response_op::Response as Done;
use crate::proto::etcdserverpb::watch_request::RequestUnion;
use crate::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest, PutRequest, RangeRequest,
    RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchRequest, WatchResponse,
};
use crate::proto::mvccpb::KeyValue;
use crate::server::watching::{Requests, Responses};
use crate::state::Applied;

/// The time to live of a lease that a client leaves to the server, in seconds.
const SESSION_TTL: i64 = 60;

/// Acts for one client: with its credentials, as if it had asked itself.
pub(super) struct Session<'a> {
    pub api: &'a Api,
    pub caller: &'a Caller,
}

/// The key with which a client stands in line.
pub(super) struct Place {
    pub key: Bytes,
    pub lease: i64,
    /// The revision that created it.
    pub revision: i64,
    /// The key as it was found, if it was there already.
    pub found: Option<KeyValue>,
    pub header: ResponseHeader,
}

/// Takes a place in line back when it is dropped, unless it was kept: whoever stands behind must
/// not wait for a client that has failed or gone away.
pub(super) struct Withdrawal {
    api: Api,
    caller: Caller,
    key: Bytes,
    revision: i64,
    kept: bool,
}

impl Withdrawal {
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let txn = delete_if_still_there(self.key.clone(), self.revision);
        let (api, caller) = (self.api.clone(), self.caller.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // If it fails the key goes when its lease ends.
                let _ = api.ask(&caller, Request::Txn(txn)).await;
            });
        }
    }
}

/// Deletes a key unless it has been made anew since.
pub(super) fn delete_if_still_there(key: Bytes, revision: i64) -> TxnRequest {
    let delete = DeleteRangeRequest { key: key.clone(), ..Default::default() };
    TxnRequest {
        compare: vec![created_at(key, revision)],
        success: vec![op(Op::RequestDeleteRange(delete))],
        failure: Vec::new(),
    }
}

impl Session<'_> {
    /// Guards a place in line.
    pub fn guard(&self, place: &Place) -> Withdrawal {
        Withdrawal {
            api: self.api.clone(),
            caller: self.caller.clone(),
            key: place.key.clone(),
            revision: place.revision,
            kept: false,
        }
    }

    /// Asks as etcd's own client within its server does, whose errors have lost their codes.
    async fn ask(&self, request: Request) -> Result<Response, Status> {
        let answer = self.api.ask(self.caller, request).await;
        answer.map_err(|status| Status::unknown(status.message()))
    }

    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        match self.ask(Request::Range(request)).await? {
            Response::Applied(Applied::Range(response)) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Status> {
        match self.ask(Request::Txn(request)).await? {
            Response::Applied(Applied::Txn(response)) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    pub async fn delete(&self, key: Bytes) -> Result<DeleteRangeResponse, Status> {
        let request = DeleteRangeRequest { key, ..Default::default() };
        match self.ask(Request::DeleteRange(request)).await? {
            Response::Applied(Applied::DeleteRange(response)) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    /// The lease to use: the client's, or one that is made for it.
    async fn lease(&self, asked: i64) -> Result<i64, Status> {
        if asked != 0 {
            return Ok(asked);
        }
        let request = LeaseGrantRequest { ttl: SESSION_TTL, id: 0 };
        match self.ask(Request::LeaseGrant(request)).await? {
            Response::Applied(Applied::LeaseGrant(response)) => Ok(response.id),
            _ => Err(unexpected()),
        }
    }

    /// Stands in line under a prefix, or finds that the lease stands there already.
    pub async fn stand(&self, prefix: &[u8], lease: i64, value: Bytes) -> Result<Place, Status> {
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
    pub async fn wait_for_older(&self, prefix: &[u8], revision: i64) -> Result<(), Status> {
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
    pub async fn watch(&self, key: Bytes, range_end: Bytes, from: i64) -> Result<Watching, Status> {
        let create =
            WatchCreateRequest { key, range_end, start_revision: from, ..Default::default() };
        self.ask(Request::MayWatch(create.clone())).await?;
        let (requests, responses) = self.api.handle.watch().await.map_err(status)?;
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        requests.send(WatchInput::Request(request)).await.map_err(status)?;
        Ok(Watching { responses, _requests: requests })
    }
}

/// A watch of the server's own.
pub(super) struct Watching {
    responses: Responses,
    _requests: Requests,
}

impl Watching {
    /// The next response.
    ///
    /// # Errors
    /// The watch has ended: the node stops, or has compacted what was to come.
    pub async fn next(&mut self) -> Result<WatchResponse, Status> {
        let response = self.responses.next().await.unwrap_or(Err(status(ApiError::Stopped)))?;
        if response.canceled { Err(status(ApiError::Compacted)) } else { Ok(response) }
    }
}

pub(super) fn is_deletion(event: &crate::proto::mvccpb::Event) -> bool {
    event.r#type() == crate::proto::mvccpb::event::EventType::Delete
}

/// The prefix that a lock's or an election's name stands for.
pub(super) fn prefix_of(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The first key after those of a prefix that ends in a slash.
pub(super) fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// Asks for the oldest key of a prefix.
pub(super) fn first_created(prefix: &[u8]) -> RangeRequest {
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
pub(super) fn created_at(key: Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key,
        target_union: Some(TargetUnion::CreateRevision(revision)),
        range_end: Bytes::new(),
    }
}

pub(super) fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// A lease as etcd's clients write it into keys: negative ids keep their sign.
fn hex(lease: i64) -> String {
    let sign = if lease < 0 { "-" } else { "" };
    format!("{sign}{:x}", lease.unsigned_abs())
}
