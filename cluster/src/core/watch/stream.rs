//! One client's stream of watches.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use bytes::Bytes;
use prost::Message as _;

use super::Scene;
use super::recent::Recent;
use crate::bugs::Bug;
use crate::error::ApiError;
use crate::mvcc::{Change, interval};
use crate::proto::etcdserverpb::watch_create_request::FilterType;
use crate::proto::etcdserverpb::{WatchCancelRequest, WatchCreateRequest, WatchResponse};
use crate::proto::mvccpb::Event;

/// The id of a response that is about no watch in particular.
const NO_WATCH: i64 = -1;

/// Watches on one stream.
const WATCHES_MAX: usize = 65_536;

/// What may be on its way to one client, in bytes, before its watchers wait.
const IN_FLIGHT_MAX: usize = 4 << 20;

/// What one response holds, roughly, if its first revision is no larger.
const RESPONSE_BYTES: usize = 1 << 20;

/// Keys looked at in one flush for watchers that are behind, before those that are
/// left have to wait for the next: a heartbeat must not wait.
const KEYS_PER_FLUSH: usize = 50_000;

/// The largest response to a watch that asked for fragments (etcd's request limit and 512 KiB).
const FRAGMENT_BYTES: usize = (1536 << 10) + (512 << 10);

/// The watches of one client.
#[derive(Debug, Default)]
pub(super) struct Stream {
    watchers: BTreeMap<i64, Watcher>,
    next_id: i64,
    in_flight: usize,
    /// The client asked how far it is, and its watchers had still something to tell.
    wants_progress: bool,
}

#[derive(Debug)]
struct Watcher {
    key: Bytes,
    /// In the API's words, so empty for the one key.
    range_end: Bytes,
    /// Where it started.
    start: i64,
    /// The revision that the client asked it to start at; 0 when it left that to the node.
    asked_start: i64,
    /// The first revision that it has not told of.
    next: i64,
    /// Cancelled because what it had to tell is compacted. As in etcd it keeps its id until the
    /// client cancels it too, and no progress is told on its stream until then.
    compacted: bool,
    /// What it has found in the store and not told yet, up to a revision; so a large store is
    /// searched once for as much as may be on its way.
    backlog: VecDeque<Change>,
    backlog_end: i64,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
    fragment: bool,
    progress_notify: bool,
    told_us: u64,
}

/// How much more the watchers that are behind may search the store before the next flush.
#[derive(Debug)]
pub(super) struct Budget {
    keys: usize,
    /// Somebody had to wait.
    pub exceeded: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { keys: KEYS_PER_FLUSH, exceeded: false }
    }
}

impl Stream {
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Counts a response as on its way, and gives its bytes.
    pub fn sent(&mut self, response: &WatchResponse) -> usize {
        let bytes = response.encoded_len();
        self.in_flight += bytes;
        bytes
    }

    /// The client has taken so much; gives how much of it was on its way.
    pub fn taken(&mut self, bytes: usize) -> usize {
        let taken = bytes.min(self.in_flight);
        self.in_flight -= taken;
        taken
    }

    pub fn create(
        &mut self,
        create: WatchCreateRequest,
        scene: &Scene<'_>,
        out: &mut Vec<WatchResponse>,
    ) {
        let revision = scene.kv.revision();
        let header = scene.header_at(revision);
        let mut response =
            WatchResponse { header, watch_id: NO_WATCH, created: true, ..Default::default() };
        match self.admit(&create) {
            Ok(id) => {
                self.watchers.insert(id, Watcher::new(create, revision, scene.now_us));
                response.watch_id = id;
            }
            Err(reason) => {
                response.canceled = true;
                response.cancel_reason = reason.to_owned();
            }
        }
        out.push(response);
    }

    /// Answers a request for a watch as etcd does where whoever asks has no right to it.
    pub fn refuse(&self, error: ApiError, scene: &Scene<'_>, out: &mut Vec<WatchResponse>) {
        out.push(WatchResponse {
            header: scene.header_at(scene.kv.revision()),
            watch_id: NO_WATCH,
            created: true,
            canceled: true,
            cancel_reason: format!("rpc error: code = {:?} desc = {error}", error.code()),
            ..Default::default()
        });
    }

    /// Finds an id for a watch, or says why there can be none.
    fn admit(&mut self, create: &WatchCreateRequest) -> Result<i64, &'static str> {
        if create.start_revision < 0 {
            return Err("etcdserver: mvcc: required revision has been compacted");
        }
        let open = matches!(create.range_end[..], [] | [0]);
        if !open && create.range_end <= create.key {
            return Err("mvcc: watcher range is empty");
        }
        if self.watchers.len() >= WATCHES_MAX {
            return Err("etcdserver: too many requests");
        }
        match create.watch_id {
            0 => {
                while self.watchers.contains_key(&self.next_id) {
                    self.next_id += 1;
                }
                self.next_id += 1;
                Ok(self.next_id - 1)
            }
            id if self.watchers.contains_key(&id) => {
                Err("mvcc: duplicate watch ID provided on the WatchStream")
            }
            id => Ok(id),
        }
    }

    /// Ends a watch; one that is not there is passed over, as in etcd.
    pub fn cancel(
        &mut self,
        cancel: &WatchCancelRequest,
        scene: &Scene<'_>,
        out: &mut Vec<WatchResponse>,
    ) {
        if self.watchers.remove(&cancel.watch_id).is_some() {
            out.push(WatchResponse {
                header: scene.header_at(scene.kv.revision()),
                watch_id: cancel.watch_id,
                canceled: true,
                ..Default::default()
            });
        }
    }

    pub fn want_progress(&mut self, scene: &Scene<'_>, out: &mut Vec<WatchResponse>) {
        if scene.bugs.has(Bug::ProgressEarly) && !self.watchers.is_empty() {
            // BUG progress-early: what the watchers have still to tell is not waited for.
            return out.push(progress(NO_WATCH, scene));
        }
        // As in etcd, a stream without watches is not answered, nor one that waits for a revision.
        let revision = scene.kv.revision();
        let waits = |watcher: &Watcher| watcher.compacted || watcher.is_future(revision);
        self.wants_progress = !self.watchers.is_empty() && !self.watchers.values().any(waits);
    }

    /// Tells what the watchers have not told yet, until too much is on its way; `full` when that
    /// is so of all streams together.
    pub fn tell(
        &mut self,
        scene: &Scene<'_>,
        recent: &Recent,
        full: bool,
        budget: &mut Budget,
        out: &mut Vec<WatchResponse>,
    ) {
        let bound = if full { 1 } else { IN_FLIGHT_MAX };
        let revision = scene.kv.revision();
        let mut on_its_way = self.in_flight;
        let mut gone = Vec::new();
        for (id, watcher) in &mut self.watchers {
            while !watcher.compacted && watcher.next <= revision && on_its_way < bound {
                if watcher.next < scene.kv.compacted() {
                    watcher.compacted = true;
                    gone.push(*id);
                    break;
                }
                let before = out.len();
                if !watcher.tell(*id, scene, recent, budget, out) {
                    break;
                }
                on_its_way += out[before..].iter().map(|r| r.encoded_len()).sum::<usize>();
            }
        }
        for id in gone {
            out.push(WatchResponse {
                // etcd tells no revision here.
                header: scene.header_at(0),
                watch_id: id,
                canceled: true,
                compact_revision: scene.kv.compacted(),
                ..Default::default()
            });
        }
        if self.wants_progress && self.watchers.values().all(|watcher| watcher.next > revision) {
            self.wants_progress = false;
            out.push(progress(NO_WATCH, scene));
        }
    }

    /// Tells the watchers that asked for it, and that have had nothing to tell for a while, how
    /// far they are.
    pub fn notify_progress(&mut self, scene: &Scene<'_>, out: &mut Vec<WatchResponse>) {
        let revision = scene.kv.revision();
        for (id, watcher) in &mut self.watchers {
            let due = scene.now_us >= watcher.told_us.saturating_add(scene.progress_us);
            let behind = watcher.compacted || watcher.next <= revision;
            let told_all = !behind && !watcher.is_future(revision);
            if watcher.progress_notify && due && told_all {
                watcher.told_us = scene.now_us;
                out.push(progress(*id, scene));
            }
        }
    }

    /// Sets the watchers back to where they started.
    pub fn go_back(&mut self) {
        for watcher in self.watchers.values_mut() {
            watcher.next = watcher.start;
            watcher.backlog.clear();
        }
    }
}

impl Watcher {
    fn new(create: WatchCreateRequest, revision: i64, now_us: u64) -> Self {
        let filters: Vec<FilterType> = create.filters().collect();
        let next = match create.start_revision {
            0 => revision + 1,
            start => start,
        };
        // The least key there is stands for none.
        let key = if create.key.is_empty() { Bytes::from_static(&[0]) } else { create.key };
        Self {
            key,
            range_end: create.range_end,
            start: next,
            asked_start: create.start_revision,
            next,
            compacted: false,
            backlog: VecDeque::new(),
            backlog_end: 0,
            no_put: filters.contains(&FilterType::Noput),
            no_delete: filters.contains(&FilterType::Nodelete),
            prev_kv: create.prev_kv,
            fragment: create.fragment,
            progress_notify: create.progress_notify,
            told_us: now_us,
        }
    }

    /// Whether it was asked to start at a revision that is yet to come. A progress notification
    /// would promise what came before, which it does not tell of (etcd #20221).
    fn is_future(&self, revision: i64) -> bool {
        self.asked_start > revision
    }

    /// Tells of one response's worth of revisions, and moves on; not if that needs a search of
    /// the store that the budget does not allow.
    fn tell(
        &mut self,
        id: i64,
        scene: &Scene<'_>,
        recent: &Recent,
        budget: &mut Budget,
        out: &mut Vec<WatchResponse>,
    ) -> bool {
        let newest = scene.kv.revision() + 1;
        let (events, next) = match recent.since(self.next) {
            Some(changes) if self.backlog.is_empty() => self.gather(changes, newest),
            _ => {
                if self.backlog.is_empty() && !self.search(scene, budget) {
                    return false;
                }
                let (events, next) = self.gather(self.backlog.iter(), self.backlog_end);
                let told = self.backlog.partition_point(|change| change.version.main < next);
                self.backlog.drain(..told);
                (events, next)
            }
        };
        self.next = next;
        if events.is_empty() {
            return true;
        }
        self.told_us = scene.now_us;
        let response = WatchResponse {
            header: scene.header_at(next - 1),
            watch_id: id,
            events,
            ..Default::default()
        };
        if self.fragment {
            fragments(response, out)
        } else {
            out.push(response)
        }
        true
    }

    /// Finds in the store what comes next, if the budget allows.
    fn search(&mut self, scene: &Scene<'_>, budget: &mut Budget) -> bool {
        if budget.keys == 0 {
            budget.exceeded = true;
            return false;
        }
        let found = scene.kv.changes(&self.key, &self.range_end, self.next, IN_FLIGHT_MAX);
        budget.keys = budget.keys.saturating_sub(found.keys);
        self.backlog = found.changes.into();
        self.backlog_end = found.next;
        true
    }

    /// The events that the watch is about, whole revisions of them up to the bound, and where to
    /// go on: at `end` when there are no more.
    fn gather<'a>(&self, changes: impl Iterator<Item = &'a Change>, end: i64) -> (Vec<Event>, i64) {
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut last = 0;
        for change in changes {
            let main = change.version.main;
            if main != last && bytes >= RESPONSE_BYTES {
                return (events, main);
            }
            if self.is_about(change) {
                bytes += change.size_bytes();
                events.push(change.to_event(self.prev_kv));
                last = main;
            }
        }
        (events, end)
    }

    fn is_about(&self, change: &Change) -> bool {
        let filtered = if change.version.is_tombstone() { self.no_delete } else { self.no_put };
        let (start, end) = interval(&self.key, &self.range_end);
        let key = &change.key[..];
        let within = match end {
            Bound::Included(end) => key == end,
            Bound::Excluded(end) => key < end,
            Bound::Unbounded => true,
        };
        !filtered && key >= start && within
    }
}

fn progress(watch_id: i64, scene: &Scene<'_>) -> WatchResponse {
    let header = scene.header_at(scene.kv.revision());
    WatchResponse { header, watch_id, ..Default::default() }
}

/// Splits a response that is too large; all parts but the last say that more follows.
fn fragments(response: WatchResponse, out: &mut Vec<WatchResponse>) {
    if response.encoded_len() < FRAGMENT_BYTES {
        return out.push(response);
    }
    let WatchResponse { header, watch_id, events, .. } = response;
    let part =
        |events| WatchResponse { header, watch_id, fragment: true, events, ..Default::default() };
    let mut held = Vec::new();
    let mut bytes = 0;
    for event in events {
        let size = event.encoded_len() + 8;
        if bytes + size >= FRAGMENT_BYTES && !held.is_empty() {
            out.push(part(std::mem::take(&mut held)));
            bytes = 0;
        }
        bytes += size;
        held.push(event);
    }
    out.push(WatchResponse { fragment: false, ..part(held) });
}
