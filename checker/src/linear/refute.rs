//! Quick refutations of registers whose values repeat: what no order can save, found in one sweep.
//!
//! A read needs a write of its value that began before it ended, and that was not surely
//! overwritten: no other write began after that one had ended, and ended before the read began.
//! The condition is necessary, not sufficient; what passes is for the search. It spares the search
//! the histories that would cost it most, for an invalid one needs the whole space.

use super::blocks::Conflict;
use super::object::Entry;
use crate::models::RegisterOp;
use ordeal_history::Value;
use rustc_hash::FxHashMap;

/// The writes of one value.
#[derive(Default)]
struct Writes {
    /// By invocation: when each began, and the latest end among those up to it, with its entry.
    latest: Vec<(u64, u64, u32)>,
}

/// The first read (or cas) that no write can explain. O(n log n).
pub(super) fn refute(entries: &[Entry<&RegisterOp>]) -> Option<Conflict> {
    let mut by_value: FxHashMap<&Value, Writes> = FxHashMap::default();
    // Certain writes by end, with the latest start among those up to it.
    let mut ends: Vec<(u64, u64, u32)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let (RegisterOp::Write(new) | RegisterOp::Cas(_, new)) = entry.op else { continue };
        let latest = &mut by_value.entry(new).or_default().latest;
        let before = latest.last().map_or((0, 0), |&(_, end, index)| (end, index));
        let (end, writer) = before.max((entry.ret, index as u32));
        latest.push((entry.call, end, writer));
        if entry.is_certain() {
            ends.push((entry.ret, entry.call, index as u32));
        }
    }
    ends.sort_unstable();
    let mut latest = (0, 0);
    for end in &mut ends {
        latest = latest.max((end.1, end.2));
        (end.1, end.2) = latest;
    }
    let sees = entries.iter().enumerate().filter_map(|(index, entry)| match entry.op {
        RegisterOp::Read(seen) | RegisterOp::CasSaw(_, seen) => Some((index as u32, seen)),
        RegisterOp::Cas(old, _) if entry.is_certain() => Some((index as u32, old)),
        _ => None,
    });
    sees.filter_map(|(index, seen)| {
        let reader = &entries[index as usize];
        explain(reader, index, by_value.get(seen), &ends, seen.is_null())
            .map(|conflict| (reader.ret, conflict))
    })
    .min_by_key(|(end, _)| *end)
    .map(|(_, conflict)| conflict)
}

/// Why the reader's value cannot have been there, if it cannot.
fn explain(
    reader: &Entry<&RegisterOp>,
    index: u32,
    writes: Option<&Writes>,
    ends: &[(u64, u64, u32)],
    is_initial: bool,
) -> Option<Conflict> {
    let ended = ends.partition_point(|&(end, ..)| end < reader.call);
    let by = ended.checked_sub(1).map(|last| ends[last]);
    let latest = writes.map_or(&[][..], |writes| &writes.latest);
    let begun = latest.partition_point(|&(call, ..)| call < reader.ret);
    match (begun.checked_sub(1).map(|last| latest[last]), by) {
        // Some write of it may have come after all that surely ended.
        (Some((_, end, _)), Some((_, start, _))) if end > start => None,
        (Some((_, _, writer)), Some((_, _, by))) => {
            Some(Conflict::Overwritten { reader: index, write: Some(writer), by })
        }
        (Some(_), None) => None,
        (None, Some((_, _, by))) if is_initial => {
            Some(Conflict::Overwritten { reader: index, write: None, by })
        }
        (None, _) if is_initial => None,
        (None, _) => match latest.first() {
            // Written, but only after the read.
            Some(&(_, _, writer)) => Some(Conflict::Backwards(writer, index)),
            None => Some(Conflict::NeverWritten(index)),
        },
    }
}
