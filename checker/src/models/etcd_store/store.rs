//! The store itself, one request at a time: small, and written from etcd's documentation.
//!
//! It forgets nothing. Compaction only notes how far reads are refused, so that every revision
//! stays there to be looked at, and a request that changes nothing can be asked of any moment of
//! the past ([`Store::at`]). Leases are numbers: whether one exists is not known here.

use super::request::{
    Compare, Delete, Field, Key, KeyValue, Put, Range, Refusal, Relation, Request, Sort, Span, Txn,
};
use super::rules;
use ordeal_history::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    pub value: Value,
    pub create: i64,
    pub version: i64,
    pub lease: i64,
}

impl Held {
    /// As the data of `key`, last changed at that revision.
    pub fn at(&self, key: &Key, modified: i64) -> KeyValue {
        let Held { value, create, version, lease } = self.clone();
        KeyValue { key: key.clone(), value, create, modified, version, lease }
    }
}

/// The keys that a request leaves changed; `None` is deleted.
pub type Changes = BTreeMap<Key, Option<Held>>;

/// What a key held from which revision on; `None` is nothing.
type Past = Vec<(i64, Option<Held>)>;

/// Every key with all that it ever held.
///
/// A search has many of them at once, each a request away from another: what a key held is shared
/// by all in which it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    keys: BTreeMap<Key, Arc<Past>>,
    /// The revision of the last change.
    pub head: i64,
    /// The revision up to which the past was compacted.
    pub compacted: i64,
}

/// An answer, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Range(Ranged),
    Put { prev_kv: Option<KeyValue> },
    Delete { deleted: i64, prev_kvs: Vec<KeyValue> },
    Txn { succeeded: bool, responses: Vec<Response> },
    Compact,
}

/// The answer of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranged {
    /// In order, before the limit.
    pub found: Vec<KeyValue>,
    /// What decides the order; keys that are equal in it stand in no order.
    pub target: Field,
    /// How many of them are shown.
    pub shown: usize,
    /// How many keys there are, whatever was filtered out.
    pub count: i64,
    /// The values stay untold.
    pub keys_only: bool,
}

impl Default for Store {
    /// A new cluster's: empty, at revision 1.
    fn default() -> Store {
        Store { keys: BTreeMap::new(), head: 1, compacted: -1 }
    }
}

impl Store {
    /// The store as it is.
    pub fn now(&self) -> View<'_> {
        self.at(self.head, self.compacted)
    }

    /// The store as it was at a revision, compacted up to another.
    pub fn at(&self, head: i64, compacted: i64) -> View<'_> {
        View { store: self, head, compacted, made: Changes::new() }
    }

    /// The revision up to `until` at which `key` was last put or deleted.
    pub fn last_change(&self, key: &str, until: i64) -> Option<i64> {
        self.keys.get(key).map(|past| latest(past, until).0).filter(|&revision| revision > 0)
    }

    /// Makes the changes at the next revision; none take none.
    pub fn commit(&mut self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        self.head += 1;
        for (key, held) in changes {
            Arc::make_mut(self.keys.entry(key).or_default()).push((self.head, held));
        }
    }

    /// What it takes beside a store that is a request away, in bytes: a place for each key, and
    /// what the key that was changed most often ever held. O(keys).
    pub fn bytes(&self) -> usize {
        let most = self.keys.values().map(|past| past.len()).max().unwrap_or_default();
        let (key, held) = (size_of::<(Key, Arc<()>)>(), size_of::<(i64, Option<Held>)>());
        size_of::<Store>() + self.keys.len() * 2 * key + most * held
    }

    /// Takes back what was changed at the head.
    pub fn take_back(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            if let Some(past) = self.keys.get_mut(&key) {
                Arc::make_mut(past).pop_if(|(revision, _)| *revision == self.head);
            }
        }
        self.head -= 1;
    }
}

/// The store at a moment, with what a transaction under way has changed so far.
pub struct View<'a> {
    store: &'a Store,
    head: i64,
    compacted: i64,
    made: Changes,
}

impl View<'_> {
    /// The revision of this moment.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// The answer to `request` and what it changes, or why it is refused.
    pub fn ask(mut self, request: &Request) -> Result<(Response, Changes), Refusal> {
        rules::check(request)?;
        self.check_puts(request)?;
        self.check_ranges(request, false)?;
        if let Request::Compact(revision) = request {
            if *revision <= self.compacted {
                return Err(Refusal::Compacted);
            }
            if *revision > self.head {
                return Err(Refusal::Future);
            }
        }
        let response = self.run(request);
        Ok((response, self.made))
    }

    /// A put that keeps the value or the lease needs a key that was there before the transaction.
    fn check_puts(&self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::Put(put) if put.ignore_value || put.ignore_lease => {
                let there = self.held(&put.key, Some(self.head));
                there.map(|_| ()).ok_or(Refusal::KeyNotFound)
            }
            Request::Txn(txn) => self.branch(txn).1.iter().try_for_each(|op| self.check_puts(op)),
            _ => Ok(()),
        }
    }

    /// What is read must be there when the transaction begins.
    ///
    /// A read by itself of a revision below 0 is one of the newest. In a transaction etcd holds
    /// that number too against the compacted revision, which is -1 before the first compaction.
    fn check_ranges(&self, request: &Request, in_txn: bool) -> Result<(), Refusal> {
        match request {
            Request::Range(range) if range.revision > self.head => Err(Refusal::Future),
            Request::Range(range)
                if range.revision < self.compacted
                    && (range.revision > 0 || (in_txn && range.revision < 0)) =>
            {
                Err(Refusal::Compacted)
            }
            Request::Txn(txn) => {
                self.branch(txn).1.iter().try_for_each(|op| self.check_ranges(op, true))
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, request: &Request) -> Response {
        match request {
            Request::Range(range) => Response::Range(self.range(range)),
            Request::Put(put) => self.put(put),
            Request::Delete(delete) => self.delete(delete),
            Request::Txn(txn) => self.txn(txn),
            Request::Compact(_) => Response::Compact,
        }
    }

    fn range(&self, range: &Range) -> Ranged {
        let at = (range.revision > 0).then_some(range.revision);
        let mut found = self.all(&range.span, at);
        let count = found.len() as i64;
        let limit = usize::try_from(range.limit).unwrap_or(0);
        let filters = [range.modified.0, range.modified.1, range.created.0, range.created.1];
        // Without filters or an order etcd takes only so many keys, and sorts those, if it is
        // to sort by anything but the key.
        if limit > 0 && range.sort == Sort::None && filters == [0; 4] {
            found.truncate(limit + 1);
        }
        let within = |(least, greatest): (i64, i64), revision: i64| {
            (least == 0 || revision >= least) && (greatest == 0 || revision <= greatest)
        };
        found.retain(|kv| within(range.modified, kv.modified) && within(range.created, kv.create));
        found.sort_by(|a, b| {
            let order = compare(a, b, range.target);
            if range.sort == Sort::Descend { order.reverse() } else { order }
        });
        if range.count_only {
            found.clear();
        }
        let shown = if limit > 0 { found.len().min(limit) } else { found.len() };
        let Range { target, keys_only, .. } = *range;
        Ranged { found, target, shown, count, keys_only }
    }

    fn put(&mut self, put: &Put) -> Response {
        let prev = self.held(&put.key, None).cloned();
        let kept = prev.as_ref();
        let value = match kept {
            Some(held) if put.ignore_value => held.value.clone(),
            _ => put.value.clone(),
        };
        let lease = match kept {
            Some(held) if put.ignore_lease => held.lease,
            _ => put.lease,
        };
        let create = kept.map_or(self.head + 1, |held| held.create);
        let version = kept.map_or(1, |held| held.version + 1);
        let prev_kv = if put.prev_kv { self.one(&put.key) } else { None };
        self.made.insert(put.key.clone(), Some(Held { value, create, version, lease }));
        Response::Put { prev_kv }
    }

    fn delete(&mut self, delete: &Delete) -> Response {
        let gone = self.all(&delete.span, None);
        self.made.extend(gone.iter().map(|kv| (kv.key.clone(), None)));
        let deleted = gone.len() as i64;
        Response::Delete { deleted, prev_kvs: if delete.prev_kv { gone } else { Vec::new() } }
    }

    fn txn(&mut self, txn: &Txn) -> Response {
        let (succeeded, branch) = self.branch(txn);
        let responses = branch.iter().map(|op| self.run(op)).collect();
        Response::Txn { succeeded, responses }
    }

    /// Which way a transaction goes. All conditions, those of transactions within it too, are of
    /// the store before anything is changed.
    fn branch<'t>(&self, txn: &'t Txn) -> (bool, &'t [Request]) {
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        (succeeded, if succeeded { &txn.success } else { &txn.failure })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let kvs = self.all(&compare.span, Some(self.head));
        if kvs.is_empty() {
            // A key that is not there has no value, and 0 for everything else.
            return compare.field != Field::Value
                && relates(0.cmp(&compare.against.as_i64().unwrap_or(0)), compare.relation);
        }
        kvs.iter().all(|kv| {
            let number = |there: i64| there.cmp(&compare.against.as_i64().unwrap_or(0));
            let order = match compare.field {
                Field::Value => order_of(&kv.value, &compare.against),
                Field::Version => number(kv.version),
                Field::Create => number(kv.create),
                Field::Mod => number(kv.modified),
                Field::Lease => number(kv.lease),
                Field::Key => Ordering::Equal,
            };
            relates(order, compare.relation)
        })
    }

    /// What `key` holds: at a revision, or now, with what the transaction has changed.
    fn held(&self, key: &str, at: Option<i64>) -> Option<&Held> {
        match self.made.get(key) {
            Some(made) if at.is_none() => made.as_ref(),
            _ => latest(self.store.keys.get(key)?, at.unwrap_or(self.head)).1.as_ref(),
        }
    }

    fn one(&self, key: &Key) -> Option<KeyValue> {
        if let Some(made) = self.made.get(key) {
            return made.as_ref().map(|held| held.at(key, self.head + 1));
        }
        self.past(key, None)
    }

    /// `key` at a revision, or when the request began.
    fn past(&self, key: &Key, at: Option<i64>) -> Option<KeyValue> {
        let past = self.store.keys.get(key)?;
        let (modified, held) = latest(past, at.unwrap_or(self.head));
        held.as_ref().map(|held| held.at(key, *modified))
    }

    /// The keys of a span, by key.
    fn all(&self, span: &Span, at: Option<i64>) -> Vec<KeyValue> {
        if span.is_one() {
            let one = if at.is_none() { self.one(&span.key) } else { self.past(&span.key, at) };
            return one.into_iter().collect();
        }
        let mut found = BTreeMap::new();
        let until = at.unwrap_or(self.head);
        let mut look = |key: &Key, past: &[(i64, Option<Held>)]| {
            if let (modified, Some(held)) = latest(past, until) {
                found.insert(key.clone(), held.at(key, *modified));
            }
        };
        let from = self.store.keys.range::<Key, _>(&span.key..);
        from.take_while(|(key, _)| span.contains(key)).for_each(|(key, past)| look(key, past));
        if at.is_none() {
            for (key, made) in self.made.iter().filter(|(key, _)| span.contains(key)) {
                match made {
                    Some(held) => {
                        found.insert(key.clone(), held.at(key, self.head + 1));
                    }
                    None => {
                        found.remove(key);
                    }
                }
            }
        }
        found.into_values().collect()
    }
}

/// The last change up to a revision.
fn latest(past: &[(i64, Option<Held>)], until: i64) -> &(i64, Option<Held>) {
    const NOTHING: &(i64, Option<Held>) = &(0, None);
    // Mostly it is the last of all.
    if let Some(last) = past.last().filter(|(revision, _)| *revision <= until) {
        return last;
    }
    let count = past.partition_point(|(revision, _)| *revision <= until);
    count.checked_sub(1).map_or(NOTHING, |last| &past[last])
}

/// Whether two that stand so to each other are in that relation.
pub fn relates(order: Ordering, relation: Relation) -> bool {
    match relation {
        Relation::Equal => order.is_eq(),
        Relation::NotEqual => order.is_ne(),
        Relation::Greater => order.is_gt(),
        Relation::Less => order.is_lt(),
    }
}

/// The order of two keys' data in one field.
pub fn compare(a: &KeyValue, b: &KeyValue, field: Field) -> Ordering {
    match field {
        Field::Key => a.key.cmp(&b.key),
        Field::Version => a.version.cmp(&b.version),
        Field::Create => a.create.cmp(&b.create),
        Field::Mod => a.modified.cmp(&b.modified),
        Field::Value => order_of(&a.value, &b.value),
        // etcd does not sort by lease: all are equal.
        Field::Lease => Ordering::Equal,
    }
}

/// Values are ordered as text; those that are no strings by their JSON.
pub fn order_of(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ if a == b => Ordering::Equal,
        _ => text(a).cmp(&text(b)).then(a.cmp(b)),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
