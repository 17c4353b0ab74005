//! Leases: they last as long as was promised, no longer than that and a bound, and what hangs on
//! them goes with them, at one revision.
//!
//! Time is the recording's own. A lease that somebody refreshed by a request that was acknowledged
//! lives for its TTL from the *beginning* of that request on, at the least: the store can have
//! begun to count no earlier. Clocks differ, so `clock_tolerance_ns` is taken off. How soon after
//! its TTL it must be gone is no promise of etcd's: a new leader gives every lease its full TTL
//! again. So the bound counts from the last refresh that may have happened, or from the last event
//! of the nemesis, whichever came later. The answers of the store are held to be linearizable.
//!
//! The form stands in `docs/checker.md`. Deliberately absent: what `lease-ttl` says of remaining
//! time, but that it is not above what was granted, and lists of leases.

mod keys;
mod lives;
#[cfg(test)]
mod tests;

use super::findings::Findings;
use super::objects::{event, number};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use lives::{Alive, Gone, Life, Lives};
use ordeal_history::{History, Operation, Outcome};

/// Judges `lease-grant`, `lease-keepalive`, `lease-ttl`, `lease-revoke`, and `put`s that tie keys
/// to leases, by themselves and by `get`s and watches of the keys.
///
/// The anomalies: `early-expiry` (gone before its time, and nobody had revoked it; etcd #15247),
/// `late-expiry`, `key-outlives-lease`, `keys-torn` (keys of one lease gone at different
/// revisions), `used-after-end` (a put with a lease that was gone), `kept-alive-after-end`,
/// `told-alive-after-end`, `wrong-ttl` (not what was granted, or more), `wrong-lease` (a key is
/// tied to another lease than its put said). `Unknown` when nobody saw a lease after its grant.
/// O(n log n), and O(refreshes × answers) a lease.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// Nanoseconds by which a lease may end early, for clocks that differ.
    pub clock_tolerance_ns: u64,
    /// Nanoseconds after its TTL within which it must be gone; `None` asks for no bound.
    pub gone_within_ns: Option<u64>,
}

impl Default for Lease {
    fn default() -> Self {
        Lease { clock_tolerance_ns: 100_000_000, gone_within_ns: Some(30_000_000_000) }
    }
}

impl Checker for Lease {
    fn name(&self) -> &str {
        "lease"
    }

    fn summary(&self) -> &str {
        "leases last their TTL and not much longer, and their keys go with them at one revision"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let mut findings = Findings::new(history);
        let missing = self.find(history, &mut findings);
        findings.judge(self.name(), "intervals", missing, "leases lasted as long as promised")
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

impl Lease {
    /// Finds the anomalies; returns what is missing for a verdict.
    fn find(&self, history: &History, findings: &mut Findings<'_>) -> Option<String> {
        let mut lives = match Lives::gather(history) {
            Ok(lives) => lives,
            Err(why) => return Some(why),
        };
        keys::tell(history, &mut lives, findings);
        let mut ids: Vec<i64> = lives.by_id.keys().copied().collect();
        ids.sort_unstable();
        let mut seen = history.operations.is_empty();
        for id in ids {
            for life in &lives.by_id[&id] {
                seen |= !life.alive.is_empty() || !life.gone.is_empty();
                after_end(id, life, findings);
                ttl(id, life, findings);
                self.early(id, life, findings);
                self.late(id, life, history, findings);
            }
        }
        (!seen).then(|| "nobody saw a lease after its grant".to_owned())
    }

    /// Gone, though its last refresh lets it live, and nobody can have revoked it.
    fn early(&self, id: i64, life: &Life<'_>, findings: &mut Findings<'_>) {
        for Gone { operation: (at, gone), .. } in &life.gone {
            let (end, Some(time)) = (gone.complete, gone.complete_time) else { continue };
            if life.revokes.iter().any(|(_, revoke)| Some(revoke.invoke) < end) {
                continue;
            }
            let refreshed = life.refreshes.iter().filter(|(_, refresh)| {
                refresh.outcome == Outcome::Ok && Some(refresh.invoke) < end
            });
            let Some((last, refresh)) = refreshed.max_by_key(|(_, r)| r.invoke) else { continue };
            let least = refresh.invoke_time.saturating_add(seconds(life.ttl));
            if time.saturating_add(self.clock_tolerance_ns) < least {
                let story = format!(
                    "Lease {id} of {} s was gone by {}, {} after {} had begun to keep it alive.",
                    life.ttl,
                    event(gone),
                    spell(time.saturating_sub(refresh.invoke_time)),
                    event(refresh),
                );
                findings.note("early-expiry", &[life.grant.0, *last, *at], story);
            }
        }
    }

    /// There still, though nobody can have refreshed it for long.
    fn late(&self, id: i64, life: &Life<'_>, history: &History, findings: &mut Findings<'_>) {
        let Some(bound) = self.gone_within_ns else { return };
        for Alive { operation: (at, alive), else_kind, .. } in &life.alive {
            // A deletion that a watch tells of late says nothing of when it happened.
            if *else_kind == "keys-torn" {
                continue;
            }
            let other = life.refreshes.iter().filter(|(refresh, operation)| {
                refresh != at && Some(operation.invoke) < alive.complete
            });
            let ends = other
                .map(|(position, refresh)| (refresh.complete_time.unwrap_or(u64::MAX), *position));
            let Some((refreshed, last)) = ends.max() else { continue };
            let before = |index: u64| index < alive.complete.unwrap_or(u64::MAX);
            let notes = history.notes.partition_point(|note| before(note.index));
            let disturbed = history.notes[..notes].last().map_or(0, |note| note.time);
            let from = refreshed.max(disturbed);
            let most = from.saturating_add(seconds(life.ttl)).saturating_add(bound);
            if alive.invoke_time > most {
                let story = format!(
                    "Lease {id} of {} s was there still at {}, {} after it can have been refreshed \
                     or its cluster disturbed.",
                    life.ttl,
                    event(alive),
                    spell(alive.invoke_time - from),
                );
                findings.note("late-expiry", &[life.grant.0, last, *at], story);
            }
        }
    }
}

/// Alive at a revision, or in an answer, after it was gone.
fn after_end(id: i64, life: &Life<'_>, findings: &mut Findings<'_>) {
    let by_event = life.gone.iter().min_by_key(|gone| gone.operation.1.complete);
    let dated = life.gone.iter().filter_map(|gone| Some((gone.at?, gone)));
    let by_revision = dated.min_by_key(|(at, _)| *at);
    for Alive { operation: (at, alive), at: revision, else_kind } in &life.alive {
        // What a watch tells of is past, so its own place in the history shows nothing.
        let told = *else_kind == "keys-torn";
        let after = by_event.filter(|gone| !told && gone.operation.1.complete < Some(alive.invoke));
        let later =
            by_revision.filter(|(end, _)| revision.is_some_and(|revision| *end <= revision));
        let story = |gone: &Operation, how: &str| {
            let (alive, gone) = (event(alive), event(gone));
            format!("Lease {id} was gone by {gone}; {alive} shows it alive{how}.")
        };
        if let Some((end, gone)) = later {
            let (position, gone) = gone.operation;
            let how = format!(" at a revision that is not below its end at {end}");
            findings.note(else_kind, &[life.grant.0, position, *at], story(gone, &how));
        } else if let Some(gone) = after {
            let (position, gone) = gone.operation;
            findings.note(else_kind, &[life.grant.0, position, *at], story(gone, ", later"));
        }
    }
}

/// What the store says of the TTL is what was granted.
fn ttl(id: i64, life: &Life<'_>, findings: &mut Findings<'_>) {
    for Alive { operation: (at, alive), .. } in &life.alive {
        let (output, granted) = (&alive.output, life.ttl);
        let wrong = match &*alive.f {
            "lease-keepalive" => output.as_i64() != Some(granted),
            "lease-ttl" => {
                number(output, "ttl").is_some_and(|left| left > granted)
                    || number(output, "granted").is_some_and(|said| said != granted)
            }
            _ => false,
        };
        if wrong {
            let at_event = event(alive);
            let story =
                format!("Lease {id} was granted for {granted} s; {at_event} says {output}.");
            findings.note("wrong-ttl", &[life.grant.0, *at], story);
        }
    }
}

fn seconds(ttl: i64) -> u64 {
    u64::try_from(ttl).unwrap_or(0).saturating_mul(1_000_000_000)
}

fn spell(ns: u64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}
