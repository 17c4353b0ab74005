//! `kubernetes`: what its API servers do with etcd.
//!
//! Objects are written by optimistic updates: a transaction on condition that the object's last
//! change is the one that the writer has seen. Informers list a prefix in pages, all of one
//! revision, watch from that revision on, and list again when what they need next is compacted.
//! Events hang on leases that many of them share. Every so often what is older than the last time
//! is compacted.

use crate::form::{encode, number, object};
use crate::listing::{self, deletes, puts, unchanged};
use crate::rotation::{Once, pick};
use crate::watching::{self, Manner, Watching, is_watching};
use crate::{
    Answer, Completion, Generator, Next, Options, Patience, Planned, Put, Request, Said, Store,
    Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::{Lease, Lists, Watch};
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Under which everything lies in the store.
const PREFIX: &str = "ordeal/kubernetes/";
/// Under which the objects lie.
const OBJECTS: &str = "pods/";
/// Under which the events lie.
const EVENTS: &str = "events/";
/// So many keys a page has.
const PAGE: i64 = 3;
/// After so many choices it is compacted again.
const COMPACT_EVERY: u32 = 600;
/// So many events share a lease.
const EVENTS_PER_LEASE: u32 = 20;
/// How long events live, in seconds.
const TTL_S: i64 = 3;

/// The workload.
pub struct Kubernetes;

impl Workload for Kubernetes {
    const NAME: &'static str = "kubernetes";
    const SUMMARY: &'static str = "lists in pages, watches from there, optimistic updates, events \
                                   on leases, and compaction every so often";
    const CHECKS: &'static str =
        "updates that are lost, lists that are not of their revision, watches, leases";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause", "compact"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(ClusterState {
            options: options.clone(),
            watching: Watching::default(),
            informed: BTreeMap::new(),
            seen: BTreeMap::new(),
            lease: None,
            counts: Counts::default(),
            head: 0,
            compact_at: 0,
            finals: Once::new(slots),
        })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        if operation.f != "list" {
            let own = watching::Own { request, completion };
            return watching::send(PREFIX, own, store, options, operation).await;
        }
        match listing::pages(store, format!("{PREFIX}{OBJECTS}").as_bytes(), PAGE).await {
            Ok((kvs, revision)) => {
                listing::answered(listing::items(PREFIX, &kvs, listing::plain), revision)
            }
            Err(error) => Completion::of_error(error),
        }
    }

    fn patience(operation: &Planned) -> Patience {
        watching::patience(operation)
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Lists), Box::new(Watch::default()), Box::new(Lease::default())]
    }
}

fn request(options: &Options, operation: &Planned) -> Option<Request> {
    let value = &operation.value;
    Some(match operation.f {
        "txn" => Request::Txn(listing::txn(PREFIX, value.as_array()?, |value| {
            encode(value, options.value_bytes)
        })?),
        "put" => {
            let key = format!("{PREFIX}{}", operation.key.as_ref()?.as_str()?);
            let encoded = encode(number(value, "value")?, options.value_bytes);
            Request::Put(Put { lease: number(value, "lease")?, ..Put::of(key, encoded) })
        }
        "lease-grant" => Request::LeaseGrant { id: 0, ttl_s: number(value, "ttl")? },
        "compact" => Request::Compact(value.as_i64()?),
        _ => return None,
    })
}

fn completion(operation: &Planned, answer: &Answer) -> Completion {
    match (operation.f, &answer.said) {
        ("lease-grant", Said::Lease { id, ttl_s, .. }) => {
            let granted = object([("id", Value::Int(*id)), ("ttl", Value::Int(*ttl_s))]);
            Completion::ok(granted, answer.revision)
        }
        ("put", Said::Put { .. }) => Completion::ok(operation.value.clone(), answer.revision),
        ("compact", Said::Done) => Completion::ok(operation.value.clone(), 0),
        ("txn", said) => listing::done(&operation.value, said, answer.revision)
            .unwrap_or_else(|| Completion::strange(answer)),
        _ => Completion::strange(answer),
    }
}

/// What has been numbered.
#[derive(Default)]
struct Counts {
    values: i64,
    events: u32,
    /// Choices since the last compaction.
    choices: u32,
}

struct ClusterState {
    options: Options,
    watching: Watching,
    /// Informers that have listed and not been told to list again.
    informed: BTreeMap<usize, bool>,
    /// The revision of each object's last change, as far as somebody has seen; 0: absent.
    seen: BTreeMap<String, i64>,
    /// The lease on which events hang, and how many more may.
    lease: Option<(i64, u32)>,
    counts: Counts,
    head: i64,
    /// What is compacted next time.
    compact_at: i64,
    finals: Once,
}

impl ClusterState {
    fn list() -> Planned {
        Planned { f: "list", key: None, value: listing::question(OBJECTS) }
    }

    /// An informer: it lists, then watches, and another one begins now and then.
    fn inform(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Planned {
        let anew = rng.random_range(0..100) == 0;
        if anew || !self.informed.get(&slot).is_some_and(|informed| *informed) {
            return Self::list();
        }
        self.watching.next(slot, rng)
    }

    fn write(&mut self, rng: &mut ChaCha8Rng) -> Planned {
        let count = self.options.keys.max(1) as usize;
        let name = format!("{OBJECTS}p{}", pick(rng.random(), count, self.options.skew));
        let since = self.seen.get(&name).copied().unwrap_or(0);
        self.counts.values += 1;
        let change = match since > 0 && rng.random_range(0..5) == 0 {
            true => deletes(&name),
            false => puts(&name, self.counts.values),
        };
        let steps = vec![unchanged(&name, since), change];
        Planned { f: "txn", key: None, value: Value::from(steps) }
    }

    fn happen(&mut self) -> Planned {
        let Some((lease, left @ 1..)) = self.lease else {
            let value = object([("id", Value::Int(0)), ("ttl", Value::Int(TTL_S))]);
            return Planned { f: "lease-grant", key: None, value };
        };
        self.lease = Some((lease, left - 1));
        self.counts.values += 1;
        self.counts.events += 1;
        let key = Some(Value::from(format!("{EVENTS}e{}", self.counts.events)));
        let value =
            object([("value", Value::Int(self.counts.values)), ("lease", Value::Int(lease))]);
        Planned { f: "put", key, value }
    }

    /// What a writer learns of the object that its transaction was about.
    fn learn(&mut self, operation: &Planned, completion: &Completion) {
        let steps = operation.value.as_array().unwrap_or_default();
        let step = |nth: usize| steps.get(nth).and_then(Value::as_array);
        let name = step(0).and_then(|step| step.get(1)?.as_str());
        let Some(name) = name else { return };
        let puts = step(1).and_then(|step| step.first()?.as_str()) == Some("w");
        let now = match completion.outcome {
            Outcome::Ok if puts => completion.revision,
            Outcome::Ok => Some(0),
            _ => completion.actual.as_ref().and_then(Value::as_i64),
        };
        if let Some(now) = now {
            self.seen.insert(name.to_owned(), now);
        }
    }
}

impl Generator for ClusterState {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        self.counts.choices += 1;
        if slot % 3 == 2 {
            return Next::Invoke(self.inform(slot, rng));
        }
        if slot == 0 && self.counts.choices > COMPACT_EVERY {
            self.counts.choices = 0;
            let at = std::mem::replace(&mut self.compact_at, self.head);
            if at > 0 {
                return Next::Invoke(Planned { f: "compact", key: None, value: Value::Int(at) });
            }
        }
        let happens = rng.random_range(0..6) == 0;
        Next::Invoke(if happens { self.happen() } else { self.write(rng) })
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        if is_watching(operation.f) {
            self.watching.observe(slot, operation, completion);
            if watching::is_canceled(completion) {
                // What it needs next is gone: it lists again.
                self.watching.forget(slot);
                self.informed.insert(slot, false);
            }
            return;
        }
        self.head = self.head.max(completion.revision.unwrap_or(0));
        match (operation.f, completion.outcome) {
            ("txn", _) => self.learn(operation, completion),
            ("list", Outcome::Ok) if !self.informed.get(&slot).is_some_and(|so| *so) => {
                let begins = Manner { from: String::new(), ..Manner::prefix() };
                self.watching.add(slot, begins, completion.revision.unwrap_or(0) + 1);
                self.informed.insert(slot, true);
            }
            ("lease-grant", Outcome::Ok) => {
                self.lease = number(&completion.value, "id").map(|id| (id, EVENTS_PER_LEASE));
            }
            ("put", Outcome::Fail) => self.lease = None,
            _ => {}
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        if slot % 3 == 2 {
            return self.watching.next_final(slot, self.head);
        }
        if self.finals.is_first(slot) { Next::Invoke(Self::list()) } else { Next::Done }
    }
}

#[cfg(test)]
mod tests {
    use super::Kubernetes;
    use crate::Memory;
    use crate::trial::{count, is_found, trial};

    #[test]
    fn on_a_sound_store_no_update_is_lost() {
        let history = trial::<Kubernetes>(4, 2_000, |_| {});
        assert!(count(&history, "txn") > 100, "{}", count(&history, "txn"));
        assert!(count(&history, "list") > 3);
        let lose = |store: &mut Memory| {
            // A write that the history does not have: as if one had been taken back.
            let pods = store.held.values_mut().filter(|kv| kv.key.starts_with(b"ordeal/kub"));
            pods.for_each(|kv| kv.mod_revision -= 1);
        };
        assert!(is_found::<Kubernetes>(4, 2_000, lose));
    }
}
