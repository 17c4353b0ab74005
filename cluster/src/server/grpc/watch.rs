//! The service Watch.

use std::pin::Pin;
use std::time::Duration;

use tonic::codegen::tokio_stream::{Stream, once};
use tonic::metadata::MetadataMap;
use tonic::{Request as Grpc, Response as Answer, Status, Streaming};

use super::{Api, needs_leader, status};
use crate::core::WatchInput;
use crate::error::ApiError;
use crate::proto::etcdserverpb::watch_server::Watch;
use crate::proto::etcdserverpb::{WatchRequest, WatchResponse};
use crate::server::watching::Requests;

/// A client that wants a leader is let go when none has been known so often in a row.
const LOOKS_WITHOUT_LEADER: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[tonic::async_trait]
impl Watch for Api {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        grpc: Grpc<Streaming<WatchRequest>>,
    ) -> Result<Answer<Self::WatchStream>, Status> {
        let (metadata, _, incoming) = grpc.into_parts();
        if needs_leader(&metadata) && !self.handle.has_leader() {
            let refused = Box::pin(once(Err(status(ApiError::NoLeader))));
            return Ok(Answer::new(refused));
        }
        let (requests, responses) = self.handle.watch().await.map_err(status)?;
        tokio::spawn(forward(self.clone(), metadata, incoming, requests));
        Ok(Answer::new(Box::pin(responses)))
    }
}

/// Hands a client's requests to the node until it goes away. One that only ends its requests still
/// gets its events.
async fn forward(
    api: Api,
    metadata: MetadataMap,
    mut incoming: Streaming<WatchRequest>,
    requests: Requests,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut missed = 0;
    let mut ended = false;
    loop {
        tokio::select! {
            request = incoming.message(), if !ended => match request {
                Ok(Some(request)) => {
                    if requests.send(WatchInput::Request(request)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => ended = true,
                Err(_) => return,
            },
            _ = looks.tick() => {
                missed = if api.handle.has_leader() { 0 } else { missed + 1 };
                if needs_leader(&metadata) && missed >= LOOKS_WITHOUT_LEADER {
                    return requests.end(status(ApiError::NoLeader));
                }
                if requests.is_closed() {
                    return;
                }
            }
        }
    }
}
