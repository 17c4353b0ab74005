//! Between our plain types and the crate's.

use crate::store::{
    Answer, Compare, CompareOp, CompareTarget, Delete, KeyValue, Order, Put, Range, Request, Said,
    SortBy, StoreError, Txn,
};
use etcd_client as etcd;
use etcd_client::proto::{
    PbDeleteResponse, PbKeyValue, PbPutResponse, PbRangeResponse, PbResponseHeader,
    PbTxnOpResponse, PbTxnResponse,
};

/// What is said of an answer that no etcd gives; what the request did is then unknown.
fn strange(what: &str) -> StoreError {
    StoreError::Indeterminate(what.to_owned())
}

/// The answer of this header. Without one it is no etcd's.
pub(super) fn answer(header: Option<&PbResponseHeader>, said: Said) -> Result<Answer, StoreError> {
    let header = header.ok_or_else(|| strange("the answer has no header"))?;
    Ok(Answer { revision: header.revision, said })
}

pub(super) fn ranged(answer: PbRangeResponse) -> Said {
    let kvs = answer.kvs.into_iter().map(key_value).collect();
    Said::Range { kvs, count: answer.count, more: answer.more }
}

pub(super) fn was_put(answer: PbPutResponse) -> Said {
    Said::Put { prev: answer.prev_kv.map(key_value) }
}

pub(super) fn deleted(answer: PbDeleteResponse) -> Said {
    let prev = answer.prev_kvs.into_iter().map(key_value).collect();
    Said::Delete { deleted: answer.deleted, prev }
}

/// Taken apart by hand: the crate's own way panics where a result is missing.
pub(super) fn txn_said(answer: PbTxnResponse) -> Result<Said, StoreError> {
    let results: Result<Vec<Said>, StoreError> = answer
        .responses
        .into_iter()
        .map(|result| match result.response {
            Some(PbTxnOpResponse::ResponseRange(range)) => Ok(ranged(range)),
            Some(PbTxnOpResponse::ResponsePut(put)) => Ok(was_put(put)),
            Some(PbTxnOpResponse::ResponseDeleteRange(delete)) => Ok(deleted(delete)),
            Some(PbTxnOpResponse::ResponseTxn(txn)) => txn_said(txn),
            None => Err(strange("the transaction's answer lacks the result of a request")),
        })
        .collect();
    Ok(Said::Txn { succeeded: answer.succeeded, results: results? })
}

pub(super) fn range(range: &Range) -> etcd::GetOptions {
    let order = match range.order {
        Order::None => etcd::SortOrder::None,
        Order::Ascend => etcd::SortOrder::Ascend,
        Order::Descend => etcd::SortOrder::Descend,
    };
    let by = match range.sort_by {
        SortBy::Key => etcd::SortTarget::Key,
        SortBy::Version => etcd::SortTarget::Version,
        SortBy::Create => etcd::SortTarget::Create,
        SortBy::Mod => etcd::SortTarget::Mod,
        SortBy::Value => etcd::SortTarget::Value,
    };
    let mut options = etcd::GetOptions::new()
        .with_limit(range.limit)
        .with_revision(range.revision)
        .with_min_mod_revision(range.modified.0)
        .with_max_mod_revision(range.modified.1)
        .with_min_create_revision(range.created.0)
        .with_max_create_revision(range.created.1);
    if range.order != Order::None {
        options = options.with_sort(by, order);
    }
    if !range.range_end.is_empty() {
        options = options.with_range(range.range_end.clone());
    }
    if range.serializable {
        options = options.with_serializable();
    }
    if range.keys_only {
        options = options.with_keys_only();
    }
    if range.count_only {
        options = options.with_count_only();
    }
    options
}

pub(super) fn put(put: &Put) -> etcd::PutOptions {
    let mut options = etcd::PutOptions::new().with_lease(put.lease);
    if put.prev_kv {
        options = options.with_prev_key();
    }
    if put.ignore_value {
        options = options.with_ignore_value();
    }
    if put.ignore_lease {
        options = options.with_ignore_lease();
    }
    options
}

pub(super) fn delete(delete: &Delete) -> etcd::DeleteOptions {
    let mut options = etcd::DeleteOptions::new();
    if !delete.range_end.is_empty() {
        options = options.with_range(delete.range_end.clone());
    }
    if delete.prev_kv {
        options = options.with_prev_key();
    }
    options
}

/// An error is a request that no transaction can hold.
pub(super) fn txn(txn: Txn) -> Result<etcd::Txn, StoreError> {
    let compares: Vec<etcd::Compare> = txn.compares.into_iter().map(compare).collect();
    Ok(etcd::Txn::new()
        .when(compares)
        .and_then(txn_ops(txn.then)?)
        .or_else(txn_ops(txn.otherwise)?))
}

fn txn_ops(requests: Vec<Request>) -> Result<Vec<etcd::TxnOp>, StoreError> {
    requests.into_iter().map(txn_op).collect()
}

fn txn_op(request: Request) -> Result<etcd::TxnOp, StoreError> {
    Ok(match request {
        Request::Range(wanted) => {
            let options = range(&wanted);
            etcd::TxnOp::get(wanted.key, Some(options))
        }
        Request::Put(wanted) => {
            let options = put(&wanted);
            etcd::TxnOp::put(wanted.key, wanted.value, Some(options))
        }
        Request::Delete(wanted) => {
            let options = delete(&wanted);
            etcd::TxnOp::delete(wanted.key, Some(options))
        }
        Request::Txn(inner) => etcd::TxnOp::txn(txn(inner)?),
        other => {
            return Err(StoreError::DidNotHappen(format!("no transaction can hold {other:?}")));
        }
    })
}

fn compare(compare: Compare) -> etcd::Compare {
    let op = match compare.op {
        CompareOp::Equal => etcd::CompareOp::Equal,
        CompareOp::NotEqual => etcd::CompareOp::NotEqual,
        CompareOp::Greater => etcd::CompareOp::Greater,
        CompareOp::Less => etcd::CompareOp::Less,
    };
    let key = compare.key;
    let made = match compare.target {
        CompareTarget::Value(value) => etcd::Compare::value(key, op, value),
        CompareTarget::Version(version) => etcd::Compare::version(key, op, version),
        CompareTarget::CreateRevision(at) => etcd::Compare::create_revision(key, op, at),
        CompareTarget::ModRevision(at) => etcd::Compare::mod_revision(key, op, at),
        CompareTarget::Lease(lease) => etcd::Compare::lease(key, op, lease),
    };
    if compare.range_end.is_empty() { made } else { made.with_range(compare.range_end) }
}

pub(super) fn key_value(kv: PbKeyValue) -> KeyValue {
    KeyValue {
        key: kv.key,
        value: kv.value,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_client::proto::PbResponseOp;

    #[test]
    fn an_answer_that_lacks_a_result_or_its_header_leaves_the_outcome_open() {
        let whole =
            PbResponseOp { response: Some(PbTxnOpResponse::ResponsePut(PbPutResponse::default())) };
        let lacking = PbResponseOp { response: None };
        let txn = |responses| PbTxnResponse { succeeded: true, responses, ..Default::default() };
        assert!(matches!(txn_said(txn(vec![whole.clone()])), Ok(Said::Txn { .. })));
        let said = txn_said(txn(vec![whole, lacking]));
        assert!(matches!(said, Err(StoreError::Indeterminate(_))), "{said:?}");
        assert!(matches!(answer(None, Said::Done), Err(StoreError::Indeterminate(_))));
    }
}
