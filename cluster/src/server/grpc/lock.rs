//! The service Lock: the key that is oldest under the lock's name holds it.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::concurrency::{Session, prefix_of};
use super::{Api, Caller};
use crate::bugs::Bug;
use crate::proto::etcdserverpb::RangeRequest;
use crate::proto::v3lockpb::lock_server::Lock;
use crate::proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};

#[tonic::async_trait]
impl Lock for Api {
    async fn lock(&self, grpc: Grpc<LockRequest>) -> Result<Answer<LockResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let session = Session { api: self, caller: &caller };
        let prefix = prefix_of(&request.name);
        let place = session.stand(&prefix, request.lease, Default::default()).await?;
        let mut header = place.header;
        let guard = session.guard(&place);
        session.wait_for_older(&prefix, place.revision).await?;
        if !self.bugs.has(Bug::LockWithoutKey) {
            let own = RangeRequest { key: place.key.clone(), ..Default::default() };
            let response = session.range(own).await?;
            if response.kvs.is_empty() {
                // The lease ended while it waited, and with it the right to the lock.
                return Err(Status::unknown("mutex: session is expired"));
            }
            header = response.header.unwrap_or(header);
        }
        // BUG lock-without-key: else nobody looks whether the key is still there.
        guard.keep();
        Ok(Answer::new(LockResponse { header: Some(header), key: place.key }))
    }

    async fn unlock(&self, grpc: Grpc<UnlockRequest>) -> Result<Answer<UnlockResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let session = Session { api: self, caller: &caller };
        let response = session.delete(request.key).await?;
        Ok(Answer::new(UnlockResponse { header: response.header }))
    }
}
