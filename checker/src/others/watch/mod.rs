//! Watches: everything that changed is told, once, in order, and nothing else.
//!
//! After the promises of etcd's documentation ("API guarantees": ordered, unique, reliable,
//! atomic, resumable, bookmarkable), as its robustness tests check them. A watch is judged against
//! the writes of the history, by revision, and against the other watches: what one of them saw of
//! a write of unknown outcome, the others owe too. How a history tells of watches stands in
//! `docs/checker.md`.
//!
//! Deliberately absent: how soon an event comes. A watch that tells nothing owes nothing: what is
//! due is what lies between its start and the last revision that it told of. Writers that the
//! history does not have are not provided for.

mod content;
mod leases;
mod order;
mod stream;
#[cfg(test)]
mod tests;

use super::changes::Changes;
use super::findings::Findings;
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use content::Facts;
use leases::Leases;
use ordeal_history::History;

/// Judges `watch`, `watch-next` and `watch-cancel` beside the writes of the history.
///
/// A key that hung on a lease may go without a request, with all others of that lease at one
/// revision, once for each grant; when it may is the checker [`Lease`](super::Lease)'s to say.
///
/// The anomalies: `out-of-order`, `duplicate-event`, `split-revision` (one revision in two
/// responses that are no fragments), `missing-event`, `before-start`, `event-behind-progress`,
/// `outside-range`, `filtered-event`, `wrong-event`, `wrong-version`, `wrong-prev`,
/// `phantom-event` (no write explains it), `premature-event` (told before its write began),
/// `watches-disagree`, `unjustified-cancel`, `event-after-cancel`. `Unknown` when no watch told
/// anything. O(n log n) in the events, and O(changes of the keys watched) a watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// Whether the store compacts by itself, so that a compaction needs no request.
    pub auto_compaction: bool,
}

impl Checker for Watch {
    fn name(&self) -> &str {
        "watch"
    }

    fn summary(&self) -> &str {
        "watches tell all changes from their start on, once, in order, whole, and nothing else"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let mut findings = Findings::new(history);
        let missing = self.find(history, &mut findings);
        findings.judge(self.name(), "revisions", missing, "watches told all that changed, in order")
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

impl Watch {
    /// Finds the anomalies; returns what is missing for a verdict.
    fn find(&self, history: &History, findings: &mut Findings<'_>) -> Option<String> {
        let streams = match stream::streams(history) {
            Ok(streams) => streams,
            Err(why) => return Some(why),
        };
        let changes = Changes::gather(history);
        let leases = Leases::gather(history, &changes);
        let mut facts = Facts::gather(&changes, &streams, self.auto_compaction, findings);
        leases.end(&mut facts, findings);
        for stream in &streams {
            let delivered = order::order(stream, &changes, self.auto_compaction, findings);
            facts.complete(stream, &delivered, findings);
            leases.complete(&facts, stream, &delivered, findings);
        }
        facts.details(&streams, findings);
        let silent = streams.iter().all(|stream| stream.responses.is_empty());
        (silent && !history.operations.is_empty()).then(|| "no watch told anything".to_owned())
    }
}
