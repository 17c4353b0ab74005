//! How requests and answers stand in a history: JSON with the names of etcd's own API.
//!
//! Numbers, flags and keys that are not there are zero, false and empty in a request; in an
//! answer what is not there was not recorded, and is not judged.

use super::request::{
    Compare, Delete, Field, Key, Put, Range, Relation, Request, Seen, SeenKv, Sort, Span, Txn,
};
use ordeal_history::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

type Fields = BTreeMap<Arc<str>, Value>;
type Parsed<T> = Result<T, String>;

/// The names of operations, for whoever misspelt one.
pub const NAMES: &str = "range, put, delete-range, txn and compact";

/// The request of an operation `f`; `None` when there is no such operation.
pub fn request(f: &str, value: &Value) -> Parsed<Option<Request>> {
    let fields = || fields(value, f);
    Ok(Some(match f {
        "range" => Request::Range(range(fields()?)?),
        "put" => Request::Put(put(fields()?)?),
        "delete-range" => {
            let fields = fields()?;
            Request::Delete(Delete { span: span(fields)?, prev_kv: flag(fields, "prev_kv")? })
        }
        "txn" => Request::Txn(txn(fields()?)?),
        "compact" => Request::Compact(number(fields()?, "revision")?),
        _ => return Ok(None),
    }))
}

/// The answer of an operation `f` that [`request`] knows.
pub fn seen(f: &str, value: &Value) -> Parsed<Seen> {
    let fields = fields(value, f)?;
    Ok(match f {
        "range" => Seen::Range {
            kvs: get(fields, "kvs").map(seen_kvs).transpose()?,
            count: maybe_number(fields, "count")?,
            more: get(fields, "more").map(|more| truth(more, "more")).transpose()?,
        },
        "put" => Seen::Put { prev_kv: get(fields, "prev_kv").map(seen_kv).transpose()? },
        "delete-range" => Seen::Delete {
            deleted: maybe_number(fields, "deleted")?.ok_or("`deleted` must say how many keys")?,
            prev_kvs: get(fields, "prev_kvs").map(seen_kvs).transpose()?,
        },
        "txn" => {
            let succeeded = get(fields, "succeeded").ok_or("`succeeded` must be there")?;
            let responses = list(fields, "responses")?.iter().map(|response| {
                let (f, value) = operation(response)?;
                seen(f, value)
            });
            Seen::Txn {
                succeeded: truth(succeeded, "succeeded")?,
                responses: responses.collect::<Parsed<_>>()?,
            }
        }
        _ => Seen::Compact,
    })
}

fn range(fields: &Fields) -> Parsed<Range> {
    let sort = match word(fields, "sort_order")? {
        "" | "none" => Sort::None,
        "ascend" => Sort::Ascend,
        "descend" => Sort::Descend,
        _ => return Err("`sort_order` is none, ascend or descend".to_owned()),
    };
    let target = match word(fields, "sort_target")? {
        "" | "key" => Field::Key,
        "version" => Field::Version,
        "create" => Field::Create,
        "mod" => Field::Mod,
        "value" => Field::Value,
        _ => return Err("`sort_target` is key, version, create, mod or value".to_owned()),
    };
    let bounds =
        |least, greatest| Ok::<_, String>((number(fields, least)?, number(fields, greatest)?));
    Ok(Range {
        span: span(fields)?,
        revision: number(fields, "revision")?,
        limit: number(fields, "limit")?,
        sort,
        target,
        serializable: flag(fields, "serializable")?,
        keys_only: flag(fields, "keys_only")?,
        count_only: flag(fields, "count_only")?,
        modified: bounds("min_mod_revision", "max_mod_revision")?,
        created: bounds("min_create_revision", "max_create_revision")?,
    })
}

fn put(fields: &Fields) -> Parsed<Put> {
    Ok(Put {
        key: key(fields, "key")?,
        value: get(fields, "value").cloned().unwrap_or_else(|| Value::from("")),
        lease: number(fields, "lease")?,
        prev_kv: flag(fields, "prev_kv")?,
        ignore_value: flag(fields, "ignore_value")?,
        ignore_lease: flag(fields, "ignore_lease")?,
    })
}

fn txn(fields: &Fields) -> Parsed<Txn> {
    let branch = |name| {
        let ops = list(fields, name)?.iter().map(|op| {
            let (f, value) = operation(op)?;
            request(f, value)?
                .filter(|_| f != "compact")
                .ok_or_else(|| format!("a transaction has no operation `{f}`"))
        });
        ops.collect::<Parsed<Vec<_>>>()
    };
    Ok(Txn {
        compares: list(fields, "compare")?.iter().map(compare).collect::<Parsed<_>>()?,
        success: branch("success")?,
        failure: branch("failure")?,
    })
}

fn compare(value: &Value) -> Parsed<Compare> {
    let fields = fields(value, "compare")?;
    let field = match word(fields, "target")? {
        "value" => Field::Value,
        "version" => Field::Version,
        "create" => Field::Create,
        "mod" => Field::Mod,
        "lease" => Field::Lease,
        _ => return Err("`target` is value, version, create, mod or lease".to_owned()),
    };
    let relation = match word(fields, "result")? {
        "equal" => Relation::Equal,
        "not-equal" => Relation::NotEqual,
        "greater" => Relation::Greater,
        "less" => Relation::Less,
        _ => return Err("`result` is equal, not-equal, greater or less".to_owned()),
    };
    let against = get(fields, "value").ok_or("a comparison needs a `value`")?.clone();
    if field != Field::Value && against.as_i64().is_none() {
        return Err("a comparison of anything but `value` needs a whole number".to_owned());
    }
    Ok(Compare { span: span(fields)?, field, relation, against })
}

/// `{"put": {…}}`: an operation within a transaction, or its answer.
fn operation(value: &Value) -> Parsed<(&str, &Value)> {
    match value {
        Value::Object(members) if members.len() == 1 => {
            let member = members.iter().next().map(|(f, value)| (&**f, value));
            member.ok_or_else(String::new)
        }
        _ => Err("an operation in a transaction is an object of one member, its name".to_owned()),
    }
}

fn seen_kvs(value: &Value) -> Parsed<Vec<SeenKv>> {
    value.as_array().ok_or("keys must stand in a list")?.iter().map(seen_kv).collect()
}

fn seen_kv(value: &Value) -> Parsed<SeenKv> {
    let fields = fields(value, "key")?;
    Ok(SeenKv {
        key: key(fields, "key")?,
        value: get(fields, "value").cloned(),
        create: maybe_number(fields, "create_revision")?,
        modified: maybe_number(fields, "mod_revision")?,
        version: maybe_number(fields, "version")?,
        lease: maybe_number(fields, "lease")?,
    })
}

fn span(fields: &Fields) -> Parsed<Span> {
    Ok(Span { key: key(fields, "key")?, end: key(fields, "range_end")? })
}

fn fields<'a>(value: &'a Value, what: &str) -> Parsed<&'a Fields> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(format!("`{what}` must be an object with the names of etcd's API")),
    }
}

/// A member that is there and is not `null`.
fn get<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    // Most have few members, and the look through all is then the fastest.
    let found = match fields.len() {
        0..=4 => fields.iter().find(|(key, _)| &***key == name).map(|(_, value)| value),
        _ => fields.get(name),
    };
    found.filter(|value| !value.is_null())
}

fn word<'a>(fields: &'a Fields, name: &str) -> Parsed<&'a str> {
    get(fields, name)
        .map_or(Ok(""), |value| value.as_str().ok_or_else(|| format!("`{name}` must be a string")))
}

/// A key: the string that the history holds, not a copy.
fn key(fields: &Fields, name: &str) -> Parsed<Key> {
    match get(fields, name) {
        Some(Value::String(text)) => Ok(text.clone()),
        // An empty one is shared.
        _ => word(fields, name).map(|_| Key::default()),
    }
}

fn maybe_number(fields: &Fields, name: &str) -> Parsed<Option<i64>> {
    let number = |value: &Value| {
        value.as_i64().ok_or_else(|| format!("`{name}` must be a whole number of 64 bits"))
    };
    get(fields, name).map(number).transpose()
}

fn number(fields: &Fields, name: &str) -> Parsed<i64> {
    Ok(maybe_number(fields, name)?.unwrap_or(0))
}

fn truth(value: &Value, name: &str) -> Parsed<bool> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        _ => Err(format!("`{name}` must be true or false")),
    }
}

fn flag(fields: &Fields, name: &str) -> Parsed<bool> {
    get(fields, name).map_or(Ok(false), |value| truth(value, name))
}

fn list<'a>(fields: &'a Fields, name: &str) -> Parsed<&'a [Value]> {
    get(fields, name)
        .map_or(Ok(&[]), |value| value.as_array().ok_or_else(|| format!("`{name}` must be a list")))
}
