//! A configuration that is rolled out: whoever acts, acts on one that is whole, and on none that
//! is older than one somebody has acted on.

use super::findings::Findings;
use super::objects::event;
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;

/// Judges `change` n, which makes the n-th configuration, n rising, and `act` m → the numbers that
/// were found in its parts; m is the configuration that the process was told of before (by a
/// watch), or null. `meddle` is a try to write by one who may not, and `true` if it was done.
///
/// The anomalies: `torn` (parts of several configurations), `went-back` (older than one that
/// somebody had acted on before this began), `not-yet` (older than one whose change had been
/// acknowledged, or that the process had been told of), `unknown-configuration` (nobody had begun
/// to make it), `forbidden-write`. An empty list is the configuration 0, from before the first.
/// `Unknown` when nobody acted on any. O(n log n).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rollout;

impl Checker for Rollout {
    fn name(&self) -> &str {
        "rollout"
    }

    fn summary(&self) -> &str {
        "nobody acts on a configuration older than one that somebody has acted on"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let mut findings = Findings::new(history);
        let missing = find(history, &mut findings);
        findings.judge(self.name(), "sweep", missing, "configurations were whole, and never older")
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// What was known at a moment: the greatest number, and the operation that shows it.
#[derive(Clone, Copy)]
struct Known {
    number: i64,
    position: u32,
}

/// Finds the anomalies; returns what is missing for a verdict.
fn find(history: &History, findings: &mut Findings<'_>) -> Option<String> {
    let mut acts: Vec<(u32, &Operation, i64)> = Vec::new();
    for (position, operation) in (0..).zip(&history.operations) {
        if &*operation.f == "meddle" && operation.output == Value::Bool(true) {
            let story = format!("{} wrote, without the right to.", event(operation));
            findings.note("forbidden-write", &[position], story);
        }
        if &*operation.f == "act" && operation.outcome == Outcome::Ok {
            match numbers(&operation.output) {
                Some(parts) => {
                    acts.push((position, operation, whole(position, operation, &parts, findings)))
                }
                None => {
                    let (at, found) = (event(operation), &operation.output);
                    return Some(format!("{at} has {found}, no list of numbers"));
                }
            }
        }
    }
    let ended = |(position, operation, number): (u32, &Operation, i64)| {
        operation.complete.map(|end| (end, Known { number, position }))
    };
    let changes = || {
        let all = (0..).zip(&history.operations).filter(|(_, o)| &*o.f == "change");
        all.filter_map(|(at, o)| Some((at, o, o.input.as_i64()?)))
    };
    let acted = sweep(acts.iter().copied().filter_map(ended).collect(), &acts);
    let made = changes().filter(|(_, o, _)| o.outcome == Outcome::Ok);
    let changed = sweep(made.filter_map(ended).collect(), &acts);
    let mut begins: FxHashMap<i64, u64> = FxHashMap::default();
    for (_, change, number) in changes().filter(|(_, o, _)| o.outcome != Outcome::Fail) {
        // The first of several is that of the least event.
        begins.entry(number).or_insert(change.invoke);
    }
    for (nth, &(position, act, number)) in acts.iter().enumerate() {
        let older = |known: &&Known| known.number > number;
        let told = |than: &str, other: i64| {
            format!("The act of {} is on configuration {number}, after {than} {other}.", event(act))
        };
        if let Some(before) = acted[nth].as_ref().filter(older) {
            let story = told("somebody had acted on", before.number);
            findings.note("went-back", &[before.position, position], story);
        }
        if let Some(before) = changed[nth].as_ref().filter(older) {
            let story = told("the acknowledged change to", before.number);
            findings.note("not-yet", &[before.position, position], story);
        }
        if let Some(before) = act.input.as_i64().filter(|before| *before > number) {
            findings.note("not-yet", &[position], told("the process was told of", before));
        }
        let begun = begins.get(&number).is_some_and(|begin| Some(*begin) < act.complete);
        if number > 0 && !begun {
            let story = format!(
                "The act of {} is on configuration {number}, which nobody had begun to make.",
                event(act)
            );
            findings.note("unknown-configuration", &[position], story);
        }
    }
    let none = acts.iter().all(|(_, _, number)| *number == 0);
    (none && !history.operations.is_empty()).then(|| "nobody acted on a configuration".to_owned())
}

fn numbers(output: &Value) -> Option<Vec<i64>> {
    output.as_array()?.iter().map(Value::as_i64).collect()
}

/// The number of the configuration that was found; of several parts the least.
fn whole(position: u32, act: &Operation, parts: &[i64], findings: &mut Findings<'_>) -> i64 {
    let (least, most) = (parts.iter().min(), parts.iter().max());
    if let (Some(least), Some(most)) = (least, most)
        && least != most
    {
        let at = event(act);
        let story = format!("The act of {at} is on parts of configurations {least} to {most}.");
        findings.note("torn", &[position], story);
    }
    least.copied().unwrap_or(0)
}

/// For each act the greatest that was known before it began.
fn sweep(mut ends: Vec<(u64, Known)>, acts: &[(u32, &Operation, i64)]) -> Vec<Option<Known>> {
    ends.sort_by_key(|(end, _)| *end);
    let mut ends = ends.into_iter().peekable();
    let mut greatest: Option<Known> = None;
    // Operations stand in the order of their beginnings.
    let before = |(_, act, _): &(u32, &Operation, i64)| {
        while let Some((_, known)) = ends.next_if(|(end, _)| *end < act.invoke) {
            if greatest.is_none_or(|so_far| so_far.number < known.number) {
                greatest = Some(known);
            }
        }
        greatest
    };
    acts.iter().map(before).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;
    use super::Rollout;

    #[test]
    fn nobody_acts_on_what_is_older() {
        let (one, two) = ("0 change 1", "0 change 2");
        let (act1, act2) = ("1 act null -> [1,1]", "2 act null -> [2,2]");
        check(
            &Rollout,
            &[
                (&[], "valid"),
                (&[one], "unknown: nobody acted on a configuration"),
                (&["1 act null -> []"], "unknown: nobody acted"),
                (&[one, act1, two, act2], "valid"),
                (&[one, two, act1], "after the acknowledged change to 2"),
                (&[one, "0 change 2 -> info", act1], "valid"),
                (&[one, "0 change 2 -> info", act2, act1], "after somebody had acted on 2"),
                (
                    &[one, "0 change 2 -> info", "1 act null -> [1,2]"],
                    "on parts of configurations 1 to 2",
                ),
                (&[one, act2], "which nobody had begun to make"),
                (&[one, "0 change 2 -> fail", act2], "which nobody had begun to make"),
                (&[one, "0 > change 2", "1 act 2 -> [1,1]"], "after the process was told of 2"),
                (&["3 > act null", one, act1, "3 ok act []"], "valid"),
                (&[one, act1, "3 meddle null -> false"], "valid"),
                (&[one, act1, "3 meddle null -> true"], "event 4 wrote, without the right to"),
                (&[one, "1 act null -> 3"], "unknown: event 2 has 3"),
            ],
        );
    }
}
