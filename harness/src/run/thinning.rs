//! Which operations of a workload are done less often than it would, or not at all.
//!
//! A run without reads goes deeper into the writes, and the other way round: swarm testing, of the
//! operations in place of the faults.

use crate::seed;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How many of a hundred operations of a function are left out.
const LEFT_OUT_PERCENT: [u32; 6] = [0, 0, 0, 50, 90, 100];

/// What of each function is left out.
pub struct Thinning {
    seed: u64,
    drawn: RefCell<BTreeMap<&'static str, u32>>,
}

impl Thinning {
    /// What this seed leaves out.
    pub fn new(seed: u64) -> Thinning {
        Thinning { seed, drawn: RefCell::default() }
    }

    /// Whether this operation is. How many of a function are flows from the seed and its name
    /// alone, in whatever order the functions come.
    pub fn leaves_out(&self, f: &'static str, rng: &mut ChaCha8Rng) -> bool {
        let mut drawn = self.drawn.borrow_mut();
        let percent = *drawn.entry(f).or_insert_with(|| {
            let mut rng = seed::stream(self.seed, &format!("thinning/{f}"));
            LEFT_OUT_PERCENT.choose(&mut rng).copied().unwrap_or(0)
        });
        rng.random_range(0..100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn some_functions_are_left_out_by_some_seeds_and_the_order_of_asking_is_no_matter() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut count =
            |thinning: &Thinning, f| (0..200).filter(|_| thinning.leaves_out(f, &mut rng)).count();
        let (mut whole, mut none) = (0, 0);
        for seed in 0..40 {
            let (one, other) = (Thinning::new(seed), Thinning::new(seed));
            let (read, write) = (count(&one, "read"), count(&one, "write"));
            let (again, before) = (count(&other, "write"), count(&other, "read"));
            assert!(read.abs_diff(before) < 60 && write.abs_diff(again) < 60, "seed {seed}");
            whole += usize::from(read == 0);
            none += usize::from(read == 200);
        }
        assert!(whole > 5 && none > 1, "{whole} seeds left none out and {none} all");
    }
}
