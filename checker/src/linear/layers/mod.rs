//! Registers whose values repeat, decided in one pass over the history, layer by layer.
//!
//! At each end of an operation the front holds every way in which the operations so far can have
//! been placed, and nothing of the past (Lowe 2017: just-in-time linearization). The next front
//! comes from placing what the operation that ends needs, so memory is that of one layer: an
//! invalid history needs no memory of the whole space, and time grows with the length of the
//! history and the width of its layers. An empty front proves that no order exists. What keeps
//! the layers narrow, each without loss:
//!
//! - **Observers are eager**, and nothing else is: a step is made only when an operation ends that
//!   needs it, and a value is made only when an operation that waits sees it.
//! - **A write that was open while another was placed is owed no more**: it can have stood just
//!   before that one, which hid it. It may still be placed until it ends, so one configuration
//!   stands for both.
//! - **Of equal operations that which ends first is placed first**, an indeterminate one last.
//! - **Dominance**: of two configurations with the same state, one that owes, used and cost no
//!   more than the other makes it superfluous.
//! - **A value that nobody left names is any value**, and a configuration that gave up the last
//!   chance for a value that is still to be seen is gone.
//!
//! Indeterminate operations are counted only where it matters (counterexample-guided refinement,
//! after Clarke et al. 2000): at first each class of equal ones has an unlimited supply from its
//! first invocation on. If that has no order, the history has none. If it has, and the path drew
//! no class beyond what had begun, the path is a witness. Else each class gets a price
//! ([`prices`]), which refutes many histories that need more than there is. Only then are the
//! classes that were overdrawn counted exactly, one after the other.
//!
//! Not here: any other model than a register, and more than [`moment::OPEN_MAX`] certain
//! operations open at once; those are for [`super::search`].

mod front;
mod moment;
mod path;
mod plan;
mod prices;
mod sweep;

use super::object::Entry;
use super::search::{Answer, Budget, Found};
use crate::models::RegisterOp;
use front::LANES;
use plan::Plan;
use prices::Prices;
use std::cmp::Reverse;
use sweep::{End, Sweep};

/// Configurations of a layer that the quick passes keep, one after the other: the first is enough
/// for nearly every history that is valid.
const WIDTHS: [usize; 4] = [48, 256, 1024, 4096];

/// Unless they are forced, passes with prices come when so many classes are counted exactly and
/// more would have to be.
const PRICED_AFTER: usize = 1;

/// Passes with prices, at most, and the configurations that one of them may make.
const PRICED_PASSES: u32 = 40;
const PRICED_CONFIGURATIONS: u64 = 10_000_000;

/// Why a sweep gave up that another algorithm need not give up for.
const TOO_WIDE: [&str; 2] =
    ["too many operations are open at once", "too many kinds of indeterminate operations matter"];

/// Whether the sweep gave up for want of bits, and not of time or memory.
pub fn is_too_wide(found: &Found) -> bool {
    matches!(found.answer, Answer::Unknown { why, .. } if TOO_WIDE.contains(&why))
}

/// Searches for a linearization of a register's `entries`, sorted by invocation.
///
/// Polynomial in the length of the history, exponential in the operations open at once, and in
/// the classes of indeterminate ones that have to be counted.
pub fn sweep(entries: &[Entry<&RegisterOp>], budget: Budget<'_>) -> Found {
    run(entries, budget, |decision| decision.decide())
}

/// The same by passes with prices before anything else, so that they can be put to the test where
/// other passes would have answered first.
pub fn priced(entries: &[Entry<&RegisterOp>], budget: Budget<'_>) -> Found {
    run(entries, budget, |decision| decision.priced().unwrap_or_else(|| decision.decide()))
}

fn run(
    entries: &[Entry<&RegisterOp>],
    budget: Budget<'_>,
    decide: impl FnOnce(&mut Decision<'_>) -> Answer,
) -> Found {
    let plan = Plan::new(entries);
    let mut decision = Decision { plan: &plan, budget, configurations: 0, memory_bytes: 0 };
    let answer = decide(&mut decision);
    let Decision { configurations, memory_bytes, .. } = decision;
    Found { answer, configurations, memory_bytes }
}

struct Decision<'a> {
    plan: &'a Plan,
    budget: Budget<'a>,
    configurations: u64,
    memory_bytes: u64,
}

impl Decision<'_> {
    fn decide(&mut self) -> Answer {
        let mut counted: Vec<u32> = Vec::new();
        let mut widths = WIDTHS.into_iter();
        loop {
            if let Some(order) = widths.next().and_then(|width| self.quick(width)) {
                return Answer::Valid(order);
            }
            let steps = match self.pass(&counted, None) {
                End::Empty(time) => return Answer::Invalid(time),
                End::Spent(why, placed) => return self.unknown(why, placed),
                End::Path(steps) => steps,
            };
            let overdrawn = path::overdrawn(self.plan, &steps);
            if !overdrawn.is_empty()
                && counted.len() == PRICED_AFTER
                && let Some(answer) = self.priced()
            {
                return answer;
            }
            if overdrawn.is_empty() {
                return Answer::Valid(path::order(self.plan, &steps));
            }
            // A class whose lane was full may be overdrawn although it is counted.
            match overdrawn.iter().find(|class| !counted.contains(class)) {
                Some(&class) if counted.len() < LANES => counted.push(class),
                _ => return self.unknown(TOO_WIDE[1], 0),
            }
        }
    }

    /// Passes in which every class has a price, and the prices follow what was overdrawn: an empty
    /// front proves that no order exists, and a path that overdraws nothing is one.
    fn priced(&mut self) -> Option<Answer> {
        let mut prices = Prices::new(self.plan);
        for pass in 0..PRICED_PASSES {
            let limit = self.configurations + PRICED_CONFIGURATIONS;
            let budget =
                Budget { configurations: self.budget.configurations.min(limit), ..self.budget };
            let sweep = Sweep::new(self.plan, &[], None, budget, self.configurations);
            match self.sweep(sweep.with_prices(prices.of_each())) {
                End::Empty(time) => return Some(Answer::Invalid(time)),
                End::Spent(..) => return None,
                End::Path(steps) if path::overdrawn(self.plan, &steps).is_empty() => {
                    return Some(Answer::Valid(path::order(self.plan, &steps)));
                }
                End::Path(steps) => prices.follow(self.plan, &steps, pass),
            }
        }
        None
    }

    /// A pass that counts every class and keeps little: the order, if that leads to one.
    fn quick(&mut self, width: usize) -> Option<Vec<u32>> {
        let mut classes: Vec<u32> = (0..self.plan.classes.len() as u32).collect();
        classes.sort_by_key(|&class| Reverse(self.plan.classes[class as usize].members.len()));
        classes.truncate(LANES);
        let End::Path(steps) = self.pass(&classes, Some(width)) else { return None };
        path::overdrawn(self.plan, &steps).is_empty().then(|| path::order(self.plan, &steps))
    }

    fn pass(&mut self, counted: &[u32], width: Option<usize>) -> End {
        let sweep = Sweep::new(self.plan, counted, width, self.budget, self.configurations);
        self.sweep(sweep)
    }

    fn sweep(&mut self, mut sweep: Sweep<'_>) -> End {
        let end = sweep.run();
        self.configurations = sweep.configurations;
        self.memory_bytes = self.memory_bytes.max(sweep.memory_bytes_max as u64);
        end
    }

    fn unknown(&self, why: &'static str, placed: usize) -> Answer {
        Answer::Unknown { why, placed, certain: self.plan.certain.len() }
    }
}
