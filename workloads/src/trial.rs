//! Workloads on a sound store in memory, for their tests.

use crate::{Memory, Next, Options, Workload};
use futures::FutureExt;
use ordeal_checker::{Limits, Verdict};
use ordeal_history::{Event, EventType, History, Outcome, Process};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What so many slots do in so many turns, one after the other. The store has no leases and no
/// watches: such requests fail. None of the workload's checkers may find anything, and each of
/// them must when `spoil` is done to the store half-way, if it is anything.
pub(crate) fn trial<W: Workload>(
    slots: usize,
    turns: usize,
    spoil: impl Fn(&mut Memory),
) -> History {
    let history = play::<W>(slots, turns, spoil);
    for checker in W::checkers(&Options::default()) {
        let judged = checker.check(&history, &Limits::default());
        assert!(!matches!(judged.verdict, Verdict::Invalid(_)), "{judged:?}");
    }
    history
}

/// Whether one of the workload's checkers finds that the store was spoiled half-way.
pub(crate) fn is_found<W: Workload>(
    slots: usize,
    turns: usize,
    spoil: impl Fn(&mut Memory),
) -> bool {
    let history = play::<W>(slots, turns, spoil);
    let mut checkers = W::checkers(&Options::default()).into_iter();
    checkers.any(|checker| {
        matches!(checker.check(&history, &Limits::default()).verdict, Verdict::Invalid(_))
    })
}

/// How many operations called `f` succeeded.
pub(crate) fn count(history: &History, f: &str) -> usize {
    let those = |o: &&ordeal_history::Operation| &*o.f == f && o.outcome == Outcome::Ok;
    history.operations.iter().filter(those).count()
}

fn play<W: Workload>(slots: usize, turns: usize, spoil: impl Fn(&mut Memory)) -> History {
    let options = Options { keys: 4, ..Options::default() };
    let mut generator = W::generator(&options, slots);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut store = Memory::default();
    let mut events: Vec<Event> = Vec::new();
    for turn in 0..turns {
        if turn == turns / 2 {
            spoil(&mut store);
        }
        let slot = turn % slots;
        let Next::Invoke(operation) = generator.next(slot, &mut rng) else { continue };
        let sent = W::send(&mut store, &options, &operation).now_or_never();
        let completion = sent.expect("this store answers at once");
        generator.observe(slot, &operation, &completion);
        let process = Process::Client(i64::try_from(slot).unwrap_or(0));
        let mut push = |kind, value| {
            let index = events.len() as u64;
            let key = operation.key.clone();
            let event = Event::new(index, index * 1_000_000, process, kind, operation.f);
            events.push(Event { key, value, ..event });
        };
        push(EventType::Invoke, operation.value.clone());
        let kind = match completion.outcome {
            Outcome::Ok => EventType::Ok,
            Outcome::Fail => EventType::Fail,
            Outcome::Info => panic!("{completion:?}"),
        };
        push(kind, completion.value);
        if let Some(last) = events.last_mut() {
            (last.revision, last.error) = (completion.revision, completion.error);
        }
    }
    History::from_events(events).expect("events in order")
}
