//! The service Watch.

use std::pin::Pin;
use std::time::Duration;

use tonic::codegen::tokio_stream::{Stream, once};
use tonic::{Request as Grpc, Response as Answer, Status, Streaming};

use super::{Api, Caller, status};
use crate::core::{Request, WatchInput};
use crate::error::{ApiError, Code};
use crate::proto::etcdserverpb::watch_request::RequestUnion;
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
        let (caller, incoming) = Caller::of(grpc);
        if caller.needs_leader() && !self.handle.has_leader() {
            let refused = Box::pin(once(Err(status(ApiError::NoLeader))));
            return Ok(Answer::new(refused));
        }
        let (requests, responses) = self.handle.watch().await.map_err(status)?;
        tokio::spawn(forward(self.clone(), caller, incoming, requests));
        Ok(Answer::new(Box::pin(responses)))
    }
}

/// Hands a client's requests to the node until it goes away. One that only ends its requests still
/// gets its events.
async fn forward(
    api: Api,
    caller: Caller,
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
                    let input = match permitted(&api, &caller, request).await {
                        Ok(input) => input,
                        Err(error) => return requests.end(status(error)),
                    };
                    if requests.send(input).await.is_err() {
                        return;
                    }
                }
                Ok(None) => ended = true,
                Err(_) => return,
            },
            _ = looks.tick() => {
                missed = if api.handle.has_leader() { 0 } else { missed + 1 };
                if caller.needs_leader() && missed >= LOOKS_WITHOUT_LEADER {
                    return requests.end(status(ApiError::NoLeader));
                }
                if requests.is_closed() {
                    return;
                }
            }
        }
    }
}

/// What a request comes to, now that it is known whether the client may have the watch that it asks
/// for. As in etcd that is asked once, when the watch begins.
///
/// # Errors
/// Why the whole stream ends: this member cannot tell.
async fn permitted(
    api: &Api,
    caller: &Caller,
    request: WatchRequest,
) -> Result<WatchInput, ApiError> {
    if let Some(RequestUnion::CreateRequest(create)) = &request.request_union
        // A start that is none is refused whoever asks.
        && create.start_revision >= 0
        && let Err(error) = api.ask_wherever(caller, Request::MayWatch(create.clone())).await
    {
        return match error.code() {
            Code::Unavailable | Code::ResourceExhausted => Err(error),
            _ => Ok(WatchInput::Refused(error)),
        };
    }
    Ok(WatchInput::Request(request))
}
