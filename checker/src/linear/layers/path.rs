//! How each configuration came about: steps that share their beginnings, and the order that the
//! last of them stands for.

use super::moment::Moment;
use super::plan::{Act, Happening, INITIAL, Plan};

/// No step.
pub(super) const START: u32 = u32::MAX;

/// What was placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Placed {
    /// A certain operation, by its place in the plan.
    Certain(u32),
    /// One of a class.
    Maybe(u32),
}

/// A step, and when it was made: at the end of some operation that needed it.
#[derive(Clone, Copy)]
struct Step {
    before: u32,
    placed: Placed,
    time: u64,
}

/// All steps that some configuration of the front still stands on.
#[derive(Default)]
pub(super) struct Path {
    steps: Vec<Step>,
    /// Length at which those that nobody stands on are cleared away.
    limit: usize,
}

impl Path {
    pub(super) fn add(&mut self, before: u32, placed: Placed, time: u64) -> u32 {
        self.steps.push(Step { before, placed, time });
        self.steps.len() as u32 - 1
    }

    /// What the last step placed.
    pub(super) fn placed(&self, step: u32) -> Placed {
        self.steps[step as usize].placed
    }

    /// Forgets all steps.
    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>()
    }

    /// Keeps only what `ends` stand on, and renumbers them; does nothing while there is little.
    pub(super) fn tidy<'a>(&mut self, ends: impl Iterator<Item = &'a mut u32>) {
        if self.steps.len() < self.limit.max(1 << 16) {
            return;
        }
        let mut ends: Vec<&mut u32> = ends.collect();
        let mut needed = vec![false; self.steps.len()];
        for end in &ends {
            let mut at = **end;
            while at != START && !std::mem::replace(&mut needed[at as usize], true) {
                at = self.steps[at as usize].before;
            }
        }
        // A step stands after the one before it, so that one has its new number already.
        let mut numbers = vec![START; self.steps.len()];
        let mut kept = 0;
        for at in 0..self.steps.len() {
            if needed[at] {
                let mut step = self.steps[at];
                if step.before != START {
                    step.before = numbers[step.before as usize];
                }
                self.steps[kept] = step;
                numbers[at] = kept as u32;
                kept += 1;
            }
        }
        self.steps.truncate(kept);
        self.limit = 2 * kept;
        for end in &mut ends {
            if **end != START {
                **end = numbers[**end as usize];
            }
        }
    }

    /// The steps up to `end`, first to last.
    pub(super) fn until(&self, end: u32) -> Vec<(u64, Placed)> {
        let mut steps = Vec::new();
        let mut at = end;
        while at != START {
            let step = self.steps[at as usize];
            steps.push((step.time, step.placed));
            at = step.before;
        }
        steps.reverse();
        steps
    }
}

/// The classes of which the steps use more than had begun by then.
pub(super) fn overdrawn(plan: &Plan, steps: &[(u64, Placed)]) -> Vec<u32> {
    let mut used = vec![0; plan.classes.len()];
    let mut over = Vec::new();
    for &(time, placed) in steps {
        let Placed::Maybe(class) = placed else { continue };
        let count: &mut usize = &mut used[class as usize];
        let member = plan.classes[class as usize].members.get(*count);
        if member.is_none_or(|&(_, call)| call > time) && !over.contains(&class) {
            over.push(class);
        }
        *count += 1;
    }
    over
}

/// The order of all operations, as entries, that the steps stand for: each observer where it was
/// first right, each write that has no step where it changes
/// nothing or just before the first that hides it.
pub(super) fn order(plan: &Plan, steps: &[(u64, Placed)]) -> Vec<u32> {
    let mut has_step = vec![false; plan.certain.len()];
    for &(_, placed) in steps {
        if let Placed::Certain(place) = placed {
            has_step[place as usize] = true;
        }
    }
    let mut replay = Replay {
        plan,
        state: INITIAL,
        waiting: Vec::new(),
        hidden: Vec::new(),
        used: vec![0; plan.classes.len()],
        order: Vec::with_capacity(plan.certain.len()),
    };
    let mut steps = steps.iter().peekable();
    for &(time, happening) in &plan.events {
        match happening {
            Happening::Call(place) => match plan.certain[place as usize].act {
                Act::Write(_) if !has_step[place as usize] => {
                    replay.hidden.push(place);
                    replay.observe();
                }
                Act::Write(_) | Act::Cas(..) => {}
                _ => {
                    replay.waiting.push(place);
                    replay.observe();
                }
            },
            Happening::Return(_) => {
                while let Some((_, placed)) = steps.next_if(|(at, _)| *at == time) {
                    replay.place(*placed);
                }
            }
            Happening::Supply(_) => {}
        }
    }
    replay.order
}

struct Replay<'a> {
    plan: &'a Plan,
    state: u32,
    waiting: Vec<u32>,
    hidden: Vec<u32>,
    used: Vec<usize>,
    order: Vec<u32>,
}

impl Replay<'_> {
    fn place(&mut self, placed: Placed) {
        let (entry, act) = match placed {
            Placed::Certain(place) => {
                let op = self.plan.certain[place as usize];
                (op.entry, op.act)
            }
            Placed::Maybe(class) => {
                let number = &mut self.used[class as usize];
                *number += 1;
                let class = &self.plan.classes[class as usize];
                (class.members[*number - 1].0, class.act)
            }
        };
        if let Act::Write(_) = act {
            let hidden = self.hidden.drain(..);
            self.order.extend(hidden.map(|place| self.plan.certain[place as usize].entry));
        }
        self.order.push(entry);
        self.state = act.makes().unwrap_or(self.state);
        self.observe();
    }

    fn observe(&mut self) {
        let (plan, state, order) = (self.plan, self.state, &mut self.order);
        let mut take = |place: &u32| {
            let op = plan.certain[*place as usize];
            let right = op.act == Act::Write(state) || Moment::is_right(op.act, state);
            if right {
                order.push(op.entry);
            }
            !right
        };
        self.hidden.retain(&mut take);
        self.waiting.retain(&mut take);
    }
}
