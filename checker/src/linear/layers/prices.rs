//! What indeterminate operations cost.
//!
//! A path that uses no class beyond what has begun pays, whatever the prices are, no more than what
//! has begun is worth. So if every path pays more at some moment, there is no order: the Lagrangian
//! bound of integer programming (Geoffrion 1974), for which a configuration needs to remember one
//! sum instead of a count for each class. Prices that prove it are sought by following the
//! cheapest path: what it overdraws becomes dearer, what it leaves over becomes cheaper.

use super::path::{self, Placed};
use super::plan::Plan;

/// What a member of a class costs at first, and at the most.
const FIRST: u32 = 16;
const MOST: u32 = 256;

/// A price for each class.
pub(super) struct Prices(Vec<u32>);

impl Prices {
    pub(super) fn new(plan: &Plan) -> Prices {
        Prices(vec![FIRST; plan.classes.len()])
    }

    pub(super) fn of_each(&self) -> &[u32] {
        &self.0
    }

    /// Learns from a path that was the cheapest.
    pub(super) fn follow(&mut self, plan: &Plan, steps: &[(u64, Placed)]) {
        let mut used = vec![0_usize; plan.classes.len()];
        for &(_, placed) in steps {
            if let Placed::Maybe(class) = placed {
                used[class as usize] += 1;
            }
        }
        let overdrawn = path::overdrawn(plan, steps);
        for (class, price) in self.0.iter_mut().enumerate() {
            if overdrawn.contains(&(class as u32)) {
                *price = (*price + *price / 2 + 1).min(MOST);
            } else if used[class] < plan.classes[class].members.len() {
                *price = *price * 3 / 4;
            }
        }
    }
}
