//! From operations to values, segments and chains.

use super::Conflict;
use crate::linear::object::Entry;
use crate::models::RegisterOp;
use ordeal_history::Value;
use rustc_hash::FxHashMap;

pub(super) const NONE: u32 = u32::MAX;

/// What is known of one value.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// The write or cas that made it; `NONE` for the initial value.
    pub(super) writer: u32,
    /// The value that the writer took away, if it was a cas.
    pub(super) previous: u32,
    /// The cas that took it away, and the value that it made.
    pub(super) taker: u32,
    pub(super) next: u32,
    /// The readers' list.
    pub(super) reader: u32,
    /// Somebody saw it.
    seen: bool,
}

const UNKNOWN: Segment =
    Segment { writer: NONE, previous: NONE, taker: NONE, next: NONE, reader: NONE, seen: false };

/// The values of an object; number 0 is the initial one.
pub(super) struct Blocks {
    pub(super) segments: Vec<Segment>,
    /// The next reader of the same value, for each entry.
    pub(super) next_reader: Vec<u32>,
    /// First values of the chains.
    pub(super) roots: Vec<u32>,
    /// Failed cas that say only what they did not see: entry and value.
    pub(super) not_equal: Vec<(u32, u32)>,
}

struct Builder<'a> {
    numbers: FxHashMap<&'a Value, u32>,
    blocks: Blocks,
    /// Cas by the value that they make: entry and value taken.
    maybes: Vec<(u32, u32, u32)>,
    unique: bool,
}

/// Numbers the values and chains them; `None` when some value was written twice.
pub(super) fn build(entries: &[Entry<&RegisterOp>]) -> Result<Option<Blocks>, Conflict> {
    let mut builder = Builder {
        numbers: FxHashMap::default(),
        blocks: Blocks {
            segments: vec![UNKNOWN],
            next_reader: vec![NONE; entries.len()],
            roots: Vec::new(),
            not_equal: Vec::new(),
        },
        maybes: Vec::new(),
        unique: true,
    };
    builder.numbers.reserve(entries.len() / 2);
    builder.blocks.segments.reserve(entries.len() / 2);
    builder.numbers.insert(&Value::Null, 0);
    let mut takers: Vec<(u32, u32, u32)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        builder.add(index as u32, entry, &mut takers)?;
        if !builder.unique {
            return Ok(None);
        }
    }
    builder.chain(entries, takers)?;
    Ok(Some(builder.blocks))
}

impl<'a> Builder<'a> {
    fn number(&mut self, value: &'a Value) -> u32 {
        let segments = &mut self.blocks.segments;
        *self.numbers.entry(value).or_insert_with(|| {
            segments.push(UNKNOWN);
            segments.len() as u32 - 1
        })
    }

    fn add(
        &mut self,
        index: u32,
        entry: &Entry<&'a RegisterOp>,
        takers: &mut Vec<(u32, u32, u32)>,
    ) -> Result<(), Conflict> {
        match entry.op {
            RegisterOp::Read(seen) => self.read(index, seen),
            RegisterOp::CasSaw(old, seen) if old == seen => {
                return Err(Conflict::SawExpected(index));
            }
            RegisterOp::CasSaw(_, seen) => self.read(index, seen),
            RegisterOp::Write(new) => {
                self.write(index, new);
            }
            RegisterOp::Cas(old, new) => {
                let taken = self.number(old);
                let made = self.write(index, new);
                if taken == made {
                    self.unique = false;
                }
                takers.push((index, taken, made));
                if entry.is_certain() {
                    self.blocks.segments[taken as usize].seen = true;
                } else {
                    self.maybes.push((index, taken, made));
                }
            }
            RegisterOp::CasNot(old) => {
                let value = self.number(old);
                self.blocks.not_equal.push((index, value));
            }
        }
        Ok(())
    }

    fn read(&mut self, index: u32, seen: &'a Value) {
        let number = self.number(seen);
        let segment = &mut self.blocks.segments[number as usize];
        segment.seen = true;
        // Lists grow at their heads: their order does not matter until the witness is laid out.
        self.blocks.next_reader[index as usize] = segment.reader;
        segment.reader = index;
    }

    fn write(&mut self, index: u32, new: &'a Value) -> u32 {
        let number = self.number(new);
        let segment = &mut self.blocks.segments[number as usize];
        if number == 0 || segment.writer != NONE {
            self.unique = false;
        }
        segment.writer = index;
        number
    }

    fn chain(
        &mut self,
        entries: &[Entry<&RegisterOp>],
        takers: Vec<(u32, u32, u32)>,
    ) -> Result<(), Conflict> {
        self.see_through_maybes(entries);
        let blocks = &mut self.blocks;
        for (index, taken, made) in takers {
            if !happened(entries, blocks, index, made) {
                continue;
            }
            let segment = &mut blocks.segments[taken as usize];
            if segment.taker != NONE {
                return Err(Conflict::TwoCas(segment.taker, index));
            }
            segment.taker = index;
            segment.next = made;
            blocks.segments[made as usize].previous = taken;
        }
        for (number, segment) in blocks.segments.iter().enumerate() {
            if number == 0 {
                blocks.roots.push(0);
            } else if segment.writer == NONE {
                if segment.seen {
                    let seer = if segment.reader == NONE { segment.taker } else { segment.reader };
                    return Err(Conflict::NeverWritten(first_reader(blocks, seer)));
                }
            } else if segment.previous == NONE
                && happened(entries, blocks, segment.writer, number as u32)
            {
                blocks.roots.push(number as u32);
            }
        }
        self.refuse_circles(entries)
    }

    /// A cas of unknown outcome whose value was seen saw its old value.
    fn see_through_maybes(&mut self, entries: &[Entry<&RegisterOp>]) {
        let taken_by: FxHashMap<u32, u32> =
            self.maybes.iter().map(|&(index, taken, _)| (index, taken)).collect();
        let segments = &mut self.blocks.segments;
        for &(_, taken, made) in &self.maybes {
            if !segments[made as usize].seen {
                continue;
            }
            let mut value = taken;
            while !std::mem::replace(&mut segments[value as usize].seen, true) {
                let writer = segments[value as usize].writer;
                if writer == NONE || entries[writer as usize].is_certain() {
                    break;
                }
                match taken_by.get(&writer) {
                    Some(&earlier) => value = earlier,
                    None => break,
                }
            }
        }
    }

    /// Every value must hang on a chain that a write or the initial value begins.
    fn refuse_circles(&self, entries: &[Entry<&RegisterOp>]) -> Result<(), Conflict> {
        let blocks = &self.blocks;
        let mut reached = vec![false; blocks.segments.len()];
        for &root in &blocks.roots {
            let mut value = root;
            while value != NONE {
                reached[value as usize] = true;
                value = blocks.segments[value as usize].next;
            }
        }
        for (number, segment) in blocks.segments.iter().enumerate() {
            let writer = segment.writer;
            if reached[number] || writer == NONE {
                continue;
            }
            if happened(entries, blocks, writer, number as u32) {
                let mut members = vec![writer];
                let mut value = segment.next;
                while value != number as u32 && value != NONE {
                    members.push(blocks.segments[value as usize].writer);
                    value = blocks.segments[value as usize].next;
                }
                members.sort_unstable();
                return Err(Conflict::Circle(members));
            }
        }
        Ok(())
    }
}

/// Whether the write or cas at `index`, which makes `made`, surely happened.
fn happened(entries: &[Entry<&RegisterOp>], blocks: &Blocks, index: u32, made: u32) -> bool {
    entries[index as usize].is_certain() || blocks.segments[made as usize].seen
}

/// The first in the list of readers, which holds them last first.
fn first_reader(blocks: &Blocks, mut reader: u32) -> u32 {
    while blocks.next_reader[reader as usize] != NONE {
        reader = blocks.next_reader[reader as usize];
    }
    reader
}
