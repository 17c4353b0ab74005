//! Keys that hang on leases: they go when the lease ends, without a request of their own.
//!
//! A lease ends by itself or because it was revoked, and all its keys go at one revision; an
//! identifier ends once for each grant of it. So a deletion that no request explains is right if
//! the key hung on a lease that can have ended there, and then every watch owes the deletion of
//! the others. How soon a lease may end is not judged here.

use super::super::changes::{Change, Changes};
use super::super::findings::Findings;
use super::super::objects::number;
use super::content::{Fact, Facts, Unasked};
use super::order::Delivered;
use super::stream::Stream;
use ordeal_history::{History, Outcome, Value};
use rustc_hash::FxHashMap;

/// What a history tells of its leases beside the watches.
#[derive(Default)]
pub(super) struct Leases<'h> {
    /// The keys that were ever put with each.
    keys: FxHashMap<i64, Vec<&'h Value>>,
    /// How often each identifier was granted, where it was.
    grants: FxHashMap<i64, usize>,
    /// The revision of the last put that was acknowledged with it.
    last_use: FxHashMap<i64, i64>,
    /// Revocations that succeeded: the lease, the revision of the answer, and the operation.
    revoked: Vec<(i64, i64, u32)>,
}

/// Where a key hung on a lease: the revision of its put, and who shows it.
type Tie<'f> = (i64, &'f [u32]);

impl<'h> Leases<'h> {
    /// Gathers it. O(operations).
    pub(super) fn gather(history: &History, changes: &Changes<'h>) -> Leases<'h> {
        let mut leases = Leases::default();
        for (position, operation) in (0..).zip(&history.operations) {
            match (&*operation.f, operation.outcome) {
                ("lease-grant", Outcome::Ok | Outcome::Info) => {
                    let told = number(&operation.output, "id");
                    let id = told.or_else(|| number(&operation.input, "id"));
                    *leases.grants.entry(id.unwrap_or(0)).or_default() += 1;
                }
                ("lease-revoke", Outcome::Ok) => {
                    let told = operation.input.as_i64().zip(operation.revision);
                    leases.revoked.extend(told.map(|(lease, at)| (lease, at, position)));
                }
                _ => {}
            }
        }
        for (revision, change) in
            changes.known.iter().flat_map(|(r, all)| all.iter().map(|change| (*r, change)))
        {
            leases.last_use.insert(change.lease, revision);
        }
        let puts = changes.known.values().chain(changes.maybe.values()).flatten();
        for change in puts.filter(|change| change.lease != 0) {
            leases.keys.entry(change.lease).or_default().push(change.key);
        }
        for keys in leases.keys.values_mut() {
            keys.sort_unstable();
            keys.dedup();
        }
        leases
    }

    /// Explains the deletions that no request does by the ends of leases, which makes facts of
    /// them and of the deletions of the other keys; those that stay unexplained are findings.
    pub(super) fn end(&self, facts: &mut Facts<'h, '_>, findings: &mut Findings<'_>) {
        let mut unasked = std::mem::take(&mut facts.unasked);
        unasked.sort_by_key(|gone| gone.item.revision);
        let mut ends: FxHashMap<i64, usize> = FxHashMap::default();
        for group in unasked.chunk_by(|a, b| a.item.revision == b.item.revision) {
            let revision = group[0].item.revision;
            // One revision is the end of one lease: the one that explains the most.
            let mut candidates: Vec<(usize, i64)> = Vec::new();
            for lease in group.iter().flat_map(|gone| leases_of(facts, gone)) {
                match candidates.iter_mut().find(|(_, known)| *known == lease) {
                    Some((count, _)) => *count += 1,
                    None => candidates.push((1, lease)),
                }
            }
            let so_far = |lease: i64| ends.get(&lease).copied().unwrap_or(0);
            candidates.retain(|&(_, lease)| self.may_end(lease, revision, so_far(lease)));
            let ended = candidates.into_iter().max().map(|(_, lease)| lease);
            let is_explained = |gone: &&Unasked<'_>| {
                ended.is_some_and(|lease| leases_of(facts, gone).contains(&lease))
            };
            let (explained, phantoms): (Vec<_>, Vec<_>) = group.iter().partition(is_explained);
            for gone in phantoms {
                findings.note("phantom-event", &gone.told_by, gone.story.clone());
            }
            if let Some(lease) = ended {
                *ends.entry(lease).or_default() += 1;
                self.conclude(facts, lease, revision, &explained);
            }
        }
    }

    /// Whether a lease that has ended so often can end at `revision`.
    fn may_end(&self, lease: i64, revision: i64, so_far: usize) -> bool {
        let lives = self.grants.get(&lease).copied().unwrap_or(0).max(1);
        let is_used_later = self.last_use.get(&lease).is_some_and(|&last| last > revision);
        so_far + usize::from(is_used_later) < lives
    }

    /// The deletions that `stream` owes because a lease was revoked, at a revision that no watch
    /// told.
    pub(super) fn complete(
        &self,
        facts: &Facts<'h, '_>,
        stream: &Stream<'_>,
        delivered: &Delivered<'_>,
        findings: &mut Findings<'_>,
    ) {
        let Some(start) = stream.start.filter(|_| stream.request.lets_pass(None)) else { return };
        for &(lease, at, revoke) in &self.revoked {
            let proof = delivered.upto.partition_point(|(upto, _)| *upto < at);
            let Some(&(upto, response)) = delivered.upto.get(proof) else { continue };
            for (key, (put, shown_by)) in self.tied(facts, lease, at + 1) {
                if start > put + 1 || !stream.request.covers(key) {
                    continue;
                }
                let story = format!(
                    "{key} hung on lease {lease} from revision {put} on, and the lease was revoked \
                     by revision {at}; the watch begins at {start} and has come to {upto}, and \
                     never told that the key was deleted."
                );
                let operations = [&[stream.position, response, revoke], shown_by].concat();
                findings.note("missing-event", &operations, story);
            }
        }
    }

    /// The keys whose last known change before `revision` tied them to `lease`.
    fn tied<'f>(
        &'f self,
        facts: &'f Facts<'h, '_>,
        lease: i64,
        revision: i64,
    ) -> impl Iterator<Item = (&'h Value, Tie<'f>)> {
        let keys = self.keys.get(&lease).map_or(&[][..], Vec::as_slice);
        keys.iter().filter_map(move |key| {
            let (put, fact) = facts.before(key, revision)?;
            (fact.lease == lease).then_some((*key, (put, fact.shown_by.as_slice())))
        })
    }

    /// A lease has ended at `revision`, as the deletions that it explains tell: all its keys went.
    fn conclude(
        &self,
        facts: &mut Facts<'h, '_>,
        lease: i64,
        revision: i64,
        explained: &[&Unasked<'h>],
    ) {
        let told_by = explained.iter().flat_map(|gone| gone.told_by).take(2);
        let told_by: Vec<u32> = told_by.collect();
        // By whatever tied the key that was seen to go, the lease was there.
        let seen = explained.first().and_then(|gone| facts.before(gone.item.key, revision));
        let ground: Vec<u32> = seen.map_or(Vec::new(), |(_, fact)| fact.shown_by.clone());
        let gone: Vec<_> = self
            .tied(facts, lease, revision)
            .map(|(key, (put, shown_by))| {
                let shown_by = [told_by.as_slice(), ground.as_slice(), shown_by].concat();
                // What was not acknowledged may have untied it: a watch from the put on owed that.
                let is_sure = facts.changes.maybe(key).is_empty();
                (key, Fact::lease_end(shown_by, if is_sure { i64::MAX } else { put + 1 }))
            })
            .collect();
        for (key, fact) in gone {
            facts.keys.entry(key).or_default().insert(revision, fact);
        }
        for gone in explained {
            let fact = || Fact::lease_end(gone.told_by.to_vec(), i64::MAX);
            facts.keys.entry(gone.item.key).or_default().entry(revision).or_insert_with(fact);
        }
    }
}

/// The leases on which a key can have hung when it was deleted.
fn leases_of(facts: &Facts<'_, '_>, gone: &Unasked<'_>) -> Vec<i64> {
    let Unasked { item, end, .. } = gone;
    let last = facts.before(item.key, item.revision).map(|(_, fact)| fact.lease);
    // A put of unknown outcome may have come after that.
    let possible = |c: &&Change<'_>| c.invoke < *end && c.floor < item.revision;
    let maybes = facts.changes.maybe(item.key).iter().filter(possible);
    let mut leases: Vec<i64> = last.into_iter().chain(maybes.map(|c| c.lease)).collect();
    leases.retain(|lease| *lease != 0);
    leases.dedup();
    leases
}
