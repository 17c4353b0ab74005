//! `lease`: leases are granted, kept alive, revoked and left to expire, with keys on them.
//!
//! Identifiers are the store's, or the client's own, positive and negative. Each client has one
//! lease at a time: it ties keys to it, its own and now and then one that hangs on another's lease
//! or one that is to hang on none, keeps it alive for a while, and then either revokes it or leaves
//! it alone and looks when it is gone. Every fourth client watches all the keys.

use crate::form::{decode, encode, number, object};
use crate::watching::{self, Manner, Watching, is_watching};
use crate::{
    Answer, Completion, Generator, Next, Options, Patience, Planned, Put, Range, Request, Said,
    Store, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::Lease;
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Under which the keys lie in the store.
const PREFIX: &str = "ordeal/lease/";
/// How many keys hang on a lease.
const KEYS_EACH: i64 = 3;
/// How long leases live without being kept alive, in seconds.
const TTL_S: std::ops::RangeInclusive<i64> = 2..=4;

/// How many times longer than the others some leases are kept alive.
const LONG_TIMES: u32 = 5;

/// The workload.
pub struct Leases;

impl Workload for Leases {
    const NAME: &'static str = "lease";
    const SUMMARY: &'static str =
        "leases with keys on them: granted, kept alive, revoked, left to expire";
    const CHECKS: &'static str =
        "leases that end before their time or outlive it, and keys that do not go with them";
    const FAULTS: &'static [&'static str] = &["pause", "kill", "partition"];

    fn generator(_options: &Options, _slots: usize) -> Box<dyn Generator> {
        Box::new(LeaseGenerator::default())
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let own = watching::Own { request, completion };
        watching::send(PREFIX, own, store, options, operation).await
    }

    fn patience(operation: &Planned) -> Patience {
        watching::patience(operation)
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Lease::default())]
    }
}

fn request(options: &Options, operation: &Planned) -> Option<Request> {
    let key = operation.key.as_ref().and_then(Value::as_str);
    let stored = key.map(|key| format!("{PREFIX}{key}").into_bytes());
    let value = &operation.value;
    Some(match operation.f {
        "lease-grant" => {
            Request::LeaseGrant { id: number(value, "id")?, ttl_s: number(value, "ttl")? }
        }
        "lease-keepalive" => Request::LeaseKeepAlive(value.as_i64()?),
        "lease-ttl" => Request::LeaseTimeToLive(value.as_i64()?),
        "lease-revoke" => Request::LeaseRevoke(value.as_i64()?),
        "put" => {
            let encoded = encode(number(value, "value")?, options.value_bytes);
            Request::Put(Put { lease: number(value, "lease")?, ..Put::of(stored?, encoded) })
        }
        "get" => Request::Range(Range::of(stored?)),
        _ => return None,
    })
}

fn completion(operation: &Planned, answer: &Answer) -> Completion {
    let value = match (operation.f, &answer.said) {
        ("lease-grant", Said::Lease { id, ttl_s, .. }) => {
            object([("id", Value::Int(*id)), ("ttl", Value::Int(*ttl_s))])
        }
        ("lease-keepalive", Said::Lease { ttl_s, .. }) => {
            return Completion::ok(Value::Int(*ttl_s), 0);
        }
        ("lease-ttl", Said::Lease { ttl_s, granted_s, .. }) => {
            let told = object([("ttl", Value::Int(*ttl_s)), ("granted", Value::Int(*granted_s))]);
            return Completion::ok(told, 0);
        }
        ("get", said @ Said::Range { .. }) => said.one().map_or(Value::Null, |kv| {
            object([
                ("value", decode(Some(kv))),
                ("lease", Value::Int(kv.lease)),
                ("mod", Value::Int(kv.mod_revision)),
            ])
        }),
        ("put" | "lease-revoke", Said::Put { .. } | Said::Done) => operation.value.clone(),
        _ => return Completion::strange(answer),
    };
    Completion::ok(value, answer.revision)
}

#[derive(Default)]
struct LeaseGenerator {
    watching: Watching,
    owners: BTreeMap<usize, Owner>,
    grants: i64,
    /// How many were granted, which names their keys.
    lives: i64,
    values: i64,
    head: i64,
}

/// A client with a lease.
struct Owner {
    id: i64,
    /// The number after which its keys are named.
    life: i64,
    /// Operations until it is kept alive no more.
    alive_for: u32,
    /// Operations until it is forgotten.
    left: u32,
    revokes: bool,
}

impl LeaseGenerator {
    fn grant(&mut self, rng: &mut ChaCha8Rng) -> Planned {
        self.grants += 1;
        let id = match rng.random_range(0..4) {
            0 => 1_000_000 + self.grants,
            // etcd issue #12535.
            1 => -1_000_000 - self.grants,
            _ => 0,
        };
        let ttl = rng.random_range(TTL_S);
        let value = object([("id", Value::Int(id)), ("ttl", Value::Int(ttl))]);
        Planned { f: "lease-grant", key: None, value }
    }

    fn owned(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Option<Planned> {
        let (draw, which) = (rng.random_range(0..100), rng.random_range(0..KEYS_EACH));
        let others = self.owners.iter().filter(|(other, _)| **other != slot);
        let another = others.map(|(_, owner)| owner.life).next_back();
        let owner = self.owners.get_mut(&slot)?;
        let key = Some(Value::from(format!("g{}k{which}", owner.life)));
        let id = Value::Int(owner.id);
        let get = Planned { f: "get", key: key.clone(), value: Value::Null };
        let left = Planned { f: "lease-ttl", key: None, value: id.clone() };
        owner.left = owner.left.saturating_sub(1);
        if owner.alive_for > 0 {
            owner.alive_for -= 1;
            return Some(match draw {
                0..35 => {
                    self.values += 1;
                    let (key, lease) = match (draw, another) {
                        // The key moves from the lease that it hangs on to this one.
                        (0..5, Some(life)) => (Some(format!("g{life}k{which}").into()), id),
                        (5..8, _) => (key, Value::Int(0)),
                        _ => (key, id),
                    };
                    let value = object([("value", Value::Int(self.values)), ("lease", lease)]);
                    Planned { f: "put", key, value }
                }
                35..60 => Planned { f: "lease-keepalive", key: None, value: id },
                60..80 => get,
                _ => left,
            });
        }
        if std::mem::take(&mut owner.revokes) {
            return Some(Planned { f: "lease-revoke", key: None, value: id });
        }
        if owner.left == 0 {
            self.owners.remove(&slot);
            return None;
        }
        // It is to expire: most of the time is spent waiting for that.
        match draw {
            0..10 => Some(get),
            10..14 => Some(left),
            _ => Some(Planned { f: "", key: None, value: Value::Null }),
        }
    }
}

impl Generator for LeaseGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        if slot % 4 == 3 {
            if self.watching.count(slot) == 0 {
                let begins = Manner { from: "g".to_owned(), ..Manner::prefix() };
                self.watching.add(slot, begins, 0);
            }
            return Next::Invoke(self.watching.next(slot, rng));
        }
        match self.owned(slot, rng) {
            Some(rest) if rest.f.is_empty() => Next::Wait,
            Some(operation) => Next::Invoke(operation),
            None => Next::Invoke(self.grant(rng)),
        }
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        if is_watching(operation.f) {
            return self.watching.observe(slot, operation, completion);
        }
        self.head = self.head.max(completion.revision.unwrap_or(0));
        match (operation.f, completion.outcome) {
            ("lease-grant", Outcome::Ok) => {
                let id = number(&completion.value, "id").unwrap_or(0);
                self.lives += 1;
                // Spread without a draw: there is none to be had here. Every other lease is kept
                // alive for longer than it lives, and than a leader may be away (etcd #15247).
                let times = if self.lives % 2 == 0 { LONG_TIMES } else { 1 };
                let alive_for = (10 + u32::try_from(self.lives * 37 % 160).unwrap_or(0)) * times;
                let (revokes, left) = (self.lives % 3 == 0, alive_for + 400);
                let owner = Owner { id, life: self.lives, alive_for, left, revokes };
                self.owners.insert(slot, owner);
            }
            ("lease-keepalive", Outcome::Ok) if completion.value == Value::Int(0) => {
                self.owners.remove(&slot);
            }
            ("lease-ttl", Outcome::Ok) if number(&completion.value, "ttl") < Some(0) => {
                self.owners.remove(&slot);
            }
            ("put", Outcome::Fail) => {
                let error = completion.error.as_deref().unwrap_or_default();
                if error.contains("lease not found") {
                    self.owners.remove(&slot);
                }
            }
            _ => {}
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        self.watching.next_final(slot, self.head)
    }
}
