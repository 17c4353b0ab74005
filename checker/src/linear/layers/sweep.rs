//! The pass over the history.

use super::TOO_WIDE;
use super::front::{Config, Front, LANE_MAX, Lanes, narrow, prune};
use super::moment::{Moment, Open};
use super::path::{Path, Placed, START};
use super::plan::{Act, DEAD, Happening, INITIAL, Plan};
use crate::linear::search::Budget;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How a sweep ended.
pub(super) enum End {
    /// No configuration got past this moment.
    Empty(u64),
    /// The steps of one that got through.
    Path(Vec<(u64, Placed)>),
    /// The budget is spent: why, and how many certain operations had ended.
    Spent(&'static str, usize),
}

/// Configurations that are made between two looks at the budget.
const LOOK_EVERY: u64 = 4096;

/// Configurations that a narrow pass may try at the end of an operation, for each that it keeps.
const TRIES: usize = 4;

/// Configurations to go on from, those that used the least first; prices make the sums sparse.
#[derive(Default)]
struct Work(BTreeMap<u64, Vec<Config>>);

impl Work {
    fn add(&mut self, config: Config) {
        self.0.entry(config.uses).or_default().push(config);
    }

    fn pop(&mut self) -> Option<Config> {
        let mut least = self.0.first_entry()?;
        let config = least.get_mut().pop();
        if least.get().is_empty() {
            least.remove();
        }
        config
    }
}

pub(super) struct Sweep<'a> {
    plan: &'a Plan,
    budget: Budget<'a>,
    /// How many configurations of a layer are kept; without, all that matter.
    width: Option<usize>,
    /// By class.
    lanes: Vec<Option<u8>>,
    /// What a member of each class costs, and what those that have begun are worth together:
    /// no path may have cost more. Empty where nothing has a price.
    prices: Vec<u32>,
    worth: u64,
    moment: Moment,
    path: Path,
    front: Vec<Config>,
    next: Front,
    tried: Front,
    wanted: Vec<u32>,
    is_sparing: bool,
    pub(super) configurations: u64,
    looked_at: u64,
    pub(super) memory_bytes_max: usize,
}

impl<'a> Sweep<'a> {
    /// A sweep that counts the members of these classes; `configurations` were made before. With
    /// a `width` it keeps only so many of a layer, and an empty front proves nothing.
    pub(super) fn new(
        plan: &'a Plan,
        counted: &[u32],
        width: Option<usize>,
        budget: Budget<'a>,
        configurations: u64,
    ) -> Self {
        let mut lanes = vec![None; plan.classes.len()];
        for (lane, &class) in (0..).zip(counted) {
            lanes[class as usize] = Some(lane);
        }
        let start = Config {
            owed: 0,
            used: 0,
            lanes: Lanes::default(),
            state: INITIAL,
            uses: 0,
            step: START,
            fresh: false,
        };
        Sweep {
            plan,
            budget,
            width,
            lanes,
            prices: Vec::new(),
            worth: 0,
            moment: Moment::new(plan),
            path: Path::default(),
            front: vec![start],
            next: Front::default(),
            tried: Front::default(),
            wanted: Vec::new(),
            is_sparing: false,
            configurations,
            looked_at: configurations,
            memory_bytes_max: 0,
        }
    }

    /// The same with a price for a member of each class: what is used up to a moment may together
    /// cost no more than what has begun by then is worth.
    pub(super) fn with_prices(mut self, prices: &[u32]) -> Self {
        self.prices = prices.to_vec();
        self
    }

    pub(super) fn run(&mut self) -> End {
        let mut ended = 0;
        for &(time, happening) in &self.plan.events {
            self.moment.time = time;
            match happening {
                Happening::Supply(class) => {
                    self.moment.supply(self.plan, class);
                    self.worth +=
                        self.prices.get(class as usize).map_or(0, |&price| u64::from(price));
                }
                Happening::Call(place) => {
                    let Some(open) = self.moment.call(self.plan, place) else {
                        return End::Spent(TOO_WIDE[0], ended);
                    };
                    for config in &mut self.front {
                        let is_idle = open.act == Act::Write(config.state);
                        if !is_idle && !Moment::is_right(open.act, config.state) {
                            config.owed |= open.bit();
                        }
                    }
                }
                Happening::Return(place) => {
                    if let Some(why) = self.finish(self.moment.open(place)) {
                        return End::Spent(why, ended);
                    }
                    ended += 1;
                    if self.front.is_empty() {
                        return End::Empty(time);
                    }
                }
            }
        }
        let best = self.front.iter().min_by_key(|config| config.uses);
        End::Path(best.map_or(Vec::new(), |config| self.path.until(config.step)))
    }

    /// Takes every configuration past the end of `target`; why that could not be done.
    fn finish(&mut self, target: Open) -> Option<&'static str> {
        let bit = target.bit();
        let is_write = matches!(target.act, Act::Write(_));
        let is_free = self.is_free(target.act);
        let is_exact = self.width.is_none();
        self.next.clear(is_exact);
        self.tried.clear(is_exact);
        let mut work = Work::default();
        for config in std::mem::take(&mut self.front) {
            if config.owed & bit == 0 {
                self.next.add(Config { used: config.used & !bit, ..config });
            }
            // Who owes nothing need not place it, if the same can be had at any time.
            if config.owed & bit != 0 || (is_write && !is_free && config.used & bit == 0) {
                work.add(config);
            }
        }
        let mut tries = self.width.map_or(usize::MAX, |width| TRIES * width);
        let mut steps = Vec::new();
        while let Some(config) = work.pop() {
            if let Some(why) = self.look() {
                return Some(why);
            }
            if tries == 0 {
                break;
            }
            tries -= 1;
            // What a narrow pass need not do it does not pay for.
            self.is_sparing = self.width.is_some() && config.owed & bit == 0;
            self.steps(config, target, &mut steps);
            for config in steps.drain(..) {
                let done = config.owed & bit == 0;
                if done && (!config.fresh || config.used & bit != 0) {
                    self.next.add(Config { used: config.used & !bit, fresh: false, ..config });
                }
                let over = done && (!is_write || config.used & bit != 0);
                if !over && self.tried.add(config) {
                    work.add(config);
                }
            }
        }
        self.close(target);
        None
    }

    /// Whether an indeterminate operation that nobody counts does what this write does.
    fn is_free(&self, act: Act) -> bool {
        let Act::Write(value) = act else { return false };
        let class = self.moment.maybe_write[value as usize];
        self.width.is_none() && class.is_some_and(|class| self.is_unlimited(class))
    }

    /// Whether nobody counts what is used of a class.
    fn is_unlimited(&self, class: u32) -> bool {
        self.prices.is_empty() && self.lanes[class as usize].is_none()
    }

    /// The layer after the end of `target`.
    fn close(&mut self, target: Open) {
        self.moment.close(target);
        std::mem::swap(&mut self.front, &mut self.next.configs);
        let moment = &self.moment;
        if let Some(value) = target.act.makes().filter(|&value| moment.is_sourceless(value)) {
            let seers = moment.seers(value);
            let to_come = moment.is_last_chance(value);
            self.front
                .retain(|config| config.state == value || (!to_come && config.owed & seers == 0));
        }
        for config in &mut self.front {
            if moment.is_dead(config.state) {
                config.state = DEAD;
            }
        }
        if self.front.len() > 1 {
            match self.width {
                Some(width) => narrow(&mut self.front, width),
                None => {
                    let mut free = moment.free(|class| self.is_unlimited(class));
                    free.is_priced = !self.prices.is_empty();
                    prune(&mut self.front, &free);
                }
            }
        }
        self.path.tidy(self.front.iter_mut().map(|config| &mut config.step));
    }

    /// Every step from `config` that may help `target` to be placed.
    fn steps(&mut self, config: Config, target: Open, next: &mut Vec<Config>) {
        let state = config.state;
        if self.moment.is_last_chance(state) {
            return;
        }
        if state != DEAD {
            self.cas(config, next);
        }
        if config.fresh {
            return;
        }
        let mut wanted = std::mem::take(&mut self.wanted);
        if self.moment.wanted(self.plan, config.owed, &mut wanted) {
            wanted.clone_from(&self.moment.writable);
        }
        if let Act::Write(value) = target.act
            && !wanted.contains(&value)
        {
            wanted.push(value);
        }
        for &value in &wanted {
            let is_target = target.act == Act::Write(value);
            // A write of what is there can hide others that are owed.
            if value != state || is_target || config.owed & self.moment.writers != 0 {
                self.write(config, value, next);
            }
        }
        self.wanted = wanted;
    }

    fn cas(&mut self, config: Config, next: &mut Vec<Config>) {
        let from = config.state as usize;
        let mut made: Vec<u32> = Vec::new();
        for at in 0..self.moment.cas[from].len() {
            let open = self.moment.cas[from][at];
            let Act::Cas(_, new) = open.act else { continue };
            if config.owed & open.bit() != 0 && !made.contains(&new) {
                made.push(new);
                next.push(self.place(config, open));
            }
        }
        for at in 0..self.moment.maybe_cas_from[from].len() {
            let class = self.moment.maybe_cas_from[from][at];
            let Act::Cas(_, new) = self.plan.classes[class as usize].act else { continue };
            if !made.contains(&new) {
                next.extend(self.apply(config, class));
            }
        }
    }

    fn write(&mut self, config: Config, value: u32, next: &mut Vec<Config>) {
        let writes = &self.moment.writes[value as usize];
        if let Some(&open) = writes.iter().find(|open| config.used & open.bit() == 0) {
            next.push(self.place(config, open));
        } else if let Some(class) = self.moment.maybe_write[value as usize] {
            next.extend(self.apply(config, class));
        }
    }

    /// Places a certain write or cas.
    fn place(&mut self, config: Config, open: Open) -> Config {
        let step = self.path.add(config.step, Placed::Certain(open.place), self.moment.time);
        let next = Config {
            owed: config.owed & !open.bit(),
            used: config.used | open.bit(),
            step,
            ..config
        };
        let is_cas = matches!(open.act, Act::Cas(..));
        let next = self.enter(next, open.act);
        // A certain cas had to be placed; nothing else need have been unless someone sees it.
        Config { fresh: next.fresh && !is_cas, ..next }
    }

    /// Places one of a class of indeterminate operations, if there is one.
    fn apply(&mut self, config: Config, class: u32) -> Option<Config> {
        if self.is_sparing {
            return None;
        }
        let mut lanes = config.lanes;
        if let Some(lane) = self.lanes[class as usize] {
            let used = lanes.get(lane);
            if u32::from(used) >= self.moment.supply[class as usize] {
                return None;
            }
            // A full lane stands for any number: what is not counted must not refute anything.
            if used < LANE_MAX {
                lanes.add(lane);
            }
        }
        let price = self.prices.get(class as usize).map_or(1, |&price| u64::from(price));
        let uses = config.uses + price;
        if !self.prices.is_empty() && uses > self.worth {
            return None;
        }
        let step = self.path.add(config.step, Placed::Maybe(class), self.moment.time);
        let next = Config { lanes, uses, step, ..config };
        Some(self.enter(next, self.plan.classes[class as usize].act))
    }

    /// What follows from a step by itself.
    fn enter(&mut self, config: Config, act: Act) -> Config {
        self.configurations += 1;
        let state = act.makes().unwrap_or(config.state);
        let mut owed = config.owed;
        if let Act::Write(_) = act {
            owed &= !self.moment.writers;
        }
        owed &= !self.moment.idle(state);
        let seen = owed & self.moment.legal(state);
        Config { owed: owed & !seen, state, fresh: seen == 0, ..config }
    }

    fn look(&mut self) -> Option<&'static str> {
        if self.configurations < self.looked_at + LOOK_EVERY {
            return None;
        }
        self.looked_at = self.configurations;
        let bytes = self.next.bytes()
            + self.tried.bytes()
            + self.path.bytes()
            + self.front.capacity() * size_of::<Config>();
        self.memory_bytes_max = self.memory_bytes_max.max(bytes);
        let budget = &self.budget;
        if bytes > budget.memory_bytes {
            return Some("out of memory");
        }
        if self.configurations > budget.configurations {
            return Some("too many configurations");
        }
        if budget.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Some("out of time");
        }
        budget.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)).then_some("cancelled")
    }
}
