//! The service Lease.

use std::pin::Pin;

use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Grpc, Response as Answer, Status, Streaming};

use super::{Api, Caller, ask, unexpected};
use crate::core::{Request, Response};
use crate::proto::etcdserverpb::lease_server::Lease;
use crate::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use crate::state::Applied;

/// Answers that may wait for a client that does not read them; then its requests wait too.
const ANSWERS_MAX: usize = 64;

#[tonic::async_trait]
impl Lease for Api {
    async fn lease_grant(
        &self,
        grpc: Grpc<LeaseGrantRequest>,
    ) -> Result<Answer<LeaseGrantResponse>, Status> {
        ask!(self, grpc, Request::LeaseGrant, Response::Applied(Applied::LeaseGrant(r)) => r)
    }

    async fn lease_revoke(
        &self,
        grpc: Grpc<LeaseRevokeRequest>,
    ) -> Result<Answer<LeaseRevokeResponse>, Status> {
        ask!(self, grpc, Request::LeaseRevoke, Response::Applied(Applied::LeaseRevoke(r)) => r)
    }

    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        grpc: Grpc<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Answer<Self::LeaseKeepAliveStream>, Status> {
        let (caller, mut requests) = Caller::of(grpc);
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        let api = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let answer = match api.ask(&caller, Request::LeaseKeepAlive(request)).await {
                    Ok(Response::LeaseKeepAlive(answer)) => Ok(answer),
                    Ok(_) => Err(unexpected()),
                    Err(status) => Err(status),
                };
                let ends = answer.is_err();
                if answers.send(answer).await.is_err() || ends {
                    break;
                }
            }
        });
        Ok(Answer::new(Box::pin(ReceiverStream::new(answered))))
    }

    async fn lease_time_to_live(
        &self,
        grpc: Grpc<LeaseTimeToLiveRequest>,
    ) -> Result<Answer<LeaseTimeToLiveResponse>, Status> {
        ask!(self, grpc, Request::LeaseTimeToLive, Response::LeaseTimeToLive(r) => r)
    }

    async fn lease_leases(
        &self,
        grpc: Grpc<LeaseLeasesRequest>,
    ) -> Result<Answer<LeaseLeasesResponse>, Status> {
        let request = |_: LeaseLeasesRequest| Request::LeaseLeases;
        ask!(self, grpc, request, Response::LeaseLeases(r) => r)
    }
}
