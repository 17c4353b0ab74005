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
//! How it is decided, each step only if those before it were not enough:
//!
//! 1. **Narrow passes** count everything and keep only the cheapest configurations; where they are
//!    lost they go back and keep more for a while ([`again`]). A path is a witness.
//! 2. **Merged passes** around the place where these were lost let each class of equal
//!    indeterminate operations have an unlimited supply from its first invocation on, begin with
//!    any value, and forget what there is too much of ([`merge`]). An empty front proves that no
//!    order exists, for all of that only adds ways.
//! 3. **The game about what there is** of each class ([`scarce`]): prices that no way can pay prove
//!    that there is no order; else a way is sought that pays them.
//! 4. **Whole passes**: if one with unlimited supply has no order, the history has none. If it
//!    has, and the path drew no class beyond what had begun, the path is a witness. Else the
//!    classes that were overdrawn are counted exactly, one after the other (counterexample-guided
//!    refinement, after Clarke et al. 2000).
//!
//! Not here: any other model than a register, and more than [`plan::OPEN_MAX`] certain
//! operations open at once; those are for [`super::search`].

mod again;
mod front;
mod game;
mod graph;
mod merge;
mod moment;
mod path;
mod plan;
mod round;
mod scarce;
mod step;
mod sweep;
mod thin;
mod ways;

use super::object::Entry;
use super::search::{Answer, Budget, Found, Hint};
use crate::models::RegisterOp;
use front::LANES;
use plan::Plan;
use std::cmp::Reverse;
use std::ops::Range;
use sweep::{End, Keep, Sweep};
pub use thin::thin;

/// Configurations of a layer that the quick passes keep, one after the other: the first is enough
/// for nearly every history that is valid.
const WIDTHS: [(usize, usize); 3] = [(48, 256), (256, 1024), (1024, 4096)];

/// Events before and after the place where a narrow pass was lost, at first, and how many times
/// as many are taken when these have an order.
const WINDOW: usize = 128;
const FURTHER: usize = 4;

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

/// The same by the game about prices before anything else, so that it can be put to the test where
/// other passes would have answered first.
pub fn priced(entries: &[Entry<&RegisterOp>], budget: Budget<'_>) -> Found {
    run(entries, budget, |decision| {
        let all = 0..decision.plan.events.len();
        if decision.plan.is_too_wide {
            return decision.decide();
        }
        decision.scarce(all).unwrap_or_else(|| decision.decide())
    })
}

fn run(
    entries: &[Entry<&RegisterOp>],
    budget: Budget<'_>,
    decide: impl FnOnce(&mut Decision<'_>) -> Answer,
) -> Found {
    let plan = Plan::new(entries);
    let mut decision = Decision::new(&plan, budget);
    let answer = decide(&mut decision);
    let hint = decision.proof.take().map_or(Hint::default(), |(events, prices)| {
        let members = plan.classes.iter().flat_map(|class| &class.members);
        let positions = members.map(|&(entry, _)| entries[entry as usize].position);
        let times = (plan.events[events.start].0, plan.events[events.end - 1].0);
        let prices = positions.zip(prices.into_iter().flatten()).collect();
        Hint { times: Some(times), prices }
    });
    let Decision { configurations, memory_bytes, .. } = decision;
    Found { answer, configurations, memory_bytes, hint }
}

/// Whether one pass shows that there is no linearization: at the prices that showed it of a history
/// of which this is a part, or, where it took none, one that merges down to `width`.
pub fn refutes(
    entries: &[Entry<&RegisterOp>],
    width: usize,
    hint: &Hint,
    budget: Budget<'_>,
) -> bool {
    let plan = Plan::new(entries);
    if plan.is_too_wide {
        return false;
    }
    let events = window(&plan, hint);
    let mut decision = Decision::new(&plan, budget);
    let prices = prices(&plan, entries, hint);
    // Who pays has fewer ways than who need not.
    let keep = if prices.is_empty() { Keep::Merged(width) } else { Keep::All };
    let sweep = Sweep::new(&plan, &[], keep, budget, 0).with_prices(prices);
    matches!(decision.sweep(sweep.within(events)), End::Empty(_))
}

/// The events of the hint's moments.
fn window(plan: &Plan, hint: &Hint) -> Range<usize> {
    let (from, until) = hint.times.unwrap_or((0, u64::MAX));
    plan.events.partition_point(|&(time, _)| time < from)
        ..plan.events.partition_point(|&(time, _)| time <= until)
}

/// The hint's prices, by class; nothing where it has none.
fn prices(plan: &Plan, entries: &[Entry<&RegisterOp>], hint: &Hint) -> Vec<Vec<u32>> {
    if hint.prices.is_empty() {
        return Vec::new();
    }
    // Whoever has no price here was none of these there, and no price may rise.
    let prices = plan.classes.iter().map(|class| {
        let positions = class.members.iter().map(|&(entry, _)| entries[entry as usize].position);
        let mut prices: Vec<u32> =
            positions.map(|position| hint.prices.get(&position).copied().unwrap_or(0)).collect();
        for at in (1..prices.len()).rev() {
            prices[at - 1] = prices[at - 1].max(prices[at]);
        }
        prices
    });
    prices.collect()
}

/// Whether the events around one, so many each way, show that there is no linearization, merged
/// down to `width` or by the game about prices.
pub fn refutes_around(
    entries: &[Entry<&RegisterOp>],
    (place, length): (usize, usize),
    width: usize,
    budget: Budget<'_>,
) -> bool {
    let plan = Plan::new(entries);
    let mut decision = Decision::new(&plan, budget);
    let (events, _) = plan.around(place, length);
    let sweep = Sweep::new(&plan, &[], Keep::Merged(width), budget, 0).within(events.clone());
    matches!(decision.sweep(sweep), End::Empty(_))
        || matches!(decision.scarce(events), Some(Answer::Invalid(_)))
}

struct Decision<'a> {
    plan: &'a Plan,
    budget: Budget<'a>,
    configurations: u64,
    memory_bytes: u64,
    /// The most certain operations that had ended before a narrow pass was lost.
    placed: usize,
    /// The events and the prices that showed that there is no order.
    proof: Option<(Range<usize>, Vec<Vec<u32>>)>,
}

impl<'a> Decision<'a> {
    fn new(plan: &'a Plan, budget: Budget<'a>) -> Self {
        Decision { plan, budget, configurations: 0, memory_bytes: 0, placed: 0, proof: None }
    }

    fn decide(&mut self) -> Answer {
        if self.plan.is_too_wide {
            return self.unknown(TOO_WIDE[0], 0);
        }
        let mut place = None;
        for (narrow, merged) in WIDTHS {
            let lost = match self.quick(narrow) {
                Ok(order) => return Answer::Valid(order),
                Err(lost) => lost,
            };
            place = lost.or(place);
            if let Some(at) = lost.and_then(|at| self.refute(at, merged)) {
                return Answer::Invalid(self.plan.events[at].0);
            }
        }
        if let Some(answer) = place.and_then(|place| self.scarce_around(place)) {
            return answer;
        }
        self.count()
    }

    /// Passes around the place where a narrow one was lost that forget what there is too much of.
    fn refute(&mut self, lost: usize, width: usize) -> Option<usize> {
        let mut length = WINDOW;
        loop {
            let (events, is_whole) = self.plan.around(lost, length);
            let keep = Keep::Merged(width);
            let sweep = Sweep::new(self.plan, &[], keep, self.budget, self.configurations);
            match self.sweep(sweep.within(events.clone())) {
                End::Empty(at) => {
                    self.proof = Some((events, Vec::new()));
                    return Some(at);
                }
                End::Path(_) if !is_whole => length *= FURTHER,
                _ => return None,
            }
        }
    }

    /// Passes that forget nothing, and count what must be counted.
    fn count(&mut self) -> Answer {
        let mut counted: Vec<u32> = Vec::new();
        loop {
            let steps = match self.pass(&counted, Keep::All) {
                End::Empty(at) => return Answer::Invalid(self.plan.events[at].0),
                End::Spent(why, placed) => return self.unknown(why, placed),
                End::Path(steps) => steps,
            };
            let overdrawn = path::overdrawn(self.plan, &steps);
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

    /// A pass that counts every class and keeps little: the order, if that leads to one, or where
    /// it was lost.
    fn quick(&mut self, width: usize) -> Result<Vec<u32>, Option<usize>> {
        let mut classes: Vec<u32> = (0..self.plan.classes.len() as u32).collect();
        classes.sort_by_key(|&class| Reverse(self.plan.classes[class as usize].members.len()));
        classes.truncate(LANES);
        let steps = match self.pass(&classes, Keep::Narrow(width)) {
            End::Path(steps) => steps,
            End::Empty(at) => {
                self.placed = self.placed.max(self.plan.ended_before(at));
                return Err(Some(at));
            }
            End::Spent(..) => return Err(None),
        };
        if path::overdrawn(self.plan, &steps).is_empty() {
            return Ok(path::order(self.plan, &steps));
        }
        Err(None)
    }

    fn pass(&mut self, counted: &[u32], keep: Keep) -> End {
        let sweep = Sweep::new(self.plan, counted, keep, self.budget, self.configurations);
        self.sweep(sweep)
    }

    fn sweep(&mut self, mut sweep: Sweep<'_>) -> End {
        let end = sweep.run();
        self.configurations = sweep.configurations;
        self.memory_bytes = self.memory_bytes.max(sweep.memory_bytes_max as u64);
        end
    }

    fn unknown(&self, why: &'static str, placed: usize) -> Answer {
        let placed = placed.max(self.placed);
        Answer::Unknown { why, placed, certain: self.plan.certain.len() }
    }
}
