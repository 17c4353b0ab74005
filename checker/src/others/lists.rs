//! Lists of keys by prefix, as of a revision, and writes on condition that nothing has changed:
//! what Kubernetes, service registries and mirrors live by.

use super::changes::{Change, Changes};
use super::findings::Findings;
use super::objects::{event, field, number};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Judges `list` and the conditions of `txn`s against the changes of the history.
///
/// `list` `{"prefix":p}` → `{"items":[{"key","value","mod"}]}` has all keys that begin so, as of
/// the `revision` of its answer, or of `at` in it, where a copy tells how far it has come; `mod`
/// may be absent where values are unique. A step `["c",k,r]` of a `txn` is the condition that the
/// key's last change was at revision r, or with 0 that the key is absent. The anomalies:
/// `missing-item`, `stale-item` (the key had changed again by then), `phantom-item` (nobody can
/// have written it), `wrong-item` (something else was written at its revision), `listed-twice`,
/// `outside-list`, `lost-update` (another change came between what the condition names and the
/// write), `created-twice`, `phantom-condition`, `went-back` (a copy of an earlier revision than a
/// list before it had). Keys on leases may be missing. `Unknown` when no list succeeded. O(n log
/// n), and O(keys under the prefix) a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lists;

impl Checker for Lists {
    fn name(&self) -> &str {
        "lists"
    }

    fn summary(&self) -> &str {
        "lists have what was there at their revision, and no update is lost"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let mut findings = Findings::new(history);
        let missing = find(history, &mut findings);
        findings.judge(self.name(), "revisions", missing, "lists had what was there")
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// The acknowledged changes of each key, by revision.
type Keys<'h> = BTreeMap<&'h str, BTreeMap<i64, Change<'h>>>;

/// What a history tells.
struct Told<'h> {
    keys: Keys<'h>,
    changes: Changes<'h>,
}

fn find(history: &History, findings: &mut Findings<'_>) -> Option<String> {
    let changes = Changes::gather(history);
    let mut keys = Keys::new();
    for (revision, change) in changes.known.iter().flat_map(|(r, all)| all.iter().map(|c| (*r, c)))
    {
        if let Some(key) = change.key.as_str() {
            keys.entry(key).or_default().insert(revision, *change);
        }
    }
    let told = Told { keys, changes };
    let mut lists = 0;
    copies(history, findings);
    for (position, operation) in (0..).zip(&history.operations) {
        match (&*operation.f, operation.outcome) {
            ("list", Outcome::Ok) => {
                lists += 1;
                match List::read(position, operation) {
                    Some(list) => told.judge(&list, findings),
                    None => {
                        let (at, found) = (event(operation), &operation.output);
                        return Some(format!("{at} has {found}, no list at a revision"));
                    }
                }
            }
            ("txn", Outcome::Ok) => told.conditions(position, operation, findings),
            _ => {}
        }
    }
    (lists == 0 && !history.operations.is_empty()).then(|| "no list succeeded".to_owned())
}

/// The revisions that copies name never go back, from one list to a later one. O(n log n).
fn copies(history: &History, findings: &mut Findings<'_>) {
    let named = |(position, list): (u32, &'_ Operation)| {
        let is_list = &*list.f == "list" && list.outcome == Outcome::Ok;
        let at = is_list.then(|| number(&list.output, "at")).flatten()?;
        Some((at, position, list.complete?))
    };
    let mut ends: Vec<(i64, u32, u64)> = (0..).zip(&history.operations).filter_map(named).collect();
    ends.sort_by_key(|(_, _, end)| *end);
    let mut ends = ends.into_iter().peekable();
    let mut greatest: Option<(i64, u32)> = None;
    for (position, list) in (0..).zip(&history.operations) {
        while let Some((at, of, _)) = ends.next_if(|(_, _, end)| *end < list.invoke) {
            greatest = greatest.max(Some((at, of)));
        }
        let (Some((at, ..)), Some((before, of))) = (named((position, list)), greatest) else {
            continue;
        };
        if before > at {
            let story = format!(
                "The list of {} is a copy as of revision {at}, after one as of {before}.",
                event(list)
            );
            findings.note("went-back", &[of, position], story);
        }
    }
}

/// A list as it was answered.
struct List<'h> {
    position: u32,
    operation: &'h Operation,
    prefix: &'h str,
    at: i64,
    items: Vec<Item<'h>>,
}

#[derive(Clone, Copy)]
struct Item<'h> {
    key: &'h Value,
    value: &'h Value,
    /// The revision of the key's last change, where told.
    changed: Option<i64>,
}

impl<'h> List<'h> {
    /// `None` where the answer is no list.
    fn read(position: u32, operation: &'h Operation) -> Option<List<'h>> {
        static NULL: Value = Value::Null;
        let item = |item: &'h Value| {
            let (key, changed) = (field(item, "key")?, number(item, "mod"));
            Some(Item { key, value: field(item, "value").unwrap_or(&NULL), changed })
        };
        let items = field(&operation.output, "items")?.as_array()?.iter().map(item);
        Some(List {
            position,
            operation,
            prefix: field(&operation.input, "prefix")?.as_str()?,
            at: number(&operation.output, "at").or(operation.revision)?,
            items: items.collect::<Option<_>>()?,
        })
    }

    fn end(&self) -> u64 {
        self.operation.complete.unwrap_or(u64::MAX)
    }

    fn tell(&self) -> String {
        format!("The list of {} at revision {}", event(self.operation), self.at)
    }
}

impl<'h> Told<'h> {
    /// The last acknowledged change of `key` at or before `at`.
    fn last(&self, key: &str, at: i64) -> Option<(i64, &Change<'h>)> {
        self.keys.get(key)?.range(..=at).next_back().map(|(at, change)| (*at, change))
    }

    /// Whether a key may have gone before event `end` without an acknowledged deletion.
    fn may_be_gone(&self, key: &Value, end: u64) -> bool {
        let goes = |change: &Change<'_>| change.value.is_none() || change.lease != 0;
        self.changes.maybe(key).iter().any(|change| change.invoke < end && goes(change))
    }

    fn judge(&self, list: &List<'h>, findings: &mut Findings<'_>) {
        let mut listed: FxHashSet<&str> = FxHashSet::default();
        for item in &list.items {
            let key = item.key.as_str().unwrap_or_default();
            let wrong = if !key.starts_with(list.prefix) {
                Some(("outside-list", None, "which does not begin so"))
            } else if !listed.insert(key) {
                Some(("listed-twice", None, "which it has already"))
            } else {
                self.wrong(list, item, key)
            };
            if let Some((kind, other, why)) = wrong {
                let Item { key, value, .. } = item;
                let operations: Vec<u32> = other.into_iter().chain([list.position]).collect();
                findings.note(
                    kind,
                    &operations,
                    format!("{} has {key} as {value}, {why}.", list.tell()),
                );
            }
        }
        let under = self.keys.range(list.prefix..).take_while(|(k, _)| k.starts_with(list.prefix));
        for (key, _) in under.filter(|(key, _)| !listed.contains(*key)) {
            let Some((at, change)) = self.last(key, list.at) else { continue };
            let stays = change.value.is_some() && change.lease == 0;
            if stays && !self.may_be_gone(change.key, list.end()) {
                let story = format!("{} lacks {key}, which was put at {at}.", list.tell());
                findings.note("missing-item", &[change.position, list.position], story);
            }
        }
    }

    /// What is wrong with an item: the anomaly, the operation that shows it, and why.
    fn wrong(
        &self,
        list: &List<'h>,
        item: &Item<'h>,
        key: &str,
    ) -> Option<(&'static str, Option<u32>, &'static str)> {
        let last = self.last(key, list.at);
        let maybe = self.changes.maybe(item.key).iter().any(|change| {
            let in_time = change.invoke < list.end() && change.floor < list.at;
            in_time && change.value == Some(item.value)
        });
        let known = item.changed.and_then(|at| self.keys.get(key)?.get(&at));
        let is_its =
            |change: &Change<'_>| change.value == Some(item.value) && change.invoke < list.end();
        match (item.changed, known, last) {
            (Some(at), ..) if at > list.at => {
                Some(("phantom-item", None, "of a revision that was still to come"))
            }
            (_, Some(change), _) if !is_its(change) => Some((
                "wrong-item",
                Some(change.position),
                "and at that revision it was written otherwise",
            )),
            (Some(at), _, Some((later, change))) if later > at => {
                Some(("stale-item", Some(change.position), "though it had changed again by then"))
            }
            (Some(_), Some(_), _) => None,
            (None, _, Some((_, change))) if is_its(change) => None,
            _ if maybe => None,
            (None, _, Some((_, change))) => {
                Some(("stale-item", Some(change.position), "though that was not its last change"))
            }
            _ => Some(("phantom-item", None, "which nobody can have written")),
        }
    }

    /// Holds the conditions of a transaction that was done against the changes before it.
    fn conditions(&self, position: u32, txn: &'h Operation, findings: &mut Findings<'_>) {
        let (Some(at), Some(steps)) = (txn.revision, txn.input.as_array()) else { return };
        let end = txn.complete.unwrap_or(u64::MAX);
        for step in steps {
            let Some([word, key, named]) = step.as_array() else { continue };
            let (Some("c"), Some(name), Some(named)) =
                (word.as_str(), key.as_str(), named.as_i64())
            else {
                continue;
            };
            let told = format!("{} was done at revision {at}", event(txn));
            let last = self.last(name, at - 1);
            let between = last.filter(|(last, _)| *last > named);
            if let (Some((last, change)), true) = (between, named > 0) {
                let story = format!(
                    "The transaction of {told} on condition that {key} had not changed since \
                     {named}; but it had at {last}."
                );
                findings.note("lost-update", &[change.position, position], story);
            } else if let (Some((last, change)), 0) = (between, named)
                && change.value.is_some()
                && change.lease == 0
                && !self.may_be_gone(key, end)
            {
                let story = format!(
                    "The transaction of {told} on condition that {key} was absent; but it was put \
                     at {last}."
                );
                findings.note("created-twice", &[change.position, position], story);
            } else if named > 0 && !self.may_have_put(key, name, named, end) {
                let story = format!(
                    "The transaction of {told} on condition that {key} was put last at {named}, \
                     which nobody can have done."
                );
                findings.note("phantom-condition", &[position], story);
            }
        }
    }

    /// Whether somebody may have put a key at this revision, before event `end`.
    fn may_have_put(&self, key: &Value, name: &str, at: i64, end: u64) -> bool {
        match self.keys.get(name).and_then(|changes| changes.get(&at)) {
            Some(change) => change.value.is_some(),
            None => {
                self.changes.maybe(key).iter().any(|change| {
                    change.value.is_some() && change.invoke < end && change.floor < at
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;
    use super::Lists;

    const A: &str = r#"0 txn [["c","a",0],["w","a",1]] -> [["c","a",0],["w","a",1]] #2"#;
    const A2: &str = r#"1 txn [["c","a",2],["w","a",2]] -> [["c","a",2],["w","a",2]] #3"#;
    const A3: &str = r#"1 txn [["c","a",2],["w","a",3]] -> [["c","a",2],["w","a",3]] #4"#;
    const ANEW: &str = r#"1 txn [["c","a",0],["w","a",3]] -> [["c","a",0],["w","a",3]] #4"#;
    const GONE: &str = r#"1 txn [["c","a",2],["d","a",null]] -> [["c","a",2],["d","a",1]] #3"#;
    const MAYBE: &str = r#"1 txn [["w","a",2]] -> info"#;
    const NONE: &str = r#"2 list {"prefix":"a"} -> {"items":[]} #3"#;
    const ONE: &str = r#"2 list {"prefix":"a"} -> {"items":[{"key":"a","value":1,"mod":2}]} #3"#;
    const TWO: &str = r#"2 list {"prefix":"a"} -> {"items":[{"key":"a","value":2,"mod":3}]} #3"#;
    const BARE: &str = r#"2 list {"prefix":"a"} -> {"items":[{"key":"a","value":1}],"at":2} #9"#;

    #[test]
    fn a_list_has_what_was_there_at_its_revision() {
        check(
            &Lists,
            &[
                (&[], "valid"),
                (&[A], "unknown: no list succeeded"),
                (&[A, ONE], "valid"),
                (&[A, A2, BARE], "valid"),
                (&[A, NONE], "lacks a, which was put at 2"),
                (&[A, A2, ONE], "though it had changed again by then"),
                (&[A, A2, TWO], "valid"),
                (&[A, TWO], "which nobody can have written"),
                (&[A, MAYBE, TWO], "valid"),
                (&[A, MAYBE, ONE], "valid"),
                (&[A, GONE, NONE], "valid"),
                (&[A, GONE, ONE], "though it had changed again by then"),
                (&[r#"0@a put {"value":1,"lease":7} -> ok #2"#, NONE], "valid"),
                (&[A, r#"2 list {"prefix":"a"} -> 5 #3"#], "unknown: event 2 has 5"),
            ],
        );
    }

    #[test]
    fn no_update_is_lost() {
        check(
            &Lists,
            &[
                (&[A, NONE.replace('a', "b").as_str(), A2], "valid"),
                (&[A, A2, A3], "had not changed since 2; but it had at 3"),
                (&[A, ANEW], "was absent; but it was put at 2"),
                (&[A, GONE, ANEW, NONE], "valid"),
                (&[A2], "which nobody can have done"),
            ],
        );
    }
}
