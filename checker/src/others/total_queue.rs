//! A queue that is drained at the end: what goes in comes out.

use super::objects::{Fault, Object, judge, some};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Outcome, Value};
use rustc_hash::FxHashMap;

/// Judges `enqueue` v, `dequeue` → v (a `fail` says empty) and `drain` → list, in no order.
///
/// Every element that was enqueued must come out, unless an indeterminate dequeue may have taken
/// it; nothing may come out that was not put in. An element is missed only once the queue was seen
/// empty after it went in; before that its absence is `Unknown`. O(size).
#[derive(Clone, Copy, Debug, Default)]
pub struct TotalQueue {
    /// Whether an element that comes out twice is wrong; Jepsen allows it.
    pub exactly_once: bool,
}

impl Checker for TotalQueue {
    fn name(&self) -> &str {
        "total-queue"
    }

    fn summary(&self) -> &str {
        "all that was enqueued is dequeued, and nothing else"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "all that was enqueued came out", |object| self.object(object))
    }
}

/// What is known of one element.
#[derive(Default)]
struct Element {
    /// Enqueues that did not fail.
    attempts: u64,
    /// The enqueues that succeeded: position, and the event of their end.
    certain: Vec<(u32, u64)>,
    /// The operations that took it out.
    taken: Vec<u32>,
}

/// Operations of unknown outcome that may have taken elements out.
#[derive(Default)]
struct Takers {
    /// Each may have taken one.
    dequeues: Vec<u32>,
    /// A drain may have taken all.
    any_number: bool,
}

/// The elements, and the order in which they were first seen.
#[derive(Default)]
struct Elements<'h> {
    all: FxHashMap<&'h Value, Element>,
    order: Vec<&'h Value>,
}

impl<'h> Elements<'h> {
    fn of(&mut self, value: &'h Value) -> &mut Element {
        self.all.entry(value).or_insert_with(|| {
            self.order.push(value);
            Element::default()
        })
    }
}

impl TotalQueue {
    fn object(&self, object: &Object<'_>) -> Result<(), Fault> {
        let mut elements = Elements::default();
        let (mut empty, mut takers) = (None, Takers::default());
        for (at, operation) in &object.operations {
            match (&*operation.f, operation.outcome) {
                ("enqueue", Outcome::Fail) => {}
                ("enqueue", outcome) => {
                    let element = elements.of(&operation.input);
                    element.attempts += 1;
                    if let (Outcome::Ok, Some(end)) = (outcome, operation.complete) {
                        element.certain.push((*at, end));
                    }
                }
                ("dequeue", Outcome::Ok) if !operation.output.is_null() => {
                    elements.of(&operation.output).taken.push(*at);
                }
                ("dequeue", Outcome::Ok | Outcome::Fail) => {
                    empty = empty.max(Some((operation.invoke, *at)));
                }
                ("drain", Outcome::Ok) => {
                    empty = empty.max(Some((operation.invoke, *at)));
                    for value in operation.output.as_array().unwrap_or_default() {
                        elements.of(value).taken.push(*at);
                    }
                }
                ("drain", Outcome::Info) => takers.any_number = true,
                ("dequeue", Outcome::Info) => takers.dequeues.push(*at),
                _ => {}
            }
        }
        self.verdict(&elements, empty, &takers)
    }

    fn verdict(
        &self,
        elements: &Elements<'_>,
        empty: Option<(u64, u32)>,
        takers: &Takers,
    ) -> Result<(), Fault> {
        let all = || elements.order.iter().filter_map(|v| Some((*v, elements.all.get(v)?)));
        if let Some((value, element)) = all().find(|(_, element)| element.attempts == 0) {
            let story = format!("{value} came out, and nobody had put it in.");
            return Err(Fault::Wrong(element.taken.clone(), vec![story]));
        }
        let twice = all().find(|(_, element)| element.taken.len() as u64 > element.attempts);
        if let Some((value, element)) = twice.filter(|_| self.exactly_once) {
            let (out, put) = (element.taken.len(), element.attempts);
            let story = format!("{value} came out {out} times, and was put in {put} times.");
            return Err(Fault::Wrong(element.taken.clone(), vec![story]));
        }
        let mut lost = Vec::new();
        let mut open = Vec::new();
        for (value, element) in all().filter(|(_, e)| e.certain.len() > e.taken.len()) {
            let (at, end) = element.certain[0];
            match empty {
                Some((empty, _)) if empty > end => lost.push((value, at)),
                _ => open.push(value),
            }
        }
        let open_dequeues = takers.dequeues.len();
        if lost.len() > open_dequeues && !takers.any_number {
            let values = some(lost.iter().map(|(value, _)| *value));
            let mut story = vec![format!("{} elements are lost: {values}.", lost.len())];
            if open_dequeues > 0 {
                story.push(format!("Open dequeues can have taken {open_dequeues} at most."));
            }
            // One more than can have been taken, those who can have, and who saw nothing left.
            let lost = lost.iter().take(open_dequeues + 1).map(|(_, at)| *at);
            let takers = takers.dequeues.iter().copied().chain(empty.map(|(_, at)| at));
            return Err(Fault::Wrong(lost.chain(takers).collect(), story));
        }
        if let Some((value, _)) = lost.first() {
            return Err(Fault::Unknown(format!("an open dequeue may have taken {value}")));
        }
        if !open.is_empty() {
            let values = some(open.iter().copied());
            return Err(Fault::Unknown(format!(
                "the queue was not emptied: {values} may be in it"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;
    use super::TotalQueue;

    #[test]
    fn what_goes_in_must_come_out() {
        check(
            &TotalQueue::default(),
            &[
                (&[], "valid"),
                (&["0 enqueue 1", "0 dequeue null -> 1"], "valid"),
                (&["0 enqueue 1"], "unknown: the queue was not emptied: 1"),
                (&["0 enqueue 1", "0 dequeue null -> fail"], "1 elements are lost: 1"),
                (&["0 enqueue 1", "0 drain null -> []"], "lost"),
                (&["0 enqueue 1", "0 enqueue 2", "0 drain null -> [2,1]"], "valid"),
                (&["0 dequeue null -> 1"], "1 came out, and nobody"),
                (&["0 enqueue 1 -> fail", "0 dequeue null -> 1"], "nobody had put it in"),
                (&["0 enqueue 1 -> info", "1 dequeue null -> 1"], "valid"),
                (&["0 enqueue 1 -> info", "1 drain null -> []"], "valid"),
                (
                    &["0 enqueue 1", "1 dequeue null -> info", "0 drain null -> []"],
                    "unknown: an open dequeue may have taken 1",
                ),
                (
                    &["0 enqueue 1", "0 enqueue 2", "1 dequeue null -> info", "0 drain null -> []"],
                    "2 elements are lost: 1, 2. Open dequeues can have taken 1",
                ),
                (&["0 enqueue 1", "0 drain null -> [1,1]"], "valid"),
            ],
        );
        check(
            &TotalQueue { exactly_once: true },
            &[(&["0 enqueue 1", "0 drain null -> [1,1]"], "1 came out 2 times")],
        );
    }
}
