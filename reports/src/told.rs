//! What a watch told beside what was acknowledged: the changes of a counterexample, by revision.
//!
//! A watch is wrong by a change that it left out, told twice, or told out of order. That is seen
//! when the changes that clients made stand beside those that it told of, row by row.

use crate::case::Case;
use crate::text::NAME_MAX;
use crate::value::{bare, show};
use ordeal_history::{Outcome, Value};
use std::collections::BTreeMap;

/// More changes than these are not told, those at the end.
const ROWS_MAX: usize = 40;
/// Values are cut after so many characters.
const VALUE_MAX: usize = 32;

/// A change of a key at a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// At which revision.
    pub revision: i64,
    /// Of which key, as text.
    pub key: String,
    /// What was done, in words.
    pub what: String,
    /// The operations that were answered with it, by their numbers.
    pub made: Vec<usize>,
    /// The answers of watches that told of it: the operation's number, and which of its events.
    pub told: Vec<(usize, usize)>,
}

/// The changes that `case` speaks of, by revision; empty where no watch told of any.
pub(crate) fn changes(case: &Case<'_>) -> Vec<Change> {
    let mut changes: BTreeMap<(i64, String), Change> = BTreeMap::new();
    let mut watched = false;
    for shown in &case.shown {
        let operation = shown.operation;
        if let Some(events) = events(&operation.output) {
            watched = true;
            for (nth, event) in events.iter().enumerate() {
                let Some((revision, key, what)) = told(event) else { continue };
                let change = changes.entry((revision, key.clone())).or_default();
                (change.revision, change.key) = (revision, key);
                change.what = what;
                change.told.push((shown.number, nth + 1));
            }
        } else if let (Outcome::Ok, Some(revision), Some(key)) =
            (operation.outcome, operation.revision, &operation.key)
            && !operation.f.starts_with("watch")
        {
            let key = bare(key, NAME_MAX);
            let change = changes.entry((revision, key.clone())).or_default();
            (change.revision, change.key) = (revision, key);
            if change.what.is_empty() {
                change.what = match &operation.input {
                    Value::Null => operation.f.to_string(),
                    input => format!("{} {}", operation.f, show(input, VALUE_MAX)),
                };
            }
            change.made.push(shown.number);
        }
    }
    match watched {
        true => changes.into_values().take(ROWS_MAX).collect(),
        false => Vec::new(),
    }
}

fn events(output: &Value) -> Option<&[Value]> {
    let Value::Object(members) = output else { return None };
    members.get("events")?.as_array()
}

/// `{"key":"k4","mod":205,"type":"put","value":216}` as revision, key and words.
fn told(event: &Value) -> Option<(i64, String, String)> {
    let Value::Object(members) = event else { return None };
    let what = members.get("type").and_then(Value::as_str).unwrap_or("change");
    let what = match members.get("value") {
        Some(Value::Null) | None => what.to_owned(),
        Some(value) => format!("{what} {}", show(value, VALUE_MAX)),
    };
    Some((members.get("mod")?.as_i64()?, bare(members.get("key")?, NAME_MAX), what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::CounterexampleResult;
    use ordeal_history::{ReadOptions, read_jsonl};

    #[test]
    fn what_was_made_and_what_was_told_stand_side_by_side() {
        let lines = [
            r#""process":0,"type":"invoke","f":"delete","key":"k2","value":null"#,
            r#""process":0,"type":"ok","f":"delete","key":"k2","value":1,"revision":204"#,
            r#""process":1,"type":"invoke","f":"watch-next","value":16"#,
            r#""process":1,"type":"ok","f":"watch-next","value":{"events":[
                {"key":"k4","mod":205,"type":"put","value":216},
                {"key":"k4","mod":205,"type":"put","value":216},{"odd":1}]}"#,
        ];
        let text: String = lines
            .iter()
            .enumerate()
            .map(|(i, line)| format!("{{\"index\":{i},\"time\":{i},{}}}\n", line.replace('\n', "")))
            .collect();
        let history = read_jsonl(text.as_bytes(), ReadOptions::default()).expect("a history");
        let found = CounterexampleResult { events: vec![0, 1, 2, 3], ..Default::default() };
        let changes = changes(&Case::new(&found, &history));
        let told: Vec<_> =
            changes.iter().map(|c| (c.revision, &*c.what, c.made.len(), c.told.clone())).collect();
        assert_eq!(told, [(204, "delete", 1, vec![]), (205, "put 216", 0, vec![(2, 1), (2, 2)])]);
        // Without a watch there is nothing to compare.
        let found = CounterexampleResult { events: vec![0, 1], ..Default::default() };
        assert_eq!(super::changes(&Case::new(&found, &history)), []);
    }
}
