//! The standard health service: etcd's says that it serves for as long as the process runs.

use futures::stream::{self, StreamExt};
use tonic::{Request as Grpc, Response as Answer, Status};

use super::Api;
use crate::proto::healthpb::health_check_response::ServingStatus;
use crate::proto::healthpb::health_server::Health;
use crate::proto::healthpb::{HealthCheckRequest, HealthCheckResponse};

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving as i32 }
}

/// Only the server as a whole has a health.
fn check(service: &str) -> Result<HealthCheckResponse, Status> {
    if service.is_empty() { Ok(serving()) } else { Err(Status::not_found("unknown service")) }
}

#[tonic::async_trait]
impl Health for Api {
    type WatchStream = stream::BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        grpc: Grpc<HealthCheckRequest>,
    ) -> Result<Answer<HealthCheckResponse>, Status> {
        check(&grpc.get_ref().service).map(Answer::new)
    }

    async fn watch(
        &self,
        grpc: Grpc<HealthCheckRequest>,
    ) -> Result<Answer<Self::WatchStream>, Status> {
        let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown as i32 };
        let first = check(&grpc.get_ref().service).unwrap_or(unknown);
        // It does not change while the process runs, so nothing more comes.
        let stream = stream::iter([Ok(first)]).chain(stream::pending());
        Ok(Answer::new(stream.boxed()))
    }
}
