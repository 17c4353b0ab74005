//! `counter`: counts up by puts, and reads how many there were.
//!
//! etcd has no counter but one: a key's version, which every put raises by one. So a put that is
//! applied twice, or not at all, is seen in the count, though nobody guarded against it by a
//! compare, as any other way of counting must.

use crate::rotation::Rotation;
use crate::{
    Completion, Generator, Next, Options, Planned, Put, Range, Request, Said, Store, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::Counter;
use ordeal_history::Value;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Under which the counters lie in the store.
const PREFIX: &str = "ordeal/counter/";
/// How many operations a counter is in play for.
const OPERATIONS_PER_COUNTER: u32 = 400;

/// The workload.
pub struct Counters;

impl Workload for Counters {
    const NAME: &'static str = "counter";
    const SUMMARY: &'static str = "counts by the versions of keys, which every put raises by one";
    const CHECKS: &'static str = "puts that count twice, or not at all";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let counters = Rotation::new(options, OPERATIONS_PER_COUNTER, slots);
        Box::new(CounterGenerator { counters })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let Some(counter) = operation.key.as_ref().and_then(Value::as_str) else {
            return Completion::unknown(operation);
        };
        let key = format!("{PREFIX}{counter}");
        let request = match operation.f {
            "add" => Request::Put(Put::of(key, vec![b'.'; options.value_bytes as usize])),
            "read" => {
                let serializable = options.serializable;
                Request::Range(Range { serializable, ..Range::of(key) })
            }
            _ => return Completion::unknown(operation),
        };
        match store.send(request).await {
            Ok(answer) => match &answer.said {
                Said::Put { .. } => Completion::ok(operation.value.clone(), answer.revision),
                said @ Said::Range { .. } => {
                    let count = said.one().map_or(0, |kv| kv.version);
                    Completion::ok(Value::Int(count), answer.revision)
                }
                _ => Completion::strange(&answer),
            },
            Err(error) => Completion::of_error(error),
        }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Counter)]
    }
}

struct CounterGenerator {
    counters: Rotation,
}

impl Generator for CounterGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let (which, adds) = (rng.random(), rng.random_range(0..4_u32) > 0);
        let key = Some(Value::String(format!("c{}", self.counters.take(which).number).into()));
        if adds && slot.is_multiple_of(2) {
            return Next::Invoke(Planned { f: "add", key, value: Value::Int(1) });
        }
        Next::Invoke(Planned { f: "read", key, value: Value::Null })
    }

    fn observe(&mut self, _slot: usize, _operation: &Planned, _completion: &Completion) {}

    fn next_final(&mut self, slot: usize) -> Next {
        self.counters.next_final(slot).map_or(Next::Done, |counter| {
            let key = Some(Value::String(format!("c{counter}").into()));
            Next::Invoke(Planned { f: "read", key, value: Value::Null })
        })
    }
}
