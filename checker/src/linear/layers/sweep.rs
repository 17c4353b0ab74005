//! The pass over the history.

use super::again::Again;
use super::front::{Config, Free, Front, narrow, prune};
use super::merge::merge;
use super::moment::{Moment, Open};
use super::path::{Path, Placed};
use super::plan::{Act, DEAD, Happening, INITIAL, Plan};
use crate::linear::search::Budget;
use std::collections::BTreeMap;
use std::ops::Range;

/// How a sweep ended.
pub(super) enum End {
    /// No configuration got past this event.
    Empty(usize),
    /// The steps of one that got through.
    Path(Vec<(u64, Placed)>),
    /// The budget is spent: why, and how many certain operations had ended.
    Spent(&'static str, usize),
}

/// What a layer keeps of its configurations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All that matter: the end is the truth.
    All,
    /// The cheapest, so many: a path that got through is one.
    Narrow(usize),
    /// So many, by forgetting where more of them differ: what has no path has none.
    Merged(usize),
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
    pub(super) plan: &'a Plan,
    pub(super) budget: Budget<'a>,
    keep: Keep,
    /// The events that are swept.
    events: Range<usize>,
    /// By class.
    pub(super) lanes: Vec<Option<u8>>,
    /// What a member of each class costs, by how many have begun, and what those that have begun
    /// are worth together: no path may have cost more. Empty where nothing has a price.
    pub(super) prices: Vec<Vec<u32>>,
    pub(super) worth: u64,
    pub(super) moment: Moment,
    pub(super) path: Path,
    pub(super) front: Vec<Config>,
    again: Again,
    next: Front,
    tried: Front,
    pub(super) wanted: Vec<u32>,
    pub(super) is_sparing: bool,
    pub(super) configurations: u64,
    looked_at: u64,
    pub(super) memory_bytes_max: usize,
}

impl<'a> Sweep<'a> {
    /// A sweep that counts the members of these classes; `configurations` were made before.
    pub(super) fn new(
        plan: &'a Plan,
        counted: &[u32],
        keep: Keep,
        budget: Budget<'a>,
        configurations: u64,
    ) -> Self {
        let mut lanes = vec![None; plan.classes.len()];
        for (lane, &class) in (0..).zip(counted) {
            lanes[class as usize] = Some(lane);
        }
        Sweep {
            plan,
            budget,
            keep,
            events: 0..plan.events.len(),
            lanes,
            prices: Vec::new(),
            worth: 0,
            moment: Moment::new(plan),
            path: Path::default(),
            front: vec![Config::of(INITIAL)],
            again: Again::default(),
            next: Front::default(),
            tried: Front::default(),
            wanted: Vec::new(),
            is_sparing: false,
            configurations,
            looked_at: configurations,
            memory_bytes_max: 0,
        }
    }

    /// The same of these events alone: whatever was open before them may have happened or not,
    /// nothing was used, and any value was there. What has no order so has none at all.
    pub(super) fn within(mut self, events: Range<usize>) -> Self {
        for &(time, happening) in &self.plan.events[..events.start] {
            self.moment.time = time;
            match happening {
                Happening::Supply(class) => self.supply(class),
                Happening::Call(place) => {
                    self.moment.call(self.plan, place);
                }
                Happening::Return(place) => self.moment.close(self.moment.open(self.plan, place)),
            }
        }
        if events.start > 0 {
            let states = (0..self.plan.values as u32).filter(|&state| !self.moment.is_dead(state));
            self.front = states.chain([DEAD]).map(Config::of).collect();
        }
        self.events = events;
        self
    }

    /// The same with a price for a member of each class, by how many of it have begun, which may
    /// not rise: what is used up to a moment may together cost no more than what has begun by then
    /// was worth when it began.
    pub(super) fn with_prices(mut self, prices: Vec<Vec<u32>>) -> Self {
        self.prices = prices;
        self
    }

    /// The same where a path may cost what it will.
    pub(super) fn without_limit(mut self) -> Self {
        self.worth = u64::MAX;
        self
    }

    /// What a member of a class costs now.
    pub(super) fn price(&self, class: u32) -> u64 {
        let begun = self.moment.supply[class as usize] as usize;
        self.prices.get(class as usize).map_or(1, |prices: &Vec<u32>| u64::from(prices[begun - 1]))
    }

    pub(super) fn run(&mut self) -> End {
        let mut ended = 0;
        let mut at = self.events.start;
        while at < self.events.end {
            let (time, happening) = self.plan.events[at];
            self.moment.time = time;
            match happening {
                Happening::Supply(class) => self.supply(class),
                Happening::Call(place) => self.call(place),
                Happening::Return(place) => {
                    if let Keep::Narrow(_) = self.keep {
                        self.again.save(at, ended, &self.moment, &self.front);
                    }
                    if let Some(why) = self.finish(self.moment.open(self.plan, place), ended) {
                        return End::Spent(why, ended);
                    }
                    ended += 1;
                    if self.front.is_empty() {
                        let Keep::Narrow(width) = self.keep else { return End::Empty(at) };
                        let furthest = self.again.furthest_at();
                        let Some(place) = self.again.back(ended, width) else {
                            return End::Empty(furthest);
                        };
                        at = place.at;
                        ended = place.ended;
                        self.moment.clone_from(&place.moment);
                        self.front.clone_from(&place.front);
                        continue;
                    }
                }
            }
            at += 1;
        }
        let best = self.front.iter().min_by_key(|config| config.uses);
        End::Path(best.map_or(Vec::new(), |config| self.path.until(config.step)))
    }

    /// One more of a class may have happened.
    pub(super) fn supply(&mut self, class: u32) {
        self.moment.supply(self.plan, class);
        self.worth = self.worth.saturating_add(self.price(class));
    }

    pub(super) fn call(&mut self, place: u32) {
        let open = self.moment.call(self.plan, place);
        for config in &mut self.front {
            let is_idle = open.act == Act::Write(config.state);
            if !is_idle && !Moment::is_right(open.act, config.state) {
                config.owed |= open.bit();
            }
        }
    }

    /// How many configurations a narrow layer keeps.
    fn width(&self, ended: usize) -> Option<usize> {
        match self.keep {
            Keep::Narrow(width) => Some(self.again.width(ended, width)),
            _ => None,
        }
    }

    /// Takes every configuration past the end of `target`; why that could not be done.
    pub(super) fn finish(&mut self, target: Open, ended: usize) -> Option<&'static str> {
        let bit = target.bit();
        let makes = target.act.makes().is_some();
        let is_free = self.is_free(target.act);
        let width = self.width(ended);
        let is_exact = width.is_none();
        self.next.clear(is_exact);
        self.tried.clear(is_exact);
        let mut work = Work::default();
        for config in std::mem::take(&mut self.front) {
            if config.owed & bit == 0 {
                self.next.add(Config { used: config.used & !bit, ..config });
            }
            // Who owes nothing need not place it, if the same can be had at any time.
            if config.owed & bit != 0 || (makes && !is_free && config.used & bit == 0) {
                work.add(config);
            }
        }
        let mut tries = width.map_or(usize::MAX, |width| TRIES * width);
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
            self.is_sparing = width.is_some() && config.owed & bit == 0;
            self.steps(config, target, &mut steps);
            for config in steps.drain(..) {
                let done = config.owed & bit == 0;
                if done && (!config.fresh || config.used & bit != 0) {
                    self.next.add(Config { used: config.used & !bit, fresh: false, ..config });
                }
                let over = done && (!makes || config.used & bit != 0);
                if !over && self.tried.add(config) {
                    work.add(config);
                }
            }
        }
        self.close(target, width);
        None
    }

    /// Whether an indeterminate operation that nobody counts does what this write does.
    fn is_free(&self, act: Act) -> bool {
        let Act::Write(value) = act else { return false };
        let class = self.moment.maybe_write[value as usize];
        self.is_limitless() && class.is_some_and(|class| self.is_unlimited(class))
    }

    fn is_limitless(&self) -> bool {
        !matches!(self.keep, Keep::Narrow(_))
    }

    /// Whether nobody counts what is used of a class.
    fn is_unlimited(&self, class: u32) -> bool {
        self.prices.is_empty() && self.lanes[class as usize].is_none()
    }

    /// What may be had for nothing now.
    pub(super) fn free(&self) -> Free {
        let mut free = self.moment.free(|class| self.is_unlimited(class));
        free.is_priced = !self.prices.is_empty();
        free
    }

    /// The layer after the end of `target`.
    fn close(&mut self, target: Open, width: Option<usize>) {
        std::mem::swap(&mut self.front, &mut self.next.configs);
        self.leave(target);
        let moment = &self.moment;
        match width {
            Some(width) => narrow(&mut self.front, width),
            None if self.front.len() > 1 => {
                let free = self.free();
                prune(&mut self.front, &free);
                if let Keep::Merged(width) = self.keep {
                    merge(&mut self.front, moment, &free, width);
                }
            }
            None => {}
        }
        let ends = self.front.iter_mut().chain(self.again.configs_mut());
        self.path.tidy(ends.map(|config| &mut config.step));
    }

    /// Notes that `target` has ended: who gave up what cannot be made again is gone.
    pub(super) fn leave(&mut self, target: Open) {
        self.moment.close(target);
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
    }

    pub(super) fn look(&mut self) -> Option<&'static str> {
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
        budget.spent()
    }
}
