//! `set`: elements are added, and the set is read as a whole.
//!
//! An element is a key of its own, and reading the set is one range over its prefix: so what is
//! tested beside lost writes is that ranges are whole, and at one moment.

use crate::form::text;
use crate::rotation::Rotation;
use crate::{
    Completion, Generator, Next, Options, Planned, Put, Range, Request, Said, Store, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::SetFull;
use ordeal_history::Value;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Under which the sets lie in the store.
const PREFIX: &str = "ordeal/set/";
/// How many operations a set is in play for.
const OPERATIONS_PER_SET: u32 = 200;

/// The workload.
pub struct Sets;

impl Workload for Sets {
    const NAME: &'static str = "set";
    const SUMMARY: &'static str =
        "adds elements to sets, a key each, and reads each set by one range";
    const CHECKS: &'static str =
        "elements that are lost, stale, there twice, or never added; ranges that are not whole";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let sets = Rotation::new(options, OPERATIONS_PER_SET, slots);
        Box::new(SetGenerator::new(sets, |slot| slot.is_multiple_of(2)))
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        let Some(set) = operation.key.as_ref().and_then(Value::as_str) else {
            return Completion::unknown(operation);
        };
        let prefix = format!("{PREFIX}{set}/");
        let request = match (operation.f, &operation.value) {
            ("add", Value::Int(element)) => {
                let value = vec![b'.'; options.value_bytes as usize];
                Request::Put(Put::of(format!("{prefix}{element}"), value))
            }
            ("read", _) => {
                let serializable = options.serializable;
                Request::Range(Range { serializable, ..Range::prefix(prefix.clone()) })
            }
            _ => return Completion::unknown(operation),
        };
        match store.send(request).await {
            Ok(answer) => match &answer.said {
                Said::Put { .. } => Completion::ok(operation.value.clone(), answer.revision),
                Said::Range { kvs, .. } => {
                    let name = |key: &[u8]| element(key.get(prefix.len()..).unwrap_or(key));
                    let elements: Vec<Value> = kvs.iter().map(|kv| name(&kv.key)).collect();
                    Completion::ok(Value::from(elements), answer.revision)
                }
                _ => Completion::strange(&answer),
            },
            Err(error) => Completion::of_error(error),
        }
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(SetFull::default())]
    }
}

/// An element by its key; what is no number is an element that nobody added.
fn element(name: &[u8]) -> Value {
    let number = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    number.map_or_else(|| text(name), Value::Int)
}

/// Adds to sets, and reads them.
pub(crate) struct SetGenerator {
    sets: Rotation,
    /// Whether a slot adds; all of them read.
    adds: fn(usize) -> bool,
    elements: i64,
}

impl SetGenerator {
    pub(crate) fn new(sets: Rotation, adds: fn(usize) -> bool) -> Self {
        SetGenerator { sets, adds, elements: 0 }
    }
}

impl Generator for SetGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let (which, adds) = (rng.random(), rng.random_range(0..4_u32) > 0);
        let key = Some(Value::String(format!("s{}", self.sets.take(which).number).into()));
        if adds && (self.adds)(slot) {
            self.elements += 1;
            return Next::Invoke(Planned { f: "add", key, value: Value::Int(self.elements) });
        }
        Next::Invoke(Planned { f: "read", key, value: Value::Null })
    }

    fn observe(&mut self, _slot: usize, _operation: &Planned, _completion: &Completion) {}

    fn next_final(&mut self, slot: usize) -> Next {
        self.sets.next_final(slot).map_or(Next::Done, |set| {
            let key = Some(Value::String(format!("s{set}").into()));
            Next::Invoke(Planned { f: "read", key, value: Value::Null })
        })
    }
}
