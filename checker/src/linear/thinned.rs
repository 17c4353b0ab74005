//! What a long pass that refutes a history needs for that, before single operations are tried.

use super::decide::{Case, registers};
use super::gaps::Gaps;
use super::layers;
use super::minimize::LARGE;
use super::model::Model;
use super::search::Hint;
use std::time::{Duration, Instant};

/// How many operations are left out at once, fewer each time: of all, and of those that observe.
const GAPS: [usize; 6] = [4096, 1024, 256, 64, 16, 4];
const OBSERVERS: [usize; 3] = [16, 4, 1];

impl<M: Model> Case<'_, M> {
    /// Less than `ground`, if the pass that the hint tells of refutes less; `None` where there was
    /// no such pass or little to go through. It has three quarters of the `share` of time from
    /// `start` on.
    pub(super) fn thinned(
        &self,
        ground: &[u32],
        hint: &Hint,
        (start, share): (Instant, Duration),
    ) -> Option<Vec<u32>> {
        if hint.times.is_none() || ground.len() < LARGE {
            return None;
        }
        let entries = &self.object.entries;
        let part = |kept: &[u32]| -> Vec<_> {
            kept.iter().map(|&index| entries[index as usize].clone()).collect()
        };
        let budget = self.within(start, share / 4 * 3);
        let mut kept = ground.to_vec();
        let lengths = GAPS.map(|length| (length, false)).into_iter();
        for (length, observe) in lengths.chain(OBSERVERS.map(|length| (length, true))) {
            let part = part(&kept);
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
        (is_less && self.is_refuted(&part(&kept), hint, self.within(start, share))).then_some(kept)
    }
}
