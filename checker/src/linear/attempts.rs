//! Attempts at a smaller counterexample: which parts of it are still invalid.

use super::decide::{Algorithm, Case, Raw, decide};
use super::minimize::{minimize, minimize_singly};
use super::model::Model;
use super::search::{Budget, Hint};
use super::trials::Trials;
use std::cell::{Cell, RefCell};

/// Configurations that one attempt may cost, at the least.
pub(super) const CONFIGURATIONS: u64 = 20_000;

/// Configurations for each operation that decide whatever is easy to decide.
const EASY: u64 = 64;

/// How many times as much as the last part that was decided an attempt may cost, before all have
/// been made once.
const TIMES: u64 = 8;

pub(super) struct Attempts<'a, M: Model> {
    case: &'a Case<'a, M>,
    budget: Budget<'a>,
    hint: RefCell<Hint>,
    /// Whether the pass that the hint tells of needs nearly all of what there is.
    is_thin: bool,
    configurations: Cell<u64>,
    /// Whether every smaller part that was tried was decided.
    is_minimal: Cell<bool>,
    trials: RefCell<Trials<'a, M>>,
}

impl<'a, M: Model> Attempts<'a, M> {
    pub(super) fn new(
        case: &'a Case<'a, M>,
        hint: Hint,
        is_thin: bool,
        budget: Budget<'a>,
    ) -> Self {
        Attempts {
            case,
            budget,
            hint: RefCell::new(hint),
            is_thin,
            configurations: Cell::new(budget.configurations),
            is_minimal: Cell::new(true),
            trials: RefCell::new(Trials::new(case.model, &case.object.entries)),
        }
    }

    /// Whether this part (indexes into the entries, ascending) is invalid; `false` where that
    /// cannot be told, too.
    pub(super) fn is_invalid(&self, kept: &[u32]) -> bool {
        if self.trials.borrow_mut().is_valid(kept) {
            return false;
        }
        let raw = self.attempt(kept);
        match &raw {
            Raw::Valid(order) => self.trials.borrow_mut().found(kept, order),
            Raw::Unknown(_) => self.is_minimal.set(false),
            Raw::Invalid(..) => {}
        }
        matches!(raw, Raw::Invalid(..))
    }

    fn attempt(&self, kept: &[u32]) -> Raw {
        let entries = &self.case.object.entries;
        let part: Vec<_> = kept.iter().map(|&i| entries[i as usize].clone()).collect();
        let decide = |configurations: u64| {
            let configurations = configurations.min(self.budget.configurations);
            let budget = Budget { configurations, ..self.budget };
            decide(self.case.model, &part, Algorithm::Auto, budget)
        };
        if self.is_thin {
            let raw = decide(CONFIGURATIONS.max(EASY * part.len() as u64)).0;
            if !matches!(raw, Raw::Unknown(_)) {
                return raw;
            }
        }
        if self.case.is_refuted(&part, &self.hint.borrow(), self.budget) {
            return Raw::Invalid(None, 0, Hint::default());
        }
        let (raw, _, cost) = decide(self.configurations.get());
        if let Raw::Invalid(_, _, hint) = &raw
            && self.is_thin
            && hint.times.is_some()
        {
            // What shows it of this part is nearer to what shows it of the next.
            self.hint.replace(hint.clone());
            self.configurations.set(CONFIGURATIONS.max(TIMES * cost.configurations));
        }
        raw
    }

    /// The smallest part that was found, and whether it is known to be minimal.
    pub(super) fn shrink(&self, ground: Vec<u32>) -> (Vec<u32>, bool) {
        let (model, entries) = (self.case.model, &self.case.object.entries);
        let try_part = |part: &[u32]| {
            if self.budget.spent().is_some() {
                self.is_minimal.set(false);
                return None;
            }
            Some(self.is_invalid(part))
        };
        self.is_minimal.set(true);
        if !self.is_thin {
            return (minimize(model, entries, ground, try_part), self.is_minimal.get());
        }
        let mut kept = minimize_singly(model, entries, ground, try_part);
        if !self.is_minimal.get() && self.budget.spent().is_none() {
            // Those that were given up early once more.
            self.configurations.set(self.budget.configurations);
            self.is_minimal.set(true);
            kept = minimize_singly(model, entries, kept, try_part);
        }
        (kept, self.is_minimal.get())
    }
}
