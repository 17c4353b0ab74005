//! `auth`: rights are granted and revoked while those who have them work.
//!
//! Each object is one user's right to one key: a register that holds 1 or null. Root writes it, by
//! granting and revoking; the user reads it, by using the right: what is done tells 1, `permission
//! denied` tells null. So "nothing succeeds after the revocation was acknowledged", and "nothing
//! that is permitted is refused for good", are linearizability. Rights are used in every way:
//! reads, writes, deletions, transactions, and transactions within transactions (CVE-2026-33343).

use crate::people::{WORKERS, role_of, root, worker};
use crate::rotation::Rotation;
use crate::{
    AuthChange, Completion, Delete, Generator, Grant, Next, Options, Planned, Put, Range, Request,
    Rights, Store, StoreError, Txn, Workload,
};
use ordeal_checker::linear::Linearizable;
use ordeal_checker::{Checker, models};
use ordeal_history::Value;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Under which the keys lie in the store.
const PREFIX: &str = "ordeal/auth/";
/// How many operations a right is in play for.
const OPERATIONS_PER_RIGHT: u32 = 80;
/// Of a hundred operations of clients that are root at times so many change rights.
const CHANGES_PERCENT: u32 = 40;

/// What the register of a right holds while it is granted; else it holds null.
const GRANTED: Value = Value::Int(1);

/// The workload.
pub struct Auth;

impl Workload for Auth {
    const NAME: &'static str = "auth";
    const SUMMARY: &'static str = "rights to keys are granted and revoked while their users work";
    const CHECKS: &'static str =
        "linearizability of rights: what is used after its revocation, or refused though granted";
    const FAULTS: &'static [&'static str] = &["partition", "pause", "kill"];
    const AUTH: bool = true;

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let rights = Rotation::new(options, OPERATIONS_PER_RIGHT, slots);
        Box::new(AuthGenerator { rights })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        match send(store, options, operation).await {
            Ok(completion) => completion,
            Err(error) => Completion::of_error(error),
        }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Linearizable::new(models::Register::default()))]
    }
}

/// The right's number and its key.
fn right(operation: &Planned) -> Option<(usize, Vec<u8>)> {
    let name = operation.key.as_ref()?.as_str()?;
    let number = name.strip_prefix('k')?.parse().ok()?;
    Some((number, format!("{PREFIX}{name}").into_bytes()))
}

async fn send<S: Store>(
    store: &mut S,
    options: &Options,
    operation: &Planned,
) -> Result<Completion, StoreError> {
    let Some((number, key)) = right(operation) else {
        return Ok(Completion::unknown(operation));
    };
    match (operation.f, &operation.value) {
        ("write", granted) => {
            change(store, number, key, *granted == GRANTED).await?;
            Ok(Completion::ok(operation.value.clone(), 0))
        }
        ("read", how) => {
            let request = usage(options, key, how.as_str().unwrap_or_default());
            let sent = store.send(Request::As(worker(number), Box::new(request))).await;
            match sent {
                Ok(_) => Ok(Completion::ok(GRANTED, 0)),
                Err(StoreError::DidNotHappen(why)) if why.contains("permission denied") => {
                    Ok(Completion::ok(Value::Null, 0))
                }
                Err(error) => Err(error),
            }
        }
        _ => Ok(Completion::unknown(operation)),
    }
}

/// Root grants the right, or revokes it.
async fn change<S: Store>(
    store: &mut S,
    number: usize,
    key: Vec<u8>,
    granted: bool,
) -> Result<(), StoreError> {
    let role = role_of(number);
    let change = if granted {
        let grant = Grant { rights: Rights::ReadWrite, key, range_end: Vec::new() };
        AuthChange::RoleGrant { role, grant }
    } else {
        AuthChange::RoleRevoke { role, key, range_end: Vec::new() }
    };
    match store.send(Request::As(root(), Box::new(Request::Auth(change)))).await {
        Ok(_) => Ok(()),
        // There was nothing to revoke: then it is so.
        Err(StoreError::DidNotHappen(why)) if why.contains("permission is not granted") => Ok(()),
        Err(error) => Err(error),
    }
}

/// The ways to use a right.
const WAYS: [&str; 5] = ["get", "put", "delete", "txn", "nested"];

fn usage(options: &Options, key: Vec<u8>, how: &str) -> Request {
    let value = vec![b'.'; options.value_bytes as usize];
    let put = || Request::Put(Put::of(key.clone(), value.clone()));
    let txn = |then| Request::Txn(Txn { then, ..Txn::default() });
    match how {
        "put" => put(),
        "delete" => Request::Delete(Delete::of(key)),
        "txn" => txn(vec![put()]),
        "nested" => txn(vec![txn(vec![put()])]),
        _ => Request::Range(Range { serializable: options.serializable, ..Range::of(key) }),
    }
}

struct AuthGenerator {
    rights: Rotation,
}

impl Generator for AuthGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let (which, change) = (rng.random(), rng.random_range(0..100));
        let (way, granted) = (rng.random_range(0..WAYS.len()), rng.random_range(0..2) == 1);
        let granted = if granted { GRANTED } else { Value::Null };
        let key = Some(Value::from(format!("k{}", self.rights.take(which).number)));
        // Every third slot is root at times; the others only use rights.
        if slot.is_multiple_of(WORKERS) && change < CHANGES_PERCENT {
            return Next::Invoke(Planned { f: "write", key, value: granted });
        }
        Next::Invoke(Planned { f: "read", key, value: WAYS[way].into() })
    }

    fn observe(&mut self, _slot: usize, _operation: &Planned, _completion: &Completion) {}

    fn next_final(&mut self, slot: usize) -> Next {
        self.rights.next_final(slot).map_or(Next::Done, |right| {
            let key = Some(Value::from(format!("k{right}")));
            Next::Invoke(Planned { f: "read", key, value: "get".into() })
        })
    }
}
