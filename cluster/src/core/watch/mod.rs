//! Watches: what has changed, told in the order of revisions, each revision once and whole.
//!
//! A watcher is a range and the next revision that it has not told of. There is no queue behind
//! it: what it tells comes from the newest changes, which are kept in memory ([`recent`]), or when
//! it is further behind, from the keys' history. A client that reads slowly thus costs what is on
//! its way to it, bounded in bytes, and nothing more; when it falls behind the compacted revision
//! its watch is cancelled, as in etcd. A snapshot of the leader's that replaces the state changes
//! nothing for a watcher: it goes on from its next revision in the new history.
//!
//! Deliberately absent: a structure that finds the watchers of a key. Each change is held against
//! each watcher.

mod recent;
mod stream;

use std::collections::BTreeMap;

use super::Effect;
use super::node::Node;
use crate::bugs::{Bug, Bugs};
use crate::error::ApiError;
use crate::mvcc::Mvcc;
use crate::proto::etcdserverpb::watch_request::RequestUnion;
use crate::proto::etcdserverpb::{ResponseHeader, WatchRequest, WatchResponse};
use prost::Message as _;
use recent::Recent;
use stream::{Budget, Stream};

/// Names a stream of watches; given by the driver, never twice.
pub type StreamId = u64;

/// Streams at once.
const STREAMS_MAX: usize = 16_384;

/// What may be on its way to all clients together, in bytes, before each has to wait for its own
/// to be taken.
const IN_FLIGHT_MAX: usize = 256 << 20;

/// What happens to a stream of watches.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchInput {
    /// A client opens it.
    Open,
    /// The client asks something.
    Request(WatchRequest),
    /// The client asked for a watch that it may not have, and this is why.
    Refused(ApiError),
    /// The client has taken responses of so many bytes, as `prost` counts them.
    Taken(usize),
    /// The client is gone.
    Close,
}

impl WatchInput {
    /// The client has taken this one.
    pub fn taken(response: &WatchResponse) -> WatchInput {
        WatchInput::Taken(response.encoded_len())
    }
}

/// All streams of watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    streams: BTreeMap<StreamId, Stream>,
    recent: Recent,
    in_flight: usize,
    /// Something has happened after which a watcher may have something to tell.
    stirred: bool,
}

/// What a stream needs to know of the node when it speaks.
pub(super) struct Scene<'a> {
    pub kv: &'a Mvcc,
    pub header: ResponseHeader,
    pub now_us: u64,
    pub progress_us: u64,
    pub bugs: Bugs,
}

impl Scene<'_> {
    pub fn header_at(&self, revision: i64) -> Option<ResponseHeader> {
        Some(ResponseHeader { revision, ..self.header })
    }
}

impl Watches {
    fn input(
        &mut self,
        id: StreamId,
        input: WatchInput,
        scene: &Scene<'_>,
        out: &mut Vec<WatchResponse>,
    ) -> Result<(), ApiError> {
        self.stirred = true;
        if input == WatchInput::Open {
            if self.streams.len() >= STREAMS_MAX {
                return Err(ApiError::TooManyRequests);
            }
            self.streams.insert(id, Stream::default());
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        match input {
            WatchInput::Open => {}
            WatchInput::Request(request) => match request.request_union {
                Some(RequestUnion::CreateRequest(create)) => stream.create(create, scene, out),
                Some(RequestUnion::CancelRequest(cancel)) => stream.cancel(&cancel, scene, out),
                Some(RequestUnion::ProgressRequest(_)) => stream.want_progress(scene, out),
                None => {}
            },
            WatchInput::Refused(error) => stream.refuse(error, scene, out),
            WatchInput::Taken(bytes) => {
                let taken = stream.taken(bytes);
                self.in_flight -= taken;
            }
            WatchInput::Close => {
                self.in_flight -= stream.in_flight();
                self.streams.remove(&id);
            }
        }
        Ok(())
    }

    /// Keeps what a transaction has changed, for those who watch.
    pub fn note(&mut self, kv: &mut Mvcc) {
        let changed = kv.take_changed();
        if !changed.is_empty() {
            self.recent.note(kv.changes_of(&changed));
            self.stirred = true;
        }
        // What the store has forgotten need not be kept; a watch that begins at the compacted
        // revision itself is told from the store.
        self.recent.forget_before(kv.compacted() + 1);
    }

    /// The state is another: what was recent is forgotten.
    pub fn installed(&mut self, kv: &Mvcc, bugs: Bugs) {
        self.recent.restart(kv.revision() + 1);
        self.stirred = true;
        if bugs.has(Bug::WatchReplays) {
            // BUG watch-replays: what has been told is told again.
            self.streams.values_mut().for_each(Stream::go_back);
        }
    }
}

impl Node {
    pub(super) fn watch(&mut self, id: StreamId, input: WatchInput, out: &mut Vec<Effect>) {
        let mut responses = Vec::new();
        let scene = scene(self.header(0), self.now_us, &self.config, &self.state.kv);
        match self.watches.input(id, input, &scene, &mut responses) {
            Ok(()) => self.watches.send(id, responses, out),
            Err(error) => out.push(Effect::WatchEnded(id, error)),
        }
    }

    /// Tells every watcher what it has not told yet, as far as its client takes it.
    pub(super) fn tell_watches(&mut self, out: &mut Vec<Effect>) {
        if !std::mem::take(&mut self.watches.stirred) {
            return;
        }
        let scene = scene(self.header(0), self.now_us, &self.config, &self.state.kv);
        let ids: Vec<StreamId> = self.watches.streams.keys().copied().collect();
        let mut budget = Budget::default();
        for id in ids {
            let full = self.watches.in_flight >= IN_FLIGHT_MAX;
            let Some(stream) = self.watches.streams.get_mut(&id) else { continue };
            let mut responses = Vec::new();
            stream.tell(&scene, &self.watches.recent, full, &mut budget, &mut responses);
            self.watches.send(id, responses, out);
        }
        // Who had to wait goes on at the next flush, a tick later at the most.
        self.watches.stirred |= budget.exceeded;
    }

    /// Watchers that asked for it are told from time to time how far they are.
    pub(super) fn tick_watches(&mut self, out: &mut Vec<Effect>) {
        let scene = scene(self.header(0), self.now_us, &self.config, &self.state.kv);
        let ids: Vec<StreamId> = self.watches.streams.keys().copied().collect();
        for id in ids {
            let Some(stream) = self.watches.streams.get_mut(&id) else { continue };
            let mut responses = Vec::new();
            stream.notify_progress(&scene, &mut responses);
            self.watches.send(id, responses, out);
        }
    }
}

impl Watches {
    fn send(&mut self, id: StreamId, responses: Vec<WatchResponse>, out: &mut Vec<Effect>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        for response in responses {
            self.in_flight += stream.sent(&response);
            out.push(Effect::Watch(id, response));
        }
    }
}

fn scene<'a>(
    header: ResponseHeader,
    now_us: u64,
    config: &super::Config,
    kv: &'a Mvcc,
) -> Scene<'a> {
    Scene { kv, header, now_us, progress_us: config.watch_progress_us, bugs: config.bugs }
}
