//! The requests of a sequence, and how one is sent.
//!
//! A revision in them is relative to the newest one at the time of sending, so that a request means
//! the same when those before it are left out: [`at`] makes one, [`Ask::resolved`] ends it.

use ordeal_cluster::proto::etcdserverpb::compare::TargetUnion;
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Op;
use ordeal_cluster::proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// What a revision near this number stands for: its distance is that from the newest one.
const RELATIVE: i64 = 1 << 40;

/// The revision that is so far from the newest.
pub fn at(distance: i64) -> i64 {
    RELATIVE + distance
}

fn resolve(revision: &mut i64, head: i64) {
    if *revision > RELATIVE / 2 {
        *revision = head + (*revision - RELATIVE);
    }
}

fn resolve_range(range: &mut RangeRequest, head: i64) {
    for revision in [
        &mut range.revision,
        &mut range.min_mod_revision,
        &mut range.max_mod_revision,
        &mut range.min_create_revision,
        &mut range.max_create_revision,
    ] {
        resolve(revision, head);
    }
}

fn resolve_txn(txn: &mut TxnRequest, head: i64) {
    for compare in &mut txn.compare {
        if let Some(TargetUnion::ModRevision(revision) | TargetUnion::CreateRevision(revision)) =
            &mut compare.target_union
        {
            resolve(revision, head);
        }
    }
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(Op::RequestRange(range)) => resolve_range(range, head),
            Some(Op::RequestTxn(txn)) => resolve_txn(txn, head),
            _ => {}
        }
    }
}

/// One request of a client.
#[derive(Debug, Clone)]
pub enum Ask {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
}

/// What came of it, without what differs between two clusters by right: who answers, and in which
/// term.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Range(RangeResponse),
    Put(PutResponse),
    Delete(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    Error(tonic::Code, String),
}

impl Answer {
    /// The revision in its header.
    pub fn revision(&mut self) -> Option<i64> {
        self.header().map(|header| header.revision)
    }

    fn header(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Answer::Range(response) => response.header.as_mut(),
            Answer::Put(response) => response.header.as_mut(),
            Answer::Delete(response) => response.header.as_mut(),
            Answer::Txn(response) => response.header.as_mut(),
            Answer::Compact(response) => response.header.as_mut(),
            Answer::Error(..) => None,
        }
    }
}

impl Ask {
    /// The same with every revision a number, given the newest.
    pub fn resolved(&self, head: i64) -> Ask {
        let mut ask = self.clone();
        match &mut ask {
            Ask::Range(range) => resolve_range(range, head),
            Ask::Txn(txn) => resolve_txn(txn, head),
            Ask::Compact(compact) => resolve(&mut compact.revision, head),
            Ask::Put(_) | Ask::Delete(_) => {}
        }
        ask
    }

    /// Sends it, and waits for the answer.
    pub async fn send(&self, channel: &Channel) -> Answer {
        let result = match self.clone() {
            Ask::Range(ask) => call(channel, "KV/Range", ask).await.map(Answer::Range),
            Ask::Put(ask) => call(channel, "KV/Put", ask).await.map(Answer::Put),
            Ask::Delete(ask) => call(channel, "KV/DeleteRange", ask).await.map(Answer::Delete),
            Ask::Txn(ask) => call(channel, "KV/Txn", ask).await.map(Answer::Txn),
            Ask::Compact(ask) => call(channel, "KV/Compact", ask).await.map(Answer::Compact),
        };
        let error = |status: Status| Answer::Error(status.code(), status.message().to_owned());
        let mut answer = result.unwrap_or_else(error);
        if let Some(header) = answer.header() {
            *header = ResponseHeader { revision: header.revision, ..Default::default() };
        }
        answer
    }
}

/// One unary call of etcd's API.
pub async fn call<Q, A>(channel: &Channel, method: &str, request: Q) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let path = PathAndQuery::try_from(format!("/etcdserverpb.{method}")).expect("a path");
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<Q, A>::default();
    grpc.unary(Request::new(request), path, codec).await.map(tonic::Response::into_inner)
}
