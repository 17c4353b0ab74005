//! The service Lock.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::concurrency::{Own, failed};
use super::{Api, Caller};
use crate::concurrency;
use crate::proto::v3lockpb::lock_server::Lock;
use crate::proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};

#[tonic::async_trait]
impl Lock for Api {
    async fn lock(&self, grpc: Grpc<LockRequest>) -> Result<Answer<LockResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let own = Own { api: self.clone(), caller };
        let locked = concurrency::lock(&own, self.bugs, request).await;
        locked.map(Answer::new).map_err(failed)
    }

    async fn unlock(&self, grpc: Grpc<UnlockRequest>) -> Result<Answer<UnlockResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let own = Own { api: self.clone(), caller };
        concurrency::unlock(&own, request).await.map(Answer::new).map_err(failed)
    }
}
