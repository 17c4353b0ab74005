//! A set with a final read: what was added is there, and nothing else.

use super::objects::{Fault, Object, judge, some};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Outcome, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// Judges `add` v and `read` → list by the last successful read.
///
/// Every add that succeeded before that read began must be in it; what is in it must have been
/// added by an operation that did not fail, begun before the read ended. `Unknown` when nothing
/// was read. O(size).
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

impl Checker for Set {
    fn name(&self) -> &str {
        "set-final"
    }

    fn summary(&self) -> &str {
        "the final read of a set has all that was added, and nothing else"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "the final read has all that was added", check)
    }
}

fn check(object: &Object<'_>) -> Result<(), Fault> {
    let Some((at, read)) = object.oks("read").max_by_key(|(_, read)| read.invoke) else {
        return Err(Fault::Unknown("the set was never read".to_owned()));
    };
    let Some(elements) = read.output.as_array().or(read.output.is_null().then_some(&[])) else {
        return Err(Fault::Unknown(format!("{} is no list of elements", read.output)));
    };
    let seen: FxHashSet<&Value> = elements.iter().collect();
    // Whether each element may be there.
    let mut attempts: FxHashMap<&Value, bool> = FxHashMap::default();
    let mut lost = Vec::new();
    for (position, add) in object.calls("add") {
        let possible = add.outcome != Outcome::Fail && Some(add.invoke) < read.complete;
        *attempts.entry(&add.input).or_default() |= possible;
        let certain = add.outcome == Outcome::Ok && add.complete < Some(read.invoke);
        if certain && !seen.contains(&add.input) {
            lost.push((position, &add.input));
        }
    }
    if let Some((first, _)) = lost.first() {
        let values = some(lost.iter().map(|(_, value)| *value));
        let story = format!(
            "{} elements are lost: {values} were added, yet the final read does \
             not have them.",
            lost.len()
        );
        return Err(Fault::Wrong(vec![*first, at], vec![story]));
    }
    let unexpected: Vec<&Value> = elements
        .iter()
        .filter(|element| !attempts.get(element).copied().unwrap_or_default())
        .collect();
    if !unexpected.is_empty() {
        let values = some(unexpected.iter().copied());
        let story = format!("The final read has {values}, which nobody can have added.");
        return Err(Fault::Wrong(vec![at], vec![story]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;

    #[test]
    fn the_final_read_is_held_against_the_adds() {
        check(
            &super::Set,
            &[
                (&[], "valid"),
                (&["0 add 1"], "unknown: the set was never read"),
                (&["0 add 1", "0 read null -> 7"], "no list of elements"),
                (&["0 add 1", "0 read null -> [1]"], "valid"),
                (&["0 add 1", "0 add 2", "0 read null -> [2]"], "1 elements are lost: 1"),
                (&["0 add 1 -> info", "1 read null -> [1]"], "valid"),
                (&["0 add 1 -> info", "1 read null -> null"], "valid"),
                (&["0 add 1 -> fail", "0 read null -> [1]"], "has 1, which nobody"),
                (&["0 add 1 -> fail", "0 add 1", "0 read null -> [1]"], "valid"),
                (&["0 read null -> [1]", "0 add 1"], "which nobody can have added"),
                (&["0 > read", "1 add 1", "0 ok read []"], "valid"),
                (&["0@a add 1", "0@b read null -> []", "0@a read null -> []"], "lost"),
                (&["0@a add 1", "0@b read null -> [1]", "0@a read null -> [1]"], "nobody"),
            ],
        );
    }
}
