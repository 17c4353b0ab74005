//! The watches of one simulated connection: one stream for all of them, as etcd's clients have it.
//!
//! Responses to other watches than the one that is waited for are kept until somebody asks. A
//! watch's stream is lost with the connection; nothing is watched again in secret.

use super::messages;
use super::way::{Way, meaning};
use super::world::{Streamed, World};
use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use ordeal_cluster::core::{Credentials, Request, StreamId, WatchInput};
use ordeal_cluster::proto::etcdserverpb::watch_request::RequestUnion;
use ordeal_cluster::proto::etcdserverpb::{
    WatchCancelRequest, WatchProgressRequest, WatchResponse,
};
use ordeal_workloads::{Answer, Heard, Said, StoreError, WatchRequest};
use std::rc::Rc;

/// A stream of watches to one process; the node forgets it when this is dropped.
pub struct Stream {
    world: Rc<World>,
    end: super::wire::End,
    process: u64,
    id: StreamId,
    responses: UnboundedReceiver<Streamed>,
}

impl Stream {
    /// Opens one.
    pub fn open(way: &Way) -> Stream {
        let (id, responses) = way.world.open_stream(way.end, way.process);
        Stream { world: way.world.clone(), end: way.end, process: way.process, id, responses }
    }

    /// Sends something to the node.
    pub fn tell(&self, input: WatchInput) {
        self.world.tell_stream(self.end, self.process, self.id, input);
    }

    fn ask(&self, request: RequestUnion) {
        let request_union = Some(request);
        let request = ordeal_cluster::proto::etcdserverpb::WatchRequest { request_union };
        self.tell(WatchInput::Request(request));
    }

    /// The next response. Nothing is lost when the waiting is given up.
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn next(&mut self) -> Result<WatchResponse, StoreError> {
        match self.responses.next().await {
            Some(Ok(response)) => {
                self.tell(WatchInput::taken(&response));
                Ok(response)
            }
            Some(Err(error)) => Err(meaning(error.to_string())),
            None => Err(StoreError::Indeterminate("the stream of watches has ended".to_owned())),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.tell(WatchInput::Close);
    }
}

/// The watches of one connection.
#[derive(Default)]
pub struct Watches {
    stream: Option<Stream>,
    heard: Heard,
}

impl Watches {
    /// Begins a watch, and waits until the node says so.
    pub async fn begin(&mut self, way: &Way, request: WatchRequest) -> Result<Answer, StoreError> {
        let number = request.number;
        let create = messages::watch(request);
        // Where nobody is asked for, everybody may.
        if way.credentials != Credentials::None {
            way.ask(Request::MayWatch(create.clone())).await?;
        }
        let stream = self.stream.get_or_insert_with(|| Stream::open(way));
        stream.ask(RequestUnion::CreateRequest(create));
        loop {
            let response = self.message().await?;
            if !response.created {
                self.keep(response);
                continue;
            }
            let revision = response.header.as_ref().map_or(0, |header| header.revision);
            if response.canceled {
                let reason = response.cancel_reason;
                return Err(StoreError::DidNotHappen(format!("etcdserver: {reason}")));
            }
            self.heard.begin(response.watch_id, number);
            return Ok(Answer { revision, said: Said::Watching });
        }
    }

    /// The next response to the watch of this number.
    pub async fn next(&mut self, number: i64) -> Result<Answer, StoreError> {
        loop {
            if let Some(answer) = self.heard.next(number)? {
                return Ok(answer);
            }
            let response = self.message().await?;
            self.keep(response);
        }
    }

    /// Asks how far all of them are.
    pub fn ask_progress(&mut self) -> Answer {
        if let Some(stream) = &self.stream {
            stream.ask(RequestUnion::ProgressRequest(WatchProgressRequest::default()));
        }
        Answer { revision: 0, said: Said::Done }
    }

    /// Ends one; what it has told until then is told still.
    pub fn cancel(&mut self, number: i64) -> Answer {
        if let (Some(stream), Some(watch_id)) = (&self.stream, self.heard.theirs(number)) {
            stream.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }));
        }
        Answer { revision: 0, said: Said::Done }
    }

    async fn message(&mut self) -> Result<WatchResponse, StoreError> {
        let lost = || StoreError::Indeterminate("the stream of watches has ended".to_owned());
        self.stream.as_mut().ok_or_else(lost)?.next().await
    }

    fn keep(&mut self, response: WatchResponse) {
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        let watch_id = response.watch_id;
        self.heard.keep(watch_id, revision, &messages::told(response));
    }
}
