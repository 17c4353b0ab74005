//! The service KV.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::{Api, ask, unexpected};
use crate::core::{Request, Response};
use crate::proto::etcdserverpb::kv_server::Kv;
use crate::proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};
use crate::state::Applied;

#[tonic::async_trait]
impl Kv for Api {
    async fn range(&self, grpc: Grpc<RangeRequest>) -> Result<Answer<RangeResponse>, Status> {
        ask!(self, grpc, Request::Range, Response::Applied(Applied::Range(r)) => r)
    }

    async fn put(&self, grpc: Grpc<PutRequest>) -> Result<Answer<PutResponse>, Status> {
        ask!(self, grpc, Request::Put, Response::Applied(Applied::Put(r)) => r)
    }

    async fn delete_range(
        &self,
        grpc: Grpc<DeleteRangeRequest>,
    ) -> Result<Answer<DeleteRangeResponse>, Status> {
        ask!(self, grpc, Request::DeleteRange, Response::Applied(Applied::DeleteRange(r)) => r)
    }

    async fn txn(&self, grpc: Grpc<TxnRequest>) -> Result<Answer<TxnResponse>, Status> {
        ask!(self, grpc, Request::Txn, Response::Applied(Applied::Txn(r)) => r)
    }

    async fn compact(
        &self,
        grpc: Grpc<CompactionRequest>,
    ) -> Result<Answer<CompactionResponse>, Status> {
        ask!(self, grpc, Request::Compact, Response::Applied(Applied::Compact(r)) => r)
    }
}
