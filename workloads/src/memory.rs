//! A store in memory: keys and transactions of one client, and the v2 API, answered at once.
//!
//! For the tests of workloads and of whatever drives them. Deliberately absent: history, leases,
//! watches, users; such requests are refused, as ones that did not happen.

use crate::store::{
    Answer, Compare, CompareOp, CompareTarget, Delete, KeyValue, Put, Range, Request, Said, Store,
    StoreError, Txn, V2, V2Condition, V2Said,
};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A store in memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Of the last change; an empty store is at 1, as etcd's.
    pub revision: i64,
    /// What is there.
    pub held: BTreeMap<Vec<u8>, KeyValue>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { revision: 1, held: BTreeMap::new() }
    }
}

impl Memory {
    /// The answer to a request.
    ///
    /// # Errors
    ///
    /// When the request is of a kind that is absent here.
    pub fn answer(&mut self, request: Request) -> Result<Answer, StoreError> {
        let next = self.revision + 1;
        let mut changed = false;
        let said = self.say(request, next, &mut changed)?;
        self.revision += i64::from(changed);
        Ok(Answer { revision: self.revision, said })
    }

    fn say(&mut self, request: Request, next: i64, changed: &mut bool) -> Result<Said, StoreError> {
        match request {
            Request::Range(range) => Ok(self.range(&range)),
            Request::Put(put) => {
                *changed = true;
                Ok(self.put(put, next))
            }
            Request::Delete(delete) => {
                let said = self.delete(&delete);
                *changed |= matches!(said, Said::Delete { deleted: 1.., .. });
                Ok(said)
            }
            Request::Txn(Txn { compares, then, otherwise }) => {
                let succeeded = compares.iter().all(|compare| self.holds(compare));
                let branch = if succeeded { then } else { otherwise };
                let results: Result<Vec<Said>, StoreError> =
                    branch.into_iter().map(|inner| self.say(inner, next, changed)).collect();
                Ok(Said::Txn { succeeded, results: results? })
            }
            Request::V2(asked) => Ok(Said::V2(self.old_api(asked, next, changed))),
            other => Err(StoreError::DidNotHappen(format!("not offered: {other:?}"))),
        }
    }

    fn within(&self, key: &[u8], end: &[u8]) -> Vec<KeyValue> {
        let inside = |other: &[u8]| match end {
            [] => other == key,
            [0] => other >= key,
            end => other >= key && other < end,
        };
        self.held.values().filter(|kv| inside(&kv.key)).cloned().collect()
    }

    fn range(&self, range: &Range) -> Said {
        let mut kvs = self.within(&range.key, &range.range_end);
        let count = i64::try_from(kvs.len()).unwrap_or(i64::MAX);
        let limit = usize::try_from(range.limit).unwrap_or(0);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        Said::Range { kvs, count, more }
    }

    fn put(&mut self, put: Put, revision: i64) -> Said {
        let before = self.held.get(&put.key);
        let kv = KeyValue {
            key: put.key.clone(),
            value: put.value,
            create_revision: before.map_or(revision, |kv| kv.create_revision),
            mod_revision: revision,
            version: before.map_or(0, |kv| kv.version) + 1,
            lease: put.lease,
        };
        let before = self.held.insert(put.key, kv);
        Said::Put { prev: before.filter(|_| put.prev_kv) }
    }

    fn delete(&mut self, delete: &Delete) -> Said {
        let gone = self.within(&delete.key, &delete.range_end);
        gone.iter().for_each(|kv| {
            self.held.remove(&kv.key);
        });
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        Said::Delete { deleted, prev: if delete.prev_kv { gone } else { Vec::new() } }
    }

    /// The v2 API, with the revision for an index. Here its keys are those of all others.
    fn old_api(&mut self, asked: V2, next: i64, changed: &mut bool) -> V2Said {
        let index = |kv: &KeyValue| u64::try_from(kv.mod_revision).unwrap_or(0);
        let text = |kv: &KeyValue| String::from_utf8_lossy(&kv.value).into_owned();
        let (key, value, condition) = match asked {
            V2::Get { key, .. } => {
                return self.held.get(key.as_bytes()).map_or(V2Said::Missing, |kv| V2Said::Node {
                    value: text(kv),
                    modified: index(kv),
                });
            }
            V2::Set { key, value, condition } => (key, value, condition),
        };
        let differs = |expected: String, actual: String| V2Said::Differs {
            cause: format!("[{expected} != {actual}]"),
        };
        match (condition, self.held.get(key.as_bytes())) {
            (Some(V2Condition::PrevExist(false)), Some(_)) => return V2Said::Exists,
            (None | Some(V2Condition::PrevExist(false)), _) => {}
            (Some(_), None) => return V2Said::Missing,
            (Some(V2Condition::PrevValue(expected)), Some(kv)) if expected != text(kv) => {
                return differs(expected, text(kv));
            }
            (Some(V2Condition::PrevIndex(expected)), Some(kv)) if expected != index(kv) => {
                return differs(expected.to_string(), index(kv).to_string());
            }
            (Some(_), Some(_)) => {}
        }
        *changed = true;
        self.put(Put::of(key, value.clone()), next);
        V2Said::Node { value, modified: u64::try_from(next).unwrap_or(0) }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let absent = KeyValue::default();
        let kv = self.held.get(&compare.key);
        let number = |field: fn(&KeyValue) -> i64| field(kv.unwrap_or(&absent));
        let order = match &compare.target {
            // An absent key has no value, and no compare of values holds for it.
            CompareTarget::Value(value) => match kv {
                Some(kv) => kv.value.cmp(value),
                None => return false,
            },
            CompareTarget::Version(at) => number(|kv| kv.version).cmp(at),
            CompareTarget::CreateRevision(at) => number(|kv| kv.create_revision).cmp(at),
            CompareTarget::ModRevision(at) => number(|kv| kv.mod_revision).cmp(at),
            CompareTarget::Lease(at) => number(|kv| kv.lease).cmp(at),
        };
        match compare.op {
            CompareOp::Equal => order == Ordering::Equal,
            CompareOp::NotEqual => order != Ordering::Equal,
            CompareOp::Greater => order == Ordering::Greater,
            CompareOp::Less => order == Ordering::Less,
        }
    }
}

impl Store for Memory {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        self.answer(request)
    }
}
