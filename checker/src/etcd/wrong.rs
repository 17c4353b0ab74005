//! What is wrong with an answer: what was there instead, and who had made it so.

use super::Broken;
use super::order::{FIRST, Order};
use crate::models::etcd_store::{KeyValue, Response, Store};

/// How many of those who wrote what an answer should have shown are named.
const AUTHORS_MAX: usize = 3;

/// The answer of `index` does not fit the store as it stands.
pub(super) fn wrong(order: &Order<'_>, store: &Store, owners: &[u32], index: u32) -> Broken {
    let op = &order.entry(index).op;
    let (expected, shown): (String, Vec<i64>) = match store.now().ask(&op.request) {
        Err(refusal) => (format!("it must be refused: {refusal}"), Vec::new()),
        Ok((response, changes)) => {
            let mut expected = response.to_string();
            let revision = store.head + i64::from(!changes.is_empty());
            if op.revision.is_some_and(|told| told != revision) {
                expected.push_str(&format!(", at revision {revision}"));
            }
            (
                format!("the right answer was {expected}"),
                response.kvs().into_iter().map(|kv| kv.modified).collect(),
            )
        }
    };
    let mut authors: Vec<u32> = Vec::new();
    for modified in shown {
        let owner = usize::try_from(modified - FIRST - 1).ok().and_then(|at| owners.get(at));
        authors.extend(owner.filter(|owner| !authors.contains(owner)));
    }
    authors.retain(|&author| author != index);
    authors.truncate(AUTHORS_MAX);
    let made: Vec<String> = (1..=authors.len()).map(|place| format!("{{{place}}}")).collect();
    let made = match made[..] {
        [] => String::new(),
        _ => format!(", since {}", made.join(", and ")),
    };
    Broken::new([index].into_iter().chain(authors), &format!("{{0}}, but {expected}{made}"))
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
