//! What is wrong with an answer: what was there instead, and who had made it so.
//!
//! Of those who made what was there only as many are named as it takes: one whose key the answer
//! shows otherwise than it was, or more keys than it counted. What the others did may then be
//! anything, and the answer is still wrong.

use super::Broken;
use super::fill::each_kv;
use super::order::{FIRST, Order};
use crate::models::etcd_store::{KeyValue, Request, Response, Seen, SeenKv, Store, StoreOp};

/// How many of those who wrote what an answer should have shown are named, where it shows no keys.
const AUTHORS_MAX: usize = 3;

/// The answer of `index` does not fit the store as it stands.
pub(super) fn wrong(order: &Order<'_>, store: &Store, owners: &[u32], index: u32) -> Broken {
    let op = &order.entry(index).op;
    let (expected, made): (String, Vec<i64>) = match store.now().ask(&op.request) {
        Err(refusal) => (format!("it must be refused: {refusal}"), Vec::new()),
        Ok((response, changes)) => {
            let mut expected = response.to_string();
            let revision = store.head + i64::from(!changes.is_empty());
            if op.revision.is_some_and(|told| told != revision) {
                expected.push_str(&format!(", at revision {revision}"));
            }
            (format!("the right answer was {expected}"), ground(store, op, &response))
        }
    };
    let mut authors: Vec<u32> = Vec::new();
    for revision in made {
        let owner = usize::try_from(revision - FIRST - 1).ok().and_then(|at| owners.get(at));
        authors.extend(owner.filter(|owner| !authors.contains(owner)));
    }
    authors.retain(|&author| author != index);
    let made: Vec<String> = (1..=authors.len()).map(|place| format!("{{{place}}}")).collect();
    let made = match made[..] {
        [] => String::new(),
        _ => format!(", since {}", made.join(", and ")),
    };
    Broken::new([index].into_iter().chain(authors), &format!("{{0}}, but {expected}{made}"))
}

/// The revisions of the changes because of which the answer is wrong, where `right` was due.
fn ground(store: &Store, op: &StoreOp, right: &Response) -> Vec<i64> {
    let right_kvs = right.kvs();
    let Some(Ok(seen)) = &op.answer else {
        return right_kvs.iter().take(AUTHORS_MAX).map(|kv| kv.modified).collect();
    };
    let mut shown: Vec<SeenKv> = Vec::new();
    each_kv(&op.request, seen, &mut |kv| shown.push(kv.clone()));
    let until = match &op.request {
        Request::Range(range) if range.revision > 0 => range.revision,
        _ => store.head,
    };
    // A key that was otherwise, or not there.
    if let Some(wrong) = shown.iter().find(|seen| !right_kvs.iter().any(|kv| seen.shows(kv))) {
        let due = right_kvs.iter().find(|kv| kv.key == wrong.key).map(|kv| kv.modified);
        let last = due.or_else(|| store.last_change(&wrong.key, until)).or(wrong.modified);
        return last.into_iter().collect();
    }
    let (Seen::Range { kvs, count, .. }, Response::Range(ranged)) = (seen, right) else {
        return right_kvs.iter().take(AUTHORS_MAX).map(|kv| kv.modified).collect();
    };
    // A key that is missing.
    let is_missing = |kv: &&&KeyValue| !shown.iter().any(|seen| seen.shows(kv));
    if kvs.is_some()
        && let Some(missing) = right_kvs.iter().find(is_missing)
    {
        return vec![missing.modified];
    }
    // Too few keys counted: one more than those.
    let counted = count.filter(|&count| count < ranged.count);
    let enough = counted.map_or(AUTHORS_MAX, |count| usize::try_from(count + 1).unwrap_or(1));
    right_kvs.iter().take(enough).map(|kv| kv.modified).collect()
}

impl Response {
    /// The keys that it shows.
    fn kvs(&self) -> Vec<&KeyValue> {
        match self {
            Response::Range(ranged) => ranged.found.iter().take(ranged.shown).collect(),
            Response::Put { prev_kv } => prev_kv.iter().collect(),
            Response::Delete { prev_kvs, .. } => prev_kvs.iter().collect(),
            Response::Txn { responses, .. } => responses.iter().flat_map(Response::kvs).collect(),
            Response::Compact => Vec::new(),
        }
    }
}
