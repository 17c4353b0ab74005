//! The embedded node beside a real etcd: the same random requests, one after the other, must get
//! the same answers, revisions, versions, events and errors.
//!
//! The requests of a sequence are drawn from its number alone: of KV, leases, watches, and users
//! and roles, on behalf of several users.
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
mod auth;
pub mod etcd;
mod generate;
mod pair;
mod releases;
mod root;
mod shrink;
mod store;
mod stream;

use std::collections::BTreeMap;

use ask::Ask;
use generate::Kind;
use pair::{Difference, Pair, Setup};

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
    let sequences = number("ORDEAL_SEQUENCES", SEQUENCES);
    play(None, |_| true, sequences);
}

#[test]
fn random_requests_with_signed_tokens_get_the_answers_that_a_real_etcd_gives() {
    // With those of other kinds there is nothing that a token could change.
    let sequences = number("ORDEAL_SEQUENCES", SEQUENCES) / 3;
    play(Some(signed()), |seed| Kind::of(seed) == Kind::Auth, sequences);
}

/// `--auth-token` with a pair of RSA keys.
fn signed() -> String {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/keys");
    let (public, private) = (format!("{keys}/rsa-public.pem"), format!("{keys}/rsa-private.pem"));
    format!("jwt,sign-method=RS256,pub-key={public},priv-key={private},ttl=1h")
}

/// Plays so many sequences out of those that are chosen.
fn play(tokens: Option<String>, chosen: impl Fn(u64) -> bool, sequences: u64) {
    let Some(program) = etcd::etcd_or_skip() else { return };
    // Older ones check fewer requests.
    let checks = etcd::release(&program) >= (3, 5, 0);
    let chosen = |seed: &u64| chosen(*seed) && (checks || Kind::of(*seed) != Kind::Auth);
    if !checks {
        eprintln!("skipped: users and roles, since {program} is older than 3.5");
        if tokens.is_some() {
            // There are no others in which tokens matter.
            return;
        }
    }
    let setup = Setup { program, tokens };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut pair = Pair::start(&setup).await;
        let mut played = BTreeMap::<Kind, (u64, usize)>::new();
        let mut ended = 0;
        let seeds = number("ORDEAL_SEED", 1)..;
        for seed in seeds.filter(chosen).take(sequences as usize) {
            let asks = generate::sequence(seed);
            let (of_kind, asked) = played.entry(Kind::of(seed)).or_default();
            (*of_kind, *asked) = (*of_kind + 1, *asked + asks.len());
            if let Err(difference) = pair.play(&asks).await {
                if difference.etcd_ended {
                    ended += 1;
                    pair = Pair::start(&setup).await;
                    continue;
                }
                let shrunk = shrink::shrink(&setup, asks, difference).await;
                panic!("sequence {seed}: {}", told(&shrunk.0, &shrunk.1));
            }
            if !pair.wipe().await {
                pair = Pair::start(&setup).await;
            }
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
