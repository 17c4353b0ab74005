//! A counter's reads lie between what certainly and what possibly was added.

use super::objects::{Fault, Object, event, judge};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome, Value};

/// Judges `add` n (n may be negative) and `read` → n by bounds.
///
/// At a read, every add that succeeded before it began counts, and every one that began before it
/// ended and did not fail may count. A read outside those bounds is wrong; one inside them need
/// not be right (the linearizability checker decides that). O(n log n).
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

impl Checker for Counter {
    fn name(&self) -> &str {
        "counter-bounds"
    }

    fn summary(&self) -> &str {
        "a counter's reads lie between what certainly and what possibly was added"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "every read lies within its bounds", check)
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// What happens to the bounds at an event.
enum Change {
    /// An add begins: it may count from here on.
    Begin(i128),
    /// It succeeded: it counts.
    Succeed(i128),
    /// A read begins: the least and the most so far are those of its first moment.
    Read(usize),
    /// A read ends.
    End(usize),
}

fn check(object: &Object<'_>) -> Result<(), Fault> {
    let reads: Vec<(u32, &Operation)> = object.oks("read").collect();
    let mut begun = Bounds::default();
    let mut now = Bounds::default();
    let mut at_start = vec![(begun, now); reads.len()];
    for (_, change) in changes(object, &reads)? {
        match change {
            Change::Begin(amount) => {
                now.most += amount.max(0);
                now.least += amount.min(0);
                begun.most += amount.max(0);
                begun.least += amount.min(0);
            }
            Change::Succeed(amount) => {
                now.least += amount.max(0);
                now.most += amount.min(0);
            }
            Change::Read(place) => at_start[place] = (begun, now),
            Change::End(place) => {
                let (at, read) = reads[place];
                let (begun_before, before) = at_start[place];
                let lower = before.least + begun.least - begun_before.least;
                let upper = before.most + begun.most - begun_before.most;
                let value = number(read, &read.output)?;
                if !(lower..=upper).contains(&value) {
                    let story = format!(
                        "The read of {} saw {value}; it must lie between {lower} and {upper}.",
                        event(read)
                    );
                    let operations = needed(object, at, read, value, value < lower)?;
                    return Err(Fault::Wrong(operations, vec![story]));
                }
            }
        }
    }
    Ok(())
}

/// The read, and the adds by which its value is out of bounds: all that may have moved the counter
/// towards it, and as many of those that certainly moved it away as it takes. O(n log n).
fn needed(
    object: &Object<'_>,
    at: u32,
    read: &Operation,
    value: i128,
    low: bool,
) -> Result<Vec<u32>, Fault> {
    let sign = if low { 1 } else { -1 };
    let (mut operations, mut away, mut bound) = (vec![at], Vec::new(), 0);
    for (position, add) in object.calls("add").filter(|(_, add)| add.outcome != Outcome::Fail) {
        let amount = number(add, &add.input)? * sign;
        let certain = add.outcome == Outcome::Ok && add.complete < Some(read.invoke);
        if amount < 0 && Some(add.invoke) < read.complete {
            bound += amount;
            operations.push(position);
        } else if amount > 0 && certain {
            away.push((amount, position));
        }
    }
    away.sort_by_key(|(amount, _)| std::cmp::Reverse(*amount));
    for (amount, position) in away {
        if value * sign < bound {
            break;
        }
        bound += amount;
        operations.push(position);
    }
    Ok(operations)
}

/// The least and the most that the counter can be, or that adds can make of it.
#[derive(Clone, Copy, Default)]
struct Bounds {
    least: i128,
    most: i128,
}

/// All that happens to the bounds, in the order of events.
fn changes(object: &Object<'_>, reads: &[(u32, &Operation)]) -> Result<Vec<(u64, Change)>, Fault> {
    let mut changes: Vec<(u64, Change)> = Vec::new();
    for (_, add) in object.calls("add").filter(|(_, add)| add.outcome != Outcome::Fail) {
        let amount = number(add, &add.input)?;
        changes.push((add.invoke, Change::Begin(amount)));
        if let (Outcome::Ok, Some(end)) = (add.outcome, add.complete) {
            changes.push((end, Change::Succeed(amount)));
        }
    }
    for (place, (_, read)) in reads.iter().enumerate() {
        changes.push((read.invoke, Change::Read(place)));
        changes.push((read.complete.unwrap_or(u64::MAX), Change::End(place)));
    }
    changes.sort_by_key(|(event, _)| *event);
    Ok(changes)
}

fn number(operation: &Operation, value: &Value) -> Result<i128, Fault> {
    match value.as_i64() {
        Some(number) => Ok(i128::from(number)),
        None => Err(Fault::Unknown(format!("{} has {value}, no whole number", event(operation)))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;

    #[test]
    fn reads_lie_between_what_certainly_and_what_possibly_was_added() {
        check(
            &super::Counter,
            &[
                (&[], "valid"),
                (&["0 read null -> 0"], "valid"),
                (&["0 add 1", "0 read null -> 1"], "valid"),
                (&["0 add 1", "0 read null -> 0"], "saw 0; it must lie between 1 and 1"),
                (&["0 add 1", "0 read null -> 2"], "between 1 and 1"),
                (&["0 add 1 -> fail", "0 read null -> 1"], "between 0 and 0"),
                (&["0 add 1 -> info", "1 read null -> 1", "1 read null -> 0"], "valid"),
                (&["0 > add 2", "1 read null -> 2", "0 ok add 2", "1 read null -> 2"], "valid"),
                (&["0 > read", "1 add 5", "0 ok read 5"], "valid"),
                (&["0 > read", "1 add 5", "0 ok read 0"], "valid"),
                (&["0 > read", "1 add 5", "0 ok read 6"], "between 0 and 5"),
                (&["0 add 3", "0 add -1", "0 read null -> 2"], "valid"),
                (&["0 add 3", "1 > add -1", "0 read null -> 2", "0 read null -> 3"], "valid"),
                (&["0 add 3", "1 > add -1", "0 read null -> 1"], "between 2 and 3"),
                (&["0 > read", "1 add -2", "0 ok read -3"], "between -2 and 0"),
                (&["0 read null -> \"1\""], "no whole number"),
            ],
        );
    }
}
