//! Rollouts: every act held against every other operation.

use super::random::{agree, before, history, those};
use ordeal_checker::others::Rollout;
use ordeal_history::{History, Operation, Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Changes with rising numbers, and acts that are on the newest, mostly.
fn draw(rng: &mut ChaCha8Rng) -> History {
    let (count, mut made) = (rng.random_range(2..8), 0_i64);
    history(rng, count, |rng| match rng.random_range(0..5) {
        0 | 1 => {
            made += 1;
            ("change", Value::Int(made), Value::Int(made))
        }
        _ => {
            let number = (made - rng.random_range(0..8) / 6).max(0);
            let torn = rng.random_range(0..12) == 0;
            let parts = vec![Value::Int(number), Value::Int(number + i64::from(torn))];
            let told = if rng.random_range(0..6) == 0 { Value::Int(made) } else { Value::Null };
            ("act", told, Value::from(if number == 0 { Vec::new() } else { parts }))
        }
    })
}

fn parts(act: &Operation) -> Vec<i64> {
    act.output.as_array().unwrap_or_default().iter().filter_map(Value::as_i64).collect()
}

fn number(act: &Operation) -> i64 {
    parts(act).into_iter().min().unwrap_or(0)
}

fn is_right(history: &History, act: &Operation) -> bool {
    let on = number(act);
    let made = |o: &&Operation| &*o.f == "change" && o.outcome != Outcome::Fail;
    let begun = history
        .operations
        .iter()
        .filter(made)
        .any(|change| change.input.as_i64() == Some(on) && Some(change.invoke) < act.complete);
    let acted = those(history, "act", Outcome::Ok).all(|o| !before(o, act) || number(o) <= on);
    let changed = those(history, "change", Outcome::Ok)
        .all(|o| !before(o, act) || o.input.as_i64() <= Some(on));
    let told = act.input.as_i64().is_none_or(|told| told <= on);
    parts(act).iter().all(|part| *part == on) && (on == 0 || begun) && acted && changed && told
}

#[test]
fn nobody_acts_on_what_is_torn_or_older() {
    agree(&Rollout, 4000, &["valid", "invalid", "unknown"], draw, |history| {
        let acts = || those(history, "act", Outcome::Ok);
        match acts().all(|act| is_right(history, act)) {
            false => "invalid",
            true if acts().all(|act| number(act) == 0) => "unknown",
            true => "valid",
        }
    });
}
