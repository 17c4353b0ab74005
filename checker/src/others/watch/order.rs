//! What one watch owes by itself: order, uniqueness, atomicity, its own start, keys and filters.

use super::super::changes::Changes;
use super::super::findings::Findings;
use super::super::objects::event;
use super::stream::{Response, Stream, WatchEvent};
use ordeal_history::Value;
use rustc_hash::FxHashMap;

/// What a watch delivered.
#[derive(Default)]
pub(super) struct Delivered<'h> {
    /// Rising: all changes up to that revision are delivered, and the response that says so.
    pub(super) upto: Vec<(i64, u32)>,
    /// Every event, and the response that had it.
    pub(super) seen: FxHashMap<(i64, &'h Value), u32>,
}

/// How far a watch has come.
#[derive(Default)]
struct Reached<'h> {
    delivered: Delivered<'h>,
    /// The greatest revision of an event, the response that had it, and whether that one said that
    /// more of the revision may follow.
    last: Option<(i64, u32, bool)>,
    /// The greatest revision of a progress notification, and its response.
    progress: Option<(i64, u32)>,
    /// The response that cancelled the watch.
    canceled: Option<u32>,
}

/// Judges `stream` by itself; returns what it delivered. O(n log n) in its events.
pub(super) fn order<'h>(
    stream: &Stream<'h>,
    changes: &Changes<'_>,
    auto_compaction: bool,
    findings: &mut Findings<'_>,
) -> Delivered<'h> {
    let mut reached = Reached::default();
    for response in &stream.responses {
        for item in &response.events {
            if let Some((kind, earlier, story)) = misplaced(stream, response, item, &reached) {
                let operations = [Some(stream.position), earlier, Some(response.position)];
                let operations: Vec<u32> = operations.into_iter().flatten().collect();
                findings.note(kind, &operations, story);
            }
            reached.event(response, item);
        }
        reached.response(response);
        if response.canceled {
            let delivered = reached.delivered.upto.last().map(|(upto, _)| upto + 1);
            let next = delivered.max(stream.start);
            if let Some(why) = unjustified(stream, response, next, changes, auto_compaction) {
                let at = event(response.operation);
                let story = format!("The response of {at} cancelled the watch, though {why}.");
                findings.note("unjustified-cancel", &[stream.position, response.position], story);
            }
        }
    }
    reached.delivered
}

impl<'h> Reached<'h> {
    fn event(&mut self, response: &Response<'_>, item: &WatchEvent<'h>) {
        if self.last.is_none_or(|(last, ..)| last <= item.revision) {
            self.last = Some((item.revision, response.position, response.fragment));
        }
        self.delivered.seen.insert((item.revision, item.key), response.position);
    }

    fn response(&mut self, response: &Response<'_>) {
        let last = response.events.iter().map(|item| item.revision).max();
        let whole = last.map(|last| if response.fragment { last - 1 } else { last });
        let upto = whole.or(response.progress());
        let before = self.delivered.upto.last().map(|(before, _)| *before);
        if let Some(upto) = upto.filter(|upto| before.is_none_or(|before| before < *upto)) {
            self.delivered.upto.push((upto, response.position));
        }
        let progress = response.progress().map(|revision| (revision, response.position));
        self.progress = self.progress.max(progress);
        if response.canceled {
            self.canceled = self.canceled.or(Some(response.position));
        }
    }
}

/// Why an event does not belong where it is: the anomaly, the earlier response, the story.
fn misplaced(
    stream: &Stream<'_>,
    response: &Response<'_>,
    item: &WatchEvent<'_>,
    reached: &Reached<'_>,
) -> Option<(&'static str, Option<u32>, String)> {
    let (key, revision, at) = (item.key, item.revision, event(response.operation));
    let told = format!("The response of {at} has an event of {key} at revision {revision}");
    if let Some(before) = reached.canceled {
        return Some(("event-after-cancel", Some(before), format!("{told}, after the cancel.")));
    }
    if !stream.request.covers(key) {
        return Some(("outside-range", None, format!("{told}, which was not asked for.")));
    }
    if !stream.request.lets_pass(item.value) {
        return Some(("filtered-event", None, format!("{told}, which the filters exclude.")));
    }
    if let Some(start) = stream.start.filter(|start| revision < *start) {
        let story = format!("{told}, and the watch begins at {start}.");
        return Some(("before-start", None, story));
    }
    if let Some(before) = reached.delivered.seen.get(&(revision, key)) {
        return Some(("duplicate-event", Some(*before), format!("{told} again.")));
    }
    if let Some((progress, before)) = reached.progress.filter(|(at, _)| *at >= revision) {
        let story = format!("{told}, after a notification of progress at {progress}.");
        return Some(("event-behind-progress", Some(before), story));
    }
    match reached.last {
        Some((last, before, _)) if last > revision => {
            Some(("out-of-order", Some(before), format!("{told}, after one at {last}.")))
        }
        Some((last, before, false)) if last == revision && before != response.position => {
            let story = format!("{told}, others of which an earlier response had.");
            Some(("split-revision", Some(before), story))
        }
        _ => None,
    }
}

/// Why a cancel is not justified; `next` is the revision that the watch needs next, at the least.
///
/// A watch is cancelled because a client asked for it, because what it needs next is compacted
/// away, or for another reason that the store tells.
fn unjustified(
    stream: &Stream<'_>,
    response: &Response<'_>,
    next: Option<i64>,
    changes: &Changes<'_>,
    auto_compaction: bool,
) -> Option<String> {
    let compacted = response.compact_revision;
    if compacted > 0 {
        if next.is_some_and(|next| next >= compacted) {
            return Some(format!("it needed nothing below the compacted revision {compacted}"));
        }
        let known = auto_compaction || changes.may_be_compacted(compacted, response.end());
        return (!known).then(|| format!("nobody had compacted revision {compacted}"));
    }
    let asked = stream.cancel_asked.is_some_and(|at| at < response.end());
    let why = "nobody had asked for it, and it gives no reason";
    (!asked && !response.reasoned).then(|| why.to_owned())
}
