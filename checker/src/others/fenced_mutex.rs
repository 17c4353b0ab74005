//! A lock whose every holder gets a token greater than those before.

use super::objects::{Fault, Object, event, judge};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome};
use rustc_hash::FxHashMap;

/// Judges `acquire` → token and `release`.
///
/// No token is given twice, and one that was given before an acquire began is smaller than that
/// acquire's (Kleppmann, "How to do distributed locking", 2016). With `exclusive`, no two clients
/// hold the lock at one moment either: certainly held is it from the end of an acquire to the
/// beginning of the same process' next release, or of its operation of unknown outcome, with which
/// the process retires: its client is gone, and nobody acts on that lock any more. An answer
/// without a token is held to exclusion alone. O(n log n).
#[derive(Clone, Copy, Debug)]
pub struct FencedMutex {
    /// Whether two may never hold it at once; a lock that rests on a lease cannot promise it.
    pub exclusive: bool,
}

impl Default for FencedMutex {
    fn default() -> Self {
        FencedMutex { exclusive: true }
    }
}

impl Checker for FencedMutex {
    fn name(&self) -> &str {
        "fenced-mutex"
    }

    fn summary(&self) -> &str {
        "a lock has one holder at a time, and its fencing tokens rise"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "one holder at a time, and tokens rise", |object| {
            tokens(object, "acquire")?;
            if self.exclusive { exclusion(object) } else { Ok(()) }
        })
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// The tokens that the operations called `f` got: each once, and rising.
pub(super) fn tokens(object: &Object<'_>, f: &str) -> Result<(), Fault> {
    let mut acquires: Vec<(u32, &Operation, i64)> = Vec::new();
    let mut given: FxHashMap<i64, (u32, &Operation)> = FxHashMap::default();
    for (at, acquire) in object.oks(f) {
        let Some(token) = acquire.output.as_i64() else {
            if acquire.output.is_null() || acquire.output == acquire.input {
                continue;
            }
            let (event, found) = (event(acquire), &acquire.output);
            return Err(Fault::Unknown(format!("{event} has {found}, no whole number as token")));
        };
        if let Some((first, before)) = given.insert(token, (at, acquire)) {
            let (one, two) = (event(before), event(acquire));
            let story = format!("Token {token} was given to the {f} of {one} and of {two}.");
            return Err(Fault::Wrong(vec![first, at], vec![story]));
        }
        acquires.push((at, acquire, token));
    }
    let mut ended = acquires.clone();
    ended.sort_by_key(|(_, acquire, _)| acquire.complete);
    let mut ended = ended.into_iter().peekable();
    let mut greatest: Option<(u32, &Operation, i64)> = None;
    // Acquires stand in the order of their invocations.
    for (at, acquire, token) in acquires {
        while let Some(before) = ended.next_if(|(_, e, _)| e.complete < Some(acquire.invoke)) {
            if greatest.is_none_or(|(_, _, token)| token < before.2) {
                greatest = Some(before);
            }
        }
        if let Some((first, before, earlier)) = greatest.filter(|(_, _, t)| *t > token) {
            let (one, two) = (event(before), event(acquire));
            let story = format!(
                "The {f} of {two} got token {token}, though that of {one} had got {earlier} \
                 before it began."
            );
            return Err(Fault::Wrong(vec![first, at], vec![story]));
        }
    }
    Ok(())
}

/// A time in which a process certainly held the lock.
struct Hold<'h> {
    from: u64,
    until: u64,
    operations: [u32; 2],
    acquire: &'h Operation,
}

fn exclusion(object: &Object<'_>) -> Result<(), Fault> {
    let mut holds: Vec<Hold<'_>> = Vec::new();
    let mut held: FxHashMap<i64, usize> = FxHashMap::default();
    for &(at, operation) in &object.operations {
        match (&*operation.f, operation.outcome, operation.complete) {
            ("acquire", Outcome::Ok, Some(from)) => {
                held.insert(operation.process, holds.len());
                let operations = [at, at];
                holds.push(Hold { from, until: u64::MAX, operations, acquire: operation });
            }
            // A release that fails says that the lock was not held, at the latest from then on.
            ("release", ..) | (_, Outcome::Info, _) => {
                if let Some(place) = held.remove(&operation.process) {
                    holds[place].until = operation.invoke;
                    holds[place].operations[1] = at;
                }
            }
            _ => {}
        }
    }
    holds.sort_by_key(|hold| hold.from);
    let mut last: Option<&Hold<'_>> = None;
    for hold in &holds {
        if let Some(before) = last.filter(|before| before.until > hold.from) {
            let (one, two) = (before.acquire.process, hold.acquire.process);
            let (first, second) = (event(before.acquire), event(hold.acquire));
            let story = format!(
                "Process {one} held the lock from its acquire of {first} on, and had not begun to \
                 release it when process {two} got it too, by its acquire of {second}."
            );
            let operations = before.operations.into_iter().chain(hold.operations).collect();
            return Err(Fault::Wrong(operations, vec![story]));
        }
        if last.is_none_or(|before| before.until < hold.until) {
            last = Some(hold);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;
    use super::FencedMutex;

    #[test]
    fn a_lock_has_one_holder_and_rising_tokens() {
        check(
            &FencedMutex::default(),
            &[
                (&[], "valid"),
                (&["0 acquire null -> 1", "0 release null", "1 acquire null -> 2"], "valid"),
                (&["0 acquire null", "0 release null", "1 acquire null"], "valid"),
                (&["0 acquire null -> 1", "1 acquire null -> 2"], "and had not begun to release"),
                (&["0 acquire null -> 1", "1 acquire null -> fail"], "valid"),
                // A release of unknown outcome: from its beginning on the lock may be free.
                (
                    &["0 acquire null -> 1", "0 release null -> info", "1 acquire null -> 2"],
                    "valid",
                ),
                (&["0 acquire null -> 1", "0 > release null", "1 acquire null -> 2"], "valid"),
                (
                    &[
                        "0 acquire null -> 1",
                        "0 release null -> info",
                        "1 acquire null -> 2",
                        "2 acquire null -> 3",
                    ],
                    "when process 2 got it too",
                ),
                // The client is gone with its process, and so is the lease of the lock.
                (&["0 acquire null -> 1", "0 add 5 -> info", "1 acquire null -> 2"], "valid"),
                (&["0 acquire null -> 1", "0 add 5", "1 acquire null -> 2"], "got it too"),
                (&["0 acquire null -> info", "1 acquire null -> 2"], "valid"),
                (
                    &[
                        "0 acquire null -> 1",
                        "0 > release null",
                        "1 acquire null -> 2",
                        "0 ok release",
                    ],
                    "valid",
                ),
                (
                    &["0 acquire null -> 1", "0 release null", "1 acquire null -> 1"],
                    "Token 1 was given to the acquire of event 0 and of event 4",
                ),
                (
                    &["0 acquire null -> 2", "0 release null", "1 acquire null -> 1"],
                    "got token 1, though that of event 0 had got 2",
                ),
                (&["0 acquire null -> \"x\""], "unknown: event 0 has \"x\""),
            ],
        );
        check(
            &FencedMutex { exclusive: false },
            &[(&["0 acquire null -> 1", "1 acquire null -> 2"], "valid")],
        );
    }
}
