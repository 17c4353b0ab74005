//! Generated identifiers are never given twice.

use super::objects::{Fault, event, judge};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Value};
use rustc_hash::FxHashMap;

/// Judges `generate` → id: no two answers are equal. O(operations).
#[derive(Clone, Copy, Debug, Default)]
pub struct UniqueIds;

impl Checker for UniqueIds {
    fn name(&self) -> &str {
        "unique-ids"
    }

    fn summary(&self) -> &str {
        "no generated identifier is given twice"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "no identifier was given twice", |object| {
            let mut given: FxHashMap<&Value, (u32, &Operation)> = FxHashMap::default();
            for (at, answer) in object.oks("generate") {
                if let Some((first, before)) = given.insert(&answer.output, (at, answer)) {
                    let (one, two) = (event(before), event(answer));
                    let story = format!("{} was given to {one} and to {two}.", answer.output);
                    return Err(Fault::Wrong(vec![first, at], vec![story]));
                }
            }
            Ok(())
        })
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;

    #[test]
    fn an_identifier_may_be_given_once() {
        check(
            &super::UniqueIds,
            &[
                (&[], "valid"),
                (&["0 generate null -> 1", "1 generate null -> \"1\""], "valid"),
                (&["0 generate null -> 1", "1 generate null -> 1"], "1 was given to event 0 and"),
                (&["0 generate 1 -> fail", "0 generate null -> 1"], "valid"),
                (&["0@a generate null -> 1", "0@b generate null -> 1"], "valid"),
            ],
        );
    }
}
