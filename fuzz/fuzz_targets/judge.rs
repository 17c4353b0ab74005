//! Any bytes, in the format that they look like, judged by the model that they look like: what
//! `ordeal check` does without options, but with small limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ordeal_checker::linear::Algorithm;
use ordeal_checker::{Counterexample, Limits, Verdict, registry};
use ordeal_history::{History, formats};
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    let Some(history) = ordeal_fuzz::read(input, formats::detect(input)) else { return };
    let Some(model) = registry::detect(&history) else { return };
    let checker = model.checker(Algorithm::Auto);
    let judgement = checker.check(&history, &limits());
    assert_eq!(judgement.operations, history.operations.len() as u64);
    match judgement.verdict {
        Verdict::Valid(witness) => {
            let listed = witness.orders.iter().flat_map(|(_, order)| order);
            let most = history.operations.len() as u32;
            assert!(
                listed.clone().count() <= most as usize && listed.into_iter().all(|&p| p < most)
            );
        }
        Verdict::Invalid(counterexample) => {
            assert!(!judgement.reason.is_empty() && !counterexample.story.is_empty());
            let part = part(&history, &counterexample);
            let again = checker.check(&part, &limits()).verdict;
            assert!(!matches!(again, Verdict::Valid(_)), "a counterexample that is valid");
        }
        Verdict::Unknown(reason) => assert!(!reason.is_empty()),
    }
    if let Some(misfit) = checker.misfit(&history) {
        assert!(misfit.event < history.events && !misfit.message.is_empty());
    }
});

fn limits() -> Limits {
    Limits { time: Some(Duration::from_millis(200)), memory_bytes: 16 << 20, ..Limits::default() }
}

/// The counterexample as a history of its own, which it must make.
fn part(history: &History, counterexample: &Counterexample) -> History {
    let positions = &counterexample.operations;
    assert!(!positions.is_empty() && positions.is_sorted());
    assert!(positions.iter().all(|&position| (position as usize) < history.operations.len()));
    History::from_events(history.events_of(positions)).expect("a part of a history is a history")
}
