//! Transactions that are judged again as the history grows.

use crate::support::store::{Simulation, Wrongs, simulate};
use ordeal_checker::isolation::{ListAppend, RwRegister};
use ordeal_checker::online::Recheck;
use ordeal_checker::{Checker, Limits, Online, Verdict};
use ordeal_history::{Event, History};

const SMALL: Simulation = Simulation {
    seed: 0,
    operations: 60,
    clients: 4,
    keys: 2,
    writes_a_key: 8,
    steps_max: 3,
    info: 0.1,
    fail: 0.1,
    append: true,
    wrongs: Wrongs { stale: 0.05, lost: 0.02, dirty: 0.1 },
};

fn events(seed: u64, append: bool) -> Vec<Event> {
    let history = simulate(Simulation { seed, append, ..SMALL });
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    history.events_of(&all)
}

fn checker(append: bool) -> Box<dyn Checker> {
    if append { Box::new(ListAppend::default()) } else { Box::new(RwRegister::default()) }
}

fn verdict(checker: &dyn Checker, events: &[Event]) -> Verdict {
    let history = History::from_events(events.iter().cloned()).unwrap();
    checker.check(&history, &Limits::default()).verdict
}

#[test]
fn what_is_invalid_stays_invalid_whatever_comes_after() {
    for append in [true, false] {
        let (checker, mut broken) = (checker(append), 0);
        for seed in 0..60 {
            let events = events(seed, append);
            let mut was_invalid = false;
            for end in 0..=events.len() {
                let verdict = verdict(checker.as_ref(), &events[..end]);
                let is_invalid = matches!(verdict, Verdict::Invalid(_));
                assert!(is_invalid || !was_invalid, "{append} {seed}: {end} events: {verdict:?}");
                was_invalid = is_invalid;
            }
            broken += u32::from(was_invalid);
        }
        assert!((15..=59).contains(&broken), "{append}: {broken} of 60");
    }
}

#[test]
fn a_check_that_is_made_again_finds_what_the_checker_finds() {
    let (mut raised, mut valid) = (0, 0);
    for seed in 0..60 {
        let events = events(seed, true);
        let mut online =
            Recheck::new(ListAppend::default(), Limits::default()).with_first_check(16);
        events.iter().for_each(|event| online.feed(event));
        let expected = verdict(&ListAppend::default(), &events);
        let found = online.finish().verdict;
        assert_eq!(
            std::mem::discriminant(&found),
            std::mem::discriminant(&expected),
            "seed {seed}"
        );
        if let Some(violation) = online.violation() {
            assert!(matches!(expected, Verdict::Invalid(_)), "seed {seed}: {violation:?}");
            raised += 1;
        }
        valid += u32::from(matches!(expected, Verdict::Valid(_)));
    }
    assert!(raised > 10 && valid > 0, "{raised} raised, {valid} valid");
}
