//! A set that is read all along: the fate of every element.

use super::objects::{Fault, Object, event, judge, objects, some};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// Judges `add` v and `read` → list by every successful read.
///
/// An element is known from the end of its add, or of the first read that saw it, on. It is
/// `lost` when from some read on none sees it, though it was known; `stale` when a read that began
/// after it was known missed it, and a later one saw it. Lost and duplicated elements are wrong,
/// stale ones only where the set shall be linearizable. `Unknown` when no element was read. O(size
/// of all reads).
#[derive(Clone, Copy, Debug)]
pub struct SetFull {
    /// Whether a stale read is wrong.
    pub linearizable: bool,
}

impl Default for SetFull {
    fn default() -> Self {
        SetFull { linearizable: true }
    }
}

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The last reads have it.
    Stable,
    /// It was known, and the last reads do not have it.
    Lost,
    /// It was not known when the last read missed it.
    NeverRead,
}

/// An element, and what was seen of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The element.
    pub value: Value,
    /// What became of it.
    pub fate: Fate,
    /// A read missed it that began after it was known, by its event; and a later one saw it.
    pub stale_read: Option<u64>,
    /// Nobody knew whether it was added, but it was read.
    pub recovered: bool,
}

impl Checker for SetFull {
    fn name(&self) -> &str {
        "set-full"
    }

    fn summary(&self) -> &str {
        "no element of a set is lost, stale or there twice, by all reads"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "no element is lost, stale or there twice", |object| {
            self.verdict(&self.fates(object)?)
        })
    }
}

/// One element's adds and reads, as operations.
#[derive(Clone, Copy, Default)]
struct Seen<'h> {
    add: Option<(u32, &'h Operation)>,
    /// The event from which on it is known, and the operation that ended then.
    known: Option<(u64, u32)>,
    last_present: Option<(u32, &'h Operation)>,
    last_absent: Option<(u32, &'h Operation)>,
}

/// Every element that was added, in the order of the adds, and what was seen of it.
struct Fates<'h> {
    order: Vec<&'h Value>,
    all: FxHashMap<&'h Value, Seen<'h>>,
}

impl SetFull {
    /// The fate of every element of every object; none of an object whose reads have what cannot
    /// be there. O(size of all reads).
    pub fn elements(&self, history: &History) -> Vec<Element> {
        let mut elements = Vec::new();
        for object in objects(history) {
            if let Ok(fates) = self.fates(&object) {
                elements.extend(fates.iter().map(|(value, seen)| seen.element(value)));
            }
        }
        elements
    }

    fn fates<'h>(&self, object: &Object<'h>) -> Result<Fates<'h>, Fault> {
        let mut reads: Vec<(u32, &Operation)> = object.oks("read").collect();
        reads.sort_by_key(|(_, read)| read.invoke);
        let mut fates = Fates { order: Vec::new(), all: FxHashMap::default() };
        for (position, add) in object.calls("add") {
            let seen = fates.all.entry(&add.input).or_default();
            if seen.add.is_none() {
                fates.order.push(&add.input);
            }
            // One that failed and was tried again is its last try.
            if seen.add.is_none_or(|(_, known)| known.outcome == Outcome::Fail) {
                seen.add = Some((position, add));
                let end = add.complete.filter(|_| add.outcome == Outcome::Ok);
                seen.known = end.map(|end| (end, position));
            }
        }
        self.present(&reads, &mut fates.all)?;
        absent(&reads, &fates.order, &mut fates.all);
        Ok(fates)
    }

    /// Notes what each read saw.
    fn present<'h>(
        &self,
        reads: &[(u32, &'h Operation)],
        all: &mut FxHashMap<&'h Value, Seen<'h>>,
    ) -> Result<(), Fault> {
        let mut once = FxHashSet::default();
        for &(at, read) in reads {
            once.clear();
            let elements = read.output.as_array().or(read.output.is_null().then_some(&[]));
            let Some(elements) = elements else {
                return Err(Fault::Unknown(format!("{} is no list of elements", read.output)));
            };
            for element in elements {
                if !once.insert(element) {
                    let story = format!("The read of {} has {element} twice.", event(read));
                    return Err(Fault::Wrong(vec![at], vec![story]));
                }
                let known = all.get_mut(element);
                let possible = |add: &Operation| {
                    add.outcome != Outcome::Fail && Some(add.invoke) < read.complete
                };
                match known {
                    Some(seen) if seen.add.is_some_and(|(_, add)| possible(add)) => {
                        let end = (read.complete.unwrap_or(u64::MAX), at);
                        seen.known = Some(seen.known.map_or(end, |known| known.min(end)));
                        seen.last_present = Some((at, read));
                    }
                    _ => {
                        let story = format!(
                            "The read of {} has {element}, which nobody can have added.",
                            event(read)
                        );
                        return Err(Fault::Wrong(vec![at], vec![story]));
                    }
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, fates: &Fates<'_>) -> Result<(), Fault> {
        let lost: Vec<(&Value, &Seen<'_>)> =
            fates.iter().filter(|(value, seen)| seen.element(value).fate == Fate::Lost).collect();
        if let Some((value, seen)) = lost.first() {
            let mut story = vec![format!(
                "{} elements are lost: {}.",
                lost.len(),
                some(lost.iter().map(|(value, _)| *value))
            )];
            story.push(seen.story(value, "no later read has it"));
            return Err(Fault::Wrong(seen.operations(), story));
        }
        let stale = fates.iter().find(|(value, seen)| seen.element(value).stale_read.is_some());
        if let Some((value, seen)) = stale.filter(|_| self.linearizable) {
            let mut operations = seen.operations();
            operations.extend(seen.last_present.map(|(at, _)| at));
            return Err(Fault::Wrong(operations, vec![seen.story(value, "a later one has it")]));
        }
        // Where no add succeeded, that nobody read an element shows nothing amiss.
        let added = fates.iter().any(|(_, seen)| seen.known.is_some());
        if added && !fates.iter().any(|(value, seen)| seen.element(value).fate == Fate::Stable) {
            return Err(Fault::Unknown("no element was ever read".to_owned()));
        }
        Ok(())
    }
}

impl<'h> Fates<'h> {
    fn iter(&self) -> impl Iterator<Item = (&'h Value, &Seen<'h>)> {
        self.order.iter().filter_map(|value| Some((*value, self.all.get(value)?)))
    }
}

/// Notes for each element the last read that did not see it.
fn absent<'h>(
    reads: &[(u32, &'h Operation)],
    order: &[&'h Value],
    all: &mut FxHashMap<&'h Value, Seen<'h>>,
) {
    // An element leaves the list at the first read, from the end, that misses it; one that stays
    // is in that read, so the work is bounded by the size of the reads.
    let mut open: Vec<&Value> = order.to_vec();
    for &(at, read) in reads.iter().rev() {
        let seen: FxHashSet<&Value> = read.output.as_array().unwrap_or_default().iter().collect();
        open.retain(|value| {
            let there = seen.contains(value);
            if let Some(element) = all.get_mut(value).filter(|_| !there) {
                element.last_absent = Some((at, read));
            }
            there
        });
    }
}

impl Seen<'_> {
    fn element(&self, value: &Value) -> Element {
        let invoke = |read: Option<(u32, &Operation)>| read.map(|(_, read)| read.invoke);
        let (present, absent) = (invoke(self.last_present), invoke(self.last_absent));
        let missed = absent.filter(|absent| self.known.is_some_and(|(known, _)| known < *absent));
        let fate = match (present, missed) {
            (present, Some(missed)) if present.is_none_or(|present| present < missed) => Fate::Lost,
            (Some(_), _) => Fate::Stable,
            (None, _) => Fate::NeverRead,
        };
        Element {
            value: value.clone(),
            fate,
            stale_read: missed.filter(|_| fate == Fate::Stable),
            recovered: present.is_some()
                && self.add.is_some_and(|(_, add)| add.outcome == Outcome::Info),
        }
    }

    fn operations(&self) -> Vec<u32> {
        let reads = [self.add, self.last_absent].into_iter().flatten().map(|(at, _)| at);
        reads.chain(self.known.map(|(_, at)| at)).collect()
    }

    fn story(&self, value: &Value, end: &str) -> String {
        let (known, _) = self.known.unwrap_or_default();
        let absent = self.last_absent.map_or(String::new(), |(_, read)| event(read));
        format!(
            "{value} was known from event {known} on; the read of {absent} misses it, and {end}."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{check, history};
    use super::{Element, Fate, SetFull};

    #[test]
    fn the_fate_of_each_element_decides() {
        check(
            &SetFull::default(),
            &[
                (&[], "valid"),
                (&["0 add 1"], "unknown: no element was ever read"),
                (&["0 add 1 -> fail", "1 add 2 -> info", "0 read null -> []"], "valid"),
                (&["0 add 1", "0 read null -> [1]"], "valid"),
                (&["0 add 1", "0 read null -> []"], "1 elements are lost: 1"),
                (&["0 add 1", "0 read null -> [1]", "0 read null -> []"], "no later read has it"),
                (&["0 add 1", "0 read null -> []", "0 read null -> [1]"], "a later one has it"),
                (&["0 > add 1", "1 read null -> []", "0 ok add 1", "1 read null -> [1]"], "valid"),
                (
                    &["0 > add 1", "1 read null -> [1]", "1 read null -> []", "1 read null -> [1]"],
                    "1 was known from event 2 on",
                ),
                (&["0 add 1 -> info", "1 read null -> []", "1 read null -> [1]"], "valid"),
                (&["0 add 1 -> info", "1 read null -> [1]", "1 read null -> []"], "lost"),
                (&["0 add 1", "0 read null -> [1,1]"], "has 1 twice"),
                (&["0 add 1", "0 read null -> [1,2]"], "has 2, which nobody"),
                (&["0 add 1 -> fail", "0 read null -> [1]"], "nobody can have added"),
                (&["0 add 1 -> fail", "0 add 1", "0 read null -> [1]"], "valid"),
                (
                    &["0 add 1", "0 > read", "1 add 2", "0 ok read [1]", "1 read null -> [1,2]"],
                    "valid",
                ),
            ],
        );
    }

    #[test]
    fn every_element_has_its_fate() {
        let lines = [
            "0 add 1",
            "0 add 2",
            "1 add 3 -> info",
            "0 read null -> [2]",
            "0 read null -> [1,3]",
            "0 add 4",
        ];
        let elements = SetFull::default().elements(&history(&lines));
        let row = |e: &Element| (e.value.to_string(), e.fate, e.stale_read, e.recovered);
        assert_eq!(
            elements.iter().map(row).collect::<Vec<_>>(),
            [
                ("1".to_owned(), Fate::Stable, Some(6), false),
                ("2".to_owned(), Fate::Lost, None, false),
                ("3".to_owned(), Fate::Stable, None, true),
                ("4".to_owned(), Fate::NeverRead, None, false),
            ]
        );
    }

    #[test]
    fn a_set_that_need_not_be_linearizable_may_be_read_stale() {
        check(
            &SetFull { linearizable: false },
            &[
                (&["0 add 1", "0 read null -> []", "0 read null -> [1]"], "valid"),
                (&["0 add 1", "0 read null -> []"], "lost"),
            ],
        );
    }
}
