//! Between our plain types and the crate's.

use crate::{Answer, Compare, CompareOp, CompareTarget, KeyValue, StoreError, TxnOp, TxnResult};
use etcd_client as etcd;

/// The revision in an answer's header. An answer without one is no etcd's; what the request did
/// is then unknown.
pub(super) fn revision(header: Option<&etcd::ResponseHeader>) -> Result<i64, StoreError> {
    header
        .map(etcd::ResponseHeader::revision)
        .ok_or_else(|| StoreError::Indeterminate("the answer has no header".to_owned()))
}

pub(super) fn got(answer: &etcd::GetResponse) -> Result<Answer, StoreError> {
    Ok(Answer::Got {
        revision: revision(answer.header())?,
        kv: answer.kvs().first().map(key_value),
    })
}

pub(super) fn txn(compares: Vec<Compare>, then: Vec<TxnOp>, otherwise: Vec<TxnOp>) -> etcd::Txn {
    let compares: Vec<etcd::Compare> = compares.into_iter().map(compare).collect();
    let then: Vec<etcd::TxnOp> = then.into_iter().map(txn_op).collect();
    let otherwise: Vec<etcd::TxnOp> = otherwise.into_iter().map(txn_op).collect();
    etcd::Txn::new().when(compares).and_then(then).or_else(otherwise)
}

pub(super) fn txn_answer(answer: &etcd::TxnResponse) -> Result<Answer, StoreError> {
    let results: Result<Vec<TxnResult>, StoreError> =
        answer.op_responses().iter().map(txn_result).collect();
    Ok(Answer::Txn {
        revision: revision(answer.header())?,
        succeeded: answer.succeeded(),
        results: results?,
    })
}

fn txn_result(result: &etcd::TxnOpResponse) -> Result<TxnResult, StoreError> {
    match result {
        etcd::TxnOpResponse::Get(got) => Ok(TxnResult::Got(got.kvs().first().map(key_value))),
        etcd::TxnOpResponse::Put(_) => Ok(TxnResult::Put),
        etcd::TxnOpResponse::Delete(deleted) => Ok(TxnResult::Deleted(deleted.deleted())),
        etcd::TxnOpResponse::Txn(_) => Err(StoreError::Indeterminate(
            "the answer holds a nested transaction that was not asked for".to_owned(),
        )),
    }
}

fn compare(compare: Compare) -> etcd::Compare {
    let op = match compare.op {
        CompareOp::Equal => etcd::CompareOp::Equal,
        CompareOp::NotEqual => etcd::CompareOp::NotEqual,
        CompareOp::Greater => etcd::CompareOp::Greater,
        CompareOp::Less => etcd::CompareOp::Less,
    };
    match compare.target {
        CompareTarget::Value(value) => etcd::Compare::value(compare.key, op, value),
        CompareTarget::Version(version) => etcd::Compare::version(compare.key, op, version),
        CompareTarget::CreateRevision(revision) => {
            etcd::Compare::create_revision(compare.key, op, revision)
        }
        CompareTarget::ModRevision(revision) => {
            etcd::Compare::mod_revision(compare.key, op, revision)
        }
    }
}

fn txn_op(op: TxnOp) -> etcd::TxnOp {
    match op {
        TxnOp::Get(key) => etcd::TxnOp::get(key, None),
        TxnOp::Put(key, value) => etcd::TxnOp::put(key, value, None),
        TxnOp::Delete(key) => etcd::TxnOp::delete(key, None),
    }
}

fn key_value(kv: &etcd::KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key().to_vec(),
        value: kv.value().to_vec(),
        create_revision: kv.create_revision(),
        mod_revision: kv.mod_revision(),
        version: kv.version(),
        lease: kv.lease(),
    }
}
