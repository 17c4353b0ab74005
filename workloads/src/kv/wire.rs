//! Between the form of requests and answers in a history, and the store's own types.
//!
//! The form is that of the checker's model `etcd` (`docs/checker.md`).

use crate::form::{fields, member, number, text};
use crate::{
    Compare, CompareOp, CompareTarget, Delete, KeyValue, Order, Put, Range, Request, Said, SortBy,
    Txn,
};
use ordeal_history::Value;

/// Under which the keys lie in the store; the history leaves it out.
const PREFIX: &[u8] = b"ordeal/kv/";

/// The request that a history's operation stands for; `None` when it is none.
pub(super) fn request(f: &str, value: &Value) -> Option<Request> {
    let flag = |name| matches!(member(value, name), Some(Value::Bool(true)));
    let count = |name| number(value, name).unwrap_or(0);
    let word = |name| member(value, name).and_then(Value::as_str).unwrap_or_default();
    Some(match f {
        "range" => Request::Range(Range {
            key: stored(word("key")),
            range_end: end(word("range_end")),
            revision: count("revision"),
            limit: count("limit"),
            order: match word("sort_order") {
                "ascend" => Order::Ascend,
                "descend" => Order::Descend,
                _ => Order::None,
            },
            sort_by: match word("sort_target") {
                "version" => SortBy::Version,
                "create" => SortBy::Create,
                "mod" => SortBy::Mod,
                "value" => SortBy::Value,
                _ => SortBy::Key,
            },
            serializable: flag("serializable"),
            keys_only: flag("keys_only"),
            count_only: flag("count_only"),
            modified: (count("min_mod_revision"), count("max_mod_revision")),
            created: (count("min_create_revision"), count("max_create_revision")),
        }),
        "put" => Request::Put(Put {
            key: stored(word("key")),
            value: word("value").as_bytes().to_vec(),
            lease: count("lease"),
            prev_kv: flag("prev_kv"),
            ignore_value: flag("ignore_value"),
            ignore_lease: flag("ignore_lease"),
        }),
        "delete-range" => Request::Delete(Delete {
            key: stored(word("key")),
            range_end: end(word("range_end")),
            prev_kv: flag("prev_kv"),
        }),
        "txn" => Request::Txn(txn(value)?),
        "compact" => Request::Compact(count("revision")),
        _ => return None,
    })
}

fn txn(value: &Value) -> Option<Txn> {
    let list = |name| member(value, name).and_then(Value::as_array).unwrap_or_default();
    let branch = |name| -> Option<Vec<Request>> {
        list(name)
            .iter()
            .map(|inner| {
                let Value::Object(members) = inner else { return None };
                let (f, value) = members.iter().next()?;
                request(f, value)
            })
            .collect()
    };
    let compares: Option<Vec<Compare>> = list("compare").iter().map(compare).collect();
    Some(Txn { compares: compares?, then: branch("success")?, otherwise: branch("failure")? })
}

fn compare(value: &Value) -> Option<Compare> {
    let word = |name| member(value, name).and_then(Value::as_str).unwrap_or_default();
    let against = member(value, "value")?;
    let target = match word("target") {
        "value" => CompareTarget::Value(against.as_str()?.as_bytes().to_vec()),
        "version" => CompareTarget::Version(against.as_i64()?),
        "create" => CompareTarget::CreateRevision(against.as_i64()?),
        "mod" => CompareTarget::ModRevision(against.as_i64()?),
        "lease" => CompareTarget::Lease(against.as_i64()?),
        _ => return None,
    };
    let op = match word("result") {
        "equal" => CompareOp::Equal,
        "not-equal" => CompareOp::NotEqual,
        "greater" => CompareOp::Greater,
        _ => CompareOp::Less,
    };
    Some(Compare { key: stored(word("key")), range_end: end(word("range_end")), op, target })
}

/// A key as the store has it. An empty one stays empty: it is to be refused.
fn stored(key: &str) -> Vec<u8> {
    if key.is_empty() { Vec::new() } else { [PREFIX, key.as_bytes()].concat() }
}

fn end(range_end: &str) -> Vec<u8> {
    if range_end == "\0" { vec![0] } else { stored(range_end) }
}

/// What an answer says, as the history has it; `None` for what no request of these asks.
pub(super) fn answer(said: &Said) -> Option<Value> {
    Some(match said {
        Said::Range { kvs, count, more } => fields(vec![
            ("kvs", shown_all(kvs)),
            ("count", Value::Int(*count)),
            ("more", Value::Bool(*more)),
        ]),
        Said::Put { prev: None } => fields(Vec::new()),
        Said::Put { prev: Some(kv) } => fields(vec![("prev_kv", shown(kv))]),
        Said::Delete { deleted, prev } => {
            fields(vec![("deleted", Value::Int(*deleted)), ("prev_kvs", shown_all(prev))])
        }
        Said::Txn { succeeded, results } => {
            let results = results.iter().map(|said| {
                let f = match said {
                    Said::Range { .. } => "range",
                    Said::Put { .. } => "put",
                    Said::Delete { .. } => "delete-range",
                    _ => "txn",
                };
                answer(said).map(|value| fields(vec![(f, value)]))
            });
            let responses: Option<Vec<Value>> = results.collect();
            fields(vec![
                ("succeeded", Value::Bool(*succeeded)),
                ("responses", Value::from(responses?)),
            ])
        }
        Said::Done => fields(Vec::new()),
        _ => return None,
    })
}

fn shown_all(kvs: &[KeyValue]) -> Value {
    Value::from(kvs.iter().map(shown).collect::<Vec<_>>())
}

fn shown(kv: &KeyValue) -> Value {
    fields(vec![
        ("key", text(kv.key.strip_prefix(PREFIX).unwrap_or(&kv.key))),
        ("value", text(&kv.value)),
        ("create_revision", Value::Int(kv.create_revision)),
        ("mod_revision", Value::Int(kv.mod_revision)),
        ("version", Value::Int(kv.version)),
        ("lease", Value::Int(kv.lease)),
    ])
}
