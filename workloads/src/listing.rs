//! Lists of keys by prefix, and transactions on conditions, as histories have them for the checker
//! `lists`.

use crate::form::{decode_bytes, fields, object, text};
use crate::{
    Compare, CompareTarget, Completion, Delete, KeyValue, Put, Range, Request, Said, Store,
    StoreError, Txn, after,
};
use ordeal_history::Value;

/// All keys under `prefix` as of one revision, asked for in pages of so many keys, and that
/// revision.
pub(crate) async fn pages<S: Store>(
    store: &mut S,
    prefix: &[u8],
    page: i64,
) -> Result<(Vec<KeyValue>, i64), StoreError> {
    let (mut found, mut key, mut revision) = (Vec::new(), prefix.to_vec(), 0);
    loop {
        let range_end = after(prefix);
        let range = Range { key, range_end, revision, limit: page, ..Range::default() };
        let answer = store.send(Request::Range(range)).await?;
        // The first page names the revision of all of them.
        revision = if revision == 0 { answer.revision } else { revision };
        let Said::Range { kvs, more, .. } = answer.said else {
            return Err(StoreError::Indeterminate("not a range's answer".to_owned()));
        };
        let last = kvs.last().map(|kv| kv.key.clone());
        found.extend(kvs);
        match last {
            Some(last) if more => key = [last, vec![0]].concat(),
            _ => return Ok((found, revision)),
        }
    }
}

/// A list's items; the keys lie under `root` in the store.
pub(crate) fn items(root: &str, kvs: &[KeyValue], decode: fn(&KeyValue) -> Value) -> Value {
    let item = |kv: &KeyValue| {
        object([
            ("key", named(root, &kv.key)),
            ("value", decode(kv)),
            ("mod", Value::Int(kv.mod_revision)),
            ("lease", Value::Int(kv.lease)),
        ])
    };
    Value::from(kvs.iter().map(item).collect::<Vec<_>>())
}

/// A value that is a number.
pub(crate) fn plain(kv: &KeyValue) -> Value {
    decode_bytes(&kv.value)
}

/// A key as histories have it.
pub(crate) fn named(root: &str, key: &[u8]) -> Value {
    text(key.strip_prefix(root.as_bytes()).unwrap_or(key))
}

/// The question for all keys that begin so.
pub(crate) fn question(prefix: &str) -> Value {
    object([("prefix", prefix.into())])
}

/// A list that was answered at `revision`.
pub(crate) fn answered(items: Value, revision: i64) -> Completion {
    Completion::ok(fields(vec![("items", items)]), revision)
}

/// The step of a transaction that is a condition: the key's last change was at this revision; at 0
/// there is no such key.
pub(crate) fn unchanged(key: &str, since: i64) -> Value {
    Value::from(vec!["c".into(), key.into(), Value::Int(since)])
}

/// The step that puts a key.
pub(crate) fn puts(key: &str, value: i64) -> Value {
    Value::from(vec!["w".into(), key.into(), Value::Int(value)])
}

/// The step that deletes one.
pub(crate) fn deletes(key: &str) -> Value {
    Value::from(vec!["d".into(), key.into(), Value::Null])
}

/// The transaction of such steps; keys lie under `root`. When it is not done it reads the key of
/// the first condition.
pub(crate) fn txn(root: &str, steps: &[Value], encode: impl Fn(i64) -> Vec<u8>) -> Option<Txn> {
    let mut txn = Txn::default();
    for step in steps {
        let [word, key, value] = step.as_array()? else { return None };
        let key = format!("{root}{}", key.as_str()?).into_bytes();
        match word.as_str()? {
            "c" => {
                let at = CompareTarget::ModRevision(value.as_i64()?);
                txn.otherwise.push(Request::Range(Range::of(key.clone())));
                txn.compares.push(Compare::equal(key, at));
            }
            "w" => txn.then.push(Request::Put(Put::of(key, encode(value.as_i64()?)))),
            _ => txn.then.push(Request::Delete(Delete::of(key))),
        }
    }
    txn.otherwise.truncate(1);
    Some(txn)
}

/// How such a transaction ended. One that was not done tells in `actual` the revision of the key
/// that it read, 0 when that is absent.
pub(crate) fn done(steps: &Value, said: &Said, revision: i64) -> Option<Completion> {
    let Said::Txn { succeeded, results } = said else { return None };
    if !succeeded {
        let there = results.first().and_then(Said::one).map_or(0, |kv| kv.mod_revision);
        let actual = Some(Value::Int(there));
        return Some(Completion { actual, ..Completion::refused(steps.clone()) });
    }
    let mut results = results.iter();
    let told = |step: &Value| match step.as_array() {
        Some([word, ..]) if word.as_str() == Some("c") => step.clone(),
        Some([word, key, _]) => match results.next() {
            Some(Said::Delete { deleted, .. }) => {
                Value::from(vec![word.clone(), key.clone(), Value::Int(*deleted)])
            }
            _ => step.clone(),
        },
        _ => step.clone(),
    };
    let told: Vec<Value> = steps.as_array()?.iter().map(told).collect();
    Some(Completion::ok(Value::from(told), revision))
}
