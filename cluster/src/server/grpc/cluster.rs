//! The service Cluster.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::{Api, ask, unexpected};
use crate::core::{Request, Response};
use crate::proto::etcdserverpb::cluster_server::Cluster;
use crate::proto::etcdserverpb::{MemberListRequest, MemberListResponse};

#[tonic::async_trait]
impl Cluster for Api {
    async fn member_list(
        &self,
        grpc: Grpc<MemberListRequest>,
    ) -> Result<Answer<MemberListResponse>, Status> {
        let request =
            |body: MemberListRequest| Request::MemberList { linearizable: body.linearizable };
        ask!(self, grpc, request, Response::MemberList(r) => r)
    }
}
