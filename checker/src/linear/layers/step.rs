//! The steps from one configuration to the next.

use super::front::{Config, LANE_MAX};
use super::moment::Open;
use super::path::Placed;
use super::plan::{Act, DEAD};
use super::sweep::Sweep;

impl Sweep<'_> {
    /// Every step from `config` that may help `target` to be placed.
    pub(super) fn steps(&mut self, config: Config, target: Open, next: &mut Vec<Config>) {
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
        if self.moment.wanted(self.plan, &config, target, &mut wanted) {
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
            if config.used & open.bit() == 0 && !made.contains(&new) {
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
        let uses = config.uses + self.price(class);
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
}
