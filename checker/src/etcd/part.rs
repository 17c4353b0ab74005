//! Whether operations contradict one another, whatever else was asked of the store.
//!
//! A part of a history has gaps in its revisions, and a gap proves nothing: somebody who is not in
//! the part may have had that revision, and have changed anything. So what a key holds is known
//! from the change that made it so up to the first gap, and from then on only what was seen of
//! it. An answer is wrong when no way to fill the gaps makes it right, and of those only what
//! can be told key by key is looked for: what this calls a contradiction is one, but not the
//! other way round. Refusals, compactions, answers without a revision and requests of unknown
//! outcome say nothing here.

use super::fill::each_kv;
use super::order::{FIRST, Op};
use crate::linear::Entry;
use crate::models::etcd_store::{
    Compare, Delete, Field, Key, Put, Range, Request, Seen, SeenKv, Span, StoreOp, Txn, order_of,
    relates,
};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What a key holds; `None` is nothing.
type Held = Option<SeenKv>;

/// What is known of the store.
struct Part {
    /// The revisions that changes of the part had, ascending.
    owned: Vec<i64>,
    /// Every key that the part names, with what is known to have become of it at which revision.
    keys: BTreeMap<Key, Vec<(i64, Held)>>,
    /// What was seen of a key that was last changed at a revision.
    seen: FxHashMap<(Key, i64), SeenKv>,
}

/// A moment: the revision of the store before, that of what the request itself changes, and
/// what it has changed so far.
struct Moment {
    before: i64,
    own: i64,
    made: BTreeMap<Key, Held>,
}

/// Whether these operations, in the order of their invocations, cannot all be right. O(n log n)
/// but for ranges and deletions, which look at all keys of their span.
pub(super) fn contradicts(entries: &[&Entry<Op>]) -> bool {
    let mut known: Vec<(i64, bool, &StoreOp)> = entries
        .iter()
        .filter(|entry| matches!(entry.op.answer, Some(Ok(_))) && entry.op.compacted().is_none())
        .filter_map(|entry| Some((entry.op.revision?, !entry.op.changed(), &*entry.op)))
        .collect();
    known.sort_by_key(|&(revision, observes, _)| (revision, observes));
    // What is compacted is there.
    let is_early = |entry: &&Entry<Op>| {
        let told = entry.op.compacted().zip(entry.op.revision);
        told.is_some_and(|(until, revision)| !(0..=revision).contains(&until))
    };
    if entries.iter().any(is_early) {
        return true;
    }
    let Some(mut part) = Part::of(&known) else { return true };
    !known.iter().all(|&(revision, observes, op)| part.admits(op, revision, observes))
}

/// `None` where the two differ.
fn join(a: &SeenKv, b: &SeenKv) -> Option<SeenKv> {
    fn field<T: PartialEq + Clone>(a: &Option<T>, b: &Option<T>) -> Option<Option<T>> {
        match (a, b) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => Some(a.clone().or_else(|| b.clone())),
        }
    }
    Some(SeenKv {
        key: a.key.clone(),
        value: field(&a.value, &b.value)?,
        create: field(&a.create, &b.create)?,
        modified: field(&a.modified, &b.modified)?,
        version: field(&a.version, &b.version)?,
        lease: field(&a.lease, &b.lease)?,
    })
}

/// Whether a key can have such numbers in any store.
fn is_possible(kv: &SeenKv) -> bool {
    let SeenKv { create, modified, version, .. } = *kv;
    create.is_none_or(|create| create > FIRST)
        && modified.is_none_or(|modified| modified > FIRST)
        && version.is_none_or(|version| version >= 1)
        && create.zip(modified).is_none_or(|(create, modified)| {
            let puts = modified - create + 1;
            puts >= 1 && version.is_none_or(|v| v <= puts && (v == 1) == (puts == 1))
        })
}

impl Part {
    /// All that was seen, side by side; `None` when that is a contradiction.
    fn of(known: &[(i64, bool, &StoreOp)]) -> Option<Part> {
        let changes = known.iter().filter(|(_, observes, _)| !observes);
        let mut owned: Vec<i64> = changes.map(|&(revision, ..)| revision).collect();
        owned.dedup();
        let mut part = Part { owned, keys: BTreeMap::new(), seen: FxHashMap::default() };
        let mut possible = true;
        for (_, _, op) in known {
            let Some(Ok(seen)) = &op.answer else { continue };
            each_key(&op.request, &mut |key| {
                part.keys.entry(key.clone()).or_default();
            });
            each_kv(&op.request, seen, &mut |kv| {
                part.keys.entry(kv.key.clone()).or_default();
                possible &= is_possible(kv) && part.note(kv);
            });
        }
        if !possible {
            return None;
        }
        // What became of a key at a gap is known where somebody saw it.
        for ((key, revision), kv) in &part.seen {
            if part.owned.binary_search(revision).is_err() {
                part.keys.entry(key.clone()).or_default().push((*revision, Some(kv.clone())));
            }
        }
        part.keys.values_mut().for_each(|past| past.sort_by_key(|(revision, _)| *revision));
        Some(part)
    }

    /// Whether `kv` agrees with what others saw of it.
    fn note(&mut self, kv: &SeenKv) -> bool {
        let Some(modified) = kv.modified else { return true };
        let noted = self.seen.entry((kv.key.clone(), modified)).or_insert_with(|| kv.clone());
        match join(noted, kv) {
            Some(joined) => *noted = joined,
            None => return false,
        }
        true
    }

    /// Whether a revision after `from`, up to `until`, is nobody's.
    fn has_gap(&self, from: i64, until: i64) -> bool {
        let upto = |revision: i64| self.owned.partition_point(|&owned| owned <= revision);
        ((upto(until) - upto(from)) as i64) < until - from
    }

    /// The last that is known to have become of `key` up to a revision, when that was, and
    /// whether anything can have come after it.
    fn last(&self, key: &Key, until: i64) -> (i64, Option<&SeenKv>, bool) {
        let past = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let count = past.partition_point(|(revision, _)| *revision <= until);
        let (since, held) = match count.checked_sub(1).map(|last| &past[last]) {
            Some((since, held)) => (*since, held.as_ref()),
            None => (FIRST, None),
        };
        (since, held, self.has_gap(since, until))
    }

    /// Whether the answer can be right; notes what was changed.
    fn admits(&mut self, op: &StoreOp, revision: i64, observes: bool) -> bool {
        let Some(Ok(seen)) = &op.answer else { return true };
        let before = if observes { revision } else { revision - 1 };
        let mut moment = Moment { before, own: revision, made: BTreeMap::new() };
        if !self.run(&op.request, seen, &mut moment) {
            return false;
        }
        for (key, held) in moment.made {
            let past = self.keys.entry(key).or_default();
            past.insert(past.partition_point(|(at, _)| *at < revision), (revision, held));
        }
        true
    }

    fn run(&self, request: &Request, seen: &Seen, moment: &mut Moment) -> bool {
        match (request, seen) {
            (Request::Range(range), Seen::Range { kvs, count, more }) => {
                self.range(range, (kvs.as_deref(), *count, *more), moment)
            }
            (Request::Put(put), Seen::Put { prev_kv }) => self.put(put, prev_kv.as_ref(), moment),
            (Request::Delete(delete), Seen::Delete { deleted, prev_kvs }) => {
                self.delete(delete, *deleted, prev_kvs.as_deref(), moment)
            }
            (Request::Txn(txn), Seen::Txn { succeeded, responses }) => {
                let branch = if *succeeded { &txn.success } else { &txn.failure };
                self.may_turn_out(txn, *succeeded, moment.before)
                    && branch.len() == responses.len()
                    && branch.iter().zip(responses).all(|(op, seen)| self.run(op, seen, moment))
            }
            _ => false,
        }
    }

    /// Whether `kv` can have been there.
    fn shows(&self, kv: &SeenKv, until: i64, made: Option<&Held>) -> bool {
        if let Some(held) = made {
            return held.as_ref().is_some_and(|held| join(held, kv).is_some());
        }
        let (since, held, may_differ) = self.last(&kv.key, until);
        let is_held = || held.is_some_and(|held| join(held, kv).is_some());
        match kv.modified {
            Some(modified) if modified == since => is_held(),
            Some(modified) => {
                since < modified
                    && modified <= until
                    && self.owned.binary_search(&modified).is_err()
            }
            None => may_differ || is_held(),
        }
    }

    /// What `key` holds; `None` when that is not known.
    fn held(&self, key: &Key, until: i64, made: Option<&Held>) -> Option<Held> {
        match (made, self.last(key, until)) {
            (Some(held), _) => Some(held.clone()),
            (None, (_, held, false)) => Some(held.cloned()),
            (None, _) => None,
        }
    }

    /// The keys of a span that are known, with what they hold.
    fn all<'a>(
        &'a self,
        span: &'a Span,
        until: i64,
        made: &'a BTreeMap<Key, Held>,
    ) -> impl Iterator<Item = (&'a Key, Option<Held>)> + 'a {
        let from = self.keys.range::<Key, _>(&span.key..);
        let within = from.take_while(|(key, _)| span.contains(key));
        within.map(move |(key, _)| (key, self.held(key, until, made.get(key))))
    }

    /// Whether `count` keys can be in the span, and, if they are these, nobody else is missing.
    fn may_be_all(
        &self,
        (span, until): (&Span, i64),
        (count, shown): (Option<i64>, Option<&[SeenKv]>),
        made: &BTreeMap<Key, Held>,
    ) -> bool {
        let is_there =
            |(key, held): (&Key, Option<Held>)| matches!(held, Some(Some(_))).then(|| key.clone());
        let there: Vec<Key> = self.all(span, until, made).filter_map(is_there).collect();
        let least = there.len() as i64;
        let is_whole = !self.has_gap(FIRST, until);
        count.is_none_or(|count| least <= count && (!is_whole || least == count))
            && shown.is_none_or(|shown| {
                there.iter().all(|key| shown.iter().any(|kv| kv.key == *key))
                    && count.is_none_or(|count| count == shown.len() as i64)
            })
    }

    fn range(
        &self,
        range: &Range,
        (kvs, count, more): (Option<&[SeenKv]>, Option<i64>, Option<bool>),
        moment: &Moment,
    ) -> bool {
        if range.revision > moment.before {
            return false;
        }
        let nothing = BTreeMap::new();
        let (until, made) = match range.revision {
            1.. => (range.revision, &nothing),
            _ => (moment.before, &moment.made),
        };
        let untold = |kv: &SeenKv| SeenKv { value: None, ..kv.clone() };
        let right = |kv: &SeenKv| {
            let kv = if range.keys_only { untold(kv) } else { kv.clone() };
            range.span.contains(&kv.key) && self.shows(&kv, until, made.get(&kv.key))
        };
        let is_filtered = (range.modified, range.created) != ((0, 0), (0, 0));
        // All are shown, unless the limit cut some off.
        let is_full = |shown: &[SeenKv]| range.limit > 0 && shown.len() as i64 >= range.limit;
        let may_be_cut = range.limit > 0 && !range.count_only && kvs.is_none_or(is_full);
        let is_cut = may_be_cut && more != Some(false);
        let is_whole = !(is_filtered || range.count_only || is_cut);
        kvs.is_none_or(|kvs| kvs.iter().all(right))
            && (may_be_cut || more != Some(true))
            && self.may_be_all((&range.span, until), (count, kvs.filter(|_| is_whole)), made)
    }

    fn put(&self, put: &Put, prev_kv: Option<&SeenKv>, moment: &mut Moment) -> bool {
        let made = moment.made.get(&put.key);
        let known = self.held(&put.key, moment.before, made);
        let fits = match prev_kv {
            Some(kv) => put.prev_kv && self.shows(kv, moment.before, made),
            None => !put.prev_kv || !matches!(known, Some(Some(_))),
        };
        // What was there before: known from its change, from the answer, or not at all.
        let before = match (known, prev_kv) {
            (Some(Some(held)), Some(kv)) => Some(join(&held, kv)),
            (None, Some(kv)) => Some(Some(kv.clone())),
            (None, None) if put.prev_kv => Some(None),
            (known, _) => known,
        };
        let held = before.as_ref().and_then(Option::as_ref);
        let (create, version) = match &before {
            Some(None) => (Some(moment.own), Some(1)),
            _ => (held.and_then(|kv| kv.create), held.and_then(|kv| kv.version).map(|v| v + 1)),
        };
        let value = match put.ignore_value {
            true => held.and_then(|kv| kv.value.clone()),
            false => Some(put.value.clone()),
        };
        let lease = if put.ignore_lease { held.and_then(|kv| kv.lease) } else { Some(put.lease) };
        let (key, modified) = (put.key.clone(), Some(moment.own));
        let mut now = SeenKv { key, value, create, modified, version, lease };
        if let Some(seen) = self.seen.get(&(put.key.clone(), moment.own)) {
            let Some(joined) = join(&now, seen) else { return false };
            now = joined;
        }
        moment.made.insert(put.key.clone(), Some(now));
        // What is not there cannot be kept.
        let keeps = put.ignore_value || put.ignore_lease;
        fits && !(keeps && self.held(&put.key, moment.before, None) == Some(None))
    }

    fn delete(
        &self,
        delete: &Delete,
        deleted: i64,
        prev_kvs: Option<&[SeenKv]>,
        moment: &mut Moment,
    ) -> bool {
        let (span, until) = (&delete.span, moment.before);
        let shown = prev_kvs.unwrap_or(&[]);
        let right =
            |kv: &SeenKv| span.contains(&kv.key) && self.shows(kv, until, moment.made.get(&kv.key));
        let all = prev_kvs.filter(|_| delete.prev_kv);
        let fits = (delete.prev_kv || shown.is_empty())
            && shown.iter().all(right)
            && self.may_be_all((span, until), (Some(deleted), all), &moment.made);
        let was_there =
            |(key, held): (&Key, Option<Held>)| (held != Some(None)).then(|| key.clone());
        let gone: Vec<Key> = self.all(span, until, &moment.made).filter_map(was_there).collect();
        if deleted > 0 {
            moment.made.extend(gone.into_iter().map(|key| (key, None)));
        }
        fits
    }

    /// Whether the conditions of a transaction can have turned out so.
    fn may_turn_out(&self, txn: &Txn, succeeded: bool, until: i64) -> bool {
        let mut holds = txn.compares.iter().map(|compare| self.holds(compare, until));
        match succeeded {
            true => holds.all(|holds| holds != Some(false)),
            false => holds.any(|holds| holds != Some(true)),
        }
    }

    /// `None` when what the key holds is not known.
    fn holds(&self, compare: &Compare, until: i64) -> Option<bool> {
        if !compare.span.is_one() {
            return None;
        }
        let against = compare.against.as_i64().unwrap_or(0);
        let Some(kv) = self.held(&compare.span.key, until, None)? else {
            let is_number = compare.field != Field::Value;
            return Some(is_number && relates(0.cmp(&against), compare.relation));
        };
        let order = match compare.field {
            Field::Value => order_of(kv.value.as_ref()?, &compare.against),
            Field::Version => kv.version?.cmp(&against),
            Field::Create => kv.create?.cmp(&against),
            Field::Mod => kv.modified?.cmp(&against),
            Field::Lease => kv.lease?.cmp(&against),
            Field::Key => return None,
        };
        Some(relates(order, compare.relation))
    }
}

/// Every key that a request names by itself.
fn each_key(request: &Request, each: &mut impl FnMut(&Key)) {
    match request {
        Request::Range(range) if range.span.is_one() => each(&range.span.key),
        Request::Delete(delete) if delete.span.is_one() => each(&delete.span.key),
        Request::Put(put) => each(&put.key),
        Request::Txn(txn) => {
            txn.success.iter().chain(&txn.failure).for_each(|op| each_key(op, each));
        }
        _ => {}
    }
}
