//! What watches say, held against the writes of the history and against each other.

use super::super::changes::{Change, Changes};
use super::super::findings::Findings;
use super::super::objects::{event, number};
use super::order::Delivered;
use super::stream::{Response, Stream, WatchEvent};
use ordeal_history::Value;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// A change that certainly happened, at a known revision.
pub(super) struct Fact<'h> {
    pub(super) value: Option<&'h Value>,
    /// The lease that the key hangs on; 0 is none.
    pub(super) lease: i64,
    /// Only a watch that begins no later owes it: what came before may be unknown to others.
    pub(super) owed_from: i64,
    /// The operations that show it: the write; of one of unknown outcome also the first response
    /// that told of it, and its watch.
    pub(super) shown_by: Vec<u32>,
    /// How it is known, as a story tells it.
    known_by: &'static str,
    create: Option<i64>,
    version: Option<i64>,
}

impl Fact<'_> {
    /// A deletion by the end of a lease, shown by these operations.
    pub(super) fn lease_end(shown_by: Vec<u32>, owed_from: i64) -> Self {
        Fact {
            value: None,
            lease: 0,
            owed_from,
            shown_by,
            known_by: "the end of its lease",
            create: None,
            version: None,
        }
    }
}

/// An event that no request explains.
pub(super) struct Unasked<'h> {
    pub(super) item: WatchEvent<'h>,
    /// The watch, and the response that had it.
    pub(super) told_by: [u32; 2],
    /// When it was there.
    pub(super) end: u64,
    /// What is wrong with it, if no lease explains it either.
    pub(super) story: String,
}

/// The facts of each key, by revision.
pub(super) struct Facts<'h, 'c> {
    pub(super) keys: FxHashMap<&'h Value, BTreeMap<i64, Fact<'h>>>,
    pub(super) changes: &'c Changes<'h>,
    auto_compaction: bool,
    /// Deletions that no request explains.
    pub(super) unasked: Vec<Unasked<'h>>,
}

impl<'h, 'c> Facts<'h, 'c> {
    /// The acknowledged changes, and those of unknown outcome that some watch saw; every event
    /// that none of them explains is a finding. O(n log n) in the events.
    pub(super) fn gather(
        changes: &'c Changes<'h>,
        streams: &[Stream<'h>],
        auto_compaction: bool,
        findings: &mut Findings<'_>,
    ) -> Self {
        let keys = FxHashMap::default();
        let mut facts = Facts { keys, changes, auto_compaction, unasked: Vec::new() };
        for (revision, change) in
            changes.known.iter().flat_map(|(r, all)| all.iter().map(|c| (*r, c)))
        {
            let fact = Fact {
                value: change.value,
                lease: change.lease,
                owed_from: i64::MAX,
                shown_by: vec![change.position],
                known_by: "acknowledged",
                create: None,
                version: change.version,
            };
            facts.keys.entry(change.key).or_default().insert(revision, fact);
        }
        let mut used: FxHashMap<(&Value, Option<&Value>), FxHashSet<i64>> = FxHashMap::default();
        let responses = streams
            .iter()
            .flat_map(|stream| stream.responses.iter().map(|response| (stream.position, response)));
        for (watch, response) in responses {
            for item in &response.events {
                let known = changes.known.get(&item.revision);
                let wrong = match known {
                    Some(written) => differs(written, response, item),
                    None => facts.unexplained(response, item, &mut used),
                };
                match wrong {
                    Some(("phantom-event", _, story)) if item.value.is_none() => {
                        let told_by = [watch, response.position];
                        let end = response.end();
                        facts.unasked.push(Unasked { item: *item, told_by, end, story });
                    }
                    Some((kind, others, story)) => {
                        let operations: Vec<u32> =
                            others.into_iter().chain([watch, response.position]).collect();
                        findings.note(kind, &operations, story);
                    }
                    None => facts.learn(watch, response, item),
                }
            }
        }
        facts
    }

    /// Notes what an event tells besides the value.
    fn learn(&mut self, watch: u32, response: &Response<'h>, item: &WatchEvent<'h>) {
        let revisions = self.keys.entry(item.key).or_default();
        let fact = revisions.entry(item.revision).or_insert_with(|| {
            let write = self.changes.maybe(item.key).iter().find(|c| c.value == item.value);
            let lease = write.map_or(0, |change| change.lease);
            let write = write.map(|change| change.position);
            let shown_by = [Some(watch), Some(response.position), write];
            let shown_by = shown_by.into_iter().flatten().collect();
            let known_by = "seen by another watch";
            let fact = Fact::lease_end(shown_by, i64::MAX);
            Fact { value: item.value, lease, known_by, ..fact }
        });
        fact.create = fact.create.or(item.create);
        fact.version = fact.version.or(item.version);
    }

    /// Why no write of unknown outcome explains an event.
    fn unexplained(
        &self,
        response: &Response<'h>,
        item: &WatchEvent<'h>,
        used: &mut FxHashMap<(&'h Value, Option<&'h Value>), FxHashSet<i64>>,
    ) -> Option<(&'static str, Vec<u32>, String)> {
        let told = tell(response, item);
        if let Some(fact) = self.keys.get(item.key).and_then(|facts| facts.get(&item.revision)) {
            let differs = fact.value != item.value;
            let story = format!("{told}, and another response told it otherwise.");
            return differs.then(|| ("watches-disagree", fact.shown_by.clone(), story));
        }
        let same: Vec<&Change<'_>> = self
            .changes
            .maybe(item.key)
            .iter()
            .filter(|change| change.value == item.value)
            .collect();
        let possible = |c: &&&Change<'_>| c.invoke < response.end() && c.floor < item.revision;
        let revisions = used.entry((item.key, item.value)).or_default();
        let first = revisions.insert(item.revision);
        let enough = !first || revisions.len() <= same.len();
        (!enough || same.iter().find(possible).is_none()).then(|| {
            let story = format!("{told}, and no write of the history can have made it.");
            ("phantom-event", Vec::new(), story)
        })
    }

    /// Versions, creation and previous values of the events of all `streams`.
    pub(super) fn details(&self, streams: &[Stream<'h>], findings: &mut Findings<'_>) {
        for stream in streams {
            for response in &stream.responses {
                for item in &response.events {
                    let wrong = self.wrong_version(item).map(|why| ("wrong-version", why));
                    let prev = || {
                        let asked = stream.request.prev_kv;
                        self.wrong_prev(response, item, asked).map(|why| ("wrong-prev", why))
                    };
                    let Some((kind, (other, why))) = wrong.or_else(prev) else { continue };
                    let mut operations = vec![stream.position, response.position];
                    operations.extend(other);
                    findings.note(kind, &operations, format!("{}, {why}.", tell(response, item)));
                }
            }
        }
    }

    /// The last fact of `key` before `revision`.
    pub(super) fn before(&self, key: &Value, revision: i64) -> Option<(i64, &Fact<'h>)> {
        self.keys.get(key)?.range(..revision).next_back().map(|(at, fact)| (*at, fact))
    }

    fn wrong_version(&self, item: &WatchEvent<'h>) -> Option<(Vec<u32>, String)> {
        let (Some(create), Some(version)) = (item.create, item.version) else { return None };
        let said = format!("created at {create}, version {version}");
        if item.value.is_none() {
            let wrong = create != 0 || version != 0;
            return wrong
                .then(|| (Vec::new(), format!("{said}, though a deleted key has neither")));
        }
        if create > item.revision || version < 1 || (version == 1) != (create == item.revision) {
            return Some((Vec::new(), format!("{said}, which do not fit together")));
        }
        let maybes = self.changes.maybe(item.key);
        let unknown = i64::try_from(maybes.len()).unwrap_or(i64::MAX);
        let may_go = |change: &Change<'_>| change.value.is_none() || change.lease != 0;
        let Some((at, fact)) = self.before(item.key, item.revision) else {
            let wrong = version > 1 + unknown;
            return wrong
                .then(|| (Vec::new(), format!("{said}, though nothing was written before")));
        };
        let deletes = fact.lease != 0 || maybes.iter().any(may_go);
        let shown = || fact.shown_by.clone();
        let anew = create > at;
        let story = || (shown(), format!("{said}, which does not follow from revision {at}"));
        match (fact.value, fact.version) {
            _ if anew && fact.value.is_some() && !deletes => Some(story()),
            (None, _) if !anew || version > 1 + unknown => Some(story()),
            (Some(_), Some(before)) if !anew => {
                let right = (before + 1..=before + 1 + unknown).contains(&version);
                let created = fact.create.is_none_or(|known| known == create);
                (!right || !created).then(story)
            }
            _ => None,
        }
    }

    fn wrong_prev(
        &self,
        response: &Response<'h>,
        item: &WatchEvent<'h>,
        asked: bool,
    ) -> Option<(Vec<u32>, String)> {
        let before = self.before(item.key, item.revision);
        let maybes = self.changes.maybe(item.key);
        let Some(prev) = item.prev else {
            let compacted = self.auto_compaction
                || self.changes.may_be_compacted(item.revision, response.end());
            if !asked || compacted {
                return None;
            }
            let had_one = item.value.is_none() || item.version.is_some_and(|version| version > 1);
            let put = before.filter(|(_, fact)| fact.value.is_some());
            let stays = |c: &Change<'_>| c.value.is_some() && c.lease == 0;
            let put =
                put.filter(|(_, fact)| had_one || (fact.lease == 0 && maybes.iter().all(stays)));
            let why = "without the previous value that was asked for";
            return (had_one || put.is_some()).then(|| {
                (put.map_or(Vec::new(), |(_, fact)| fact.shown_by.clone()), why.to_owned())
            });
        };
        if !asked {
            return Some((Vec::new(), "with a previous value that was not asked for".to_owned()));
        }
        let at = number(prev, "mod")?;
        let value = super::super::objects::field(prev, "value");
        let why = format!("with the previous value {prev}, which was not there then");
        match before {
            _ if at >= item.revision => Some((Vec::new(), why)),
            Some((last, fact)) if last > at => Some((fact.shown_by.clone(), why)),
            Some((last, fact)) if last == at => {
                let same = fact.value.is_some_and(|known| known == value.unwrap_or(&Value::Null));
                (!same).then(|| (fact.shown_by.clone(), why))
            }
            _ => {
                let possible = maybes.iter().any(|c| c.value == value && c.floor < at);
                (!possible).then_some((Vec::new(), why))
            }
        }
    }

    /// What `stream` should have delivered, by what it says itself, and did not.
    pub(super) fn complete(
        &self,
        stream: &Stream<'h>,
        delivered: &Delivered<'_>,
        findings: &mut Findings<'_>,
    ) {
        let (Some(start), Some((end, _))) = (stream.start, delivered.upto.last()) else { return };
        if start > *end {
            return;
        }
        let covered = self.keys.iter().filter(|(key, _)| stream.request.covers(key));
        for (key, facts) in covered {
            for (revision, fact) in facts.range(start..=*end) {
                let due = stream.request.lets_pass(fact.value);
                let is_owed = due && start <= fact.owed_from;
                if !is_owed || delivered.seen.contains_key(&(*revision, *key)) {
                    continue;
                }
                let proof = delivered.upto.partition_point(|(upto, _)| upto < revision);
                let (upto, response) = delivered.upto[proof];
                let by = fact.known_by;
                let story = format!(
                    "The change of {key} at revision {revision} was {by}; the watch begins at \
                     {start} and has come to {upto}, and never told of it."
                );
                let operations = [&[stream.position, response], fact.shown_by.as_slice()].concat();
                findings.note("missing-event", &operations, story);
            }
        }
    }
}

/// How an event differs from the change that was acknowledged at its revision.
fn differs(
    written: &[Change<'_>],
    response: &Response<'_>,
    item: &WatchEvent<'_>,
) -> Option<(&'static str, Vec<u32>, String)> {
    let told = tell(response, item);
    let all = || written.iter().map(|change| change.position).collect();
    let Some(change) = written.iter().find(|change| change.key == item.key) else {
        let story = format!("{told}, which another request made, without that key.");
        return Some(("wrong-event", all(), story));
    };
    let version = change.version.zip(item.version).is_none_or(|(one, other)| one == other);
    if change.value != item.value || !version {
        let story = format!("{told}, and what was written is another thing.");
        return Some(("wrong-event", vec![change.position], story));
    }
    (change.invoke > response.end()).then(|| {
        let story = format!("{told}, before the write began.");
        ("premature-event", vec![change.position], story)
    })
}

fn tell(response: &Response<'_>, item: &WatchEvent<'_>) -> String {
    let at = event(response.operation);
    let what = item.value.map_or("its deletion".to_owned(), |value| format!("the value {value}"));
    format!("The response of {at} has {what} of {} at revision {}", item.key, item.revision)
}
