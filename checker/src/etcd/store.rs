//! The whole store, by its revisions: near-linear where the answers tell the order, else by the
//! general search.

use super::counterexample::counterexample;
use super::fill::{Filled, replay};
use super::order::{Op, Order, Sorted};
use super::place::{Placed, place};
use super::verify::verify;
use super::{Broken, later};
use crate::linear::{Algorithm, Entry, Linearizable, MisfitAt, entry_of, in_pool, split, tell};
use crate::models::EtcdStore;
use crate::online::{Online, recheck};
use crate::stop::Stop;
use crate::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;
use rayon::prelude::*;
use std::time::Instant;

/// Holds a history of requests of etcd's KV API against the store that they were made of.
///
/// A counterexample has the operations that the broken rule is about, and with them as many of the
/// others as it takes to show that nobody else can have had the revisions that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct EtcdHistory {
    algorithm: Algorithm,
}

/// What the revisions say.
pub(super) enum Ruling {
    /// Indexes into the entries.
    Valid(Vec<u32>),
    Invalid(Broken),
    /// They do not tell: a change without one, or too many ways to fill the gaps.
    Open,
    /// The limits ended it: why, and how far it had come.
    Stopped(String),
}

/// Of a counterexample with more operations only those are told that the broken rule is about.
const TOLD_MAX: usize = 20;

/// What the order and the replay hold for an operation, at most, in bytes.
const BYTES_AN_OPERATION: usize = 400;

impl EtcdHistory {
    /// The checker; with [`Algorithm::Search`] the revisions are only answers to be explained.
    pub fn new(algorithm: Algorithm) -> Self {
        EtcdHistory { algorithm }
    }

    fn search(&self, history: &History, limits: &Limits, algorithm: &str) -> Judgement {
        let judgement = Linearizable::new(EtcdStore).check(history, limits);
        Judgement { checker: self.name().to_owned(), algorithm: algorithm.to_owned(), ..judgement }
    }

    fn judgement(&self, history: &History, verdict: Verdict, reason: String) -> Judgement {
        Judgement {
            checker: self.name().to_owned(),
            verdict,
            algorithm: "revisions".to_owned(),
            reason,
            operations: history.operations.len() as u64,
            cost: Cost::default(),
        }
    }

    fn unknown(&self, history: &History, reason: String) -> Judgement {
        self.judgement(history, Verdict::Unknown(reason.clone()), reason)
    }

    fn invalid(
        &self,
        history: &History,
        entries: &[Entry<Op>],
        broken: Broken,
        stop: &Stop<'_>,
    ) -> Judgement {
        let mut reason = broken.reason.clone();
        for (place, &index) in broken.operations.iter().enumerate() {
            let Entry { position, op, .. } = &entries[index as usize];
            let process = history.operations[*position as usize].process;
            let did = format!("process {process} {op}");
            reason = reason.replace(&format!("{{{place}}}"), &did);
        }
        let of = |indexes: &[u32]| -> Vec<&Entry<Op>> {
            indexes.iter().map(|&index| &entries[index as usize]).collect()
        };
        let ends = of(&broken.operations).into_iter().filter(|entry| entry.is_certain());
        let guess = ends.map(|entry| entry.ret - 1).max().unwrap_or(history.events);
        let broken_at_event = broken_at(history, entries, guess, stop);
        let part = counterexample(entries, &broken, broken_at_event, stop);
        let mut story = match part.operations.len() {
            ..=TOLD_MAX => tell(&EtcdStore, history, &of(&part.operations)),
            _ => tell(&EtcdStore, history, &of(&part.core)),
        };
        let others = part.operations.len() - story.len();
        if others > 0 {
            story.push(format!(
                "{others} other operations had the revisions that nobody else can have had."
            ));
        }
        story.push(format!("{reason}."));
        if !part.is_minimal {
            story.push("It was not found out whether all of these operations are needed.".into());
        }
        let positions = of(&part.operations).into_iter().map(|entry| entry.position).collect();
        let counterexample = Counterexample {
            key: None,
            operations: positions,
            story,
            broken_at_event,
            anomalies: Vec::new(),
        };
        self.judgement(history, Verdict::Invalid(counterexample), reason)
    }
}

impl Checker for EtcdHistory {
    fn name(&self) -> &str {
        "etcd"
    }

    fn summary(&self) -> &str {
        "every request of etcd's KV API, in the order of its revisions"
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        split(&EtcdStore, history, None).err()
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        if self.algorithm == Algorithm::Search {
            return self.search(history, limits, "search");
        }
        in_pool(limits.threads, || self.by_revisions(history, limits))
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

impl EtcdHistory {
    fn by_revisions(&self, history: &History, limits: &Limits) -> Judgement {
        let (start, stop) = (Instant::now(), Stop::new(limits));
        let entries = match entries(history) {
            Ok(entries) => entries,
            Err(misfit) => return self.unknown(history, misfit.to_string()),
        };
        let fits = stop.fits(entries.len() * BYTES_AN_OPERATION);
        let judgement = match fits.map_or_else(Ruling::Stopped, |()| rule(&entries, &stop)) {
            Ruling::Open => {
                let time = limits.time.map(|time| time.saturating_sub(start.elapsed()));
                self.search(history, &Limits { time, ..limits.clone() }, "revisions+search")
            }
            Ruling::Stopped(why) => {
                self.unknown(history, format!("the check by the revisions gave up: {why}"))
            }
            Ruling::Invalid(broken) => self.invalid(history, &entries, broken, &stop),
            Ruling::Valid(order) => self.valid(history, &entries, &order),
        };
        later(entries);
        judgement
    }

    fn valid(&self, history: &History, entries: &[Entry<Op>], order: &[u32]) -> Judgement {
        if let Err(why) = verify(entries, order) {
            let reason = format!("the verifier refused the order of the revisions: {why}");
            return self.unknown(history, reason);
        }
        let positions = order.iter().map(|&i| entries[i as usize].position).collect();
        let witness = Witness { orders: vec![(None, positions)] };
        let count = history.operations.len();
        let reason = format!("the order of the revisions explains all {count} operations");
        self.judgement(history, Verdict::Valid(witness), reason)
    }
}

pub(super) fn rule(entries: &[Entry<Op>], stop: &Stop<'_>) -> Ruling {
    let order = match Order::of(entries) {
        Sorted::Order(order) => order,
        Sorted::Broken(broken) => return Ruling::Invalid(broken),
        Sorted::Unordered => return Ruling::Open,
    };
    let (store, owners, sole) = match replay(&order, stop) {
        Filled::Done { store, owners, sole } => (store, owners, sole),
        Filled::Broken(broken) => return Ruling::Invalid(broken),
        Filled::Undecided => return Ruling::Open,
        Filled::Stopped(why) => return Ruling::Stopped(why),
    };
    let gaps = order.changes.iter().filter(|change| change.is_none()).count();
    let placed = place(&order, &store, &owners, stop);
    later(store);
    match placed {
        Placed::Order(order) => Ruling::Valid(order),
        // What has no place may have one if the gaps are filled in another way, or if more of
        // what is of unknown outcome happened.
        Placed::Broken { broken, sure } if sole && (sure || gaps == order.maybes.len()) => {
            Ruling::Invalid(broken)
        }
        Placed::Broken { .. } => Ruling::Open,
        Placed::Stopped(why) => Ruling::Stopped(why),
    }
}

/// Every operation in the model's terms.
fn entries(history: &History) -> Result<Vec<Entry<Op>>, MisfitAt> {
    let compile = |position: usize| entry_of(&EtcdStore, history, position as u32, None);
    let compiled: Vec<_> = (0..history.operations.len()).into_par_iter().map(compile).collect();
    compiled.into_iter().filter_map(Result::transpose).collect()
}

/// The same for what was known up to an event: what was open then is of unknown outcome.
fn known_until(
    history: &History,
    entries: &[Entry<Op>],
    event: u64,
) -> Result<Vec<Entry<Op>>, MisfitAt> {
    let mut whole = entries.iter().peekable();
    let mut known = Vec::with_capacity(entries.len());
    let begun = history.operations.iter().take_while(|operation| operation.invoke <= event);
    for (position, operation) in (0..).zip(begun) {
        let entry = whole.next_if(|entry| entry.position == position);
        if operation.complete.is_some_and(|end| end > event) {
            known.extend(entry_of(&EtcdStore, history, position, Some(event))?);
        } else {
            known.extend(entry.cloned());
        }
    }
    Ok(known)
}

/// The earliest event with which the history is wrong, `guess` being a good guess; `None` when the
/// revisions do not tell, or the limits ended it.
///
/// Every part of the history up to some event is right until that event, so the place is found by
/// doubling steps from the guess and then by halving: mostly by two looks, at the guess and just
/// before it.
fn broken_at(history: &History, entries: &[Entry<Op>], guess: u64, stop: &Stop<'_>) -> Option<u64> {
    let is_wrong = |event| match rule(&known_until(history, entries, event).ok()?, stop) {
        Ruling::Valid(_) => Some(false),
        Ruling::Invalid(_) => Some(true),
        Ruling::Open | Ruling::Stopped(_) => None,
    };
    let last = history.events.checked_sub(1)?;
    let guess = guess.min(last);
    let before = || guess.checked_sub(1).map_or(Some(false), is_wrong);
    let (mut right, mut wrong) = match rayon::join(|| is_wrong(guess), before) {
        (Some(true), Some(false)) => return Some(guess),
        (_, Some(true)) => (0, guess - 1),
        (Some(false), Some(false)) => (guess + 1, guess),
        _ => return None,
    };
    let mut step = 1;
    while wrong < right {
        wrong = (wrong + step).min(last);
        step *= 2;
        if !is_wrong(wrong)? {
            right = wrong + 1;
        }
        if right > last {
            return None;
        }
    }
    step = 1;
    while right < wrong {
        let probe = if step < wrong - right { wrong - step } else { right + (wrong - right) / 2 };
        if is_wrong(probe)? {
            wrong = probe;
            step = step.saturating_mul(2);
        } else {
            right = probe + 1;
            step = u64::MAX;
        }
    }
    Some(wrong)
}
