//! The history in numbers: values, operations, classes of equal indeterminate ones, and events.

use crate::linear::object::{Entry, NEVER};
use crate::models::RegisterOp;
use ordeal_history::Value;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// The value that is there at first.
pub(super) const INITIAL: u32 = 0;
/// Any value that no operation that is left names.
pub(super) const DEAD: u32 = u32::MAX;

/// What an operation does, by the numbers of values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Act {
    /// Sees the value and leaves it.
    See(u32),
    /// Sees that it is another.
    Avoid(u32),
    /// Could have been answered so by no value.
    Never,
    Write(u32),
    /// Sees the first and leaves the second, which is another.
    Cas(u32, u32),
}

impl Act {
    /// The value that must be there.
    pub(super) fn sees(self) -> Option<u32> {
        match self {
            Act::See(value) | Act::Cas(value, _) => Some(value),
            _ => None,
        }
    }

    /// The value that it leaves in place of what was there.
    pub(super) fn makes(self) -> Option<u32> {
        match self {
            Act::Write(value) | Act::Cas(_, value) => Some(value),
            _ => None,
        }
    }
}

/// An operation whose end is known.
#[derive(Clone, Copy)]
pub(super) struct Certain {
    pub(super) entry: u32,
    pub(super) act: Act,
    pub(super) ret: u64,
    /// Its bit in a configuration: no other that is open beside it has the same.
    pub(super) slot: u8,
}

/// Certain operations that may be open at once; each has a bit in a configuration.
pub(super) const OPEN_MAX: usize = 128;

/// Indeterminate operations that do the same, by invocation.
pub(super) struct Class {
    pub(super) act: Act,
    /// Entry and invocation.
    pub(super) members: Vec<(u32, u64)>,
}

/// What happens at a moment; the numbers are places in the plan's lists.
#[derive(Clone, Copy)]
pub(super) enum Happening {
    Call(u32),
    Return(u32),
    /// One more of a class may have happened from here on.
    Supply(u32),
}

/// A register's history, ready to be swept.
pub(super) struct Plan {
    pub(super) certain: Vec<Certain>,
    pub(super) classes: Vec<Class>,
    /// By moment.
    pub(super) events: Vec<(u64, Happening)>,
    /// How many values there are, the initial one among them.
    pub(super) values: usize,
    /// Whether more is open at some moment than there are bits.
    pub(super) is_too_wide: bool,
}

impl Plan {
    pub(super) fn new(entries: &[Entry<&RegisterOp>]) -> Plan {
        let mut numbers = Numbers(FxHashMap::default());
        numbers.number(&Value::Null);
        let mut plan = Plan {
            certain: Vec::with_capacity(entries.len()),
            classes: Vec::new(),
            events: Vec::with_capacity(2 * entries.len()),
            values: 0,
            is_too_wide: false,
        };
        let mut classes: FxHashMap<Act, u32> = FxHashMap::default();
        for (index, entry) in (0..).zip(entries) {
            let act = numbers.act(entry.op);
            if entry.ret != NEVER {
                let place = plan.certain.len() as u32;
                plan.certain.push(Certain { entry: index, act, ret: entry.ret, slot: 0 });
                plan.events.push((entry.call, Happening::Call(place)));
                plan.events.push((entry.ret, Happening::Return(place)));
            } else if act.makes().is_some() {
                let place = *classes.entry(act).or_insert_with(|| {
                    plan.classes.push(Class { act, members: Vec::new() });
                    plan.classes.len() as u32 - 1
                });
                plan.classes[place as usize].members.push((index, entry.call));
                plan.events.push((entry.call, Happening::Supply(place)));
            }
        }
        for class in &mut plan.classes {
            class.members.sort_by_key(|&(_, call)| call);
        }
        plan.events.sort_by_key(|&(time, _)| time);
        plan.values = numbers.0.len();
        plan.assign_slots();
        plan
    }

    /// The events around a place, so many each way, and whether these are all.
    pub(super) fn around(&self, place: usize, length: usize) -> (Range<usize>, bool) {
        let all = self.events.len();
        let events = place.min(all).saturating_sub(length)..(place + length).min(all);
        let is_whole = events == (0..all);
        (events, is_whole)
    }

    /// How many certain operations end before an event.
    pub(super) fn ended_before(&self, at: usize) -> usize {
        let is_end = |(_, happening): &&(u64, Happening)| matches!(happening, Happening::Return(_));
        self.events[..at].iter().filter(is_end).count()
    }

    /// Gives each operation the first bit that is free when it begins.
    fn assign_slots(&mut self) {
        let mut taken = 0_u128;
        for &(_, happening) in &self.events {
            match happening {
                Happening::Call(place) => {
                    let slot = taken.trailing_ones();
                    if slot as usize == OPEN_MAX {
                        self.is_too_wide = true;
                        return;
                    }
                    taken |= 1 << slot;
                    self.certain[place as usize].slot = slot as u8;
                }
                Happening::Return(place) => taken &= !(1 << self.certain[place as usize].slot),
                Happening::Supply(_) => {}
            }
        }
    }
}

struct Numbers<'a>(FxHashMap<&'a Value, u32>);

impl<'a> Numbers<'a> {
    fn number(&mut self, value: &'a Value) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(value).or_insert(next)
    }

    fn act(&mut self, op: &'a RegisterOp) -> Act {
        match op {
            RegisterOp::Read(seen) => Act::See(self.number(seen)),
            RegisterOp::Write(new) => Act::Write(self.number(new)),
            RegisterOp::Cas(old, new) if old == new => Act::See(self.number(old)),
            RegisterOp::Cas(old, new) => Act::Cas(self.number(old), self.number(new)),
            RegisterOp::CasSaw(old, seen) if old == seen => Act::Never,
            RegisterOp::CasSaw(_, seen) => Act::See(self.number(seen)),
            RegisterOp::CasNot(old) => Act::Avoid(self.number(old)),
        }
    }
}
