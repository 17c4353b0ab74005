//! The embedded node beside a real etcd: the same random requests, one after the other, must get
//! the same answers, revisions, versions, events and errors.
//!
//! The requests of a sequence are drawn from its number alone: of KV, leases and watches.
//! When the two answer differently, the sequence is played again on fresh stores with requests left
//! out, until none can go, and what is left is shown with both answers.
//!
//! What time decides in etcd is kept out: leases live long or are revoked at once, watches have
//! told everything before a compaction, and how events are gathered into responses is not compared
//! (that no revision is split is).
//!
//! `$ORDEAL_ETCD` names the real binary (else `etcd` of the path), `$ORDEAL_SEQUENCES` how many
//! sequences are played, `$ORDEAL_SEED` the first one.

mod answer;
mod ask;
pub mod etcd;
mod generate;
mod pair;
mod releases;
mod shrink;
mod store;
mod stream;

use std::collections::BTreeMap;

use ask::Ask;
use generate::Kind;
use pair::{Difference, Pair};

/// Sequences of one test run; a night's run asks for thousands.
const SEQUENCES: u64 = 30;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("${variable} is no number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn random_requests_get_the_answers_that_a_real_etcd_gives() {
    let Some(etcd) = etcd::etcd() else {
        let required = std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|value| value == "1");
        assert!(!required, "there is no etcd, neither on the path nor in $ORDEAL_ETCD");
        eprintln!("skipped: there is no etcd, neither on the path nor in $ORDEAL_ETCD");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let first = number("ORDEAL_SEED", 1);
        let sequences = number("ORDEAL_SEQUENCES", SEQUENCES);
        let mut pair = Pair::start(&etcd).await;
        let mut played = BTreeMap::<Kind, (u64, usize)>::new();
        let mut ended = 0;
        for seed in first..first + sequences {
            let asks = generate::sequence(seed);
            let (of_kind, asked) = played.entry(Kind::of(seed)).or_default();
            (*of_kind, *asked) = (*of_kind + 1, *asked + asks.len());
            if let Err(difference) = pair.play(&asks).await {
                if difference.etcd_ended {
                    ended += 1;
                    pair = Pair::start(&etcd).await;
                    continue;
                }
                let shrunk = shrink::shrink(&etcd, asks, difference).await;
                panic!("sequence {seed}: {}", told(&shrunk.0, &shrunk.1));
            }
            pair.wipe().await;
        }
        for (kind, (sequences, requests)) in played {
            println!("{kind:?}: {sequences} sequences, {requests} requests: no difference");
        }
        println!("{ended} sequences ended etcd itself");
        assert!(ended * 100 <= sequences, "{ended} of {sequences} sequences ended etcd itself");
    });
}

fn told(asks: &[Ask], difference: &Difference) -> String {
    let mut text = String::from("the answers differ after these requests:\n");
    for ask in &asks[..=difference.nth] {
        text += &format!("  {ask:?}\n");
    }
    text + &format!("embedded: {}\netcd:     {}\n", difference.embedded, difference.etcd)
}
