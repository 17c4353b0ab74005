//! A stream of watches: what is asked on it, and what it told.

use std::time::Duration;

use ordeal_cluster::proto::etcdserverpb::watch_create_request::FilterType;
use ordeal_cluster::proto::etcdserverpb::watch_request::RequestUnion;
use ordeal_cluster::proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use ordeal_cluster::proto::mvccpb::Event;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::answer::Answer;

/// How long a response may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer to a progress request is waited for until it is asked again: a store passes
/// it over while a watch has still something to tell.
const PROGRESS_AGAIN: Duration = Duration::from_millis(200);

/// The id of a response that is about no watch in particular.
const NO_WATCH: i64 = -1;

/// What the client sends.
type Requests = UnboundedReceiverStream<WatchRequest>;

/// The client's side of one stream.
pub struct Stream {
    requests: mpsc::UnboundedSender<WatchRequest>,
    responses: Streaming<WatchResponse>,
    /// The watch that is being created.
    asked: WatchCreateRequest,
    /// Watches that were created or refused, and cancelled, in order.
    pub controls: Vec<WatchResponse>,
    /// Every watch that was created, in order.
    pub watches: Vec<Watch>,
    /// What no store may do.
    pub faults: Vec<String>,
}

/// One watch, and what it told.
pub struct Watch {
    pub id: i64,
    pub request: WatchCreateRequest,
    pub events: Vec<Event>,
    pub open: bool,
    /// Cancelled by the store, which still knows it.
    compacted: bool,
    told: i64,
    /// Up to which revision it was waited for.
    awaited: i64,
}

impl Stream {
    /// Opens one with its first watch; the answer to that is yet to come.
    pub async fn open(
        grpc: &mut Grpc<Channel>,
        create: WatchCreateRequest,
        as_somebody: impl FnOnce(Requests) -> Request<Requests>,
    ) -> Result<Stream, Status> {
        let (requests, body) = mpsc::unbounded_channel();
        // A server may wait for the first request before it answers at all.
        let first = RequestUnion::CreateRequest(create.clone());
        requests.send(WatchRequest { request_union: Some(first) }).expect("its end is here");
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let request = as_somebody(UnboundedReceiverStream::new(body));
        let responses = grpc.streaming(request, path, codec).await?.into_inner();
        let (controls, watches, faults) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Stream { requests, responses, asked: create, controls, watches, faults })
    }

    pub async fn create(&mut self, create: WatchCreateRequest, compacted: i64) -> Answer {
        self.asked = create.clone();
        self.send(RequestUnion::CreateRequest(create));
        self.created(compacted).await
    }

    /// Waits for what comes of a creation; a watch of what is compacted is created, and then
    /// cancelled.
    pub async fn created(&mut self, compacted: i64) -> Answer {
        let Ok(created) = self.until(|response| response.created).await else {
            return Answer::Silent;
        };
        let start = self.asked.start_revision;
        if !created.canceled && start != 0 && start < compacted {
            let id = created.watch_id;
            let cancelled = self.until(|response| response.canceled && response.watch_id == id);
            if cancelled.await.is_err() {
                return Answer::Silent;
            }
        }
        Answer::Watch(created)
    }

    /// Only a watch that the store knows is answered for.
    pub async fn cancel(&mut self, watch_id: i64) -> Answer {
        let known = |watch: &Watch| (watch.open || watch.compacted) && watch.id == watch_id;
        let open = self.watches.iter().any(known);
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }));
        if !open {
            return Answer::Nothing;
        }
        let cancelled = self.until(|response| response.canceled && response.watch_id == watch_id);
        cancelled.await.map_or(Answer::Silent, Answer::Watch)
    }

    /// Asks how far the watches are until they are at the head. A stream without any is passed
    /// over, and one with a watch that is yet to start or whose history is compacted.
    pub async fn progress(&mut self, head: i64) -> Answer {
        let mut open = self.watches.iter().filter(|watch| watch.open).peekable();
        let none = open.peek().is_none();
        let compacted = self.watches.iter().any(|watch| watch.compacted);
        if none || compacted || open.any(|watch| watch.request.start_revision > head) {
            self.send(RequestUnion::ProgressRequest(WatchProgressRequest {}));
            return Answer::Nothing;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            self.send(RequestUnion::ProgressRequest(WatchProgressRequest {}));
            let there = |response: &WatchResponse| {
                is_progress(response) && response.header.is_some_and(|h| h.revision >= head)
            };
            match tokio::time::timeout(PROGRESS_AGAIN, self.until(there)).await {
                Ok(Ok(response)) => return Answer::Watch(response),
                Ok(Err(())) => break,
                Err(_) => {}
            }
        }
        Answer::Silent
    }

    /// Waits until a watch has told of a revision; false when it does not.
    pub async fn told(&mut self, nth: usize, revision: i64) -> bool {
        self.watches[nth].awaited = revision;
        let late = tokio::time::timeout(PATIENCE, async {
            while self.watches[nth].open && self.watches[nth].told < revision {
                self.next().await?;
            }
            Ok::<(), ()>(())
        });
        late.await.is_ok_and(|told| told.is_ok())
    }

    fn send(&self, request: RequestUnion) {
        // A stream that has ended says nothing, and that is seen.
        let _ = self.requests.send(WatchRequest { request_union: Some(request) });
    }

    async fn until(&mut self, due: impl Fn(&WatchResponse) -> bool) -> Result<WatchResponse, ()> {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let response = self.next().await?;
                if due(&response) {
                    return Ok(response);
                }
            }
        });
        found.await.unwrap_or(Err(()))
    }

    async fn next(&mut self) -> Result<WatchResponse, ()> {
        let response = self.responses.message().await.ok().flatten().ok_or(())?;
        self.note(&response);
        Ok(response)
    }

    fn note(&mut self, response: &WatchResponse) {
        let id = response.watch_id;
        if response.created || response.canceled {
            self.controls.push(response.clone());
        }
        if response.created && !response.canceled {
            let request = self.asked.clone();
            self.watches.push(Watch {
                id,
                request,
                events: Vec::new(),
                open: true,
                compacted: false,
                told: 0,
                awaited: 0,
            });
            return;
        }
        if is_progress(response) {
            let head = response.header.map_or(0, |header| header.revision);
            let early = |watch: &Watch| {
                watch.compacted || watch.open && watch.request.start_revision > head
            };
            if self.watches.iter().any(early) {
                self.faults.push(format!("a watch has not told all before it: {response:?}"));
            }
            return;
        }
        let Some(watch) = self.watches.iter_mut().rev().find(|watch| watch.id == id) else {
            if !response.created {
                self.faults.push(format!("a response to a watch that never was: {response:?}"));
            }
            return;
        };
        let known = watch.open || watch.compacted && response.canceled;
        if !known {
            self.faults.push(format!("a response to a watch that is over: {response:?}"));
        }
        watch.compacted = response.compact_revision != 0;
        watch.open &= !response.canceled;
        if let Some(fault) = watch.note(response) {
            self.faults.push(fault);
        }
    }
}

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

/// An answer to a progress request.
fn is_progress(response: &WatchResponse) -> bool {
    response.watch_id == NO_WATCH
        && response.events.is_empty()
        && !response.created
        && !response.canceled
}

impl Watch {
    /// Gives what is wrong with it: revisions come in order, each in one response.
    fn note(&mut self, response: &WatchResponse) -> Option<String> {
        let first = response.events.first().map(revision)?;
        let last = response.events.last().map_or(0, revision);
        let header = response.header.map_or(0, |header| header.revision);
        let ordered = response.events.is_sorted_by_key(revision);
        let again = first <= self.told;
        self.told = last;
        self.events.extend(response.events.iter().cloned());
        (again || !ordered || header < last)
            .then(|| format!("split, out of order or ahead of its header: {response:?}"))
    }

    /// The newest of a put's and its deletion's revisions that it tells of, if it does.
    pub fn tells_of(&self, put: i64, delete: i64) -> Option<i64> {
        let hides = |filter: FilterType| self.request.filters.contains(&(filter as i32));
        let told = [(FilterType::Noput, put), (FilterType::Nodelete, delete)];
        let told = told.into_iter().filter(|(filter, _)| !hides(*filter));
        told.map(|(_, revision)| revision).filter(|r| *r >= self.request.start_revision).max()
    }

    /// What it told up to the revision that was waited for, if it is open and one was.
    pub fn settled(&self) -> Option<&[Event]> {
        let settled = |event: &Event| revision(event) <= self.awaited;
        let waited = self.open && self.awaited > 0;
        waited.then(|| &self.events[..self.events.partition_point(settled)])
    }

    /// A key of its range.
    pub fn key(&self) -> bytes::Bytes {
        match self.request.key.is_empty() {
            true => bytes::Bytes::from_static(b"\0"),
            false => self.request.key.clone(),
        }
    }
}
