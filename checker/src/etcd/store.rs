//! The whole store, by its revisions: near-linear where the answers tell the order, else by the
//! general search.

use super::Broken;
use super::fill::{Filled, replay};
use super::order::{Op, Order, Sorted};
use super::place::{Placed, place};
use super::verify::verify;
use crate::linear::{Algorithm, Entry, Linearizable, MisfitAt, split, tell};
use crate::models::EtcdStore;
use crate::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;

/// Holds a history of requests of etcd's KV API against the store that they were made of.
///
/// A counterexample names the operations that the broken rule is about. That no other request had
/// a revision between is the whole history's to show, as every revision is accounted for.
#[derive(Clone, Copy, Debug, Default)]
pub struct EtcdHistory {
    algorithm: Algorithm,
}

/// What the revisions say.
enum Ruling {
    /// Indexes into the entries.
    Valid(Vec<u32>),
    Invalid(Broken),
    /// They do not tell: a change without one, or too many ways to fill the gaps.
    Open,
}

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

    fn invalid(&self, history: &History, entries: &[Entry<Op>], broken: Broken) -> Judgement {
        let mut reason = broken.reason;
        for (place, &index) in broken.operations.iter().enumerate() {
            let Entry { position, op, .. } = &entries[index as usize];
            let process = history.operations[*position as usize].process;
            let did = format!("process {process} {op}");
            reason = reason.replace(&format!("{{{place}}}"), &did);
        }
        let mut part: Vec<&Entry<Op>> =
            broken.operations.iter().map(|&index| &entries[index as usize]).collect();
        part.sort_by_key(|entry| entry.position);
        part.dedup_by_key(|entry| entry.position);
        let mut story = tell(&EtcdStore, history, &part);
        story.push(format!("{reason}."));
        let ends = part.iter().filter(|entry| entry.is_certain()).map(|entry| entry.ret - 1);
        let guess = ends.max().unwrap_or(history.events);
        let counterexample = Counterexample {
            key: None,
            operations: part.iter().map(|entry| entry.position).collect(),
            story,
            broken_at_event: broken_at(history, guess),
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
        let entries = match entries(history, None) {
            Ok(entries) => entries,
            Err(misfit) => {
                let reason = misfit.to_string();
                return self.judgement(history, Verdict::Unknown(reason.clone()), reason);
            }
        };
        if self.algorithm == Algorithm::Search {
            return self.search(history, limits, "search");
        }
        match rule(&entries) {
            Ruling::Open => self.search(history, limits, "revisions+search"),
            Ruling::Invalid(broken) => self.invalid(history, &entries, broken),
            Ruling::Valid(order) => {
                if let Err(why) = verify(&entries, &order) {
                    let reason = format!("the verifier refused the order of the revisions: {why}");
                    return self.judgement(history, Verdict::Unknown(reason.clone()), reason);
                }
                let positions = order.iter().map(|&i| entries[i as usize].position).collect();
                let witness = Witness { orders: vec![(None, positions)] };
                let count = history.operations.len();
                let reason = format!("the order of the revisions explains all {count} operations");
                self.judgement(history, Verdict::Valid(witness), reason)
            }
        }
    }
}

fn rule(entries: &[Entry<Op>]) -> Ruling {
    let order = match Order::of(entries) {
        Sorted::Order(order) => order,
        Sorted::Broken(broken) => return Ruling::Invalid(broken),
        Sorted::Unordered => return Ruling::Open,
    };
    let (store, owners, sole) = match replay(&order) {
        Filled::Done { store, owners, sole } => (store, owners, sole),
        Filled::Broken(broken) => return Ruling::Invalid(broken),
        Filled::Undecided => return Ruling::Open,
    };
    let gaps = order.changes.iter().filter(|change| change.is_none()).count();
    match place(&order, &store, &owners) {
        Placed::Order(order) => Ruling::Valid(order),
        // What has no place may have one if the gaps are filled in another way, or if more of
        // what is of unknown outcome happened.
        Placed::Broken { broken, sure } if sole && (sure || gaps == order.maybes.len()) => {
            Ruling::Invalid(broken)
        }
        Placed::Broken { .. } => Ruling::Open,
    }
}

fn entries(history: &History, until: Option<u64>) -> Result<Vec<Entry<Op>>, MisfitAt> {
    let objects = split(&EtcdStore, history, until)?;
    Ok(objects.into_iter().next().map_or_else(Vec::new, |object| object.entries))
}

/// The earliest event with which the history is wrong, `guess` being a good guess; `None` when the
/// revisions do not tell.
///
/// Every part of the history up to some event is right until that event, so the place is found by
/// doubling steps from the guess and then by halving: mostly two looks.
fn broken_at(history: &History, guess: u64) -> Option<u64> {
    let is_wrong = |event| match rule(&entries(history, Some(event)).ok()?) {
        Ruling::Valid(_) => Some(false),
        Ruling::Invalid(_) => Some(true),
        Ruling::Open => None,
    };
    let last = history.events.checked_sub(1)?;
    let (mut right, mut wrong) = (0, guess.min(last));
    let mut step = 1;
    while wrong < last && !is_wrong(wrong)? {
        right = wrong + 1;
        wrong = (wrong + step).min(last);
        step = step.saturating_mul(2);
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
