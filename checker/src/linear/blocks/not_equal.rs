//! Failed cas that say only which value they did not see.

use super::build::{Blocks, NONE};
use super::{Conflict, Decision};
use crate::linear::object::Entry;
use crate::models::RegisterOp;

type Entries<'a> = [Entry<&'a RegisterOp>];

/// Puts them into `order`, each at the first place that its interval and its answer allow.
///
/// For a given order of the others the first place is the best one. Another order of the others,
/// or an indeterminate write that nobody saw, may still make room: that is left to the search.
pub(super) fn place(entries: &Entries<'_>, blocks: &Blocks, order: Vec<u32>) -> Decision {
    if let Some(conflict) = refute(entries, blocks) {
        return Decision::Invalid(conflict);
    }
    let gaps = Gaps::new(entries, blocks, &order);
    let mut by_call = blocks.not_equal.clone();
    by_call.sort_unstable_by_key(|&(index, _)| entries[index as usize].call);
    // Those that ended, with their places, and the latest place among the ended so far.
    let mut ends: Vec<(u64, usize)> = Vec::with_capacity(by_call.len());
    let mut placed: Vec<(usize, u32)> = Vec::with_capacity(by_call.len());
    for &(index, value) in &by_call {
        let entry = &entries[index as usize];
        let (low, high) = gaps.range(entry.call, entry.ret);
        let ended = ends.partition_point(|&(end, _)| end < entry.call);
        let low = low.max(ends[..ended].last().map_or(0, |&(_, place)| place));
        let Some(gap) = (low..=high).find(|&gap| gaps.values[gap] != value) else {
            return Decision::Undecided;
        };
        placed.push((gap, index));
        let at = ends.partition_point(|&(end, _)| end < entry.ret);
        let before = at.checked_sub(1).map_or(0, |at| ends[at].1);
        ends.insert(at, (entry.ret, gap.max(before)));
        for later in &mut ends[at + 1..] {
            later.1 = later.1.max(gap);
        }
    }
    placed.sort_by_key(|&(gap, _)| gap);
    let mut merged = Vec::with_capacity(order.len() + placed.len());
    let mut placed = placed.into_iter().peekable();
    for gap in 0..=order.len() {
        while let Some((_, index)) = placed.next_if(|&(at, _)| at == gap) {
            merged.push(index);
        }
        merged.extend(order.get(gap));
    }
    Decision::Valid(merged)
}

/// A failed cas all of whose interval the expected value was surely there.
fn refute(entries: &Entries<'_>, blocks: &Blocks) -> Option<Conflict> {
    blocks.not_equal.iter().find_map(|&(index, value)| {
        let entry = &entries[index as usize];
        let segment = &blocks.segments[value as usize];
        let mut first = (value == 0).then_some((0, None));
        let mut last: Option<(u64, u32)> = None;
        let mut note = |index: u32, is_writer: bool| {
            let seer = &entries[index as usize];
            if first.is_none_or(|(end, _)| seer.ret < end) {
                first = Some((seer.ret, Some(index)));
            }
            if !is_writer && last.is_none_or(|(call, _)| seer.call > call) {
                last = Some((seer.call, index));
            }
        };
        if segment.writer != NONE {
            note(segment.writer, true);
        }
        let mut reader = segment.reader;
        while reader != NONE {
            note(reader, false);
            reader = blocks.next_reader[reader as usize];
        }
        if segment.taker != NONE {
            let taker = &entries[segment.taker as usize];
            if last.is_none_or(|(call, _)| taker.call > call) {
                last = Some((taker.call, segment.taker));
            }
        }
        let (first_end, first) = first?;
        let last = match last {
            _ if is_only_value(blocks, value) => None,
            Some((last_start, last)) if entry.ret < last_start => Some(last),
            _ => return None,
        };
        (first_end < entry.call).then_some(Conflict::NotEqual(index, first, last))
    })
}

/// Whether nobody ever made another value, and the initial one is not asked for.
fn is_only_value(blocks: &Blocks, value: u32) -> bool {
    let mut others = blocks.segments.iter().enumerate();
    others.all(|(number, segment)| number == value as usize || segment.writer == NONE)
}

/// The places between the operations of an order: gap k is before the operation at k.
struct Gaps {
    /// The value in each gap.
    values: Vec<u32>,
    /// Ends of the order's operations, ascending, with the last gap position that any so far asks.
    ends: Vec<(u64, usize)>,
    /// Starts, descending, with the first gap position that any so far forbids.
    starts: Vec<(u64, usize)>,
}

impl Gaps {
    fn new(entries: &Entries<'_>, blocks: &Blocks, order: &[u32]) -> Gaps {
        let mut made = vec![NONE; entries.len()];
        for (number, segment) in blocks.segments.iter().enumerate() {
            if segment.writer != NONE {
                made[segment.writer as usize] = number as u32;
            }
        }
        let mut values = Vec::with_capacity(order.len() + 1);
        let mut value = 0;
        values.push(value);
        for &index in order {
            if made[index as usize] != NONE {
                value = made[index as usize];
            }
            values.push(value);
        }
        let entry = |&(place, &index): &(usize, &u32)| (place, &entries[index as usize]);
        let mut ends: Vec<(u64, usize)> = order
            .iter()
            .enumerate()
            .map(|item| entry(&item))
            .map(|(place, entry)| (entry.ret, place + 1))
            .collect();
        ends.sort_unstable();
        running(&mut ends, usize::max);
        let mut starts: Vec<(u64, usize)> = order
            .iter()
            .enumerate()
            .map(|item| entry(&item))
            .map(|(place, entry)| (entry.call, place))
            .collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        running(&mut starts, usize::min);
        Gaps { values, ends, starts }
    }

    /// The first and last gap for an operation with this interval.
    fn range(&self, call: u64, ret: u64) -> (usize, usize) {
        let ended = self.ends.partition_point(|&(end, _)| end < call);
        let low = self.ends[..ended].last().map_or(0, |&(_, gap)| gap);
        let begun = self.starts.partition_point(|&(start, _)| start > ret);
        let high = self.starts[..begun].last().map_or(self.values.len() - 1, |&(_, gap)| gap);
        (low, high)
    }
}

fn running(pairs: &mut [(u64, usize)], join: fn(usize, usize) -> usize) {
    for at in 1..pairs.len() {
        pairs[at].1 = join(pairs[at].1, pairs[at - 1].1);
    }
}
