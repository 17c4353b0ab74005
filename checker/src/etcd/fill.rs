//! The replay in the order of the revisions, and who had the revisions that nobody was told of.
//!
//! A revision between known ones belongs to a request of unknown outcome. Which one, its readers
//! tell: they saw what was last changed at that revision. Where nobody saw it, those that can
//! have had it are tried, the last to begin first, and when a later answer does not fit, the next
//! (so it is exact); as there may be very many ways, the tries are bounded.

use super::Broken;
use super::order::{FIRST, Order};
use super::wrong::wrong;
use crate::models::etcd_store::{Changes, Key, Request, Seen, SeenKv, Store, StoreOp};
use crate::stop::Stop;
use ordeal_history::Value;
use rustc_hash::FxHashMap;

/// What came of the replay.
pub(super) enum Filled {
    /// Everything fits; who has each revision, from the second on, and whether that was the one
    /// way to fill the gaps.
    Done { store: Store, owners: Vec<u32>, sole: bool },
    /// However the gaps are filled, this is wrong.
    Broken(Broken),
    /// There were too many ways.
    Undecided,
    /// It had to end: why, and how far it had come.
    Stopped(String),
}

/// What does not fit.
enum Mistake {
    /// The answer of this one.
    Wrong(u32),
    /// Nobody can have had this revision.
    Gap(i64),
}

/// Steps between two looks at the limits.
const STEPS_UNCHECKED: u32 = 1 << 10;

/// A gap, and who can fill it: places in the order's list of requests of unknown outcome.
struct Choice {
    revision: i64,
    /// Those that can have made what was seen; `None` when nothing was seen.
    makers: Option<Vec<u32>>,
    /// How many are left to look at, from the last to the first.
    left: usize,
    /// Whether those are looked at whose value was seen at another revision.
    claimed: bool,
    /// What was tried, the last one at present.
    tried: Vec<u32>,
}

struct Replay<'a, 'b> {
    order: &'b Order<'a>,
    store: Store,
    owners: Vec<u32>,
    /// Keys changed at each revision since the first choice, to take them back.
    touched: Vec<Vec<Key>>,
    choices: Vec<Choice>,
    sole: bool,
    /// By place in the list of those of unknown outcome.
    used: Vec<bool>,
    evidence: Evidence<'a>,
    tries_left: usize,
    /// The mistake that was met the latest.
    deepest: Option<(i64, Broken)>,
}

/// Replays the changes and everything that names a revision.
pub(super) fn replay(order: &Order<'_>, stop: &Stop<'_>) -> Filled {
    let mut replay = Replay {
        order,
        store: Store::default(),
        owners: Vec::with_capacity(order.changes.len()),
        touched: Vec::new(),
        choices: Vec::new(),
        sole: true,
        used: vec![false; order.maybes.len()],
        evidence: Evidence::of(order),
        tries_left: 100_000 + 4 * order.entries.len(),
        deepest: None,
    };
    let mut step = replay.check_seers();
    for count in 0_u32.. {
        if count.is_multiple_of(STEPS_UNCHECKED)
            && let Err(why) = stop.check()
        {
            let (come, last) = (replay.store.head, FIRST + order.changes.len() as i64);
            return Filled::Stopped(format!("{why}, at revision {come} of {last}"));
        }
        match step {
            Ok(()) if replay.owners.len() == order.changes.len() => break,
            Ok(()) => step = replay.next(),
            Err(mistake) => {
                let at = replay.store.head;
                if replay.deepest.as_ref().is_none_or(|(deepest, _)| at > *deepest) {
                    replay.deepest = Some((at, replay.broken(mistake)));
                }
                match replay.again() {
                    Some(again) => step = again,
                    None => return replay.give_up(),
                }
            }
        }
    }
    Filled::Done { store: replay.store, owners: replay.owners, sole: replay.sole }
}

impl Replay<'_, '_> {
    fn broken(&self, mistake: Mistake) -> Broken {
        match mistake {
            Mistake::Wrong(index) => wrong(self.order, &self.store, &self.owners, index),
            Mistake::Gap(revision) => self.order.gap_at(revision),
        }
    }

    fn give_up(self) -> Filled {
        match self.deepest {
            Some((_, broken)) if self.tries_left > 0 => Filled::Broken(broken),
            _ => Filled::Undecided,
        }
    }

    /// One revision further.
    fn next(&mut self) -> Result<(), Mistake> {
        let Some(index) = self.order.changes[self.owners.len()] else {
            let choice = self.gap();
            return self.fill(choice);
        };
        match self.order.entry(index).op.changes(self.store.now()) {
            Some(changes) if !changes.is_empty() => self.commit(index, changes),
            _ => return Err(Mistake::Wrong(index)),
        }
        self.check_seers()
    }

    fn commit(&mut self, index: u32, changes: Changes) {
        if !self.choices.is_empty() {
            self.touched.push(changes.keys().cloned().collect());
        }
        self.store.commit(changes);
        self.owners.push(index);
    }

    /// Whether those who saw the store at this revision saw what is there.
    fn check_seers(&self) -> Result<(), Mistake> {
        let (order, head) = (self.order, self.store.head);
        for &index in order.seers_of(head) {
            // Compactions are looked at when everything is in its place.
            if order.entry(index).op.changes(self.store.at(head, -1)).is_none() {
                return Err(Mistake::Wrong(index));
            }
        }
        Ok(())
    }

    /// The next revision, as one that is still to be filled.
    fn gap(&self) -> Choice {
        let revision = self.store.head + 1;
        let able = self.order.maybes.partition_point(|&(_, least)| least < revision);
        let makers = self.evidence.makers(revision).map(|mut makers| {
            makers.retain(|&place| (place as usize) < able);
            makers
        });
        let left = makers.as_ref().map_or(able, Vec::len);
        Choice { revision, makers, left, claimed: false, tried: Vec::new() }
    }

    /// The next place to try, the last that began first.
    fn candidate(&self, choice: &mut Choice) -> Option<u32> {
        loop {
            if choice.left == 0 {
                if choice.makers.is_some() || choice.claimed {
                    return None;
                }
                choice.claimed = true;
                let revision = choice.revision;
                choice.left = self.order.maybes.partition_point(|&(_, least)| least < revision);
                continue;
            }
            choice.left -= 1;
            let place = match &choice.makers {
                Some(makers) => makers[choice.left],
                None if self.evidence.claimed[choice.left] != choice.claimed => continue,
                None => choice.left as u32,
            };
            // An equal request would do the same.
            let op = |place: u32| &self.order.entry(self.order.maybes[place as usize].0).op;
            if !self.used[place as usize] && !choice.tried.iter().any(|&t| op(t) == op(place)) {
                return Some(place);
            }
        }
    }

    /// Gives the revision of `choice` to the next candidate that fits.
    fn fill(&mut self, mut choice: Choice) -> Result<(), Mistake> {
        while let Some(place) = self.candidate(&mut choice) {
            let index = self.order.maybes[place as usize].0;
            let op = &self.order.entry(index).op;
            self.tries_left = self.tries_left.saturating_sub(1);
            let changes = op.changes(self.store.now()).unwrap_or_default();
            if !self.evidence.fits(choice.revision, &changes) {
                continue;
            }
            self.used[place as usize] = true;
            self.sole &= choice.makers.is_some() && choice.left == 0;
            choice.tried.push(place);
            self.choices.push(choice);
            self.commit(index, changes);
            return self.check_seers();
        }
        Err(Mistake::Gap(choice.revision))
    }

    /// Goes back to the last gap that can be filled in another way; `None` when there is none.
    fn again(&mut self) -> Option<Result<(), Mistake>> {
        let choice = self.choices.pop()?;
        while self.store.head >= choice.revision {
            self.store.take_back(self.touched.pop().unwrap_or_default());
            self.owners.pop();
        }
        if let Some(&last) = choice.tried.last() {
            self.used[last as usize] = false;
        }
        (self.tries_left > 0).then(|| self.fill(choice))
    }
}

/// What was seen of the revisions that nobody was told of.
struct Evidence<'a> {
    /// By such a revision: keys that were last changed at it.
    seen: FxHashMap<i64, Vec<SeenKv>>,
    /// Puts of unknown outcome by key and value, as places in the order's list.
    puts: FxHashMap<(&'a str, &'a Value), Vec<u32>>,
    /// All other requests of unknown outcome.
    others: Vec<u32>,
    /// Which of them made something that was seen.
    claimed: Vec<bool>,
}

impl<'a> Evidence<'a> {
    fn of(order: &Order<'a>) -> Evidence<'a> {
        let mut evidence = Evidence {
            seen: FxHashMap::default(),
            puts: FxHashMap::default(),
            others: Vec::new(),
            claimed: vec![false; order.maybes.len()],
        };
        let is_gap = |revision: i64| {
            let place = usize::try_from(revision - FIRST - 1).ok();
            place.and_then(|place| order.changes.get(place)).is_some_and(Option::is_none)
        };
        if order.changes.iter().all(Option::is_some) {
            return evidence;
        }
        for entry in order.entries {
            let StoreOp { request, answer, .. } = &*entry.op;
            if let Some(Ok(seen)) = answer {
                each_kv(request, seen, &mut |kv| {
                    if let Some(revision) = kv.modified.filter(|&revision| is_gap(revision)) {
                        evidence.seen.entry(revision).or_default().push(kv.clone());
                    }
                });
            }
        }
        for (place, &(index, _)) in (0..).zip(&order.maybes) {
            match &order.entry(index).op.request {
                Request::Put(put) if !put.ignore_value => {
                    evidence.puts.entry((&*put.key, &put.value)).or_default().push(place);
                }
                _ => evidence.others.push(place),
            }
        }
        for kv in evidence.seen.values().flatten() {
            let Some(value) = &kv.value else { continue };
            for &place in evidence.puts.get(&(&*kv.key, value)).into_iter().flatten() {
                evidence.claimed[place as usize] = true;
            }
        }
        evidence
    }

    /// The places of those that can have made what was seen of `revision`; `None` when nothing
    /// was seen of it that names a value.
    fn makers(&self, revision: i64) -> Option<Vec<u32>> {
        let seen = self.seen.get(&revision)?;
        let (key, value) = seen.iter().find_map(|kv| Some((&*kv.key, kv.value.as_ref()?)))?;
        let puts = self.puts.get(&(key, value)).into_iter().flatten();
        Some(self.others.iter().chain(puts).copied().collect())
    }

    /// Whether `changes` are some, and what was seen of `revision`.
    fn fits(&self, revision: i64, changes: &Changes) -> bool {
        let seen = self.seen.get(&revision).into_iter().flatten();
        let shows = |kv: &SeenKv| match changes.get(&kv.key) {
            Some(Some(held)) => kv.shows(&held.at(&kv.key, revision)),
            _ => false,
        };
        !changes.is_empty() && seen.into_iter().all(shows)
    }
}

/// Every key that an answer shows, without the value where the request asked for none.
pub(super) fn each_kv(request: &Request, seen: &Seen, each: &mut impl FnMut(&SeenKv)) {
    match (request, seen) {
        (Request::Range(range), Seen::Range { kvs: Some(kvs), .. }) => {
            for kv in kvs {
                match range.keys_only {
                    true => each(&SeenKv { value: None, ..kv.clone() }),
                    false => each(kv),
                }
            }
        }
        (_, Seen::Put { prev_kv: Some(kv) }) => each(kv),
        (_, Seen::Delete { prev_kvs: Some(kvs), .. }) => kvs.iter().for_each(each),
        (Request::Txn(txn), Seen::Txn { succeeded, responses }) => {
            let branch = if *succeeded { &txn.success } else { &txn.failure };
            branch.iter().zip(responses).for_each(|(op, seen)| each_kv(op, seen, each));
        }
        _ => {}
    }
}
