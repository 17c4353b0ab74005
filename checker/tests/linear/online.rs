//! The check that is fed as the test runs: the same verdicts, at the very event.

use crate::common::{oracle, show};
use crate::load::{self, Load};
use crate::text::history;
use crate::trial;
use ordeal_checker::linear::{Linearizable, split};
use ordeal_checker::models::Register;
use ordeal_checker::online::{Linear, Recheck};
use ordeal_checker::{Checker, Judgement, Limits, Online, Verdict, Violation};
use ordeal_history::{Event, EventType, History, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MODEL: Register = Register { failed_cas: ordeal_checker::models::FailedCas::NotEqual };

fn online() -> Linear<Register> {
    Linear::new(MODEL.into(), "linearizable-register")
}

fn events(history: &History) -> Vec<Event> {
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    history.events_of(&all)
}

fn batch(history: &History) -> Judgement {
    Linearizable::new(MODEL).check(history, &Limits::default())
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Valid(_) => "valid",
        Verdict::Invalid(_) => "invalid",
        Verdict::Unknown(_) => "unknown",
    }
}

/// After every event the online verdict is that of exhaustive search on all events so far.
fn agrees_after_every_event(history: &History, may_be_unknown: bool) -> &'static str {
    let mut online = online();
    let mut last = "valid";
    for event in events(history) {
        online.feed(&event);
        let objects = split(&MODEL, history, Some(event.index)).unwrap();
        let valid = objects.iter().all(|object| oracle(&MODEL, &object.entries));
        last = name(&online.finish().verdict);
        match last {
            "unknown" => assert!(may_be_unknown, "{}", show(history)),
            "valid" => assert!(valid, "missed at {}: {}", event.index, show(history)),
            _ => assert!(!valid, "false alarm at {}: {}", event.index, show(history)),
        }
        assert_eq!(last == "invalid", online.violation().is_some());
    }
    last
}

#[test]
fn after_every_event_the_verdict_is_that_of_exhaustive_search() {
    for (unique, actual) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut counts = [0; 3];
        for seed in 0..4_000 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let history = trial::register(&mut rng, unique, actual);
            let last = agrees_after_every_event(&history, !(unique && actual));
            counts[["valid", "invalid", "unknown"].iter().position(|n| *n == last).unwrap()] += 1;
        }
        assert!(counts[0] > 100 && counts[1] > 100, "{unique} {actual}: {counts:?}");
        assert!((unique && actual) == (counts[2] == 0), "{unique} {actual}: {counts:?}");
    }
}

/// A history of a correct register, and then some answers are changed.
fn meddled(seed: u64) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let load = Load {
        operations: rng.random_range(20..300),
        clients: rng.random_range(1..8),
        keys: rng.random_range(1..3),
        info_percent: [0.0, 5.0, 30.0][rng.random_range(0..3)],
        cas_percent: [0, 50, 95][rng.random_range(0..3)],
        seed,
        ..Load::default()
    };
    let mut events = Vec::new();
    load::play(load, &mut |event| events.push(event));
    for _ in 0..rng.random_range(0..3) {
        let at = rng.random_range(0..events.len());
        let near = rng.random_range(at.saturating_sub(60)..(at + 10).min(events.len()));
        let seen = events[near].value.clone();
        let event = &mut events[at];
        match (event.kind, event.f.as_str(), seen) {
            (EventType::Ok, "read", Value::Int(seen)) => event.value = Value::from(seen),
            (EventType::Ok, "read", _) if seed.is_multiple_of(3) => event.value = Value::Null,
            (EventType::Fail, "cas", Value::Int(seen)) => event.actual = Some(Value::from(seen)),
            (EventType::Ok, "write" | "cas", _) if seed.is_multiple_of(2) => {
                event.kind = EventType::Fail;
                event.error = Some("refused".to_owned());
            }
            (EventType::Info, ..) => event.kind = EventType::Ok,
            _ => {}
        }
    }
    History::from_events(events).unwrap()
}

#[test]
fn a_long_history_is_found_wrong_at_the_event_at_which_the_whole_check_says_it_became_so() {
    let mut counts = [0; 2];
    for seed in 0..3_000 {
        let history = meddled(seed);
        let judgement = batch(&history);
        let mut online = online();
        let all = events(&history);
        all.iter().for_each(|event| online.feed(event));
        assert_eq!(name(&online.finish().verdict), name(&judgement.verdict), "seed {seed}");
        let Verdict::Invalid(found) = judgement.verdict else {
            counts[0] += 1;
            continue;
        };
        counts[1] += 1;
        let violation = online.violation().unwrap();
        assert_eq!(Some(violation.event), found.broken_at_event, "seed {seed}: {violation:?}");
        assert_eq!(violation.key, found.key, "seed {seed}");
        assert_eq!(violation.events.last(), Some(&violation.event), "seed {seed}");
    }
    assert!(counts[0] > 500 && counts[1] > 500, "{counts:?}");
}

fn violation(lines: &str) -> Option<Violation> {
    let mut online = online();
    events(&history(lines)).iter().for_each(|event| online.feed(event));
    online.violation().cloned()
}

#[test]
fn each_kind_of_violation_is_told_with_the_events_that_show_it() {
    for (lines, events, reason) in [
        (
            "1 invoke read\n 1 ok 5",
            &[0, 1][..],
            "process 1 read 5, but 5 was not there: nobody had written it, or it had been \
             replaced before",
        ),
        (
            "1 invoke write 1\n 1 ok\n 2 invoke read\n 2 ok null",
            &[2, 3],
            "process 2 read null, but null was not there: nobody had written it, or it had been \
             replaced before",
        ),
        (
            "9 invoke read\n 1 invoke write 1\n 1 ok\n 2 invoke read\n 2 ok null",
            &[1, 2, 3, 4],
            "process 2 read null, but null had been there before, and at events 2 and 1 another \
             value was",
        ),
        (
            "9 invoke read\n 1 invoke cas [null,1]\n 1 ok\n 2 invoke read\n 2 ok null",
            &[2, 3, 4],
            "process 2 read null, but at event 2 a value was seen that had replaced null",
        ),
        (
            "9 invoke read\n 1 invoke cas [null,1]\n 2 invoke cas [null,2]\n 1 ok\n 2 ok",
            &[2, 4],
            "process 2 changed null to 2, but another cas had taken null away",
        ),
        (
            "1 invoke cas [2,1]\n 2 invoke cas [1,2]\n 1 ok",
            &[0, 2],
            "process 1 changed 2 to 1, but 1 could only come to be from a value that was made of \
             it",
        ),
        (
            "1 invoke write 1\n 2 invoke read\n 2 ok 1\n 1 fail",
            &[0, 3],
            "process 1 wrote 1 in vain, though 1 had been seen",
        ),
        (
            "1 invoke cas [null,1]\n 1 fail actual null",
            &[0, 1],
            "process 1 looked for null and saw null: a cas that sees what it looks for does not \
             fail",
        ),
    ] {
        let found = violation(lines).unwrap_or_else(|| panic!("{lines}"));
        assert_eq!((found.events.as_slice(), found.reason.as_str()), (events, reason), "{lines}");
    }
}

#[test]
fn what_is_open_may_have_happened() {
    for lines in [
        "1 invoke write 1\n 2 invoke read\n 2 ok 1",
        "1 invoke write 1\n 1 info\n 2 invoke write 2\n 2 ok\n 3 invoke read\n 3 ok 1",
        "1 invoke write 1\n 2 invoke cas [1,2]\n 3 invoke cas [2,3]\n 4 invoke read\n 4 ok 3",
    ] {
        assert_eq!(violation(lines), None, "{lines}");
    }
}

#[test]
fn what_is_settled_is_forgotten() {
    // What no client can see any more leaves nothing; an indeterminate write that nobody saw stays.
    for (clients, cas_percent) in [(1, 50), (25, 50), (25, 100)] {
        let load =
            Load { operations: 20_000, clients, cas_percent, info_percent: 0.0, ..Load::default() };
        let mut online = online();
        let mut most = 0;
        load::play(load, &mut |event| {
            online.feed(&event);
            most = most.max(online.held());
        });
        assert_eq!(online.violation(), None);
        assert!(most < 8 * clients + 8, "{most} are held for {clients} clients");
    }
}

#[test]
fn events_that_are_no_history_are_unknown_and_not_a_verdict() {
    for places in [&[1][..], &[0, 0], &[0, 1, 1], &[0, 1, 0]] {
        let all = events(&history("1 invoke write 1\n 1 ok"));
        let mut online = online();
        places.iter().for_each(|&place| online.feed(&all[place]));
        let judgement = online.finish();
        assert!(matches!(judgement.verdict, Verdict::Unknown(_)), "{places:?}: {judgement:?}");
    }
}

#[test]
fn a_checker_that_is_asked_again_agrees_before_the_history_has_doubled() {
    for seed in 0..300 {
        let history = meddled(seed);
        let checker = Linearizable::new(MODEL);
        let judgement = checker.check(&history, &Limits::default());
        let mut online = Recheck::new(checker, Limits::default()).with_first_check(10);
        let all = events(&history);
        all.iter().for_each(|event| online.feed(event));
        assert_eq!(name(&online.finish().verdict), name(&judgement.verdict), "seed {seed}");
        if let Verdict::Invalid(found) = judgement.verdict {
            let broken = found.broken_at_event.unwrap();
            match online.violation() {
                Some(violation) => {
                    assert!(violation.event >= broken, "seed {seed}");
                    assert!(violation.event < (2 * broken + 2).max(10), "seed {seed}");
                }
                None => assert!((all.len() as u64) < (2 * broken + 2).max(10), "seed {seed}"),
            }
        } else {
            assert_eq!(online.violation(), None, "seed {seed}");
        }
    }
}
