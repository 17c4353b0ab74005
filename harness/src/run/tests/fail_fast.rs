//! Runs that end at the first violation, and those that must not.

use super::{Ran, nothing, options, run_watched};
use crate::plan::PlanOptions;
use crate::run::judge;
use ordeal_checker::{Counterexample, Limits, Verdict};
use ordeal_history::{EventType, Process};
use ordeal_nemesis::{Asked, Kind, NodeId, Time};
use std::time::Duration;

/// A run in which reads through n2 stand still from one moment to another, in milliseconds.
fn frozen(options: PlanOptions, fail_fast: bool, from_ms: u64, until_ms: u64) -> Ran {
    run_watched(options, usize::MAX, fail_fast, |fake, _| {
        let (time, state) = (fake.time.clone(), fake.state.clone());
        async move {
            time.sleep(Duration::from_millis(from_ms)).await;
            state.borrow_mut().freeze(Some(NodeId::numbered(2)));
            time.sleep(Duration::from_millis(until_ms - from_ms)).await;
            state.borrow_mut().freeze(None);
        }
    })
}

/// What the checkers say of all that was recorded.
fn counterexample(ran: &Ran) -> Option<Counterexample> {
    let history = ran.history();
    judge::checkers(&ran.plan).iter().find_map(|checker| {
        match checker.check(&history, &Limits::default()).verdict {
            Verdict::Valid(_) => None,
            Verdict::Invalid(found) => Some(found),
            Verdict::Unknown(why) => panic!("{why}"),
        }
    })
}

#[test]
fn a_violation_ends_the_run_at_once_and_orderly() {
    // Faults that leave clients to read through the node that is frozen.
    let nemesis = [Kind::Kill, Kind::Pause, Kind::Partition].map(Asked::from).to_vec();
    let ran = frozen(PlanOptions { nemesis, ..options(1) }, true, 5_000, 40_000);
    let course = ran.course();
    let violation = course.violation.as_ref().expect("a stale read");
    assert!(course.stopped && !course.interrupted);
    assert!((5_000_000_000..8_000_000_000).contains(&violation.time_ns), "{violation:?}");
    assert!(course.worked < Duration::from_secs(9), "{:?}", course.worked);
    let found = counterexample(&ran).expect("the whole history is invalid too");
    assert_eq!(found.broken_at_event, Some(violation.event));
    assert_eq!(found.key, violation.key);
    let after = ran.events.iter().filter(|event| event.index > violation.event);
    let client = |process| matches!(process, Process::Client(_));
    let mut begun = after.filter(|e| client(e.process) && e.kind == EventType::Invoke);
    assert_eq!(begun.next(), None, "nothing begins after the violation");
    let state = ran.fake.state.borrow();
    assert!(state.down.is_empty() && state.paused.is_empty() && state.cut.is_empty());
    assert_eq!(state.told.last().map(String::as_str), Some("stop"));
}

#[test]
fn without_being_asked_to_stop_the_run_goes_on_and_tells_the_same_violation() {
    let (stopped, whole) =
        (frozen(options(1), true, 5_000, 40_000), frozen(options(1), false, 5_000, 40_000));
    let (stopped, course) = (stopped.course(), whole.course());
    assert_eq!(course.violation, stopped.violation);
    assert!(!course.stopped && course.worked >= Duration::from_millis(whole.plan.time_limit_ms));
}

#[test]
fn a_run_is_stopped_if_and_only_if_what_it_recorded_is_invalid() {
    let mut stopped = 0;
    for seed in 0..24 {
        // So short that many a stale answer can still be explained.
        let from_ms = 4_000 + 97 * seed;
        let ran = frozen(options(seed), true, from_ms, from_ms + 8 * (seed % 8));
        let found = counterexample(&ran);
        let broken = found.and_then(|found| found.broken_at_event);
        assert_eq!(ran.course().violation.as_ref().map(|v| v.event), broken, "seed {seed}");
        assert_eq!(ran.course().stopped, broken.is_some(), "seed {seed}");
        stopped += u32::from(ran.course().stopped);
    }
    assert!((4..=20).contains(&stopped), "{stopped} of 24");
}

#[test]
fn a_healthy_run_is_never_stopped_whatever_the_faults_are() {
    for seed in 0..10 {
        let ran = run_watched(options(seed), usize::MAX, true, |_, _| nothing());
        assert!(!ran.course().stopped, "seed {seed}: {:?}", ran.course().violation);
        assert_eq!(ran.course().violation, None);
        assert!(ran.course().worked >= Duration::from_millis(ran.plan.time_limit_ms));
    }
}
