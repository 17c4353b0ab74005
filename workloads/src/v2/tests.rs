use super::*;
use crate::trial::{count, is_found, trial};
use crate::{Answer, Memory};
use futures::FutureExt;
use std::collections::VecDeque;

fn planned(f: &'static str, value: Value) -> Planned {
    Planned { f, key: Some(Value::from("k0")), value }
}

fn pair(old: Value, new: i64) -> Value {
    Value::Array([old, Value::Int(new)].into())
}

fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
    OldApi::send(store, options, operation).now_or_never().expect("this store answers at once")
}

#[test]
fn each_answer_becomes_the_completion_that_the_register_wants() {
    let mut store = Memory::default();
    let int = Value::Int;
    let rows = [
        (planned("read", Value::Null), Outcome::Ok, Value::Null, None),
        (planned("cas", pair(int(1), 3)), Outcome::Fail, pair(int(1), 3), Some(Value::Null)),
        (planned("cas", pair(int(1), 2)), Outcome::Fail, pair(int(1), 2), Some(Value::Null)),
        (planned("cas", pair(Value::Null, 1)), Outcome::Ok, pair(Value::Null, 1), None),
        (planned("cas", pair(Value::Null, 5)), Outcome::Fail, pair(Value::Null, 5), None),
        (planned("cas", pair(int(1), 7)), Outcome::Ok, pair(int(1), 7), None),
        (planned("cas", pair(int(1), 9)), Outcome::Fail, pair(int(1), 9), Some(int(7))),
        (planned("cas", pair(int(7), 8)), Outcome::Ok, pair(int(7), 8), None),
        (planned("cas", pair(int(7), 10)), Outcome::Fail, pair(int(7), 10), Some(int(8))),
        (planned("write", int(11)), Outcome::Ok, int(11), None),
        (planned("read", Value::Null), Outcome::Ok, int(11), None),
    ];
    for (operation, outcome, value, actual) in rows {
        let completion = send(&mut store, &Options::default(), &operation);
        let shown = format!("{operation:?} gave {completion:?}");
        assert_eq!((completion.outcome, completion.value), (outcome, value), "{shown}");
        // No index of v2 may be taken for a revision: the two count apart.
        let rest = (completion.actual, completion.revision, completion.error);
        assert_eq!(rest, (actual, None, None), "{shown}");
    }
}

/// Notes what is asked, and answers as it was told.
#[derive(Default)]
struct Script {
    asked: Vec<V2>,
    answers: VecDeque<Result<V2Said, StoreError>>,
}

impl Store for Script {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        let Request::V2(asked) = request else { panic!("{request:?} is none of v2") };
        self.asked.push(asked);
        let said = self.answers.pop_front().expect("an answer for it")?;
        Ok(Answer { revision: 0, said: Said::V2(said) })
    }
}

fn node(value: &str, modified: u64) -> Result<V2Said, StoreError> {
    Ok(V2Said::Node { value: value.to_owned(), modified })
}

#[test]
fn reads_go_through_consensus_unless_they_may_be_stale() {
    for serializable in [false, true] {
        let mut store = Script { answers: [node("1", 5)].into(), ..Script::default() };
        let options = Options { serializable, ..Options::default() };
        send(&mut store, &options, &planned("read", Value::Null));
        let key = "ordeal/v2/k0".to_owned();
        assert_eq!(store.asked, [V2::Get { key, quorum: !serializable }]);
    }
}

#[test]
fn a_compare_by_index_uses_the_one_that_was_read_and_one_that_is_over_proves_no_other_value() {
    let differs = || Ok(V2Said::Differs { cause: "[5 != 6]".to_owned() });
    let lost = || Err(StoreError::Indeterminate("300: request timed out".to_owned()));
    let rows = [(node("2", 6), Outcome::Ok), (differs(), Outcome::Fail), (lost(), Outcome::Info)];
    for (second, outcome) in rows {
        let mut store = Script { answers: [node("1", 5), second].into(), ..Script::default() };
        let cas = planned("cas", pair(Value::Int(1), 2));
        let completion = send(&mut store, &Options::default(), &cas);
        assert_eq!((completion.outcome, completion.actual), (outcome, None));
        assert_eq!(completion.error.is_none(), outcome == Outcome::Ok);
        let condition = Some(V2Condition::PrevIndex(5));
        let key = "ordeal/v2/k0".to_owned();
        assert_eq!(store.asked[1], V2::Set { key, value: "2".to_owned(), condition });
    }
}

#[test]
fn a_sound_store_passes_with_all_kinds_of_requests_and_a_lost_write_is_found() {
    let history = trial::<OldApi>(4, 2_000, |_| {});
    let created = |o: &&ordeal_history::Operation| {
        o.outcome == Outcome::Ok && o.input.as_array().is_some_and(|pair| pair[0].is_null())
    };
    assert!(history.operations.iter().filter(created).count() >= 4);
    for f in ["read", "write", "cas"] {
        assert!(count(&history, f) > 100, "{f}: {}", count(&history, f));
    }
    assert!(is_found::<OldApi>(4, 2_000, |store| store.held.clear()));
}
