//! Changes: put, deletion, and transactions of them.

use std::cmp::Ordering;

use bytes::Bytes;

use super::check::own;
use super::{Mvcc, Version, cost};
use crate::error::ApiError;
use crate::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::response_op::Response;
use crate::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};

/// A transaction under way: everything that it changes bears one revision, the next.
#[derive(Debug)]
pub struct WriteTxn<'a> {
    store: &'a mut Mvcc,
    main: i64,
    changes: i64,
}

impl<'a> WriteTxn<'a> {
    pub(super) fn new(store: &'a mut Mvcc) -> Self {
        let main = store.revision + 1;
        store.changed.clear();
        Self { store, main, changes: 0 }
    }

    /// The newest revision that a read within the transaction sees.
    pub fn revision(&self) -> i64 {
        if self.changes > 0 { self.main } else { self.store.revision }
    }

    /// Takes a revision without a change. No transaction should.
    pub fn take_revision(&mut self) {
        self.changes += 1;
    }

    /// Ends the transaction; the revision moves if it changed anything.
    pub fn end(self) -> i64 {
        self.store.revision = self.revision();
        self.store.revision
    }

    /// Reads, and sees the transaction's own changes.
    ///
    /// # Errors
    /// As [`Mvcc::range`].
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, ApiError> {
        self.store.range(request, self.revision())
    }

    /// Puts a key.
    ///
    /// # Errors
    /// A lease that is not there, or a flag that needs an old value where there is none.
    pub fn put(&mut self, request: &PutRequest) -> Result<PutResponse, ApiError> {
        if !self.store.leases.may_bind(request.lease) {
            return Err(ApiError::LeaseNotFound);
        }
        let main = self.main;
        let old = self.current(&request.key).cloned();
        if old.is_none() && (request.ignore_value || request.ignore_lease) {
            return Err(ApiError::KeyNotFound);
        }
        let value = match &old {
            Some(old) if request.ignore_value => old.value.clone(),
            _ => own(&request.value),
        };
        let kept = old.as_ref().filter(|_| request.ignore_lease).map(|old| old.lease);
        let lease = kept.unwrap_or(request.lease);
        let (create, version) = old.as_ref().map_or((main, 1), |old| (old.create, old.version + 1));
        let sub = self.changes;
        self.change(&request.key, Version { main, sub, create, version, value, lease });
        let old = old.filter(|_| request.prev_kv);
        let prev_kv = old.map(|old| old.to_kv(&request.key));
        Ok(PutResponse { header: None, prev_kv })
    }

    /// Deletes the keys of an interval. One that does not exist is no error.
    pub fn delete(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let now = self.revision();
        let live = self.store.live(&request.key, &request.range_end, now);
        let doomed: Vec<(Bytes, Version)> =
            live.map(|(key, version)| (key.clone(), version.clone())).collect();
        let mut response = DeleteRangeResponse::default();
        for (key, old) in doomed {
            let tombstone = Version {
                main: self.main,
                sub: self.changes,
                create: 0,
                version: 0,
                value: Bytes::new(),
                lease: 0,
            };
            self.change(&key, tombstone);
            response.deleted += 1;
            if request.prev_kv {
                response.prev_kvs.push(old.to_kv(&key));
            }
        }
        response
    }

    /// Runs a transaction that [`super::check_txn`] has passed: the compares, then one branch.
    /// Without `checked`, which is a bug, a read that cannot be answered stops it half-way.
    ///
    /// # Errors
    /// Whatever can fail is tried before anything is changed, so an error changes nothing
    /// (in etcd it may: issue #18667).
    pub fn txn(&mut self, request: &TxnRequest, checked: bool) -> Result<TxnResponse, ApiError> {
        // Every compare, those of nested transactions too, sees the store before any change.
        let path = Path::take(self, request);
        if checked {
            // In etcd's order, which shows in the error: the writes first, then the reads.
            self.check_branch(request, &path, Self::check_write)?;
            self.check_branch(request, &path, Self::check_read)?;
        }
        // A put that keeps a value which the same transaction deletes fails half-way. (In etcd it
        // ends the process.)
        let before = (checked && deletes(request)).then(|| self.store.clone());
        let result = self.run(request, &path);
        if let (Err(_), Some(before)) = (&result, before) {
            *self.store = before;
            self.changes = 0;
        }
        if checked { result } else { Ok(result.unwrap_or_default()) }
    }

    fn current(&self, key: &[u8]) -> Option<&Version> {
        let history = self.store.keys.get(key)?;
        history.last().filter(|version| !version.is_tombstone())
    }

    fn change(&mut self, key: &Bytes, version: Version) {
        self.changes += 1;
        self.store.bytes += cost(key, &version);
        // Owned once, and shared by all that name the key: not the request's bytes.
        let key = own(key);
        let new = version.lease;
        let old = match self.store.keys.get_mut(&key) {
            Some(history) => {
                let old = history.last().map_or(0, |old| old.lease);
                history.push(version);
                old
            }
            None => {
                self.store.keys.insert(key.clone(), vec![version]);
                0
            }
        };
        self.store.leases.rebind(&key, old, new);
        self.store.changed.push(key);
    }

    fn holds(&self, compare: &Compare) -> bool {
        let now = self.revision();
        let mut live = self.store.live(&compare.key, &compare.range_end, now).peekable();
        if live.peek().is_none() {
            // What does not exist has version, revisions and lease 0, and no value at all: a
            // comparison of values is false then, whatever it asks.
            return compare.target() != CompareTarget::Value && compare_one(compare, None);
        }
        live.all(|(_, version)| compare_one(compare, Some(version)))
    }

    /// Runs a check over the operations of the branches that are taken, nested ones included.
    fn check_branch(
        &self,
        request: &TxnRequest,
        path: &Path,
        check: fn(&Self, &Request) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut nested = path.nested.iter();
        for op in path.branch(request) {
            match &op.request {
                Some(Request::RequestTxn(txn)) => {
                    if let Some(path) = nested.next() {
                        self.check_branch(txn, path, check)?;
                    }
                }
                Some(op) => check(self, op)?,
                None => {}
            }
        }
        Ok(())
    }

    fn check_read(&self, op: &Request) -> Result<(), ApiError> {
        match op {
            Request::RequestRange(range) => self.store.kept(range.revision),
            _ => Ok(()),
        }
    }

    fn check_write(&self, op: &Request) -> Result<(), ApiError> {
        let Request::RequestPut(put) = op else { return Ok(()) };
        let keeps_old = put.ignore_value || put.ignore_lease;
        if keeps_old && self.current(&put.key).is_none() {
            return Err(ApiError::KeyNotFound);
        }
        // Here the key comes before the lease; in a put by itself it is the other way.
        if !self.store.leases.may_bind(put.lease) {
            return Err(ApiError::LeaseNotFound);
        }
        Ok(())
    }

    fn run(&mut self, request: &TxnRequest, path: &Path) -> Result<TxnResponse, ApiError> {
        let mut nested = path.nested.iter();
        let mut responses = Vec::new();
        for op in path.branch(request) {
            let response = match &op.request {
                Some(Request::RequestRange(range)) => {
                    let mut response = self.range(range)?;
                    response.header = self.header();
                    Response::ResponseRange(response)
                }
                Some(Request::RequestPut(put)) => {
                    let mut response = self.put(put)?;
                    response.header = self.header();
                    Response::ResponsePut(response)
                }
                Some(Request::RequestDeleteRange(delete)) => {
                    let mut response = self.delete(delete);
                    response.header = self.header();
                    Response::ResponseDeleteRange(response)
                }
                Some(Request::RequestTxn(txn)) => {
                    let Some(path) = nested.next() else { continue };
                    let mut response = self.run(txn, path)?;
                    // etcd fills in that of the outermost alone.
                    response.header = Some(ResponseHeader::default());
                    Response::ResponseTxn(response)
                }
                None => return Err(ApiError::KeyNotFound),
            };
            responses.push(ResponseOp { response: Some(response) });
        }
        Ok(TxnResponse { header: None, succeeded: path.succeeded, responses })
    }

    /// Within a transaction only the revision is filled in.
    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader { revision: self.revision(), ..Default::default() })
    }
}

fn deletes(request: &TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).any(|op| match &op.request {
        Some(Request::RequestDeleteRange(_)) => true,
        Some(Request::RequestTxn(txn)) => deletes(txn),
        _ => false,
    })
}

/// Which branch a transaction takes, and those nested in that branch, in order.
struct Path {
    succeeded: bool,
    nested: Vec<Path>,
}

impl Path {
    fn take(txn: &WriteTxn<'_>, request: &TxnRequest) -> Self {
        let succeeded = request.compare.iter().all(|compare| txn.holds(compare));
        let mut path = Self { succeeded, nested: Vec::new() };
        for op in path.branch(request) {
            if let Some(Request::RequestTxn(inner)) = &op.request {
                path.nested.push(Self::take(txn, inner));
            }
        }
        path
    }

    fn branch<'r>(&self, request: &'r TxnRequest) -> &'r [RequestOp] {
        if self.succeeded { &request.success } else { &request.failure }
    }
}

fn compare_one(compare: &Compare, version: Option<&Version>) -> bool {
    let number = |of: fn(&Version) -> i64, to: i64| version.map_or(0, of).cmp(&to);
    // A target without its operand compares with zero, or with the empty value.
    let ordering = match (compare.target(), &compare.target_union) {
        (CompareTarget::Version, operand) => number(
            |version| version.version,
            if let Some(TargetUnion::Version(to)) = operand { *to } else { 0 },
        ),
        (CompareTarget::Create, operand) => number(
            |version| version.create,
            if let Some(TargetUnion::CreateRevision(to)) = operand { *to } else { 0 },
        ),
        (CompareTarget::Mod, operand) => number(
            |version| version.main,
            if let Some(TargetUnion::ModRevision(to)) = operand { *to } else { 0 },
        ),
        (CompareTarget::Lease, operand) => number(
            |version| version.lease,
            if let Some(TargetUnion::Lease(to)) = operand { *to } else { 0 },
        ),
        (CompareTarget::Value, operand) => {
            let value = version.map(|version| &version.value[..]).unwrap_or_default();
            value.cmp(if let Some(TargetUnion::Value(to)) = operand { &to[..] } else { &[] })
        }
    };
    match compare.result() {
        CompareResult::Equal => ordering == Ordering::Equal,
        CompareResult::NotEqual => ordering != Ordering::Equal,
        CompareResult::Greater => ordering == Ordering::Greater,
        CompareResult::Less => ordering == Ordering::Less,
    }
}
