//! What the services Lock and Election ask: the node that they belong to.

use tonic::Status;

use super::{Api, Caller, status, unexpected};
use crate::concurrency::{Behind, Failure, Watching};
use crate::core::{Request, Response, WatchInput};
use crate::error::ApiError;
use crate::proto::etcdserverpb::watch_request::RequestUnion;
use crate::proto::etcdserverpb::{TxnRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::server::watching::{Requests, Responses};

/// The node, and whose call it serves.
#[derive(Clone)]
pub(super) struct Own {
    pub api: Api,
    pub caller: Caller,
}

impl Behind for Own {
    type Watching = OwnWatch;

    /// Asks as etcd's own client within its server does, whose errors have lost their codes.
    async fn ask(&self, request: Request) -> Result<Response, Failure> {
        let answer = self.api.ask(&self.caller, request).await;
        answer.map_err(|status| Failure::Said(status.message().to_owned()))
    }

    async fn watch(&self, create: WatchCreateRequest) -> Result<OwnWatch, Failure> {
        self.ask(Request::MayWatch(create.clone())).await?;
        let (requests, responses) = self.api.handle.watch().await?;
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        requests.send(WatchInput::Request(request)).await?;
        Ok(OwnWatch { responses, _requests: requests })
    }

    fn withdraw(&self, txn: TxnRequest) {
        let Own { api, caller } = self.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // If it fails the key goes when its lease ends.
                let _ = api.ask(&caller, Request::Txn(txn)).await;
            });
        }
    }
}

/// A watch of the server's own.
pub(super) struct OwnWatch {
    responses: Responses,
    _requests: Requests,
}

impl Watching for OwnWatch {
    async fn next(&mut self) -> Result<WatchResponse, Failure> {
        let said = |status: Status| Failure::Said(status.message().to_owned());
        let response = self.responses.next().await.unwrap_or(Err(status(ApiError::Stopped)));
        let response = response.map_err(said)?;
        if response.canceled { Err(ApiError::Compacted.into()) } else { Ok(response) }
    }
}

/// As a call's end.
pub(super) fn failed(failure: Failure) -> Status {
    match failure {
        Failure::Said(words) => Status::unknown(words),
        Failure::Api(error) => status(error),
        Failure::Unexpected => unexpected(),
    }
}
