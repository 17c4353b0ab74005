//! Locks with fencing tokens.

use super::random::{agree, before, history, those};
use ordeal_checker::others::FencedMutex;
use ordeal_history::{History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

fn draw(rng: &mut ChaCha8Rng) -> History {
    let mut token = 0;
    let count = rng.random_range(0..7);
    history(rng, count, |rng| {
        if rng.random_range(0..3) > 0 {
            return ("release", Value::Null, Value::Null);
        }
        token += 1;
        let given = if rng.random_range(0..6) == 0 { rng.random_range(1..4) } else { token };
        ("acquire", Value::Null, Value::from(given))
    })
}

#[test]
fn a_lock_has_one_holder_and_rising_tokens() {
    for exclusive in [true, false] {
        agree(&FencedMutex { exclusive }, 4000, &["valid", "invalid"], draw, |history| {
            let all: Vec<&Operation> = those(history, "acquire", Outcome::Ok).collect();
            let pairs = || all.iter().flat_map(|one| all.iter().map(move |two| (*one, *two)));
            let wrong = |one: &Operation, two: &Operation| {
                let (first, second) = (one.output.as_i64(), two.output.as_i64());
                let tokens = first == second || (before(one, two) && first > second);
                tokens || (exclusive && held_by_both(history, one, two))
            };
            let found = pairs().any(|(one, two)| one.invoke != two.invoke && wrong(one, two));
            if found { "invalid" } else { "valid" }
        });
    }
}

/// Whether at some event both certainly hold the lock.
fn held_by_both(history: &History, one: &Operation, two: &Operation) -> bool {
    (0..=history.events).any(|event| holds(history, one, event) && holds(history, two, event))
}

/// Whether after `event` the process of `acquire` certainly has the lock by it.
fn holds(history: &History, acquire: &Operation, event: u64) -> bool {
    let left = |o: &Operation| &*o.f == "release" || o.outcome == Outcome::Info;
    let mut next = history
        .operations
        .iter()
        .filter(|o| o.process == acquire.process && o.invoke > acquire.invoke && o.invoke <= event);
    acquire.complete <= Some(event) && !next.any(left)
}
