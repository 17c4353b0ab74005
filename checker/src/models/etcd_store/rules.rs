//! What etcd refuses whatever the store holds.

use super::request::{Put, Refusal, Request, Span, Txn};
use std::collections::BTreeSet;

/// etcd's `--max-txn-ops`, by default.
const OPS_MAX: usize = 128;

/// Refuses what no state would make right.
pub fn check(request: &Request) -> Result<(), Refusal> {
    check_op(request, OPS_MAX)?;
    if let Request::Txn(txn) = request {
        Touched::by(&txn.success)?;
        Touched::by(&txn.failure)?;
    }
    Ok(())
}

fn check_op(request: &Request, ops_max: usize) -> Result<(), Refusal> {
    match request {
        Request::Range(range) => check_key(&range.span.key),
        Request::Put(put) => check_put(put),
        Request::Delete(delete) => check_key(&delete.span.key),
        Request::Txn(txn) => check_txn(txn, ops_max),
        Request::Compact(_) => Ok(()),
    }
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if key.is_empty() { Err(Refusal::EmptyKey) } else { Ok(()) }
}

fn check_put(put: &Put) -> Result<(), Refusal> {
    check_key(&put.key)?;
    if put.ignore_value && put.value.as_str() != Some("") {
        return Err(Refusal::ValueProvided);
    }
    if put.ignore_lease && put.lease != 0 {
        return Err(Refusal::LeaseProvided);
    }
    Ok(())
}

fn check_txn(txn: &Txn, ops_max: usize) -> Result<(), Refusal> {
    let ops = txn.compares.len().max(txn.success.len()).max(txn.failure.len());
    let left = ops_max.checked_sub(ops).ok_or(Refusal::TooManyOps)?;
    txn.compares.iter().try_for_each(|compare| check_key(&compare.span.key))?;
    txn.success.iter().chain(&txn.failure).try_for_each(|op| check_op(op, left))
}

/// What a branch of a transaction changes: no key may be put twice, or put and deleted. The two
/// branches of a transaction within it may put the same key, for only one of them is taken.
#[derive(Default)]
struct Touched<'a> {
    puts: BTreeSet<&'a str>,
    deletes: Vec<&'a Span>,
}

impl<'a> Touched<'a> {
    fn by(ops: &'a [Request]) -> Result<Touched<'a>, Refusal> {
        let mut touched = Touched::default();
        for op in ops {
            if let Request::Delete(delete) = op {
                touched.deletes.push(&delete.span);
            }
        }
        for op in ops {
            let Request::Txn(txn) = op else { continue };
            let success = Touched::by(&txn.success)?;
            let failure = Touched::by(&txn.failure)?;
            let puts: BTreeSet<&str> = success.puts.union(&failure.puts).copied().collect();
            puts.into_iter().try_for_each(|key| touched.put(key))?;
            touched.deletes.extend(success.deletes);
            touched.deletes.extend(failure.deletes);
        }
        for op in ops {
            if let Request::Put(put) = op {
                touched.put(&put.key)?;
            }
        }
        Ok(touched)
    }

    fn put(&mut self, key: &'a str) -> Result<(), Refusal> {
        if self.deletes.iter().any(|span| takes(span, key)) || !self.puts.insert(key) {
            return Err(Refusal::DuplicateKey);
        }
        Ok(())
    }
}

/// Whether etcd takes `key` for one that a deletion of `span` beside it deletes.
///
/// Its check of transactions (`checkIntervals` in its `api/v3rpc`) reads the end as a key and
/// nothing else, so an end of one zero byte, which deletes every key from some key on, is beyond
/// no key: such a deletion stands beside any put (seen of 3.4.23 and 3.5.30).
fn takes(span: &Span, key: &str) -> bool {
    if span.is_one() { key == &*span.key } else { *span.key <= *key && *key < *span.end }
}
