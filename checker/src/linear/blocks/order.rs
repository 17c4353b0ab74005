//! From blocks to an order, or to the operations that forbid every order.

use super::build::{Blocks, NONE};
use super::{Conflict, Pair};
use crate::linear::object::Entry;
use crate::models::RegisterOp;

/// A block's first end and last start, and the operations that set them.
#[derive(Clone, Copy)]
struct Zone {
    root: u32,
    first_end: u64,
    first: u32,
    last_start: u64,
    last: u32,
}

type Entries<'a> = [Entry<&'a RegisterOp>];

/// The conflict that was complete first, among those offered.
struct Earliest<'a> {
    entries: &'a Entries<'a>,
    conflict: Option<(u64, Conflict)>,
}

impl Earliest<'_> {
    fn offer(&mut self, conflict: Conflict) {
        let at = conflict
            .operations()
            .iter()
            .map(|&index| &self.entries[index as usize])
            .map(|entry| if entry.is_certain() { entry.ret } else { entry.call })
            .max()
            .unwrap_or(0);
        if self.conflict.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
            self.conflict = Some((at, conflict));
        }
    }
}

/// A linearization of the blocks, or the conflict that shows first.
pub(super) fn order(entries: &Entries<'_>, blocks: &Blocks) -> Result<Vec<u32>, Conflict> {
    let mut earliest = Earliest { entries, conflict: None };
    let mut zones: Vec<Zone> = Vec::with_capacity(blocks.roots.len());
    for &root in &blocks.roots {
        zones.push(walk(entries, blocks, root, &mut earliest));
    }
    zones.sort_unstable_by_key(|zone| zone.first_end.min(zone.last_start));
    sweep(&zones, &mut earliest);
    match earliest.conflict {
        Some((_, conflict)) => Err(conflict),
        None => Ok(lay_out(entries, blocks, &zones)),
    }
}

/// Walks a block's groups in order; whoever ended before one of an earlier group began is in
/// conflict with it.
fn walk(entries: &Entries<'_>, blocks: &Blocks, root: u32, earliest: &mut Earliest<'_>) -> Zone {
    // The initial value's write is before everything.
    let first_end = if root == 0 { 0 } else { u64::MAX };
    let mut zone = Zone { root, first_end, first: NONE, last_start: 0, last: NONE };
    let mut value = root;
    while value != NONE {
        let segment = &blocks.segments[value as usize];
        if segment.writer != NONE {
            group(entries, std::iter::once(segment.writer), &mut zone, earliest);
        }
        let first = Some(segment.reader).filter(|&reader| reader != NONE);
        let readers = std::iter::successors(first, |&reader| {
            Some(blocks.next_reader[reader as usize]).filter(|&next| next != NONE)
        });
        group(entries, readers, &mut zone, earliest);
        value = segment.next;
    }
    zone
}

/// Adds a group to the zone: all of it must be able to come after all that was added before.
fn group(
    entries: &Entries<'_>,
    members: impl Iterator<Item = u32>,
    zone: &mut Zone,
    earliest: &mut Earliest<'_>,
) {
    let (start_before, last_before) = (zone.last_start, zone.last);
    let mut first_end = u64::MAX;
    let mut first = NONE;
    for index in members {
        let entry = &entries[index as usize];
        if entry.ret < first_end {
            (first_end, first) = (entry.ret, index);
        }
        if entry.call > zone.last_start {
            (zone.last_start, zone.last) = (entry.call, index);
        }
    }
    if first_end < start_before {
        earliest.offer(Conflict::Backwards(last_before, first));
    }
    if first_end < zone.first_end {
        (zone.first_end, zone.first) = (first_end, first);
    }
}

/// Looks for pairs that must each come before the other, in zones sorted by their lower ends.
///
/// Zones with their first end before their last start (*forward* ones) may not overlap each
/// other, and none may hold another zone entirely. No other pair can be in conflict.
fn sweep(zones: &[Zone], earliest: &mut Earliest<'_>) {
    let mut reach: Option<&Zone> = None;
    for zone in zones {
        let forward = zone.first_end < zone.last_start;
        if let Some(earlier) = reach {
            // `earlier` began no later than `zone` by the order of the sort.
            let inside = zone.first_end < earlier.last_start;
            if inside && earlier.first_end < zone.last_start {
                earliest.offer(Conflict::Interleaved(pair(earlier, zone)));
            }
        }
        if forward && reach.is_none_or(|earlier| zone.last_start > earlier.last_start) {
            reach = Some(zone);
        }
    }
}

fn pair(old: &Zone, new: &Zone) -> Pair {
    Pair {
        old_first: Some(old.first).filter(|&first| first != NONE),
        old_last: old.last,
        new_first: new.first,
        new_last: new.last,
    }
}

/// The blocks in the order of their lower ends, each block's groups in order.
fn lay_out(entries: &Entries<'_>, blocks: &Blocks, zones: &[Zone]) -> Vec<u32> {
    let mut order = Vec::with_capacity(entries.len());
    for zone in zones {
        let mut value = zone.root;
        while value != NONE {
            let segment = &blocks.segments[value as usize];
            if segment.writer != NONE {
                order.push(segment.writer);
            }
            let start = order.len();
            let mut reader = segment.reader;
            while reader != NONE {
                order.push(reader);
                reader = blocks.next_reader[reader as usize];
            }
            order[start..].sort_unstable_by_key(|&index| entries[index as usize].call);
            value = segment.next;
        }
    }
    order
}
