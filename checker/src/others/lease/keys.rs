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
                let Some(key) = &operation.key else { continue };
                let read =
                    Read { operation: (position, operation), key, output: &operation.output };
                read.tell(&tied, &changes, lives, findings);
            }
            ("list", Outcome::Ok) => {
                for read in listed(position, operation, &tied) {
                    read.tell(&tied, &changes, lives, findings);
                }
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

/// What an answer tells of one key.
struct Read<'h> {
    operation: (u32, &'h Operation),
    key: &'h Value,
    /// `null`, or value, lease and revision.
    output: &'h Value,
}

/// What a list (of a prefix, with the lease of each item) tells of each key under its prefix that
/// ever hung on a lease. One that is not in it was not there.
fn listed<'h>(position: u32, list: &'h Operation, tied: &Ties<'h>) -> Vec<Read<'h>> {
    static ABSENT: Value = Value::Null;
    let prefix = field(&list.input, "prefix").and_then(Value::as_str).unwrap_or_default();
    let items = field(&list.output, "items").and_then(Value::as_array).unwrap_or_default();
    let there: FxHashMap<&Value, &Value> =
        items.iter().filter_map(|item| Some((field(item, "key")?, item))).collect();
    let begins = |key: &Value| key.as_str().is_some_and(|key| key.starts_with(prefix));
    let under = tied.keys().copied().filter(|key| begins(key));
    let read = |key| {
        let output = there.get(key).copied().unwrap_or(&ABSENT);
        Read { operation: (position, list), key, output }
    };
    under.map(read).collect()
}

impl<'h> Read<'h> {
    fn tell(
        &self,
        tied: &Ties<'_>,
        changes: &Changes<'_>,
        lives: &mut Lives<'h>,
        findings: &mut Findings<'_>,
    ) {
        let Read { operation: (position, read), key, output } = *self;
        let last = |at: i64| tied.get(key)?.range(..=at).next_back().map(|(at, tie)| (*at, *tie));
        if output.is_null() {
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
        let lease = number(output, "lease").unwrap_or(0);
        let written = number(output, "mod").and_then(|at| Some((at, tied.get(key)?.get(&at)?)));
        if let Some((at, tie)) = written.filter(|(_, tie)| tie.lease != lease && !tie.deleted) {
            let (read, put) = (event(read), tie.lease);
            let story = format!(
                "The read of {read} has {key} tied to lease {lease}; the put at revision {at} \
                 tied it to {put} (0 is none)."
            );
            findings.note("wrong-lease", &[tie.position, position], story);
        }
        if let Some(life) = lives.of(lease, read) {
            let operation = (position, read);
            let alive = Alive { operation, at: read.revision, else_kind: "key-outlives-lease" };
            life.alive.push(alive);
        }
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
