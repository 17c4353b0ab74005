//! The service Maintenance.

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Grpc, Response as Answer, Status};

use super::{Api, Caller, ask, snapshot, status, unexpected};
use crate::core::{Request, Response};
use crate::error::ApiError;
use crate::log::snapshot::Image;
use crate::proto::etcdserverpb::maintenance_server::Maintenance;
use crate::proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, HashKvRequest,
    HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse,
    ResponseHeader, SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
};
use crate::state::Applied;

impl Api {
    /// The state as it is here, and work on it in a thread of its own: it may take long.
    async fn with_image<T: Send + 'static>(
        &self,
        caller: &Caller,
        request: Request,
        work: impl FnOnce(Image) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<(ResponseHeader, T), Status> {
        let Response::Image(image, header) = self.ask(caller, request).await? else {
            return Err(unexpected());
        };
        let done = tokio::task::spawn_blocking(move || work(*image)).await;
        let done = done.map_err(|error| Status::internal(error.to_string()))?;
        Ok((header, done.map_err(status)?))
    }
}

#[tonic::async_trait]
impl Maintenance for Api {
    type SnapshotStream = ReceiverStream<Result<SnapshotResponse, Status>>;

    async fn alarm(&self, grpc: Grpc<AlarmRequest>) -> Result<Answer<AlarmResponse>, Status> {
        ask!(self, grpc, Request::Alarm, Response::Applied(Applied::Alarm(r)) => r)
    }

    async fn status(&self, grpc: Grpc<StatusRequest>) -> Result<Answer<StatusResponse>, Status> {
        ask!(self, grpc, |_: StatusRequest| Request::Status, Response::Status(r) => r)
    }

    async fn defragment(
        &self,
        grpc: Grpc<DefragmentRequest>,
    ) -> Result<Answer<DefragmentResponse>, Status> {
        let request = |_: DefragmentRequest| Request::Defragment;
        // The one answer that etcd sends without a header, and a client's own tests ask for that.
        ask!(self, grpc, request, Response::Header(_) => DefragmentResponse { header: None })
    }

    async fn hash(&self, grpc: Grpc<HashRequest>) -> Result<Answer<HashResponse>, Status> {
        let (caller, _) = Caller::of(grpc);
        let hash = |image: Image| image.state.kv.hash(0);
        let (header, hash) = self.with_image(&caller, Request::Hash, hash).await?;
        Ok(Answer::new(HashResponse { header: Some(header), hash: hash.hash }))
    }

    async fn hash_kv(&self, grpc: Grpc<HashKvRequest>) -> Result<Answer<HashKvResponse>, Status> {
        let (caller, body) = Caller::of(grpc);
        let hash = move |image: Image| image.state.kv.hash(body.revision);
        let (header, hash) = self.with_image(&caller, Request::Hash, hash).await?;
        Ok(Answer::new(HashKvResponse {
            header: Some(header),
            hash: hash.hash,
            compact_revision: hash.compact_revision,
            hash_revision: hash.revision,
        }))
    }

    async fn snapshot(
        &self,
        grpc: Grpc<SnapshotRequest>,
    ) -> Result<Answer<Self::SnapshotStream>, Status> {
        let (caller, _) = Caller::of(grpc);
        let Response::Image(image, _) = self.ask(&caller, Request::Snapshot).await? else {
            return Err(unexpected());
        };
        Ok(Answer::new(ReceiverStream::new(snapshot::send(*image))))
    }

    async fn move_leader(
        &self,
        grpc: Grpc<MoveLeaderRequest>,
    ) -> Result<Answer<MoveLeaderResponse>, Status> {
        let request = |body: MoveLeaderRequest| Request::MoveLeader { to: body.target_id };
        // In etcd this answer has no header, as that of Defragment.
        ask!(self, grpc, request, Response::Header(_) => MoveLeaderResponse { header: None })
    }
}
