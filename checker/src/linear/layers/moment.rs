//! What is open at a moment of the sweep, the same for all configurations.

use super::front::{Config, Free};
use super::plan::{Act, Class, DEAD, OPEN_MAX, Plan};

/// A certain operation that is open.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) place: u32,
    pub(super) act: Act,
    pub(super) ret: u64,
    pub(super) slot: u8,
}

impl Open {
    pub(super) fn bit(self) -> u128 {
        1 << self.slot
    }
}

/// The open operations by what they do, and what is still to come. Vectors are by value.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) time: u64,
    slots: [Option<Open>; OPEN_MAX],
    sees: Vec<u128>,
    avoids: Vec<u128>,
    avoiders: u128,
    /// Open writes.
    pub(super) writers: u128,
    /// Open writes of a value, and open cas from it, by end.
    pub(super) writes: Vec<Vec<Open>>,
    pub(super) cas: Vec<Vec<Open>>,
    /// Values with open writes, or with indeterminate ones that have begun.
    pub(super) writable: Vec<u32>,
    /// Classes with a member that has begun.
    pub(super) maybe_write: Vec<Option<u32>>,
    pub(super) maybe_cas_from: Vec<Vec<u32>>,
    pub(super) maybe_cas_to: Vec<Vec<u32>>,
    /// Members of each class that have begun.
    pub(super) supply: Vec<u32>,
    /// Certain operations not yet begun that see the value.
    seers_to_come: Vec<u32>,
    /// Operations that have not surely ended and that see or avoid the value.
    named: Vec<u32>,
    /// Operations that have not surely ended and that make the value.
    sources: Vec<u32>,
}

impl Moment {
    pub(super) fn new(plan: &Plan) -> Moment {
        let values = plan.values;
        let mut moment = Moment {
            time: 0,
            slots: [None; OPEN_MAX],
            sees: vec![0; values],
            avoids: vec![0; values],
            avoiders: 0,
            writers: 0,
            writes: vec![Vec::new(); values],
            cas: vec![Vec::new(); values],
            writable: Vec::new(),
            maybe_write: vec![None; values],
            maybe_cas_from: vec![Vec::new(); values],
            maybe_cas_to: vec![Vec::new(); values],
            supply: vec![0; plan.classes.len()],
            seers_to_come: vec![0; values],
            named: vec![0; values],
            sources: vec![0; values],
        };
        for op in &plan.certain {
            moment.count(op.act, 1);
            if let Some(value) = op.act.sees() {
                moment.seers_to_come[value as usize] += 1;
            }
        }
        for Class { act, members } in &plan.classes {
            moment.count(*act, members.len() as u32);
        }
        moment
    }

    fn count(&mut self, act: Act, number: u32) {
        let named = if let Act::Avoid(value) = act { Some(value) } else { act.sees() };
        if let Some(value) = named {
            self.named[value as usize] += number;
        }
        if let Some(value) = act.makes() {
            self.sources[value as usize] += number;
        }
    }

    /// Takes nobody who has not begun to see anything: then no way ends for what is to come.
    pub(super) fn without_foresight(&mut self) {
        self.seers_to_come.fill(0);
    }

    /// Notes an invocation.
    pub(super) fn call(&mut self, plan: &Plan, place: u32) -> Open {
        let op = plan.certain[place as usize];
        let open = Open { place, act: op.act, ret: op.ret, slot: op.slot };
        self.slots[op.slot as usize] = Some(open);
        let bit = open.bit();
        if let Some(value) = op.act.sees() {
            let to_come = &mut self.seers_to_come[value as usize];
            *to_come = to_come.saturating_sub(1);
        }
        let insert = |list: &mut Vec<Open>| {
            let at = list.partition_point(|other| other.ret < open.ret);
            list.insert(at, open);
        };
        match op.act {
            Act::See(value) => self.sees[value as usize] |= bit,
            Act::Avoid(value) => {
                self.avoids[value as usize] |= bit;
                self.avoiders |= bit;
            }
            Act::Never => {}
            Act::Write(value) => {
                self.writers |= bit;
                insert(&mut self.writes[value as usize]);
                self.note_writable(value);
            }
            Act::Cas(old, _) => insert(&mut self.cas[old as usize]),
        }
        open
    }

    fn note_writable(&mut self, value: u32) {
        if !self.writable.contains(&value) {
            self.writable.push(value);
        }
    }

    /// The open operation that is about to end.
    pub(super) fn open(&self, plan: &Plan, place: u32) -> Open {
        let slot = plan.certain[place as usize].slot;
        self.slots[slot as usize].expect("an operation that ends has begun")
    }

    /// Notes that it has ended.
    pub(super) fn close(&mut self, open: Open) {
        self.slots[open.slot as usize] = None;
        let bit = open.bit();
        match open.act {
            Act::See(value) => self.sees[value as usize] &= !bit,
            Act::Avoid(value) => {
                self.avoids[value as usize] &= !bit;
                self.avoiders &= !bit;
            }
            Act::Never => {}
            Act::Write(value) => {
                self.writers &= !bit;
                self.writes[value as usize].retain(|other| other.slot != open.slot);
                if self.writes[value as usize].is_empty()
                    && self.maybe_write[value as usize].is_none()
                {
                    self.writable.retain(|&other| other != value);
                }
            }
            Act::Cas(old, _) => self.cas[old as usize].retain(|other| other.slot != open.slot),
        }
        let named = if let Act::Avoid(value) = open.act { Some(value) } else { open.act.sees() };
        if let Some(value) = named {
            self.named[value as usize] -= 1;
        }
        if let Some(value) = open.act.makes() {
            self.sources[value as usize] -= 1;
        }
    }

    /// One more of a class may have happened.
    pub(super) fn supply(&mut self, plan: &Plan, class: u32) {
        self.supply[class as usize] += 1;
        if self.supply[class as usize] > 1 {
            return;
        }
        match plan.classes[class as usize].act {
            Act::Write(value) => {
                self.maybe_write[value as usize] = Some(class);
                self.note_writable(value);
            }
            Act::Cas(old, new) => {
                self.maybe_cas_from[old as usize].push(class);
                self.maybe_cas_to[new as usize].push(class);
            }
            _ => {}
        }
    }

    /// All that is open, those that end first first.
    pub(super) fn by_end(&self) -> Vec<Open> {
        let mut open: Vec<Open> = self.slots.iter().flatten().copied().collect();
        open.sort_by_key(|open| open.ret);
        open
    }

    /// Whether an operation that only observes is right in this state.
    pub(super) fn is_right(act: Act, state: u32) -> bool {
        match act {
            Act::See(value) => value == state,
            Act::Avoid(value) => value != state,
            Act::Never | Act::Write(_) | Act::Cas(..) => false,
        }
    }

    /// The open observers that are right in this state.
    pub(super) fn legal(&self, state: u32) -> u128 {
        match state {
            DEAD => self.avoiders,
            value => self.sees[value as usize] | (self.avoiders & !self.avoids[value as usize]),
        }
    }

    pub(super) fn is_dead(&self, state: u32) -> bool {
        state != DEAD && self.named[state as usize] == 0
    }

    /// Whether `value` is seen by one that comes later, and nothing is left that could make it.
    pub(super) fn is_last_chance(&self, value: u32) -> bool {
        value != DEAD && self.sources[value as usize] == 0 && self.seers_to_come[value as usize] > 0
    }

    /// Whether nothing is left that could make `value`.
    pub(super) fn is_sourceless(&self, value: u32) -> bool {
        self.sources[value as usize] == 0
    }

    /// The open writes of what is there already: they change nothing, so they can be placed.
    pub(super) fn idle(&self, state: u32) -> u128 {
        let writes = if state == DEAD { &[][..] } else { &self.writes[state as usize] };
        writes.iter().fold(0, |all, op| all | op.bit())
    }

    /// The open operations that see `value`, by their bits.
    pub(super) fn seers(&self, value: u32) -> u128 {
        self.cas[value as usize].iter().fold(self.sees[value as usize], |all, op| all | op.bit())
    }

    /// What the classes for which `is_free` says so give for nothing.
    pub(super) fn free(&self, is_free: impl Fn(u32) -> bool) -> Free {
        let mut free = Free::default();
        for &value in &self.writable {
            if self.maybe_write[value as usize].is_some_and(&is_free) {
                free.values.resize(self.writes.len(), false);
                free.values[value as usize] = true;
            }
        }
        if free.values.is_empty() {
            return free;
        }
        // Any such write hides whatever write was owed.
        free.owed = self.writers;
        for &value in &self.writable {
            if free.values[value as usize] {
                free.owed |= self.seers(value);
            }
        }
        for open in self.slots.iter().flatten() {
            let made = open.act.makes();
            if made.is_some_and(|value| free.values[value as usize]) {
                free.used |= open.bit();
            }
        }
        free
    }

    /// Fills `wanted` with the values that one of the `owed` operations waits for, directly or by
    /// way of indeterminate cas; whether any other value than the present one would do.
    pub(super) fn wanted(
        &self,
        plan: &Plan,
        config: &Config,
        target: Open,
        wanted: &mut Vec<u32>,
    ) -> bool {
        wanted.clear();
        let owed = config.owed;
        let mut left = owed & !self.writers;
        while left != 0 {
            let slot = left.trailing_zeros();
            left &= left - 1;
            let value = self.slots[slot as usize].and_then(|open| open.act.sees());
            if let Some(value) = value.filter(|value| !wanted.contains(value)) {
                wanted.push(value);
            }
        }
        // A cas that need not be placed but may be, for the last time: there is none but where much
        // was forgotten.
        let is_open = |open: &Open| (owed | config.used) & open.bit() == 0;
        if let Act::Cas(old, _) = target.act
            && is_open(&target)
            && !wanted.contains(&old)
        {
            wanted.push(old);
        }
        let mut at = 0;
        while at < wanted.len() {
            for &class in &self.maybe_cas_to[wanted[at] as usize] {
                let Act::Cas(old, _) = plan.classes[class as usize].act else { continue };
                if !wanted.contains(&old) {
                    wanted.push(old);
                }
            }
            for open in self.cas.iter().flatten().filter(|open| is_open(open)) {
                let Act::Cas(old, new) = open.act else { continue };
                if new == wanted[at] && !wanted.contains(&old) {
                    wanted.push(old);
                }
            }
            at += 1;
        }
        owed & self.avoiders != 0
    }
}
