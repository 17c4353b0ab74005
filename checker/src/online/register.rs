//! One register, whose blocks grow as its operations end, and are forgotten when they are settled.
//!
//! The model is that of [`crate::linear::blocks`]: all that concerns a value is one segment,
//! successful cas chain segments into blocks, a block has a first end f and a last start s, and
//! two blocks are in conflict when f(A) < s(B) and f(B) < s(A). Fed in the order of events every
//! end is the latest so far. So f never changes once it is there, and blocks are born in the order
//! of their f; only s grows, and a conflict can only be made by the operation that ends just now.
//!
//! **What is forgotten.** Let L be the first start among the operations that can still end: no
//! operation that ends later began before L. A block B is dead when some other block A has
//! f(A) < L and s(A) > f(B), for whoever saw B's value from now on would have started after f(A).
//! A segment is dead when an operation of a later segment of its block ended before L. Values of
//! dead blocks and segments are dropped without a trace, for to see such a value is as wrong as
//! to see one that was never written: either is a value that is not there. Of all blocks that were
//! dropped one number remains, the greatest s. Should a forgotten value be written again, then
//! that is a value of its own, since no later answer can be about the old one.
//!
//! **What is kept** is what is open or ended after L, the blocks that are alive (one, when nothing
//! is open), and each write of unknown outcome that nobody saw: it may be seen at any time.

use super::ring::MaxRing;
use ordeal_history::Value;
use rustc_hash::FxHashMap;
use std::collections::{BTreeSet, VecDeque};

/// An end that has not come.
const NEVER: u64 = u64::MAX;

/// Why no order can hold. Numbers are moments: indexes of events, plus one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It saw a value that was not there: never written, or replaced before it began.
    NotThere(Value),
    /// It failed because of the very value that it expected.
    SawExpected,
    /// Another cas took the value away.
    Taken(Value),
    /// The value could only come to be from itself.
    Circle(Value),
    /// It began after somebody had seen what replaced its value.
    Replaced(Value, u64),
    /// The value was there before another one was seen, and after.
    Between(Value, Zone),
    /// It failed, though its value was seen.
    FailedButSeen(Value),
}

/// Where a block lies: its first end, its last start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Zone {
    pub(super) first_end: u64,
    pub(super) last_start: u64,
}

/// Two writes of one value, while either can be seen: nothing for this algorithm.
#[derive(Debug)]
pub(super) struct NotUnique;

/// What is known of a value.
enum Place {
    /// Its write may have happened or not: when that began, and the value that it takes away.
    Maybe(u64, Option<Value>),
    /// It was there: the block, and the segment in it.
    There(u64, u64),
}

struct Segment {
    value: Value,
    /// The first end among the operations of later segments.
    later_end: u64,
}

struct Block {
    first_end: u64,
    segments: VecDeque<Segment>,
    /// Segments that were dropped at the front.
    dropped: u64,
    /// The first segment of which no later one has an end.
    last_ended: u64,
}

/// A register, `null` at first.
pub(super) struct Register {
    /// When the operations began that can still end.
    open: BTreeSet<u64>,
    values: FxHashMap<Value, Place>,
    /// In the order of their first ends.
    blocks: VecDeque<Block>,
    /// The number of the first of them.
    first: u64,
    /// Their last starts, by number.
    starts: MaxRing,
    /// Of the blocks that were dropped, the one with the last start.
    settled: Zone,
}

impl Register {
    pub(super) fn new() -> Register {
        let mut register = Register {
            open: BTreeSet::new(),
            values: FxHashMap::default(),
            blocks: VecDeque::new(),
            first: 0,
            starts: MaxRing::new(),
            settled: Zone::default(),
        };
        // The initial value starts and ends before everything.
        let block = register.begin_block(0);
        register.append(block, Value::Null);
        register
    }

    /// An operation begins; with the value that it would make and the one that it would take.
    pub(super) fn invoke(
        &mut self,
        call: u64,
        makes: Option<(&Value, Option<&Value>)>,
    ) -> Result<(), NotUnique> {
        self.open.insert(call);
        let Some((new, old)) = makes else { return Ok(()) };
        if old == Some(new) || self.values.contains_key(new) {
            return Err(NotUnique);
        }
        self.values.insert(new.clone(), Place::Maybe(call, old.cloned()));
        Ok(())
    }

    /// The operation that began at `call` will never end; what it would make may still appear.
    pub(super) fn retire(&mut self, call: u64) {
        self.open.remove(&call);
        self.settle();
    }

    /// It certainly happened, and made `new`.
    pub(super) fn wrote(&mut self, call: u64, now: u64, new: &Value) -> Result<(), Wrong> {
        self.saw(call, now, new)
    }

    /// It certainly did not happen, and so nobody can have seen `new`.
    pub(super) fn unmake(&mut self, new: &Value) -> Result<(), Wrong> {
        match self.values.get(new) {
            Some(Place::There(..)) => Err(Wrong::FailedButSeen(new.clone())),
            _ => {
                self.values.remove(new);
                Ok(())
            }
        }
    }

    /// An operation that began at `call` ends `now`, and shows that `value` was there meanwhile.
    pub(super) fn saw(&mut self, call: u64, now: u64, value: &Value) -> Result<(), Wrong> {
        self.open.remove(&call);
        let (number, segment) = self.happened(value, now)?;
        self.starts.set(number, self.starts.get(number).max(call));
        let block = &mut self.blocks[(number - self.first) as usize];
        let later_end = block.segments[(segment - block.dropped) as usize].later_end;
        if later_end < call {
            return Err(Wrong::Replaced(value.clone(), later_end));
        }
        while block.last_ended < segment {
            let earlier = (block.last_ended - block.dropped) as usize;
            block.segments[earlier].later_end = now;
            block.last_ended += 1;
        }
        if let Some(zone) = self.conflict(number) {
            return Err(Wrong::Between(value.clone(), zone));
        }
        self.drop_segments(number);
        self.settle();
        Ok(())
    }

    /// The place of a value that was seen: whatever had to happen for that has happened.
    fn happened(&mut self, value: &Value, now: u64) -> Result<(u64, u64), Wrong> {
        let mut path: Vec<(Value, u64)> = Vec::new();
        let mut at = value;
        let base = loop {
            match self.values.get(at) {
                None => return Err(Wrong::NotThere(at.clone())),
                Some(&Place::There(number, segment)) => {
                    if path.is_empty() {
                        return Ok((number, segment));
                    }
                    let block = &self.blocks[(number - self.first) as usize];
                    if segment + 1 < block.dropped + block.segments.len() as u64 {
                        return Err(Wrong::Taken(at.clone()));
                    }
                    break Some(number);
                }
                Some(Place::Maybe(call, previous)) => {
                    if path.len() == self.values.len() {
                        return Err(Wrong::Circle(value.clone()));
                    }
                    path.push((at.clone(), *call));
                    match previous {
                        Some(previous) => at = previous,
                        None => break None,
                    }
                }
            }
        };
        let number = base.unwrap_or_else(|| self.begin_block(now));
        let mut place = (number, 0);
        for (value, call) in path.into_iter().rev() {
            self.starts.set(number, self.starts.get(number).max(call));
            place = self.append(number, value);
        }
        Ok(place)
    }

    fn begin_block(&mut self, first_end: u64) -> u64 {
        let (segments, dropped, last_ended) = (VecDeque::new(), 0, 0);
        self.blocks.push_back(Block { first_end, segments, dropped, last_ended });
        self.starts.push(0)
    }

    fn append(&mut self, number: u64, value: Value) -> (u64, u64) {
        let block = &mut self.blocks[(number - self.first) as usize];
        let segment = block.dropped + block.segments.len() as u64;
        block.segments.push_back(Segment { value: value.clone(), later_end: NEVER });
        self.values.insert(value, Place::There(number, segment));
        (number, segment)
    }

    /// The number of the first block whose first end is not before `moment`.
    fn ended_before(&self, moment: u64) -> u64 {
        self.first + self.blocks.partition_point(|block| block.first_end < moment) as u64
    }

    /// Another block that must come both before and after this one, whose last start is that of an
    /// operation that ends now.
    fn conflict(&self, number: u64) -> Option<Zone> {
        let first_end = self.blocks[(number - self.first) as usize].first_end;
        // Whatever was dropped ended first before anything began that ends now.
        if self.settled.last_start > first_end {
            return Some(self.settled);
        }
        let until = self.ended_before(self.starts.get(number));
        let before = self.starts.max(self.first, number.min(until));
        let after = self.starts.max(number + 1, until);
        if before.max(after) <= first_end {
            return None;
        }
        let others = (self.first..until).filter(|&other| other != number);
        let last = others.max_by_key(|&other| self.starts.get(other))?;
        Some(self.zone(last))
    }

    fn zone(&self, number: u64) -> Zone {
        let first_end = self.blocks[(number - self.first) as usize].first_end;
        Zone { first_end, last_start: self.starts.get(number) }
    }

    /// No operation that ends from now on began before this.
    fn horizon(&self) -> u64 {
        self.open.first().copied().unwrap_or(NEVER)
    }

    /// Drops the values of a block that nobody can see any more.
    fn drop_segments(&mut self, number: u64) {
        let horizon = self.horizon();
        let block = &mut self.blocks[(number - self.first) as usize];
        while block.segments.front().is_some_and(|front| front.later_end < horizon) {
            if let Some(segment) = block.segments.pop_front() {
                self.values.remove(&segment.value);
                block.dropped += 1;
            }
        }
    }

    /// Drops blocks of which nobody can see a value any more.
    fn settle(&mut self) {
        let horizon = self.horizon();
        let until = self.ended_before(horizon);
        while self.first < until {
            let zone = self.zone(self.first);
            let others = self.starts.max(self.first + 1, until).max(self.settled.last_start);
            if others <= zone.first_end {
                return;
            }
            let Some(block) = self.blocks.pop_front() else { return };
            for segment in block.segments {
                self.values.remove(&segment.value);
            }
            self.starts.pop();
            self.first += 1;
            if zone.last_start > self.settled.last_start {
                self.settled = zone;
            }
        }
    }

    /// How many values and blocks are remembered.
    pub(super) fn held(&self) -> usize {
        self.values.len() + self.blocks.len()
    }
}
