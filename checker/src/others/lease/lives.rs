//! Leases as the history has them: who kept them alive, who saw them alive, who saw them gone.

use super::super::objects::{event, field, number};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashMap;

/// One lease, from its grant on.
pub(super) struct Life<'h> {
    pub(super) grant: (u32, &'h Operation),
    /// Seconds.
    pub(super) ttl: i64,
    /// The grant, and all keepalives that did not say that it is gone, or that say nothing.
    pub(super) refreshes: Vec<(u32, &'h Operation)>,
    /// Revocations that did not fail.
    pub(super) revokes: Vec<(u32, &'h Operation)>,
    pub(super) alive: Vec<Alive<'h>>,
    pub(super) gone: Vec<Gone<'h>>,
    /// From this event on the identifier is another lease's.
    until: Option<u64>,
}

/// An answer by which the lease was there.
#[derive(Clone, Copy)]
pub(super) struct Alive<'h> {
    pub(super) operation: (u32, &'h Operation),
    /// It was there still at this revision of the store.
    pub(super) at: Option<i64>,
    /// What it would be, if the lease was gone before.
    pub(super) else_kind: &'static str,
}

/// An answer by which the lease was no longer there.
#[derive(Clone, Copy)]
pub(super) struct Gone<'h> {
    pub(super) operation: (u32, &'h Operation),
    /// It was gone at this revision of the store, at the latest.
    pub(super) at: Option<i64>,
}

/// All leases by identifier; those of one identifier in the order of their grants.
#[derive(Default)]
pub(super) struct Lives<'h> {
    pub(super) by_id: FxHashMap<i64, Vec<Life<'h>>>,
}

impl<'h> Lives<'h> {
    /// The leases that were granted, and what the requests about leases tell of them. O(n log n).
    ///
    /// An identifier that a client chose in a grant of unknown outcome is left out. An error names
    /// the event whose value is none that the form has.
    pub(super) fn gather(history: &'h History) -> Result<Self, String> {
        let mut lives = Lives::default();
        let all = || (0..).zip(&history.operations);
        for (position, operation) in all().filter(|(_, o)| &*o.f == "lease-grant") {
            lives.grant(position, operation)?;
        }
        let unsure = all().filter(|(_, o)| &*o.f == "lease-grant" && o.outcome == Outcome::Info);
        for (_, operation) in unsure {
            lives.by_id.remove(&number(&operation.input, "id").unwrap_or(0));
        }
        for (position, operation) in all() {
            lives.request(position, operation)?;
        }
        Ok(lives)
    }

    /// The lease that had the identifier `id` during all of `operation`.
    pub(super) fn of(&mut self, id: i64, operation: &Operation) -> Option<&mut Life<'h>> {
        let end = operation.complete.unwrap_or(u64::MAX);
        let begun = |life: &&mut Life<'_>| life.grant.1.invoke < operation.invoke;
        self.by_id
            .get_mut(&id)?
            .iter_mut()
            .rfind(begun)
            .filter(|life| life.until.is_none_or(|until| end < until))
    }

    fn grant(&mut self, position: u32, operation: &'h Operation) -> Result<(), String> {
        if operation.outcome != Outcome::Ok {
            return Ok(());
        }
        let (id, ttl) = (number(&operation.output, "id"), number(&operation.output, "ttl"));
        let (Some(id), Some(ttl)) = (id, ttl) else {
            let (at, found) = (event(operation), &operation.output);
            return Err(format!("{at} has {found}, no lease with an id and a ttl"));
        };
        let lives = self.by_id.entry(id).or_default();
        if let Some(before) = lives.last_mut() {
            before.until = Some(operation.invoke);
        }
        lives.push(Life {
            grant: (position, operation),
            ttl,
            refreshes: vec![(position, operation)],
            revokes: Vec::new(),
            alive: Vec::new(),
            gone: Vec::new(),
            until: None,
        });
        Ok(())
    }

    fn request(&mut self, position: u32, operation: &'h Operation) -> Result<(), String> {
        let this = (position, operation);
        let (ok, fail) = (operation.outcome == Outcome::Ok, operation.outcome == Outcome::Fail);
        let id = match &*operation.f {
            "put" => field(&operation.input, "lease").and_then(Value::as_i64),
            "lease-keepalive" | "lease-ttl" | "lease-revoke" => operation.input.as_i64(),
            _ => return Ok(()),
        };
        let Some(life) = id.and_then(|id| self.of(id, operation)) else { return Ok(()) };
        let alive = |at, else_kind| Alive { operation: this, at, else_kind };
        let gone = |at| Gone { operation: this, at };
        match &*operation.f {
            "put" if ok => {
                // The revision is the change's own: the lease was there just before it.
                let at = operation.revision.map(|revision| revision - 1);
                life.alive.push(alive(at, "used-after-end"));
            }
            "put" | "lease-revoke" if fail => {
                let error = operation.error.as_deref().unwrap_or_default();
                life.gone.extend(error.contains("lease not found").then(|| gone(None)));
            }
            "lease-keepalive" if ok => match answer(operation, operation.output.as_i64())? {
                0 => life.gone.push(gone(None)),
                _ => {
                    life.refreshes.push(this);
                    life.alive.push(alive(None, "kept-alive-after-end"));
                }
            },
            "lease-keepalive" if !fail => life.refreshes.push(this),
            "lease-ttl" if ok => match answer(operation, number(&operation.output, "ttl"))? {
                ..0 => life.gone.push(gone(None)),
                _ => life.alive.push(alive(None, "told-alive-after-end")),
            },
            "lease-revoke" if !fail => {
                life.revokes.push(this);
                life.gone.extend(ok.then(|| gone(operation.revision)));
            }
            _ => {}
        }
        Ok(())
    }
}

fn answer(operation: &Operation, ttl: Option<i64>) -> Result<i64, String> {
    let none = || format!("{} has {}, no time to live", event(operation), operation.output);
    ttl.ok_or_else(none)
}
