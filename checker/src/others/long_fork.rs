//! Long fork: two readers see two writes in opposite orders.

use super::objects::{event, some};
use crate::online::{Online, recheck};
use crate::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;

/// Judges `txn` of single writes `["w",k,v]` and group reads `["r",k,null|v]`, each key written
/// once: of two reads of one group of keys, one has seen all that the other has.
///
/// Parallel snapshot isolation allows a long fork, snapshot isolation forbids it. `Unknown` when a
/// key was seen with two values. O(size, and n log n in the reads).
#[derive(Clone, Copy, Debug, Default)]
pub struct LongFork;

impl Checker for LongFork {
    fn name(&self) -> &str {
        "long-fork"
    }

    fn summary(&self) -> &str {
        "readers agree on the order of writes to different keys"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let (verdict, reason) = match find(history) {
            Ok(None) => {
                let reason = "all readers agree on the order of the writes".to_owned();
                (Verdict::Valid(Witness::default()), reason)
            }
            Ok(Some(wrong)) => {
                let reason = wrong.story.first().cloned().unwrap_or_default();
                (Verdict::Invalid(wrong), reason)
            }
            Err(why) => (Verdict::Unknown(why.clone()), why),
        };
        Judgement {
            checker: self.name().to_owned(),
            verdict,
            algorithm: "chain".to_owned(),
            reason,
            operations: history.operations.len() as u64,
            cost: Cost::default(),
        }
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// A read of a group: of each key, in their order, whether it was there.
struct Read<'h> {
    position: u32,
    operation: &'h Operation,
    there: Vec<bool>,
}

fn find(history: &History) -> Result<Option<Counterexample>, String> {
    let mut groups: FxHashMap<Vec<&Value>, Vec<Read<'_>>> = FxHashMap::default();
    let mut order: Vec<Vec<&Value>> = Vec::new();
    let mut values: FxHashMap<&Value, &Value> = FxHashMap::default();
    for (position, operation) in (0..).zip(&history.operations) {
        if operation.outcome != Outcome::Ok {
            continue;
        }
        let Some(mut reads) = reads(operation, &mut values)? else { continue };
        reads.sort_unstable_by_key(|(key, _)| *key);
        let keys: Vec<&Value> = reads.iter().map(|(key, _)| *key).collect();
        let there = reads.iter().map(|(_, there)| *there).collect();
        let group = groups.entry(keys).or_insert_with_key(|keys| {
            order.push(keys.clone());
            Vec::new()
        });
        group.push(Read { position, operation, there });
    }
    for keys in &order {
        let group = groups.get_mut(keys).map(std::mem::take).unwrap_or_default();
        if let Some(fork) = fork(keys, group) {
            return Ok(Some(fork));
        }
    }
    Ok(None)
}

/// The keys that a transaction of two or more reads saw, or not; `None` if it is no such one.
fn reads<'h>(
    operation: &'h Operation,
    values: &mut FxHashMap<&'h Value, &'h Value>,
) -> Result<Option<Vec<(&'h Value, bool)>>, String> {
    let mut reads = Vec::new();
    for step in operation.output.as_array().unwrap_or_default() {
        let Some([word, key, value]) = step.as_array() else {
            return Err(format!("{} has {step}, no step of a transaction", event(operation)));
        };
        if !value.is_null() && *values.entry(key).or_insert(value) != value {
            return Err(format!("key {key} has two values, and each may be written only once"));
        }
        if word.as_str() == Some("r") {
            reads.push((key, !value.is_null()));
        }
    }
    Ok(Some(reads).filter(|reads| reads.len() > 1))
}

/// Two reads of which each saw a key that the other missed.
fn fork(keys: &[&Value], mut group: Vec<Read<'_>>) -> Option<Counterexample> {
    let count = |read: &Read<'_>| read.there.iter().filter(|there| **there).count();
    group.sort_by_key(|read| (count(read), read.position));
    // Sorted by how much they saw, each must have seen all that the one before it saw.
    group.windows(2).find_map(|pair| {
        let [less, more] = pair else { return None };
        let saw = |one: &Read<'_>, other: &Read<'_>| {
            (0..keys.len()).find(|&at| one.there[at] && !other.there[at])
        };
        let (first, second) = (saw(less, more)?, saw(more, less)?);
        let (one, two) = (event(less.operation), event(more.operation));
        let (first, second) = (keys[first], keys[second]);
        let story = vec![
            format!(
                "The reader of {one} saw {first} but not {second}, the reader of {two} {second} \
                 but not {first}."
            ),
            format!("So they disagree on which of the two writes came first (keys {}).", {
                some(keys.iter().copied())
            }),
        ];
        let mut operations = vec![less.position, more.position];
        operations.sort_unstable();
        Some(Counterexample {
            key: None,
            broken_at_event: less.operation.complete.max(more.operation.complete),
            operations,
            story,
            anomalies: vec!["G-nonadjacent".to_owned()],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;

    #[test]
    fn readers_agree_on_the_order_of_writes() {
        let write = "0 txn [[\"w\",1,1]]";
        let read = |a: &str, b: &str| {
            let asked = "[[\"r\",1,null],[\"r\",2,null]]";
            format!("0 txn {asked} -> [[\"r\",1,{a}],[\"r\",2,{b}]]")
        };
        let (none, one, two, both) =
            (read("null", "null"), read("1", "null"), read("null", "1"), read("1", "1"));
        check(
            &super::LongFork,
            &[
                (&[], "valid"),
                (&[write, &one, &both, &none], "valid"),
                (&[write, &two, &none, &both], "valid"),
                (&[write, &one, &two], "saw 1 but not 2, the reader of event 4 2 but not 1"),
                (&[write, &one, &read("2", "1")], "unknown: key 1 has two values"),
                (&["0 txn [1]"], "unknown: event 0 has 1, no step"),
            ],
        );
    }
}
