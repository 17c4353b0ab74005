//! One object, one decision: the choice of the algorithm, and the proof of what it says.

use super::attempts::{self, Attempts};
use super::blocks::{self, Conflict, Decision};
use super::layers;
use super::model::Model;
use super::object::{self, Entry, Object};
use super::refute::refute;
use super::search::{Answer, Budget, Found, Hint, search};
use super::story;
use super::verify::verify;
use crate::models::RegisterOp;
use crate::{Cost, Counterexample};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::time::{Duration, Instant};

/// What is said of a counterexample that time did not let be made minimal.
const NOT_FOUND_OUT: &str = "it was not found out whether all of them are needed for that";

/// Which algorithm decides linearizability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// `Blocks` where it decides; else `Layers` for registers, after a short attempt of `Search`;
    /// else `Search`.
    #[default]
    Auto,
    /// The near-linear algorithm for registers whose written values are all different.
    Blocks,
    /// The pass over a register's history, layer by layer.
    Layers,
    /// The general search.
    Search,
}

/// What was decided of one object.
pub(super) struct Ruling {
    pub(super) result: Result<Vec<u32>, Failure>,
    pub(super) algorithm: &'static str,
    pub(super) cost: Cost,
}

pub(super) enum Failure {
    Invalid(Box<Counterexample>, String),
    Unknown(String),
}

/// Configurations of a layer in the first attempt to refute a part of a counterexample.
const PART_WIDTH: usize = 256;

/// What an explanation may take: so many times as long as the decision, and this besides. The
/// first quarter of it may go into the event at which the history broke.
const EXPLAIN_TIMES: u32 = 4;
const EXPLAIN_LEAST: Duration = Duration::from_secs(6);

/// Operations up to which a counterexample about a failed cas is sought in all of the history; in
/// longer ones the operation that speaks for the writes left out stays, needed or not.
const WHOLE_MAX: usize = 10_000;

/// Configurations that the search's short attempt may cost, besides two for each operation.
const STRAIGHT_CONFIGURATIONS: u64 = 10_000;

/// A finding, before it is explained.
pub(super) enum Raw {
    Valid(Vec<u32>),
    /// The operations among which the contradiction is, and the end at which it was complete.
    Invalid(Option<Conflict>, u64, Hint),
    Unknown(String),
}

/// One object before the judge.
pub(super) struct Case<'a, M: Model> {
    pub(super) model: &'a M,
    pub(super) history: &'a History,
    pub(super) object: &'a Object<M::Op>,
    pub(super) algorithm: Algorithm,
    pub(super) budget: Budget<'a>,
}

impl<M: Model> Case<'_, M> {
    pub(super) fn rule(&self) -> Ruling {
        let entries = &self.object.entries;
        let start = Instant::now();
        let (raw, algorithm, mut cost) = decide(self.model, entries, self.algorithm, self.budget);
        let share = start.elapsed().saturating_mul(EXPLAIN_TIMES).saturating_add(EXPLAIN_LEAST);
        let result = match raw {
            Raw::Valid(order) => match verify(self.model, entries, &order) {
                Ok(()) => Ok(order.iter().map(|&i| entries[i as usize].position).collect()),
                Err(why) => Err(Failure::Unknown(format!(
                    "the verifier refused the witness of the algorithm {algorithm}: {why}"
                ))),
            },
            Raw::Unknown(why) => Err(Failure::Unknown(why)),
            Raw::Invalid(conflict, end, hint) => {
                let (counterexample, reason) =
                    self.explain((conflict, end, hint), &mut cost, share);
                Err(Failure::Invalid(Box::new(counterexample), reason))
            }
        };
        Ruling { result, algorithm, cost }
    }

    fn explain(
        &self,
        (conflict, end, hint): (Option<Conflict>, u64, Hint),
        cost: &mut Cost,
        share: Duration,
    ) -> (Counterexample, String) {
        let entries = &self.object.entries;
        let start = Instant::now();
        let broken = self.broken_at(end, conflict.as_ref(), &hint, self.within(start, share / 4));
        let shown = hint.times.map(|(_, until)| until);
        let last = broken.map(|event| event + 1).or(shown).unwrap_or(u64::MAX);
        let until = || (0..entries.len() as u32).filter(|&i| entries[i as usize].call <= last);
        // The operation that shows the value after a failed cas speaks for all the writes that are
        // left out: without it one of them could be the reason.
        let is_bounded = matches!(conflict, Some(Conflict::NotEqual(_, _, Some(_))));
        let bounded = conflict.as_ref().filter(|_| is_bounded && entries.len() > WHOLE_MAX);
        let ground = match &conflict {
            Some(conflict) if bounded.is_some() || !is_bounded => self.ground(conflict),
            _ => until().collect(),
        };
        let mut budget = self.within(start, share);
        budget.configurations = budget
            .configurations
            .min(attempts::CONFIGURATIONS.max(cost.configurations.saturating_mul(4)));
        let (thinned, hint) = self.thinned(&ground, hint, (start, share));
        let attempts = Attempts::new(self, hint, thinned.is_some(), budget);
        // Everything up to that event needs no second decision.
        let is_enough = conflict.is_none() || attempts.is_invalid(&ground);
        let ground = thinned.unwrap_or(if is_enough { ground } else { until().collect() });
        let (kept, is_minimal) =
            if bounded.is_some() { (ground, true) } else { attempts.shrink(ground) };
        let part: Vec<_> = kept.iter().map(|&i| entries[i as usize].clone()).collect();
        let mut tale = story::tell(self.model, self.history, &part.iter().collect::<Vec<_>>());
        let reason = match (bounded, registers(self.model, entries)) {
            (Some(conflict), Some(registers)) => story::explain(conflict, self.history, &registers),
            _ => self.reason(&part, is_minimal),
        };
        tale.push(sentence(&reason));
        let counterexample = Counterexample {
            key: self.object.key.clone(),
            operations: part.iter().map(|entry| entry.position).collect(),
            story: tale,
            broken_at_event: broken,
            anomalies: Vec::new(),
        };
        let named = match &self.object.key {
            Some(key) => {
                format!("{}: {reason}", key.as_str().map_or(key.to_string(), str::to_owned))
            }
            None => reason,
        };
        (counterexample, named)
    }

    /// Whether one pass shows that this part of the history is invalid, where passes were needed to
    /// show it of the whole.
    pub(super) fn is_refuted(
        &self,
        part: &[Entry<M::Op>],
        hint: &Hint,
        budget: Budget<'_>,
    ) -> bool {
        hint.times.is_some()
            && self.algorithm != Algorithm::Search
            && registers(self.model, part)
                .is_some_and(|part| layers::refutes(&part, PART_WIDTH, hint, budget))
    }

    /// The budget with no more time than `share` from `start` on.
    pub(super) fn within(&self, start: Instant, share: Duration) -> Budget<'_> {
        let end = start.checked_add(share);
        let deadline = self.budget.deadline.into_iter().chain(end).min();
        Budget { deadline, ..self.budget }
    }

    fn reason(&self, part: &[Entry<M::Op>], is_minimal: bool) -> String {
        if let Some(registers) = registers(self.model, part) {
            let conflict = match blocks::decide(&registers) {
                Decision::Invalid(conflict) => Some(conflict),
                _ => refute(&registers),
            };
            if let Some(conflict) = conflict {
                let told = story::explain(&conflict, self.history, &registers);
                return if is_minimal { told } else { format!("{told}; {NOT_FOUND_OUT}") };
            }
        }
        // What a person would blame is an answer, and of these the last; where no operation only
        // observes, the last of all.
        let last = part
            .iter()
            .filter(|entry| entry.is_certain())
            .max_by_key(|entry| (self.model.observes(&entry.op), entry.ret));
        match last {
            Some(last) => format!(
                "process {} {}, and no order of these {} operations explains that; {}",
                self.history.operations[last.position as usize].process,
                self.model.describe(&last.op),
                part.len(),
                if is_minimal {
                    "without any one of them the others have an order"
                } else {
                    NOT_FOUND_OUT
                }
            ),
            None => "no order explains these operations".to_owned(),
        }
    }

    /// The operations of a conflict, those that made the values that they saw, and for each of
    /// unknown outcome one that shows that it happened.
    fn ground(&self, conflict: &Conflict) -> Vec<u32> {
        let entries = &self.object.entries;
        let op = |index: u32| &entries[index as usize].op;
        let mut ground = conflict.operations();
        ground.sort_unstable();
        ground.dedup();
        let mut known: FxHashSet<u32> = ground.iter().copied().collect();
        let mut asked: FxHashSet<Value> = FxHashSet::default();
        if let Conflict::Overwritten { reader, .. } = conflict {
            // Of the many writes of its value the conflict names the one that counts.
            asked.extend(self.model.sees(op(*reader)));
        }
        let mut at = 0;
        while at < ground.len() {
            // One pass over all operations for all values that are new.
            let mut seen: FxHashMap<Value, Option<u32>> = FxHashMap::default();
            let mut made: FxHashMap<Value, Option<u32>> = FxHashMap::default();
            for &index in &ground[at..] {
                let values = self.model.sees(op(index)).into_iter();
                seen.extend(values.filter(|v| asked.insert(v.clone())).map(|value| (value, None)));
                if !entries[index as usize].is_certain() {
                    made.extend(self.model.makes(op(index)).into_iter().map(|value| (value, None)));
                }
            }
            at = ground.len();
            self.find_makers(&mut seen);
            self.find_seers(&mut made);
            let found = seen.into_values().chain(made.into_values()).flatten();
            ground.extend(found.filter(|&index| known.insert(index)));
        }
        ground.sort_unstable();
        ground
    }

    /// Who made each of these values, the last of them where there are many.
    fn find_makers(&self, wanted: &mut FxHashMap<Value, Option<u32>>) {
        if wanted.is_empty() {
            return;
        }
        for (index, entry) in (0..).zip(&self.object.entries) {
            for value in self.model.makes(&entry.op) {
                if let Some(maker) = wanted.get_mut(&value) {
                    *maker = Some(index);
                }
            }
        }
    }

    /// The first who surely saw each of these values.
    fn find_seers(&self, wanted: &mut FxHashMap<Value, Option<u32>>) {
        if wanted.is_empty() {
            return;
        }
        let entries = &self.object.entries;
        for (index, entry) in (0..).zip(entries) {
            for value in self.model.sees(&entry.op) {
                if let Some(seer) = wanted.get_mut(&value)
                    && seer.is_none_or(|seer| entry.ret < entries[seer as usize].ret)
                {
                    *seer = Some(index);
                }
            }
        }
    }

    /// The earliest event with which the object's history is invalid; `end` is a good guess.
    ///
    /// Every part of an invalid history up to some event is invalid from that event on, so the
    /// place is found by doubling steps from the guess and then by halving: O(log n) decisions,
    /// two when the guess is right, or one when it is sure. `None` when the budget is too small.
    fn broken_at(
        &self,
        end: u64,
        conflict: Option<&Conflict>,
        hint: &Hint,
        budget: Budget<'_>,
    ) -> Option<u64> {
        let guess = end.checked_sub(1)?;
        // The completion of a failed operation counts too, so the last event is the history's.
        let last = self.history.events.checked_sub(1)?.max(guess);
        let (mut valid, mut invalid) = (None, last);
        let mut step = 1;
        let mut probe = guess;
        loop {
            let sure = probe == guess && self.is_complete_at(guess, conflict);
            if sure || self.is_invalid_until(probe, hint, budget)? {
                invalid = probe;
                let next = probe.saturating_sub(step);
                if valid.is_some() || probe == 0 {
                    break;
                }
                probe = next;
            } else {
                valid = Some(probe);
                if invalid < last || probe == last {
                    break;
                }
                probe = (probe + step).min(last);
            }
            step *= 2;
        }
        let mut valid = valid.map_or(0, |event| event + 1);
        while valid < invalid {
            let middle = valid + (invalid - valid) / 2;
            if self.is_invalid_until(middle, hint, budget)? {
                invalid = middle;
            } else {
                valid = middle + 1;
            }
        }
        Some(invalid)
    }

    /// Whether the contradiction stood at `event` without any help from what came later: all that
    /// it names had ended, and nothing was open that failed afterwards.
    fn is_complete_at(&self, event: u64, conflict: Option<&Conflict>) -> bool {
        let Some(conflict) = conflict else { return false };
        let ended = |index: u32| self.object.entries[index as usize].ret <= event + 1;
        let failed_later = |operation: &Operation| {
            operation.outcome == Outcome::Fail
                && operation.complete.is_some_and(|complete| complete > event)
        };
        let mut begun =
            self.history.operations.iter().take_while(|operation| operation.invoke <= event);
        conflict.operations().into_iter().all(ended) && !begun.any(failed_later)
    }

    /// Whether what was known at `event` was invalid already; `None` when that cannot be told.
    fn is_invalid_until(&self, event: u64, hint: &Hint, budget: Budget<'_>) -> Option<bool> {
        let known = self.object.entries.iter().filter(|entry| entry.ret <= event + 1);
        let mut entries: Vec<Entry<M::Op>> = known.cloned().collect();
        // Whatever was open then may have happened, also what failed in the end.
        for (position, operation) in (0..).zip(&self.history.operations) {
            if operation.invoke > event {
                break;
            }
            let is_open = operation.outcome == Outcome::Info
                || operation.complete.is_none_or(|complete| complete > event);
            let is_ours = self.model.spans_keys() || operation.key == self.object.key;
            if is_open && is_ours {
                entries
                    .extend(object::entry(self.model, self.history, position, Some(event)).ok()?);
            }
        }
        entries.sort_by_key(|entry| entry.call);
        if self.is_refuted(&entries, hint, budget) {
            return Some(true);
        }
        match decide(self.model, &entries, self.algorithm, budget).0 {
            Raw::Valid(_) => Some(false),
            Raw::Invalid(..) => Some(true),
            Raw::Unknown(_) => None,
        }
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

/// The entries as those of a register, if they are.
pub(super) fn registers<'a, M: Model>(
    model: &M,
    entries: &'a [Entry<M::Op>],
) -> Option<Vec<Entry<&'a RegisterOp>>> {
    entries
        .iter()
        .map(|entry| {
            let op = model.as_register(&entry.op)?;
            Some(Entry { position: entry.position, call: entry.call, ret: entry.ret, op })
        })
        .collect()
}

pub(super) fn decide<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    algorithm: Algorithm,
    budget: Budget<'_>,
) -> (Raw, &'static str, Cost) {
    if algorithm != Algorithm::Search
        && let Some(registers) = registers(model, entries)
    {
        let decision = match algorithm {
            Algorithm::Layers => Decision::Undecided,
            _ => blocks::decide(&registers),
        };
        match decision {
            Decision::Valid(order) => return (Raw::Valid(order), "blocks", Cost::default()),
            Decision::Invalid(conflict) => return conflicting(entries, conflict, "blocks"),
            Decision::Undecided => {}
        }
        if algorithm == Algorithm::Auto
            && let Some(conflict) = refute(&registers)
        {
            return conflicting(entries, conflict, "sweep");
        }
        if algorithm == Algorithm::Auto {
            let found = search(model, entries, straight(entries.len(), budget));
            if !matches!(found.answer, Answer::Unknown { .. }) {
                return raw(found, "search");
            }
        }
        if matches!(algorithm, Algorithm::Auto | Algorithm::Layers) {
            let found = layers::sweep(&registers, budget);
            // What is too wide for it may yet be found on a straight path.
            if algorithm == Algorithm::Layers || !layers::is_too_wide(&found) {
                return raw(found, "layers");
            }
        }
    }
    if algorithm == Algorithm::Blocks {
        let why = "the algorithm blocks needs a register whose written values are all different";
        return (Raw::Unknown(why.to_owned()), "blocks", Cost::default());
    }
    raw(search(model, entries, budget), "search")
}

/// Enough for the search if its path is nearly straight, as it is where few operations are open at
/// once or none is indeterminate: then it is several times faster than the layers.
fn straight(entries: usize, budget: Budget<'_>) -> Budget<'_> {
    let configurations = budget.configurations.min(STRAIGHT_CONFIGURATIONS + 2 * entries as u64);
    Budget { configurations, ..budget }
}

/// What a search found, and what it cost.
fn raw(found: Found, algorithm: &'static str) -> (Raw, &'static str, Cost) {
    let Found { answer, configurations, memory_bytes, hint } = found;
    let raw = match answer {
        Answer::Valid(order) => Raw::Valid(order),
        Answer::Invalid(reached) => Raw::Invalid(None, reached, hint),
        Answer::Unknown { why, placed, certain } => Raw::Unknown(format!(
            "the search gave up, {why}: it had placed {placed} of {certain} operations at best, \
             after {configurations} configurations in {} MiB",
            memory_bytes >> 20
        )),
    };
    (raw, algorithm, Cost { configurations, memory_bytes_max: memory_bytes })
}

/// The contradiction, and the end at which it was complete.
fn conflicting<Op>(
    entries: &[Entry<Op>],
    conflict: Conflict,
    algorithm: &'static str,
) -> (Raw, &'static str, Cost) {
    let concerned = conflict.operations().into_iter().map(|i| &entries[i as usize]);
    let end = concerned.map(|entry| if entry.is_certain() { entry.ret } else { entry.call }).max();
    (Raw::Invalid(Some(conflict), end.unwrap_or(0), Hint::default()), algorithm, Cost::default())
}
