//! Which values the operations that are left still name, for models of a register.

use super::space::{NONE, Names, Space};
use super::{Certain, Maybe};
use crate::linear::model::Model;

/// Counts, by the numbers of values.
#[derive(Default)]
pub(super) struct Named {
    /// Operations left that see or avoid the value.
    counts: Vec<u32>,
    /// Operations left that only avoid a value: any write may be what they wait for.
    negatives: u32,
    /// Indeterminate operations, as places in the search's list, by the value that they make.
    makers: Vec<Vec<u32>>,
}

impl Named {
    pub(super) fn new<M: Model>(
        space: &Space<'_, M>,
        certain: &[Certain],
        maybes: &[Maybe],
    ) -> Self {
        let mut named = Named::default();
        if !space.is_register() {
            return named;
        }
        for op in certain {
            named.recall(&space.names[op.class as usize]);
        }
        for (place, maybe) in maybes.iter().enumerate() {
            let names = &space.names[maybe.class as usize];
            maybe.members.iter().for_each(|_| named.recall(names));
            for &value in &names.makes {
                if named.makers.len() <= value as usize {
                    named.makers.resize_with(value as usize + 1, Vec::new);
                }
                named.makers[value as usize].push(place as u32);
            }
        }
        named
    }

    /// Whether any operation that is left sees or avoids the value.
    pub(super) fn is_named(&self, value: u32) -> bool {
        self.counts.get(value as usize).is_some_and(|&count| count > 0)
    }

    /// Whether every operation that is left waits for a value, if for anything.
    pub(super) fn is_positive(&self) -> bool {
        self.negatives == 0
    }

    /// An operation with these names is left no more.
    pub(super) fn forget(&mut self, names: &Names) {
        self.negatives -= u32::from(names.is_negative());
        for &value in names.sees.iter().chain(&names.avoids) {
            self.counts[value as usize] -= 1;
        }
    }

    /// An operation with these names is left (again).
    pub(super) fn recall(&mut self, names: &Names) {
        self.negatives += u32::from(names.is_negative());
        for &value in names.sees.iter().chain(&names.avoids) {
            if self.counts.len() <= value as usize {
                self.counts.resize(value as usize + 1, 0);
            }
            self.counts[value as usize] += 1;
        }
    }

    /// The indeterminate operations whose value one of the `waiting` classes sees, directly or by
    /// way of others; all of them when one waits for the `shown` value to be gone.
    ///
    /// `open` gives the class of an indeterminate operation that may be applied.
    pub(super) fn wanted(
        &self,
        names: &[Names],
        waiting: impl Iterator<Item = u32>,
        shown: u32,
        open: impl Fn(u32) -> Option<u32>,
    ) -> Vec<u32> {
        let mut values: Vec<u32> = Vec::new();
        for class in waiting {
            let names = &names[class as usize];
            if names.is_negative() && names.avoids.contains(&shown) {
                let mut all: Vec<u32> = self.makers.iter().flatten().copied().collect();
                all.sort_unstable();
                all.dedup();
                return all;
            }
            values.extend(names.sees.iter().filter(|&&value| value != shown));
        }
        let mut found: Vec<u32> = Vec::new();
        let mut seen: Vec<u32> = Vec::new();
        while let Some(value) = values.pop() {
            if value == NONE || seen.contains(&value) {
                continue;
            }
            seen.push(value);
            for &maker in self.makers.get(value as usize).into_iter().flatten() {
                let Some(class) = open(maker).filter(|_| !found.contains(&maker)) else { continue };
                found.push(maker);
                let sees = &names[class as usize].sees;
                values.extend(sees.iter().filter(|&&value| value != shown));
            }
        }
        found.sort_unstable();
        found
    }
}
