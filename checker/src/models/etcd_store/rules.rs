//! What etcd refuses whatever the store holds.

use super::request::{Put, Refusal, Request, Span, Txn};
use std::collections::BTreeSet;

/// etcd's `--max-txn-ops`, by default.
const OPS_MAX: usize = 128;

/// Refuses what no state would make right.
///
/// A transaction that puts a key and deletes every key from some key on is refused by etcd's
/// documentation, but accepted by etcd, whose check takes the zero byte of the deletion's end for
/// a key. With `strict` it is refused.
pub fn check(request: &Request, strict: bool) -> Result<(), Refusal> {
    check_op(request, OPS_MAX)?;
    if let Request::Txn(txn) = request {
        Touched::by(&txn.success, strict)?;
        Touched::by(&txn.failure, strict)?;
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
    fn by(ops: &'a [Request], strict: bool) -> Result<Touched<'a>, Refusal> {
        let mut touched = Touched::default();
        for op in ops {
            if let Request::Delete(delete) = op
                && (strict || &*delete.span.end != "\0")
            {
                touched.deletes.push(&delete.span);
            }
        }
        for op in ops {
            let Request::Txn(txn) = op else { continue };
            let success = Touched::by(&txn.success, strict)?;
            let failure = Touched::by(&txn.failure, strict)?;
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
        if self.deletes.iter().any(|span| span.contains(key)) || !self.puts.insert(key) {
            return Err(Refusal::DuplicateKey);
        }
        Ok(())
    }
}
