use super::*;
use crate::Memory;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, BTreeSet};

const OPTIONS: Options =
    Options { keys: 4, serializable: false, values: 0, skew: 0, value_bytes: 0 };

fn send(store: &mut Memory, operation: &Planned) -> Completion {
    futures::FutureExt::now_or_never(Register::send(store, &OPTIONS, operation))
        .expect("this store answers at once")
}

fn planned(f: &'static str, value: Value) -> Planned {
    Planned { f, key: Some(key_name(0)), value }
}

fn pair(old: i64, new: i64) -> Value {
    Value::Array([Value::Int(old), Value::Int(new)].into())
}

#[test]
fn each_answer_becomes_the_completion_that_the_history_wants() {
    let mut store = Memory::default();
    let rows = [
        (planned("read", Value::Null), Outcome::Ok, Value::Null, None, None),
        (planned("cas", pair(1, 2)), Outcome::Fail, pair(1, 2), Some(Value::Null), None),
        (planned("write", Value::Int(1)), Outcome::Ok, Value::Int(1), None, None),
        (planned("cas", pair(1, 2)), Outcome::Ok, pair(1, 2), None, Some(2)),
        (planned("cas", pair(1, 3)), Outcome::Fail, pair(1, 3), Some(Value::Int(2)), Some(2)),
        (planned("read", Value::Null), Outcome::Ok, Value::Int(2), None, Some(2)),
    ];
    for (operation, outcome, value, actual, version) in rows {
        let completion = send(&mut store, &operation);
        let shown = format!("{operation:?} gave {completion:?}");
        assert_eq!((completion.outcome, completion.value), (outcome, value), "{shown}");
        assert_eq!((completion.actual, completion.version), (actual, version), "{shown}");
        assert_eq!(completion.revision, Some(store.revision), "{shown}");
    }
}

#[test]
fn a_value_that_no_number_is_stays_visible() {
    let mut store = Memory::default();
    let put = Put::of(format!("{PREFIX}k0"), "07");
    store.answer(Request::Put(put)).expect("a put");
    let completion = send(&mut store, &planned("read", Value::Null));
    assert_eq!(completion.value, Value::String("07".into()));
}

#[test]
fn values_are_unique_most_compare_and_sets_succeed_and_their_chains_are_short() {
    let mut generator = Register::generator(&OPTIONS, 2);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut store = Memory::default();
    let mut written = BTreeSet::new();
    let mut chains: BTreeMap<i64, u32> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, bool), u32> = BTreeMap::new();
    let mut operations_of: BTreeMap<String, u32> = BTreeMap::new();
    for step in 0..20_000 {
        let Next::Invoke(operation) = generator.next(step % 2, &mut rng) else {
            panic!("the register always has something to do")
        };
        let new = match &operation.value {
            Value::Int(value) => Some(*value),
            Value::Array(pair) => match pair[1] {
                Value::Int(value) => Some(value),
                _ => None,
            },
            _ => None,
        };
        assert!(new.is_none_or(|value| written.insert(value)), "{new:?} was written twice");
        if let Value::Array(pair) = &operation.value
            && let [Value::Int(old), Value::Int(new)] = pair[..]
        {
            let chain = chains.get(&old).copied().unwrap_or(0) + 1;
            assert!(chain <= 2, "{chain} compare-and-sets follow each other");
            chains.insert(new, chain);
        }
        assert_eq!(operation.f == "read", step % 2 == 1, "the second slot reads: {operation:?}");
        *operations_of.entry(format!("{:?}", operation.key)).or_default() += 1;
        let completion = send(&mut store, &operation);
        generator.observe(step % 2, &operation, &completion);
        *counts.entry((operation.f, completion.outcome == Outcome::Ok)).or_default() += 1;
    }
    let of = |f, ok| counts.get(&(f, ok)).copied().unwrap_or(0);
    assert!(of("cas", true) > 1_500 && of("cas", true) > of("cas", false), "{counts:?}");
    assert!(of("cas", false) > 100, "some fail, and say what they saw: {counts:?}");
    assert!(operations_of.values().all(|count| *count <= 200), "{operations_of:?}");
    assert!(operations_of.len() >= 100, "{}", operations_of.len());
}

#[test]
fn at_the_end_every_slot_reads_every_key_of_the_last_phase_once() {
    let mut generator = Register::generator(&OPTIONS, 2);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2_000 {
        generator.next(0, &mut rng);
    }
    for slot in [0, 1] {
        let mut read = BTreeSet::new();
        while let Next::Invoke(operation) = generator.next_final(slot) {
            assert_eq!(operation.f, "read");
            assert!(read.insert(format!("{:?}", operation.key)), "{operation:?} twice");
        }
        assert_eq!(read.len(), 8, "as many retired keys as are in play");
    }
}
