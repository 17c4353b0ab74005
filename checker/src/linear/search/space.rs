//! What the search works on in place of states and operations: numbers, and tokens for
//! fingerprints.

use crate::linear::model::Model;
use ordeal_history::Value;
use rustc_hash::FxHashMap;

pub(super) const NONE: u32 = u32::MAX;

/// States and classes of equal operations by number, and the steps between them.
pub(super) struct Space<'a, M: Model> {
    pub(super) model: &'a M,
    pub(super) states: Vec<M::State>,
    pub(super) numbers: FxHashMap<M::State, u32>,
    /// What all states take, in bytes.
    pub(super) state_bytes: usize,
    pub(super) ops: Vec<M::Op>,
    pub(super) observes: Vec<bool>,
    pub(super) steps: FxHashMap<(u32, u32), u32>,
    /// Values by number, as far as operations name them.
    pub(super) values: FxHashMap<Value, u32>,
    /// The value that each state shows, for models of a register; else `NONE`.
    pub(super) shown: Vec<u32>,
    pub(super) names: Vec<Names>,
}

/// The values that a class of operations names, by number.
#[derive(Default)]
pub(super) struct Names {
    pub(super) makes: Vec<u32>,
    pub(super) sees: Vec<u32>,
    pub(super) avoids: Vec<u32>,
}

impl Names {
    /// Whether it only says what it did not see.
    pub(super) fn is_negative(&self) -> bool {
        self.sees.is_empty() && !self.avoids.is_empty()
    }

    /// Whether it is legal everywhere and leaves the same state behind.
    pub(super) fn overwrites(&self) -> bool {
        !self.makes.is_empty() && self.sees.is_empty() && self.avoids.is_empty()
    }
}

impl<'a, M: Model> Space<'a, M> {
    pub(super) fn new(model: &'a M) -> Self {
        Space {
            model,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            state_bytes: 0,
            ops: Vec::new(),
            observes: Vec::new(),
            steps: FxHashMap::default(),
            values: FxHashMap::default(),
            shown: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Whether the model is one of a register (see [`Model::shows`]).
    pub(super) fn is_register(&self) -> bool {
        self.shown.first().is_some_and(|&value| value != NONE)
    }

    /// A new class of operations.
    pub(super) fn class(&mut self, op: &M::Op) -> u32 {
        self.ops.push(op.clone());
        self.observes.push(self.model.observes(op));
        let mut names = Names::default();
        if self.is_register() {
            names.makes = self.values(self.model.makes(op));
            names.sees = self.values(self.model.sees(op));
            names.avoids = self.values(self.model.avoids(op));
        }
        self.names.push(names);
        self.ops.len() as u32 - 1
    }

    fn values(&mut self, values: Vec<Value>) -> Vec<u32> {
        values.into_iter().map(|value| self.value(value)).collect()
    }

    fn value(&mut self, value: Value) -> u32 {
        let next = self.values.len() as u32;
        *self.values.entry(value).or_insert(next)
    }

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
        let shown = self.model.shows(&state).map_or(NONE, |value| self.value(value));
        self.shown.push(shown);
        self.state_bytes += self.model.state_bytes(&state);
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
