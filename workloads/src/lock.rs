//! `lock`: clients take etcd's locks, hold them for a while, and let go.
//!
//! A lock rests on a lease: a holder that is not heard of loses it and is not told (etcd #11457).
//! So exclusion in time is no promise, and not demanded. What is demanded: tokens, the revisions at
//! which the holders' keys were created, rise; and whoever is told that it holds the lock had its
//! key there at that moment, and had its turn: its key was the oldest for once (etcd #11456: the
//! lease of one who waits may end while it waits).

use crate::form::{number, object};
use crate::{
    Completion, Generator, KeyValue, Next, Options, Patience, Planned, Range, Request, Said, Store,
    StoreError, Workload,
};
use ordeal_checker::online::{Online, Recheck};
use ordeal_checker::others::FencedMutex;
use ordeal_checker::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::{History, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Under which the locks lie in the store.
const PREFIX: &str = "ordeal/lock/";
/// How long leases live without being kept alive, in seconds: short, so that waiting outlasts it.
const TTL_S: i64 = 1;
/// How many times the longest usual waiting a lock is waited for.
const WAIT_TIMES: u32 = 6;

/// The workload.
pub struct Locks;

impl Workload for Locks {
    const NAME: &'static str = "lock";
    const SUMMARY: &'static str =
        "clients take locks with short leases, hold them for a while, and let go";
    const CHECKS: &'static str =
        "fencing tokens that do not rise; locks that are held without a key, or out of turn";
    const FAULTS: &'static [&'static str] = &["pause", "partition", "kill"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        // Contended by three or more each.
        let locks = (slots / 3).clamp(1, options.keys.max(1) as usize);
        Box::new(LockGenerator { locks, slots: BTreeMap::new() })
    }

    async fn send<S: Store>(store: &mut S, _options: &Options, operation: &Planned) -> Completion {
        match send(store, operation).await {
            Ok(completion) => completion,
            Err(error) => Completion::of_error(error),
        }
    }

    fn patience(operation: &Planned) -> Patience {
        if operation.f == "acquire" { Patience::Long(WAIT_TIMES) } else { Patience::Usual }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(FencedMutex { exclusive: false }), Box::new(HeldByKey)]
    }
}

async fn send<S: Store>(store: &mut S, operation: &Planned) -> Result<Completion, StoreError> {
    let value = &operation.value;
    let lease = number(value, "lease").unwrap_or(0);
    let lock = operation.key.as_ref().and_then(Value::as_str).unwrap_or_default();
    let name = format!("{PREFIX}{lock}").into_bytes();
    match operation.f {
        "lease-grant" => {
            match store.send(Request::LeaseGrant { id: 0, ttl_s: TTL_S }).await?.said {
                Said::Lease { id, .. } => {
                    Ok(Completion::ok(object([("lease", Value::Int(id))]), 0))
                }
                _ => Ok(Completion::unknown(operation)),
            }
        }
        "lease-keepalive" => match store.send(Request::LeaseKeepAlive(lease)).await?.said {
            Said::Lease { ttl_s, .. } => Ok(Completion::ok(Value::Int(ttl_s), 0)),
            _ => Ok(Completion::unknown(operation)),
        },
        "acquire" => acquire(store, name, lease).await,
        "release" => {
            let key = key_of(&name, lease);
            store.send(Request::Unlock(key)).await?;
            Ok(Completion::ok(value.clone(), 0))
        }
        _ => Ok(Completion::unknown(operation)),
    }
}

/// The key that stands for the lock's being held, as etcd names it.
pub(crate) fn key_of(name: &[u8], lease: i64) -> Vec<u8> {
    [name, format!("/{lease:x}").as_bytes()].concat()
}

/// The token is the revision at which the holder's key was created, and the version tells whether
/// it was there when the lock was granted, and had its turn: 0 means that it was not, or had not.
async fn acquire<S: Store>(
    store: &mut S,
    name: Vec<u8>,
    lease: i64,
) -> Result<Completion, StoreError> {
    let answer = store.send(Request::Lock { name: name.clone(), lease }).await?;
    let Said::Locked { key } = &answer.said else { return Ok(Completion::strange(&answer)) };
    // The lock is held whatever becomes of this: without an answer there is no token.
    let Ok((token, held)) = look(store, &name, key, answer.revision).await else {
        return Ok(Completion::ok(Value::Null, answer.revision));
    };
    let token = token.map_or(Value::Null, Value::Int);
    Ok(Completion { version: Some(i64::from(held)), ..Completion::ok(token, answer.revision) })
}

/// The holder's token, and whether it can have held the lock: its key was there at the revision
/// of the answer, and if it is gone by now, it was the oldest under the lock's name before it went.
/// A key that is the oldest once stays so, so one that never was had no turn (etcd #11456).
async fn look<S: Store>(
    store: &mut S,
    name: &[u8],
    key: &[u8],
    told_at: i64,
) -> Result<(Option<i64>, bool), StoreError> {
    let Some(then) = one(store, key, told_at).await?.0 else { return Ok((None, false)) };
    let (now, head) = one(store, key, 0).await?;
    if now.is_some_and(|now| now.create_revision == then.create_revision) {
        return Ok((Some(then.create_revision), true));
    }
    // There at the first, gone at the last.
    let (mut there, mut gone) = (told_at, head);
    while there + 1 < gone {
        let middle = there + (gone - there) / 2;
        let seen = one(store, key, middle).await?.0;
        let same = seen.is_some_and(|kv| kv.create_revision == then.create_revision);
        *(if same { &mut there } else { &mut gone }) = middle;
    }
    let prefix = [name, b"/"].concat();
    let all = Range { revision: there, ..Range::prefix(prefix) };
    let answer = store.send(Request::Range(all)).await?;
    let oldest = answer.said.kvs().iter().map(|kv| kv.create_revision).min();
    Ok((Some(then.create_revision), oldest == Some(then.create_revision)))
}

/// A key at a revision, 0 being now, and the revision of the answer.
async fn one<S: Store>(
    store: &mut S,
    key: &[u8],
    revision: i64,
) -> Result<(Option<KeyValue>, i64), StoreError> {
    let range = Range { revision, ..Range::of(key) };
    let answer = store.send(Request::Range(range)).await?;
    Ok((answer.said.one().cloned(), answer.revision))
}

/// What a slot is at.
#[derive(Default)]
struct Holder {
    lease: Option<i64>,
    held: Option<usize>,
    /// Operations until it lets go.
    left: u32,
    /// Whether it keeps its lease alive.
    faithful: bool,
}

struct LockGenerator {
    locks: usize,
    slots: BTreeMap<usize, Holder>,
}

impl Generator for LockGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let (lock, draw) = (rng.random_range(0..self.locks), rng.random_range(0..100_u32));
        let holder = self.slots.entry(slot).or_default();
        let planned = |f, lock: Option<usize>, value| {
            let key = lock.map(|lock| Value::from(format!("l{lock}")));
            Next::Invoke(Planned { f, key, value })
        };
        let Some(lease) = holder.lease else {
            return planned("lease-grant", None, Value::Null);
        };
        let value = object([("lease", Value::Int(lease))]);
        match holder.held {
            None => {
                holder.faithful = draw < 70;
                // A few hold it for longer than those who wait have time to live.
                holder.left = if draw % 5 == 0 { 300 } else { draw / 5 };
                planned("acquire", Some(lock), value)
            }
            Some(lock) if holder.left == 0 => planned("release", Some(lock), value),
            Some(_) => {
                holder.left -= 1;
                let keeps = holder.faithful && holder.left % 10 == 9;
                if keeps { planned("lease-keepalive", None, value) } else { Next::Wait }
            }
        }
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        let holder = self.slots.entry(slot).or_default();
        let lock = operation.key.as_ref().and_then(Value::as_str);
        let lock = lock.and_then(|lock| lock.trim_start_matches('l').parse().ok());
        match (operation.f, completion.outcome) {
            ("lease-grant", Outcome::Ok) => holder.lease = number(&completion.value, "lease"),
            ("acquire", Outcome::Ok) => holder.held = lock,
            ("lease-keepalive", Outcome::Ok) if completion.value != Value::Int(0) => {}
            // Released, or who knows: with a new lease it begins afresh.
            _ => *holder = Holder::default(),
        }
    }

    fn next_final(&mut self, _slot: usize) -> Next {
        Next::Done
    }
}

/// Judges that whoever was told that it holds the lock had its key in the store at that moment, and
/// that the key had its turn: an `acquire` that succeeded has a version, and it is not 0.
struct HeldByKey;

impl Checker for HeldByKey {
    fn name(&self) -> &str {
        "lock-key"
    }

    fn summary(&self) -> &str {
        "whoever is told that it holds a lock has its key in the store, and had its turn"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let acquired = (0..).zip(&history.operations).filter(|(_, operation)| {
            &*operation.f == "acquire" && operation.outcome == Outcome::Ok
        });
        let mut without: Vec<u32> = Vec::new();
        let mut with = 0;
        for (position, operation) in acquired {
            match operation.version {
                Some(0) => without.push(position),
                Some(_) => with += 1,
                None => {}
            }
        }
        let (verdict, reason) = match without.first() {
            Some(first) => {
                let operation = &history.operations[*first as usize];
                let (process, at) = (operation.process, operation.revision.unwrap_or(0));
                let reason = format!(
                    "Process {process} was told at revision {at} that it holds the lock; its key \
                     was not in the store then, or went without ever having been the oldest."
                );
                let (operations, story) = (vec![*first], vec![reason.clone()]);
                let found = Counterexample { operations, story, ..Counterexample::default() };
                (Verdict::Invalid(found), reason)
            }
            None if with == 0 && !history.operations.is_empty() => {
                let reason = "no lock was acquired whose key was looked at".to_owned();
                (Verdict::Unknown(reason.clone()), reason)
            }
            None => {
                let reason = format!("{with} holders had their keys in the store");
                (Verdict::Valid(Witness::default()), reason)
            }
        };
        Judgement {
            checker: self.name().to_owned(),
            verdict,
            algorithm: "count".to_owned(),
            reason,
            operations: history.operations.len() as u64,
            cost: Cost::default(),
        }
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        Some(Box::new(Recheck::new(HeldByKey, limits.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_history::{Event, EventType, Process};

    #[test]
    fn a_lock_that_is_held_without_a_key_is_found() {
        let judge = |version: Option<i64>| {
            let event = |index, kind| Event::new(index, index, Process::Client(0), kind, "acquire");
            let ok = Event { version, ..event(1, EventType::Ok) };
            let history = History::from_events([event(0, EventType::Invoke), ok]);
            HeldByKey.check(&history.expect("a history"), &Limits::default()).verdict
        };
        assert!(matches!(judge(Some(1)), Verdict::Valid(_)));
        assert!(matches!(judge(Some(0)), Verdict::Invalid(_)));
        assert!(matches!(judge(None), Verdict::Unknown(_)));
    }
}
