//! `election`: candidates campaign, proclaim while they lead, and resign or fall silent; others ask
//! who leads.
//!
//! A proposal is a text that is unique and holds what its candidate needs to speak as the leader
//! later on: a number, its lease, and the revision of its key.

use crate::form::{object, text};
use crate::lock::key_of;
use crate::{
    Answer, Completion, Generator, Leader, Next, Options, Patience, Planned, Request, Said, Store,
    StoreError, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::Election;
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Under which the elections lie in the store.
const PREFIX: &str = "ordeal/election/";
/// How long leases live without being kept alive, in seconds.
const TTL_S: i64 = 2;
/// How many times the longest usual waiting a candidate waits.
const WAIT_TIMES: u32 = 6;

/// The workload.
pub struct Elections;

impl Workload for Elections {
    const NAME: &'static str = "election";
    const SUMMARY: &'static str =
        "candidates campaign, proclaim and resign, or fall silent; others ask who leads";
    const CHECKS: &'static str =
        "two leaders at one revision, leaders that come back, proposals that nobody made";
    const FAULTS: &'static [&'static str] = &["pause", "partition", "kill"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let elections = (slots / 4).clamp(1, options.keys.max(1) as usize);
        Box::new(ElectionGenerator { elections, proposals: 0, slots: BTreeMap::new() })
    }

    async fn send<S: Store>(store: &mut S, _options: &Options, operation: &Planned) -> Completion {
        match send(store, operation).await {
            Ok(completion) => completion,
            Err(error) => Completion::of_error(error),
        }
    }

    fn patience(operation: &Planned) -> Patience {
        if operation.f == "campaign" { Patience::Long(WAIT_TIMES) } else { Patience::Usual }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Election)]
    }
}

/// What a proposal's text says: lease and token.
fn office(name: Vec<u8>, proposal: &Value) -> Option<Leader> {
    let mut parts = proposal.as_str()?.split('/').skip(1);
    let lease = parts.next()?.parse().ok()?;
    let revision = parts.next().map_or(Some(0), |token| token.parse().ok())?;
    Some(Leader { key: key_of(&name, lease), name, revision, lease })
}

async fn send<S: Store>(store: &mut S, operation: &Planned) -> Result<Completion, StoreError> {
    let election = operation.key.as_ref().and_then(Value::as_str).unwrap_or_default();
    let name = format!("{PREFIX}{election}").into_bytes();
    let value = operation.value.as_str().unwrap_or_default().as_bytes().to_vec();
    let leader = office(name.clone(), &operation.value);
    let request = match (operation.f, leader) {
        ("lease-grant", _) => Request::LeaseGrant { id: 0, ttl_s: TTL_S },
        ("lease-keepalive", _) => Request::LeaseKeepAlive(operation.value.as_i64().unwrap_or(0)),
        ("campaign", Some(Leader { lease, .. })) => Request::Campaign { name, lease, value },
        ("proclaim", Some(leader)) => Request::Proclaim { leader, value },
        ("resign", Some(leader)) => Request::Resign(leader),
        ("leader", _) => Request::Leads(name),
        _ => return Ok(Completion::unknown(operation)),
    };
    Ok(completion(operation, &store.send(request).await?))
}

fn completion(operation: &Planned, answer: &Answer) -> Completion {
    match &answer.said {
        Said::Lease { id, .. } if operation.f == "lease-grant" => {
            Completion::ok(Value::Int(*id), 0)
        }
        Said::Lease { ttl_s, .. } => Completion::ok(Value::Int(*ttl_s), 0),
        Said::Elected(leader) => Completion::ok(Value::Int(leader.revision), answer.revision),
        Said::Leader(None) => Completion::ok(Value::Null, 0),
        Said::Leader(Some(kv)) => {
            let token = ("token", Value::Int(kv.create_revision));
            Completion::ok(object([token, ("value", text(&kv.value))]), answer.revision)
        }
        Said::Done => Completion::ok(operation.value.clone(), 0),
        _ => Completion::strange(answer),
    }
}

/// A candidate.
#[derive(Default)]
struct Candidate {
    lease: Option<i64>,
    /// The election that it leads, and its token there.
    leads: Option<(usize, i64)>,
    left: u32,
    faithful: bool,
}

struct ElectionGenerator {
    elections: usize,
    proposals: u64,
    slots: BTreeMap<usize, Candidate>,
}

impl Generator for ElectionGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let (election, draw) = (rng.random_range(0..self.elections), rng.random_range(0..100_u32));
        let planned = |f, election: Option<usize>, value| {
            let key = election.map(|election| Value::from(format!("e{election}")));
            Next::Invoke(Planned { f, key, value })
        };
        if slot % 3 == 2 {
            return planned("leader", Some(election), Value::Null);
        }
        let candidate = self.slots.entry(slot).or_default();
        let Some(lease) = candidate.lease else {
            return planned("lease-grant", Some(election), Value::Null);
        };
        self.proposals += 1;
        let number = self.proposals;
        let Some((election, token)) = candidate.leads else {
            candidate.faithful = draw < 70;
            candidate.left = draw / 5;
            let value = format!("{number}/{lease}");
            return planned("campaign", Some(election), value.into());
        };
        let value = Value::from(format!("{number}/{lease}/{token}"));
        if candidate.left == 0 {
            return planned("resign", Some(election), value);
        }
        candidate.left -= 1;
        match draw {
            0..30 => planned("proclaim", Some(election), value),
            30..50 if candidate.faithful => {
                planned("lease-keepalive", Some(election), Value::Int(lease))
            }
            _ => Next::Wait,
        }
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        let candidate = self.slots.entry(slot).or_default();
        let election = operation.key.as_ref().and_then(Value::as_str);
        let election = election.and_then(|name| name.trim_start_matches('e').parse().ok());
        match (operation.f, completion.outcome, completion.value.as_i64()) {
            ("leader", ..) | ("proclaim", Outcome::Ok, _) => {}
            ("lease-grant", Outcome::Ok, lease) => candidate.lease = lease,
            ("campaign", Outcome::Ok, Some(token)) => {
                candidate.leads = election.map(|election| (election, token));
            }
            ("lease-keepalive", Outcome::Ok, Some(1..)) => {}
            // It resigned, or who knows: with a new lease it begins afresh.
            _ => *candidate = Candidate::default(),
        }
    }

    fn next_final(&mut self, _slot: usize) -> Next {
        Next::Done
    }
}
