//! Requests of KV: few keys and small values, so that they meet.

use bytes::Bytes;
use ordeal_cluster::proto::etcdserverpb::compare::TargetUnion;
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Op;
use ordeal_cluster::proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::leases;
use crate::differential::ask::{Ask, at, is_alias};

/// How deep transactions nest.
const DEPTH_MAX: usize = 2;

const KEYS: &[&[u8]] = &[b"a", b"a\0", b"ab", b"b", b"ba", b"c", b"\xff"];

const VALUES: &[&[u8]] = &[b"", b"0", b"1", b"2"];

pub fn ask(rng: &mut ChaCha8Rng) -> Ask {
    match rng.random_range(0..100) {
        0..30 => Ask::Put(put(rng)),
        30..55 => {
            let distance = rng.random_range(-20..=2);
            Ask::Range(range(rng, at(distance)))
        }
        55..67 => Ask::Delete(delete(rng)),
        67..95 => {
            let mut txn = txn(rng, 0);
            if any(&txn, &|op| matches!(op, Op::RequestDeleteRange(_))) {
                keep_nothing(&mut txn);
            }
            Ask::Txn(txn)
        }
        _ => Ask::Compact(CompactionRequest {
            revision: *[at(-8), at(-3), at(-1), at(0), at(1), 0, -1].choose(rng).expect("some"),
            physical: rng.random(),
        }),
    }
}

fn pick(rng: &mut ChaCha8Rng, from: &[&'static [u8]]) -> Bytes {
    Bytes::from_static(from.choose(rng).expect("some"))
}

/// A key, and now and then none.
pub fn key(rng: &mut ChaCha8Rng) -> Bytes {
    if rng.random_ratio(1, 40) { Bytes::new() } else { pick(rng, KEYS) }
}

/// One key, a prefix, everything behind it, or an interval, also one that ends before it begins.
pub fn range_end(rng: &mut ChaCha8Rng, key: &Bytes) -> Bytes {
    match rng.random_range(0..10) {
        0..5 => Bytes::new(),
        5 => Bytes::from_static(b"\0"),
        6..8 => pick(rng, KEYS),
        _ => {
            let mut end = key.to_vec();
            if let Some(last) = end.last_mut() {
                *last = last.saturating_add(1);
            }
            end.into()
        }
    }
}

fn put(rng: &mut ChaCha8Rng) -> PutRequest {
    let ignore_value = rng.random_ratio(1, 12);
    let with_value = !ignore_value || rng.random_ratio(1, 6);
    PutRequest {
        key: key(rng),
        value: if with_value { pick(rng, VALUES) } else { Bytes::new() },
        lease: if rng.random_ratio(1, 8) { leases::any(rng) } else { 0 },
        prev_kv: rng.random_ratio(1, 3),
        ignore_value,
        ignore_lease: rng.random_ratio(1, 15),
    }
}

fn delete(rng: &mut ChaCha8Rng) -> DeleteRangeRequest {
    let key = key(rng);
    DeleteRangeRequest { range_end: range_end(rng, &key), key, prev_kv: rng.random_ratio(1, 3) }
}

fn range(rng: &mut ChaCha8Rng, revision: i64) -> RangeRequest {
    let key = key(rng);
    let bound = |rng: &mut ChaCha8Rng| {
        if rng.random_ratio(1, 10) { at(rng.random_range(-10..=0)) } else { 0 }
    };
    RangeRequest {
        range_end: range_end(rng, &key),
        key,
        limit: *[0, 0, 0, 1, 2, 100, -1].choose(rng).expect("some"),
        revision: if rng.random_ratio(1, 3) { revision } else { 0 },
        sort_order: if rng.random_ratio(1, 2) { 0 } else { rng.random_range(0..=2) },
        sort_target: if rng.random_ratio(1, 2) { 0 } else { rng.random_range(0..=4) },
        serializable: rng.random_ratio(1, 4),
        keys_only: rng.random_ratio(1, 6),
        count_only: rng.random_ratio(1, 8),
        min_mod_revision: bound(rng),
        max_mod_revision: bound(rng),
        min_create_revision: bound(rng),
        max_create_revision: bound(rng),
    }
}

fn compare(rng: &mut ChaCha8Rng) -> Compare {
    let key = key(rng);
    let union = match rng.random_range(0..5) {
        0 => TargetUnion::Version(rng.random_range(0..4)),
        1 => TargetUnion::CreateRevision(*[0, at(-3), at(-1), at(0)].choose(rng).expect("some")),
        2 => TargetUnion::ModRevision(*[0, at(-2), at(-1), at(0)].choose(rng).expect("some")),
        3 => TargetUnion::Value(pick(rng, VALUES)),
        _ => TargetUnion::Lease(if rng.random() { 0 } else { leases::any(rng) }),
    };
    let target = match &union {
        TargetUnion::Version(_) => 0,
        TargetUnion::CreateRevision(_) => 1,
        TargetUnion::ModRevision(_) => 2,
        TargetUnion::Value(_) => 3,
        TargetUnion::Lease(_) => 4,
    };
    // Ask the stores choose themselves is equal or not, and no more can be said.
    let unordered = matches!(union, TargetUnion::Lease(lease) if is_alias(lease));
    Compare {
        result: if unordered {
            *[0, 3].choose(rng).expect("some")
        } else {
            rng.random_range(0..=3)
        },
        target,
        range_end: if rng.random_ratio(1, 4) { range_end(rng, &key) } else { Bytes::new() },
        key,
        target_union: Some(union),
    }
}

fn txn(rng: &mut ChaCha8Rng, depth: usize) -> TxnRequest {
    let list = |rng: &mut ChaCha8Rng| {
        let length = rng.random_range(0..=3);
        (0..length).map(|_| op(rng, depth)).collect()
    };
    let compares = rng.random_range(0..=2);
    let (success, failure) = (list(rng), list(rng));
    TxnRequest { compare: (0..compares).map(|_| compare(rng)).collect(), success, failure }
}

fn op(rng: &mut ChaCha8Rng, depth: usize) -> RequestOp {
    let request = match rng.random_range(0..10) {
        0..4 => Op::RequestPut(put(rng)),
        // Not beyond the newest: with a put beside it that is etcd #18667.
        4..7 => {
            let distance = -rng.random_range(0..20);
            Op::RequestRange(range(rng, at(distance)))
        }
        7..9 => Op::RequestDeleteRange(delete(rng)),
        _ if depth < DEPTH_MAX => Op::RequestTxn(Box::new(txn(rng, depth + 1))),
        _ => Op::RequestPut(put(rng)),
    };
    RequestOp { request: Some(request) }
}

fn any(txn: &TxnRequest, is: &dyn Fn(&Op) -> bool) -> bool {
    txn.success.iter().chain(&txn.failure).filter_map(|op| op.request.as_ref()).any(|op| match op {
        Op::RequestTxn(txn) => any(txn, is),
        op => is(op),
    })
}

/// A put that keeps the value of a key which the same transaction deletes ends etcd's process.
fn keep_nothing(txn: &mut TxnRequest) {
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(Op::RequestPut(put)) => (put.ignore_value, put.ignore_lease) = (false, false),
            Some(Op::RequestTxn(txn)) => keep_nothing(txn),
            _ => {}
        }
    }
}
