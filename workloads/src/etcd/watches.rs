//! The watches of one connection: one stream for all of them, as etcd's clients have it.
//!
//! Responses to other watches than the one that is waited for are kept until somebody asks. A
//! watch's stream is lost with the connection; nothing is watched again in secret.

use super::convert::key_value;
use super::error::classify;
use crate::store::{Answer, Change, Heard, Said, StoreError, Told, WatchRequest};
use etcd_client::proto::{PbEvent, PbWatchResponse};
use etcd_client::{Client, WatchFilterType, WatchOptions, WatchStream};

/// How large a response may be: as etcd's own clients have it, for etcd tells one who was slow of a
/// thousand revisions at once.
const RESPONSE_BYTES_MAX: usize = i32::MAX as usize;

/// The watches of one connection.
#[derive(Default)]
pub(super) struct Watches {
    stream: Option<WatchStream>,
    heard: Heard,
}

impl Watches {
    /// Begins a watch, and waits until the store says so.
    pub(super) async fn begin(
        &mut self,
        client: &mut Client,
        request: WatchRequest,
    ) -> Result<Answer, StoreError> {
        let number = request.number;
        let (key, options) = options(request);
        match &mut self.stream {
            Some(stream) => stream.watch(key, Some(options)).await.map_err(classify)?,
            None => {
                let mut watcher =
                    client.watch_client().max_decoding_message_size(RESPONSE_BYTES_MAX);
                let stream = watcher.watch(key, Some(options)).await.map_err(classify)?;
                self.stream = Some(stream);
            }
        }
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
    pub(super) async fn next(&mut self, number: i64) -> Result<Answer, StoreError> {
        loop {
            if let Some(answer) = self.heard.next(number)? {
                return Ok(answer);
            }
            let response = self.message().await?;
            self.keep(response);
        }
    }

    /// Asks how far all of them are.
    pub(super) async fn ask_progress(&mut self) -> Result<Answer, StoreError> {
        if let Some(stream) = &mut self.stream {
            stream.request_progress().await.map_err(classify)?;
        }
        Ok(Answer { revision: 0, said: Said::Done })
    }

    /// Ends one; what it has told until then is told still.
    pub(super) async fn cancel(&mut self, number: i64) -> Result<Answer, StoreError> {
        if let (Some(stream), Some(theirs)) = (&mut self.stream, self.heard.theirs(number)) {
            stream.cancel(theirs).await.map_err(classify)?;
        }
        Ok(Answer { revision: 0, said: Said::Done })
    }

    /// The stream's next response. Nothing is lost when the waiting is given up.
    async fn message(&mut self) -> Result<PbWatchResponse, StoreError> {
        let lost = || StoreError::Indeterminate("the stream of watches has ended".to_owned());
        let stream = self.stream.as_mut().ok_or_else(lost)?;
        match stream.message().await.map_err(classify)? {
            Some(response) => Ok(response.0),
            None => Err(lost()),
        }
    }

    fn keep(&mut self, response: PbWatchResponse) {
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        let watch_id = response.watch_id;
        let told = Told {
            changes: response.events.into_iter().filter_map(change).collect(),
            fragment: response.fragment,
            canceled: response.canceled,
            compact_revision: response.compact_revision,
            reason: response.cancel_reason,
        };
        self.heard.keep(watch_id, revision, &told);
    }
}

/// One change; an event without its key is none.
fn change(event: PbEvent) -> Option<Change> {
    let deleted = event.r#type == etcd_client::EventType::Delete as i32;
    let (kv, prev) = (event.kv.map(key_value)?, event.prev_kv.map(key_value));
    Some(Change { deleted, kv, prev })
}

fn options(request: WatchRequest) -> (Vec<u8>, WatchOptions) {
    let mut options = WatchOptions::new().with_start_revision(request.start);
    if !request.range_end.is_empty() {
        options = options.with_range(request.range_end);
    }
    if request.prev_kv {
        options = options.with_prev_key();
    }
    if request.progress_notify {
        options = options.with_progress_notify();
    }
    if request.fragment {
        options = options.with_fragment();
    }
    let filters =
        [(request.no_put, WatchFilterType::NoPut), (request.no_delete, WatchFilterType::NoDelete)];
    let filters: Vec<WatchFilterType> =
        filters.into_iter().filter(|(on, _)| *on).map(|(_, filter)| filter).collect();
    (request.key, options.with_filters(filters))
}
