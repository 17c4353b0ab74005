//! `registry`: a registry of services, as SkyDNS and many others keep it in etcd.
//!
//! An instance puts itself under its service's prefix, and under the path that SkyDNS makes of its
//! service's domain name, on a lease that it keeps alive by heartbeats. It leaves by revoking the
//! lease, or stops without a word. Clients discover instances by the one and the other: no
//! instance that stopped is seen after its time to live plus a bound, and none that lives is
//! missing.

use crate::form::{number, object, text};
use crate::listing;
use crate::{
    Answer, Completion, Generator, KeyValue, Next, Options, Planned, Put, Range, Request, Said,
    Store, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::{Lease, Lists};
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Under which everything lies in the store.
const PREFIX: &str = "ordeal/registry/";
/// The services.
const SERVICES: [&str; 2] = ["web", "db"];
/// The domain of all services.
const DOMAIN: &str = "cluster.local";
/// Seconds that an instance lives without a heartbeat.
const TTL_S: i64 = 2;
/// One turn in so many is a heartbeat.
const HEARTBEAT_EVERY: u32 = 8;
/// Nanoseconds after its time to live in which an instance that stopped may still be seen.
const BOUND_NS: u64 = 15_000_000_000;

/// The workload.
pub struct Registry;

impl Workload for Registry {
    const NAME: &'static str = "registry";
    const SUMMARY: &'static str = "instances of services register on leases with heartbeats, and \
                                   are discovered by prefix and by the names of SkyDNS";
    const CHECKS: &'static str =
        "instances that are seen after they stopped, or missing though alive; leases";
    const FAULTS: &'static [&'static str] = &["pause", "kill", "partition"];

    fn generator(_options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(Instances { slots: BTreeMap::new(), numbers: 0, finals: vec![0; slots] })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let Some(request) = request(options, operation) else {
            return Completion::unknown(operation);
        };
        match store.send(request).await {
            Ok(answer) => completion(operation, &answer),
            Err(error) => Completion::of_error(error),
        }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        let lease = Lease { gone_within_ns: Some(BOUND_NS), ..Lease::default() };
        vec![Box::new(lease), Box::new(Lists)]
    }
}

/// The path of a domain name, as SkyDNS has it: `web.cluster.local` is `skydns/local/cluster/web/`.
fn skydns(name: &str) -> String {
    let labels: Vec<&str> = name.rsplit('.').filter(|label| !label.is_empty()).collect();
    format!("skydns/{}/", labels.join("/"))
}

/// The two places where a service's instances are found: by prefix, and by name.
fn places(service: &str) -> [String; 2] {
    [format!("services/{service}/"), skydns(&format!("{service}.{DOMAIN}"))]
}

/// What SkyDNS reads of an instance: its address says its number.
fn record(number: i64) -> String {
    let [.., a, b, c] = number.to_be_bytes();
    format!(r#"{{"host":"10.{a}.{b}.{c}","port":8080,"ttl":{TTL_S}}}"#)
}

/// The number of an instance; the text, if somebody made something else of it.
fn instance(kv: &KeyValue) -> Value {
    let record_of = |number: &i64| record(*number).into_bytes() == kv.value;
    let name = std::str::from_utf8(&kv.key).ok().and_then(|key| key.rsplit('/').next());
    let number = name.and_then(|name| name.trim_start_matches('i').parse().ok());
    number.filter(record_of).map_or_else(|| text(&kv.value), Value::Int)
}

fn request(options: &Options, operation: &Planned) -> Option<Request> {
    let value = &operation.value;
    Some(match operation.f {
        "lease-grant" => Request::LeaseGrant { id: 0, ttl_s: number(value, "ttl")? },
        "lease-keepalive" => Request::LeaseKeepAlive(value.as_i64()?),
        "lease-revoke" => Request::LeaseRevoke(value.as_i64()?),
        "put" => {
            let key = format!("{PREFIX}{}", operation.key.as_ref()?.as_str()?);
            let put = Put::of(key, record(number(value, "value")?));
            Request::Put(Put { lease: number(value, "lease")?, ..put })
        }
        "list" => {
            let prefix = crate::form::member(value, "prefix")?.as_str()?;
            let serializable = options.serializable;
            Request::Range(Range { serializable, ..Range::prefix(format!("{PREFIX}{prefix}")) })
        }
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
        ("put" | "lease-revoke", Said::Put { .. } | Said::Done) => operation.value.clone(),
        ("list", Said::Range { kvs, .. }) => {
            return listing::answered(listing::items(PREFIX, kvs, instance), answer.revision);
        }
        _ => return Completion::strange(answer),
    };
    Completion::ok(value, answer.revision)
}

/// Where an instance is in its life.
struct Instance {
    lease: i64,
    number: i64,
    service: usize,
    /// Places that it has put itself in.
    registered: usize,
    /// Turns until it leaves or stops.
    left: u32,
}

struct Instances {
    slots: BTreeMap<usize, Instance>,
    numbers: i64,
    finals: Vec<usize>,
}

impl Instances {
    fn live(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let draw = rng.random_range(0..100);
        let planned = |f, key, value| Next::Invoke(Planned { f, key, value });
        let Some(instance) = self.slots.get_mut(&slot) else {
            let value = object([("id", Value::Int(0)), ("ttl", Value::Int(TTL_S))]);
            return planned("lease-grant", None, value);
        };
        let lease = Value::Int(instance.lease);
        if let Some(place) = places(SERVICES[instance.service]).get(instance.registered) {
            let key = Some(Value::from(format!("{place}i{}", instance.number)));
            let value = object([("value", Value::Int(instance.number)), ("lease", lease)]);
            return planned("put", key, value);
        }
        instance.left = instance.left.saturating_sub(1);
        if instance.left > 0 {
            let beats = instance.left.is_multiple_of(HEARTBEAT_EVERY);
            return if beats { planned("lease-keepalive", None, lease) } else { Next::Wait };
        }
        self.slots.remove(&slot);
        // It says that it leaves, or it is just not heard of any more.
        if draw < 40 { planned("lease-revoke", None, lease) } else { Next::Wait }
    }

    fn question(place: usize) -> Planned {
        let of = &places(SERVICES[place / 2 % SERVICES.len()])[place % 2];
        Planned { f: "list", key: None, value: listing::question(of) }
    }
}

impl Generator for Instances {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        if slot.is_multiple_of(2) {
            return self.live(slot, rng);
        }
        Next::Invoke(Self::question(rng.random_range(0..2 * SERVICES.len())))
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        if !slot.is_multiple_of(2) {
            return;
        }
        match (operation.f, completion.outcome) {
            ("lease-grant", Outcome::Ok) => {
                let Some(lease) = number(&completion.value, "id") else { return };
                self.numbers += 1;
                let number = self.numbers;
                let service = usize::try_from(number).unwrap_or(0) % SERVICES.len();
                // Spread without a draw: there is none to be had here.
                let left = 20 + u32::try_from(number * 37 % 400).unwrap_or(0);
                let instance = Instance { lease, number, service, registered: 0, left };
                self.slots.insert(slot, instance);
            }
            ("put", Outcome::Ok) => {
                if let Some(instance) = self.slots.get_mut(&slot) {
                    instance.registered += 1;
                }
            }
            ("lease-keepalive", Outcome::Ok) if completion.value != Value::Int(0) => {}
            // A heartbeat that is lost is made up for by the next.
            ("lease-keepalive", Outcome::Fail | Outcome::Info) => {}
            _ => {
                self.slots.remove(&slot);
            }
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        let Some(asked) = self.finals.get_mut(slot) else { return Next::Done };
        *asked += 1;
        let place = *asked - 1;
        if place < 2 * SERVICES.len() { Next::Invoke(Self::question(place)) } else { Next::Done }
    }
}

#[cfg(test)]
mod tests {
    use super::{Instances, instance, places, record};
    use crate::KeyValue;
    use ordeal_history::Value;

    #[test]
    fn a_service_is_found_by_its_prefix_and_by_its_name_as_skydns_has_it() {
        assert_eq!(places("web"), ["services/web/", "skydns/local/cluster/web/"]);
        let asked: Vec<Value> = (0..4).map(|place| Instances::question(place).value).collect();
        assert_eq!(asked[3].to_string(), r#"{"prefix":"skydns/local/cluster/db/"}"#);
    }

    #[test]
    fn an_instance_is_known_by_its_record_and_by_nothing_else() {
        let kv = |value: String| KeyValue {
            key: b"ordeal/registry/services/web/i70000".to_vec(),
            value: value.into_bytes(),
            ..KeyValue::default()
        };
        assert_eq!(record(70_000), r#"{"host":"10.1.17.112","port":8080,"ttl":2}"#);
        assert_eq!(instance(&kv(record(70_000))), Value::Int(70_000));
        assert_eq!(instance(&kv(record(1))), Value::from(record(1)));
    }
}
