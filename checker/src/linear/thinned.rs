//! What a long pass that refutes a history needs for that, before single operations are tried.

use super::decide::{Algorithm, Case, Raw, decide, registers};
use super::gaps::Gaps;
use super::layers;
use super::minimize::LARGE;
use super::model::Model;
use super::object::Entry;
use super::search::{Budget, Hint};
use std::time::{Duration, Instant};

/// How many operations are left out at once, fewer each time: of all, and of those that observe.
const GAPS: [usize; 6] = [4096, 1024, 256, 64, 16, 4];
const OBSERVERS: [usize; 3] = [16, 4, 1];

impl<M: Model> Case<'_, M> {
    /// Less than `ground`, if the pass that the hint tells of refutes less, and what refutes that;
    /// `None` where there was no such pass or little to go through. What is left is decided anew,
    /// which tells of another pass, and thinned again. It has three quarters of the `share` of time
    /// from `start` on.
    pub(super) fn thinned(
        &self,
        ground: &[u32],
        mut hint: Hint,
        (start, share): (Instant, Duration),
    ) -> (Option<Vec<u32>>, Hint) {
        if hint.times.is_none() || ground.len() < LARGE {
            return (None, hint);
        }
        let budget = self.within(start, share / 4 * 3);
        // What was thinned when the time is up has to be shown yet.
        let budgets = (budget, self.within(start, share));
        let mut kept = None;
        if !self.is_refuted(&self.part(ground), &hint, budget) {
            // It was shown with what came after this ground.
            let Some(fresh) = self.decided_anew(ground, budget) else { return (None, hint) };
            hint = fresh;
        }
        while let Some(less) = self.thinner(kept.as_deref().unwrap_or(ground), &hint, budgets) {
            let fresh = self.decided_anew(&less, budget);
            kept = Some(less);
            let Some(fresh) = fresh else { break };
            hint = fresh;
        }
        (kept, hint)
    }

    fn part(&self, kept: &[u32]) -> Vec<Entry<M::Op>> {
        kept.iter().map(|&index| self.object.entries[index as usize].clone()).collect()
    }

    /// What shows that this part is invalid, if that takes a pass.
    fn decided_anew(&self, kept: &[u32], budget: Budget<'_>) -> Option<Hint> {
        match decide(self.model, &self.part(kept), Algorithm::Auto, budget).0 {
            Raw::Invalid(None, _, hint) => hint.times.is_some().then_some(hint),
            _ => None,
        }
    }

    /// What is left of `ground` when it was thinned once, if that is less and refuted.
    fn thinner(
        &self,
        ground: &[u32],
        hint: &Hint,
        (budget, proof): (Budget<'_>, Budget<'_>),
    ) -> Option<Vec<u32>> {
        let mut kept = ground.to_vec();
        let lengths = GAPS.map(|length| (length, false)).into_iter();
        for (length, observe) in lengths.chain(OBSERVERS.map(|length| (length, true))) {
            let part = self.part(&kept);
            let part = registers(self.model, &part)?;
            let gaps = Gaps::new(&part);
            let gone = if observe {
                layers::thin(&part, hint, budget, gaps.observers(length))
            } else {
                layers::thin(&part, hint, budget, gaps.of(length))
            };
            let mut gone = gone.into_iter();
            kept.retain(|_| !gone.next().unwrap_or(false));
        }
        let is_less = kept.len() < ground.len();
        let is_refuted = is_less && self.is_refuted(&self.part(&kept), hint, proof);
        is_refuted.then_some(kept)
    }
}
