//! `kv`: every request that etcd's KV API has, mixed at random, on one small store.
//!
//! Ranges, prefixes, limits, orders, reads of the past, deletions of ranges, nested transactions,
//! compactions, and requests that must be refused. Each answer is recorded in full and held against
//! a model of the whole store: values, versions, revisions, counts and errors.
//!
//! `mixed` adds one kind of transaction, that puts a key and then reads at a revision which is not
//! there yet: etcd issue #18667, which no release is free of, so that it is not part of `kv`.

mod choose;
mod wire;

use crate::{Completion, Generator, Options, Planned, Store, Workload};
use choose::Chooser;
use ordeal_checker::Checker;
use ordeal_checker::etcd::Etcd;
use ordeal_checker::linear::Algorithm;

/// The workload.
pub struct Kv;

impl Workload for Kv {
    const NAME: &'static str = "kv";
    const SUMMARY: &'static str = "every request of the KV API at random: ranges, reads of the \
                                   past, nested transactions, compactions, what must be refused";
    const CHECKS: &'static str =
        "each answer against a model of the whole store: values, versions, revisions, errors";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(Chooser::new(options, slots, false))
    }

    async fn send<S: Store>(store: &mut S, _options: &Options, operation: &Planned) -> Completion {
        send(store, operation).await
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Etcd::new(Algorithm::Auto))]
    }
}

/// The same with transactions that put a key and read at a revision which is not there yet.
pub struct Mixed;

impl Workload for Mixed {
    const NAME: &'static str = "mixed";
    const SUMMARY: &'static str =
        "as kv, with transactions that put a key and read at a revision not there yet";
    const CHECKS: &'static str =
        "as kv; and that members are equal after such a transaction, which no etcd is (#18667)";
    const FAULTS: &'static [&'static str] = &["none"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(Chooser::new(options, slots, true))
    }

    async fn send<S: Store>(store: &mut S, _options: &Options, operation: &Planned) -> Completion {
        send(store, operation).await
    }

    fn checkers(options: &Options) -> Vec<Box<dyn Checker>> {
        Kv::checkers(options)
    }
}

async fn send<S: Store>(store: &mut S, operation: &Planned) -> Completion {
    let Some(request) = wire::request(operation.f, &operation.value) else {
        return Completion::unknown(operation);
    };
    match store.send(request).await {
        Ok(answer) => match wire::answer(&answer.said) {
            // The header of a compaction names the revision of another moment.
            Some(value) if operation.f == "compact" => {
                Completion { revision: None, ..Completion::ok(value, answer.revision) }
            }
            Some(value) => Completion::ok(value, answer.revision),
            None => Completion::strange(&answer),
        },
        Err(error) => Completion::of_error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Next};
    use futures::FutureExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use std::collections::BTreeMap;

    #[test]
    fn every_kind_of_request_is_chosen_and_can_be_sent() {
        let options = Options::default();
        let mut generator = Mixed::generator(&options, 3);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut memory = Memory::default();
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for step in 0..3_000 {
            let Next::Invoke(operation) = generator.next(step % 3, &mut rng) else {
                panic!("there is always a request")
            };
            assert!(wire::request(operation.f, &operation.value).is_some(), "{operation:?}");
            let sent = Mixed::send(&mut memory, &options, &operation).now_or_never();
            let completion = sent.expect("this store answers at once");
            generator.observe(step % 3, &operation, &completion);
            *counts.entry(operation.f).or_default() += 1;
        }
        for f in ["range", "put", "delete-range", "txn", "compact"] {
            assert!(counts.get(f).is_some_and(|count| *count >= 3), "{f}: {counts:?}");
        }
    }
}
