//! A workload of one's own: tickets, each of which is drawn by one client alone.
//!
//!     cargo run -p ordeal-workloads --example own_workload
//!
//! It is tried here on a store in memory. To run it on a cluster, put it into `workloads/src/`, and
//! add it to the list in `workloads/src/registry.rs`: `ordeal run --workload tickets`.

use futures::FutureExt;
use ordeal_checker::others::UniqueIds;
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Outcome, Process, Value};
use ordeal_workloads::{
    Compare, CompareTarget, Completion, Generator, Memory, Next, Options, Planned, Put, Range,
    Request, Said, Store, Txn, Workload,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// All workloads keep their keys under `ordeal/`, where clients have the right to.
const KEY: &str = "ordeal/tickets/next";

/// The workload: a name, how operations are chosen, how they are sent, and who judges them.
struct Tickets;

impl Workload for Tickets {
    const NAME: &'static str = "tickets";
    const SUMMARY: &'static str = "clients draw numbered tickets";
    const CHECKS: &'static str = "tickets that are drawn twice";
    const FAULTS: &'static [&'static str] = &["kill", "partition"];

    fn generator(_options: &Options, _slots: usize) -> Box<dyn Generator> {
        Box::new(Draws)
    }

    /// Sends one operation. An error tells by itself whether anything may have happened; what was
    /// only read before the write that failed did not.
    async fn send<S: Store>(store: &mut S, _options: &Options, operation: &Planned) -> Completion {
        let read = match store.send(Request::Range(Range::of(KEY))).await {
            Ok(answer) => answer.said,
            Err(error) => return Completion::of_error(error),
        };
        let (ticket, at) = read.one().map_or((1, 0), |kv| {
            let last = String::from_utf8_lossy(&kv.value).parse().unwrap_or(0);
            (last + 1, kv.mod_revision)
        });
        let txn = Txn {
            compares: vec![Compare::equal(KEY, CompareTarget::ModRevision(at))],
            then: vec![Request::Put(Put::of(KEY, ticket.to_string()))],
            otherwise: Vec::new(),
        };
        match store.send(Request::Txn(txn)).await {
            Ok(answer) => match answer.said {
                Said::Txn { succeeded: true, .. } => {
                    Completion::ok(Value::Int(ticket), answer.revision)
                }
                // Somebody else was faster.
                Said::Txn { .. } => Completion::refused(operation.value.clone()),
                _ => Completion::strange(&answer),
            },
            Err(error) => Completion::of_error(error),
        }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(UniqueIds)]
    }
}

/// Chooses operations. All draws come from the generator that it is given, so that a seed gives
/// the same operations again.
struct Draws;

impl Generator for Draws {
    fn next(&mut self, _slot: usize, _rng: &mut ChaCha8Rng) -> Next {
        Next::Invoke(Planned { f: "generate", key: None, value: Value::Null })
    }

    fn observe(&mut self, _slot: usize, _operation: &Planned, _completion: &Completion) {}

    fn next_final(&mut self, _slot: usize) -> Next {
        Next::Done
    }
}

/// A hundred draws from a store in memory; at one of them the store forgets the last `forgotten`.
fn history(forgotten: i64) -> History {
    let options = Options::default();
    let mut generator = Tickets::generator(&options, 1);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut store = Memory::default();
    let mut events = Vec::new();
    for draw in 0..100 {
        if draw == 50
            && let Some(kv) = store.held.get_mut(KEY.as_bytes())
        {
            kv.value = (50 - forgotten).to_string().into_bytes();
        }
        let Next::Invoke(operation) = generator.next(0, &mut rng) else { break };
        let sent = Tickets::send(&mut store, &options, &operation).now_or_never();
        let completion = sent.expect("this store answers at once");
        generator.observe(0, &operation, &completion);
        assert_eq!(completion.outcome, Outcome::Ok, "{completion:?}");
        for (kind, value) in
            [(EventType::Invoke, Value::Null), (EventType::Ok, completion.value.clone())]
        {
            let index = events.len() as u64;
            let event = Event::new(index, index, Process::Client(0), kind, operation.f);
            events.push(Event { value, ..event });
        }
    }
    History::from_events(events).expect("events in order")
}

/// Judges a history of it that is right, and one that is not.
pub fn main() {
    for (forgotten, valid) in [(0, true), (3, false)] {
        for checker in Tickets::checkers(&Options::default()) {
            let judged = checker.check(&history(forgotten), &Limits::default());
            println!("{forgotten} tickets forgotten: {}", judged.reason);
            assert_eq!(matches!(judged.verdict, Verdict::Valid(_)), valid, "{judged:?}");
        }
    }
}
