//! What the search works on in place of states and operations: numbers, and tokens for
//! fingerprints.

use crate::linear::model::Model;
use rustc_hash::FxHashMap;

pub(super) const NONE: u32 = u32::MAX;

/// States and classes of equal operations by number, and the steps between them.
pub(super) struct Space<'a, M: Model> {
    pub(super) model: &'a M,
    pub(super) states: Vec<M::State>,
    pub(super) numbers: FxHashMap<M::State, u32>,
    pub(super) ops: Vec<M::Op>,
    pub(super) observes: Vec<bool>,
    pub(super) steps: FxHashMap<(u32, u32), u32>,
}

impl<M: Model> Space<'_, M> {
    /// The state after `class` in `state`, or `NONE`.
    pub(super) fn step(&mut self, state: u32, class: u32) -> u32 {
        if let Some(&next) = self.steps.get(&(state, class)) {
            return next;
        }
        let op = &self.ops[class as usize];
        let next = match self.model.step(&self.states[state as usize], op) {
            Some(next) => self.number(next),
            None => NONE,
        };
        self.steps.insert((state, class), next);
        next
    }

    pub(super) fn number(&mut self, state: M::State) -> u32 {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        let number = self.states.len() as u32;
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        number
    }
}

/// The token of the first `used` members of a class of indeterminate operations.
pub(super) fn maybe_token(class: u32, used: usize) -> u128 {
    if used == 0 { 0 } else { token(2, (u64::from(class) << 32) | used as u64) }
}

/// A pseudo-random number for each thing that can be in a configuration (SplitMix64, twice).
pub(super) fn token(kind: u64, number: u64) -> u128 {
    let mix = |seed: u64| {
        let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1656_67b1_9e37_79f9);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let low = mix(number ^ (kind << 62));
    let high = mix(low ^ number.rotate_left(17) ^ (kind << 40) ^ 0x5851_f42d_4c95_7f2d);
    (u128::from(high) << 64) | u128::from(low)
}
