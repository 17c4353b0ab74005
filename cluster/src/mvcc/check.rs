//! What can be said of a request before anything is read: etcd's checks, with etcd's errors.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::error::ApiError;
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};

/// Checks a range.
///
/// # Errors
/// No key, or an order of sorting that does not exist.
pub fn check_range(request: &RangeRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        return Err(ApiError::EmptyKey);
    }
    let known = SortOrder::try_from(request.sort_order).is_ok()
        && SortTarget::try_from(request.sort_target).is_ok();
    if known { Ok(()) } else { Err(ApiError::InvalidSortOption) }
}

/// Checks a put.
///
/// # Errors
/// No key, or a value or lease together with the flag that says to keep the old one.
pub fn check_put(request: &PutRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        return Err(ApiError::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(ApiError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(ApiError::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
///
/// # Errors
/// No key.
pub fn check_delete(request: &DeleteRangeRequest) -> Result<(), ApiError> {
    if request.key.is_empty() { Err(ApiError::EmptyKey) } else { Ok(()) }
}

/// Checks a transaction, and those within it, of at most `ops_max` operations and compares.
///
/// # Errors
/// Too many operations, a bad operation, or a key that one branch writes twice.
pub fn check_txn(request: &TxnRequest, ops_max: usize) -> Result<(), ApiError> {
    check_ops(request, ops_max)?;
    for branch in [&request.success, &request.failure] {
        writes(branch)?;
    }
    Ok(())
}

/// Whether a transaction only reads, whichever branch it takes: then it needs no log entry.
pub fn is_read_only(request: &TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure);
    ops.all(|op| match &op.request {
        Some(Request::RequestRange(_)) => true,
        Some(Request::RequestTxn(txn)) => is_read_only(txn),
        _ => false,
    })
}

/// Whether every read of a transaction is serializable, so that it may be answered locally. A
/// transaction of compares alone is not: its answer is a read like any other.
pub fn is_serializable(request: &TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure).peekable();
    ops.peek().is_some()
        && ops.all(
            |op| matches!(&op.request, Some(Request::RequestRange(range)) if range.serializable),
        )
}

fn check_ops(request: &TxnRequest, max: usize) -> Result<(), ApiError> {
    let ops = request.compare.len().max(request.success.len()).max(request.failure.len());
    let Some(left) = max.checked_sub(ops) else { return Err(ApiError::TooManyOps) };
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(ApiError::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) => check_range(range)?,
            Some(Request::RequestPut(put)) => check_put(put)?,
            Some(Request::RequestDeleteRange(delete)) => check_delete(delete)?,
            Some(Request::RequestTxn(txn)) => check_ops(txn, left)?,
            None => return Err(ApiError::KeyNotFound),
        }
    }
    Ok(())
}

/// What a branch may write: the keys that it puts, and the intervals that it deletes.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Writes<'a> {
    fn deletes(&self, key: &[u8]) -> bool {
        // As etcd does it: here a zero byte is no sign for everything behind the key, but an end
        // before every key.
        self.deletes.iter().any(|(start, end)| match end {
            [] => *start == key,
            end => *start <= key && key < *end,
        })
    }

    fn put(&mut self, key: &'a [u8]) -> Result<(), ApiError> {
        if self.deletes(key) || !self.puts.insert(key) {
            return Err(ApiError::DuplicateKey);
        }
        Ok(())
    }
}

/// Collects what a branch writes, as etcd does: of a nested transaction both branches count
/// against what stands beside it, though not against each other.
fn writes(ops: &[RequestOp]) -> Result<Writes<'_>, ApiError> {
    let mut all = Writes::default();
    for op in ops {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            all.deletes.push((&delete.key, &delete.range_end));
        }
    }
    for op in ops {
        if let Some(Request::RequestTxn(txn)) = &op.request {
            let then = writes(&txn.success)?;
            let otherwise = writes(&txn.failure)?;
            for key in &then.puts {
                all.put(key)?;
            }
            for key in &otherwise.puts {
                if !then.puts.contains(key) {
                    all.put(key)?;
                }
            }
            all.deletes.extend(then.deletes);
            all.deletes.extend(otherwise.deletes);
        }
    }
    for op in ops {
        if let Some(Request::RequestPut(put)) = &op.request {
            all.put(put.key.as_ref())?;
        }
    }
    Ok(all)
}

/// Copies bytes out of the request that carried them, so that a small key does not keep a whole
/// request alive.
pub(super) fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
