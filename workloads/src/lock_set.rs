//! `lock-set` and `lock-set-fenced`: a set in one key, read and written back under a lock.
//!
//! Without a fence two holders may write at once, since a lock rests on a lease that ends without
//! a word to its holder (etcd #11457): then an element is lost, and that is the finding. With it
//! the write is a transaction that holds only while the holder's key is there, and nothing may be
//! lost.

use crate::form::text;
use crate::lock::key_of;
use crate::rotation::Rotation;
use crate::set::SetGenerator;
use crate::{
    Compare, CompareTarget, Completion, Generator, KeyValue, Options, Patience, Planned, Put,
    Range, Request, Said, Store, StoreError, Txn, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::SetFull;
use ordeal_history::Value;

/// Under which locks and sets lie in the store.
const PREFIX: &str = "ordeal/lock-set/";
/// How many operations a set is in play for.
const OPERATIONS_PER_SET: u32 = 100;
/// How long the leases live, in seconds.
const TTL_S: i64 = 1;
/// How many times the longest usual waiting an addition may take.
const WAIT_TIMES: u32 = 4;

/// The workload without a fence.
pub struct LockSet;
/// The workload with one.
pub struct LockSetFenced;

macro_rules! workload {
    ($name:ty, $word:literal, $fenced:literal, $summary:literal, $checks:literal) => {
        impl Workload for $name {
            const NAME: &'static str = $word;
            const SUMMARY: &'static str = $summary;
            const CHECKS: &'static str = $checks;
            const FAULTS: &'static [&'static str] = &["pause", "partition", "kill"];

            fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
                Box::new(generator(options, slots))
            }

            async fn send<S: Store>(
                store: &mut S,
                _options: &Options,
                operation: &Planned,
            ) -> Completion {
                send(store, operation, $fenced).await
            }

            fn patience(operation: &Planned) -> Patience {
                if operation.f == "add" { Patience::Long(WAIT_TIMES) } else { Patience::Usual }
            }

            fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
                vec![Box::new(SetFull::default())]
            }
        }
    };
}

workload!(
    LockSet,
    "lock-set",
    false,
    "a set in one key, read and written back under a lock, without a fence",
    "lost elements: what a lock that rests on a lease cannot prevent"
);
workload!(
    LockSetFenced,
    "lock-set-fenced",
    true,
    "the same, each write on condition that the holder's key is still there",
    "lost elements: there may be none"
);

async fn send<S: Store>(store: &mut S, operation: &Planned, fenced: bool) -> Completion {
    let Some(set) = operation.key.as_ref().and_then(Value::as_str) else {
        return Completion::unknown(operation);
    };
    let key = format!("{PREFIX}{set}");
    match (operation.f, &operation.value) {
        ("read", _) => match store.send(Request::Range(Range::of(key))).await {
            Ok(answer) => Completion::ok(elements(answer.said.one()), answer.revision),
            Err(error) => Completion::of_error(error),
        },
        ("add", Value::Int(element)) => match add(store, &key, *element, fenced).await {
            Ok(Some(revision)) => Completion::ok(operation.value.clone(), revision),
            Ok(None) => Completion::refused(operation.value.clone()),
            Err(error) => Completion::of_error(error),
        },
        _ => Completion::unknown(operation),
    }
}

/// The revision of the write; `None` when the fence kept it out.
async fn add<S: Store>(
    store: &mut S,
    key: &str,
    element: i64,
    fenced: bool,
) -> Result<Option<i64>, StoreError> {
    let name = format!("{key}/lock").into_bytes();
    // Until the write is sent nothing has happened that concerns the set.
    let before = prepare(store, key, &name).await;
    let (lease, held) = before.map_err(|error| StoreError::DidNotHappen(error.to_string()))?;
    let lock = key_of(&name, lease);
    let mut value = held.map(|kv| kv.value).unwrap_or_default();
    value.extend(format!(" {element}").into_bytes());
    let put = Request::Put(Put::of(key, value));
    let fence = Compare {
        op: crate::CompareOp::Greater,
        ..Compare::equal(lock.clone(), CompareTarget::CreateRevision(0))
    };
    let compares = if fenced { vec![fence] } else { Vec::new() };
    let txn = Txn { compares, then: vec![put], otherwise: Vec::new() };
    let answer = store.send(Request::Txn(txn)).await?;
    // The lease ends by itself if this does not reach the store.
    let _ = store.send(Request::Unlock(lock)).await;
    match answer.said {
        Said::Txn { succeeded, .. } => Ok(succeeded.then_some(answer.revision)),
        other => Err(StoreError::Indeterminate(format!("not a transaction's: {other:?}"))),
    }
}

/// A lease, with which the lock is held, and what is in the set.
async fn prepare<S: Store>(
    store: &mut S,
    key: &str,
    name: &[u8],
) -> Result<(i64, Option<KeyValue>), StoreError> {
    let granted = store.send(Request::LeaseGrant { id: 0, ttl_s: TTL_S }).await?;
    let Said::Lease { id: lease, .. } = granted.said else {
        return Err(StoreError::DidNotHappen("the store granted no lease".to_owned()));
    };
    store.send(Request::Lock { name: name.to_vec(), lease }).await?;
    let answer = store.send(Request::Range(Range::of(key))).await?;
    Ok((lease, answer.said.one().cloned()))
}

/// The set; what is no number is an element that nobody added.
fn elements(kv: Option<&KeyValue>) -> Value {
    let list = String::from_utf8_lossy(kv.map_or(&[], |kv| &kv.value)).into_owned();
    let element = |word: &str| word.parse().map_or_else(|_| text(word.as_bytes()), Value::Int);
    Value::from(list.split_ascii_whitespace().map(element).collect::<Vec<_>>())
}

/// A few sets, or nobody would wait for anybody.
fn generator(options: &Options, slots: usize) -> SetGenerator {
    let keys = options.keys.min(u32::try_from(slots / 3).unwrap_or(1)).max(1);
    let options = Options { keys, ..options.clone() };
    SetGenerator::new(Rotation::new(&options, OPERATIONS_PER_SET, slots), |slot| slot % 3 != 2)
}
