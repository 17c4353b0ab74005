//! Keys that hang on leases: what reads and watches of them tell of the leases.

use super::super::changes::{Change, Changes};
use super::super::findings::Findings;
use super::super::objects::{event, field, number};
use super::lives::{Alive, Gone, Lives};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A put or a deletion of a key at a known revision.
#[derive(Clone, Copy)]
struct Tied {
    position: u32,
    /// The lease that the put tied the key to; 0 for none.
    lease: i64,
    deleted: bool,
}

/// Notes what the reads (`get`) and the watches of `history` tell of `lives`. O(n log n).
pub(super) fn tell<'h>(history: &'h History, lives: &mut Lives<'h>, findings: &mut Findings<'_>) {
    let changes = Changes::gather(history);
    let tied = tied(&changes);
    for (position, operation) in (0..).zip(&history.operations) {
        match (&*operation.f, operation.outcome) {
            ("get", Outcome::Ok) => {
                read(position, operation, &tied, &changes, lives, findings);
            }
            ("watch-next", Outcome::Ok) => {
                deletions(position, operation, &tied, &changes, lives);
            }
            _ => {}
        }
    }
}

type Ties<'h> = FxHashMap<&'h Value, BTreeMap<i64, Tied>>;

fn tied<'h>(changes: &Changes<'h>) -> Ties<'h> {
    let mut tied = Ties::default();
    for (revision, change) in changes.known.iter().flat_map(|(r, all)| all.iter().map(|c| (*r, c)))
    {
        let Change { position, lease, value, .. } = *change;
        let entry = Tied { position, lease, deleted: value.is_none() };
        tied.entry(change.key).or_default().insert(revision, entry);
    }
    tied
}

fn read<'h>(
    position: u32,
    read: &'h Operation,
    tied: &Ties<'_>,
    changes: &Changes<'_>,
    lives: &mut Lives<'h>,
    findings: &mut Findings<'_>,
) {
    let Some(key) = &read.key else { return };
    let last = |at: i64| tied.get(key)?.range(..=at).next_back().map(|(at, tie)| (*at, *tie));
    if read.output.is_null() {
        let unsure = changes.maybe(key).iter().any(|c| Some(c.invoke) < read.complete);
        let Some((at, (_, tie))) = read.revision.and_then(|at| Some((at, last(at)?))) else {
            return;
        };
        if !tie.deleted
            && !unsure
            && let Some(life) = lives.of(tie.lease, read)
        {
            life.gone.push(Gone { operation: (position, read), at: Some(at) });
        }
        return;
    }
    let lease = number(&read.output, "lease").unwrap_or(0);
    let written = number(&read.output, "mod").and_then(|at| Some((at, tied.get(key)?.get(&at)?)));
    if let Some((at, tie)) = written.filter(|(_, tie)| tie.lease != lease && !tie.deleted) {
        let (read, put) = (event(read), tie.lease);
        let story = format!(
            "The read of {read} has {key} tied to lease {lease}; the put at revision {at} tied it \
             to {put} (0 is none)."
        );
        findings.note("wrong-lease", &[tie.position, position], story);
    }
    if let Some(life) = lives.of(lease, read) {
        let operation = (position, read);
        life.alive.push(Alive { operation, at: read.revision, else_kind: "key-outlives-lease" });
    }
}

/// A key that no request deleted was deleted because its lease ended: at that revision it was
/// gone, and just before still there.
fn deletions<'h>(
    position: u32,
    response: &'h Operation,
    tied: &Ties<'_>,
    changes: &Changes<'_>,
    lives: &mut Lives<'h>,
) {
    let events = field(&response.output, "events").and_then(Value::as_array).unwrap_or_default();
    for item in events {
        let deleted = field(item, "type").and_then(Value::as_str) == Some("delete");
        let (key, at) = (field(item, "key"), number(item, "mod"));
        let (true, Some(key), Some(at)) = (deleted, key, at) else { continue };
        let asked = changes.known.contains_key(&at) || !changes.maybe(key).is_empty();
        let last = tied.get(key).and_then(|ties| ties.range(..at).next_back());
        let Some((_, tie)) = last.filter(|(_, tie)| !asked && !tie.deleted) else { continue };
        if let Some(life) = lives.of(tie.lease, response) {
            let operation = (position, response);
            life.gone.push(Gone { operation, at: Some(at) });
            life.alive.push(Alive { operation, at: Some(at - 1), else_kind: "keys-torn" });
        }
    }
}
