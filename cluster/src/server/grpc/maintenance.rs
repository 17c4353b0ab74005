//! The service Maintenance.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::{Api, ask, unexpected};
use crate::core::{Request, Response};
use crate::proto::etcdserverpb::maintenance_server::Maintenance;
use crate::proto::etcdserverpb::{StatusRequest, StatusResponse};

#[tonic::async_trait]
impl Maintenance for Api {
    async fn status(&self, grpc: Grpc<StatusRequest>) -> Result<Answer<StatusResponse>, Status> {
        ask!(self, grpc, |_: StatusRequest| Request::Status, Response::Status(r) => r)
    }
}
