//! Whether an answer that was seen is the one that the store gives.

use super::request::{KeyValue, Request, Seen, SeenKv};
use super::store::{Ranged, Response, compare};
use ordeal_history::Value;

impl Response {
    /// Whether `seen` shows this; what it leaves out is not judged.
    pub fn is_shown_by(&self, seen: &Seen, request: &Request) -> bool {
        match (self, seen) {
            (Response::Range(ranged), Seen::Range { kvs, count, more }) => {
                count.is_none_or(|count| count == ranged.count)
                    && more.is_none_or(|more| more == (ranged.found.len() > ranged.shown))
                    && kvs.as_ref().is_none_or(|kvs| ranged.is_shown_by(kvs))
            }
            (Response::Put { prev_kv }, Seen::Put { prev_kv: seen }) => match (prev_kv, seen) {
                (Some(kv), Some(seen)) => seen.shows(kv),
                (None, None) => true,
                _ => false,
            },
            (
                Response::Delete { deleted, prev_kvs },
                Seen::Delete { deleted: seen, prev_kvs: seen_kvs },
            ) => deleted == seen && seen_kvs.as_ref().is_none_or(|seen| show(seen, prev_kvs)),
            (
                Response::Txn { succeeded, responses },
                Seen::Txn { succeeded: seen, responses: seen_responses },
            ) => {
                let Request::Txn(txn) = request else { return false };
                let branch = if *succeeded { &txn.success } else { &txn.failure };
                let mut pairs = responses.iter().zip(seen_responses).zip(branch);
                succeeded == seen
                    && responses.len() == seen_responses.len()
                    && pairs.all(|((response, seen), op)| response.is_shown_by(seen, op))
            }
            (Response::Compact, Seen::Compact) => true,
            _ => false,
        }
    }
}

impl Ranged {
    /// Keys that are equal in what they are sorted by may stand in any order, and any of them may
    /// be cut off by the limit.
    fn is_shown_by(&self, seen: &[SeenKv]) -> bool {
        if seen.len() != self.shown {
            return false;
        }
        let shows = |seen: &SeenKv, kv: &KeyValue| {
            if self.keys_only { shows_key(seen, kv) } else { seen.shows(kv) }
        };
        // Mostly each stands in its place.
        if seen.iter().zip(&self.found).all(|(seen, kv)| shows(seen, kv)) {
            return true;
        }
        let mut used = vec![false; self.found.len()];
        seen.iter().zip(&self.found).all(|(seen, there)| {
            let fits = |kv: &KeyValue| compare(kv, there, self.target).is_eq() && shows(seen, kv);
            let place = self.found.iter().position(fits);
            place.is_some_and(|place| !std::mem::replace(&mut used[place], true))
        })
    }
}

fn shows_key(seen: &SeenKv, kv: &KeyValue) -> bool {
    let is_empty = |value: &Value| value.as_str() == Some("");
    seen.value.as_ref().is_none_or(is_empty) && SeenKv { value: None, ..seen.clone() }.shows(kv)
}

fn show(seen: &[SeenKv], kvs: &[KeyValue]) -> bool {
    seen.len() == kvs.len() && seen.iter().zip(kvs).all(|(seen, kv)| seen.shows(kv))
}
