//! What indeterminate operations cost.
//!
//! A path that uses no class beyond what has begun pays, whatever the prices are, no more than what
//! has begun is worth. So if every path pays more at some moment, there is no order: the Lagrangian
//! bound of integer programming (Geoffrion 1974), for which a configuration needs to remember one
//! sum instead of a count for each class. Prices that prove it are sought by following the
//! cheapest path: what it overdraws becomes dearer, what it leaves over becomes cheaper, each time
//! by smaller steps, since equal ones go to and fro (Held, Wolfe and Crowder 1974).

use super::path::Placed;
use super::plan::Plan;

/// What a member of a class costs at first, at the least, and at the most. Sums of them are of 64
/// bits, which no history fills.
const FIRST: u32 = 1 << 12;
const LEAST: u32 = 1 << 4;
const MOST: u32 = 1 << 20;

/// A price for each class.
pub(super) struct Prices(Vec<u32>);

impl Prices {
    pub(super) fn new(plan: &Plan) -> Prices {
        Prices(vec![FIRST; plan.classes.len()])
    }

    pub(super) fn of_each(&self) -> &[u32] {
        &self.0
    }

    /// Learns from the path that was the cheapest in this pass, the first of which is 0.
    pub(super) fn follow(&mut self, plan: &Plan, steps: &[(u64, Placed)], pass: u32) {
        for (price, change) in self.0.iter_mut().zip(shortages(plan, steps)) {
            // At most doubled or halved at first, and by a fourth after six passes.
            let part = i64::from(*price) * 4 * change.short / (change.of * i64::from(4 + 2 * pass));
            let next = i64::from(*price) + if part < 0 { part / 2 } else { part };
            *price = next.clamp(i64::from(LEAST), i64::from(MOST)) as u32;
        }
    }
}

/// By how many members a class was short, below 0 what it had left, of how many.
#[derive(Clone, Copy)]
struct Shortage {
    short: i64,
    of: i64,
}

/// The worst of each class: at the moment when it lacked the most, or else in the end.
fn shortages(plan: &Plan, steps: &[(u64, Placed)]) -> Vec<Shortage> {
    let mut used = vec![0_i64; plan.classes.len()];
    let mut lacked = vec![0_i64; plan.classes.len()];
    for &(time, placed) in steps {
        let Placed::Maybe(class) = placed else { continue };
        let class = class as usize;
        used[class] += 1;
        let begun = plan.classes[class].members.partition_point(|&(_, call)| call <= time);
        lacked[class] = lacked[class].max(used[class] - begun as i64);
    }
    let shortage = |(class, (&used, &lacked)): (usize, (&i64, &i64))| {
        let of = plan.classes[class].members.len() as i64;
        let short = if lacked > 0 { lacked } else { used - of };
        Shortage { short: short.min(of), of }
    };
    used.iter().zip(&lacked).enumerate().map(shortage).collect()
}
