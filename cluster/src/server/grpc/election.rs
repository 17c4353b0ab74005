//! The service Election: the key that is oldest under the election's name leads, and its value is
//! what the leader proclaims.

use std::pin::Pin;

use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Grpc, Response as Answer, Status};

use super::concurrency::{
    Session, created_at, delete_if_still_there, end_of, first_created, is_deletion, op, prefix_of,
};
use super::{Api, Caller};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{PutRequest, ResponseHeader, TxnRequest, TxnResponse};
use crate::proto::mvccpb::KeyValue;
use crate::proto::v3electionpb::election_server::Election;
use crate::proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};

/// Leaders that may wait for an observer to read of them.
const LEADERS_MAX: usize = 16;

#[tonic::async_trait]
impl Election for Api {
    async fn campaign(
        &self,
        grpc: Grpc<CampaignRequest>,
    ) -> Result<Answer<CampaignResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let session = Session { api: self, caller: &caller };
        let prefix = prefix_of(&request.name);
        let place = session.stand(&prefix, request.lease, request.value.clone()).await?;
        let guard = session.guard(&place);
        let leader = LeaderKey {
            name: request.name,
            key: place.key,
            rev: place.revision,
            lease: place.lease,
        };
        let mut header = Some(place.header);
        if place.found.is_some_and(|found| found.value != request.value) {
            header = proclaim(&session, &leader, request.value).await?.header;
        }
        session.wait_for_older(&prefix, leader.rev).await?;
        guard.keep();
        Ok(Answer::new(CampaignResponse { header, leader: Some(leader) }))
    }

    async fn proclaim(
        &self,
        grpc: Grpc<ProclaimRequest>,
    ) -> Result<Answer<ProclaimResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let session = Session { api: self, caller: &caller };
        let leader = request.leader.ok_or_else(no_leader_key)?;
        let header = proclaim(&session, &leader, request.value).await?.header;
        Ok(Answer::new(ProclaimResponse { header }))
    }

    async fn leader(&self, grpc: Grpc<LeaderRequest>) -> Result<Answer<LeaderResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let session = Session { api: self, caller: &caller };
        let response = session.range(first_created(&prefix_of(&request.name))).await?;
        match response.kvs.into_iter().next() {
            Some(kv) => Ok(Answer::new(LeaderResponse { header: response.header, kv: Some(kv) })),
            None => Err(Status::unknown("election: no leader")),
        }
    }

    type ObserveStream = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

    async fn observe(
        &self,
        grpc: Grpc<LeaderRequest>,
    ) -> Result<Answer<Self::ObserveStream>, Status> {
        let (caller, request) = Caller::of(grpc);
        let (leaders, observed) = mpsc::channel(LEADERS_MAX);
        let api = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                // What stops it, a want of permission too, ends the stream without a word in etcd.
                _ = observe(&api, &caller, &request.name, &leaders) => {}
                () = leaders.closed() => {}
            }
        });
        Ok(Answer::new(Box::pin(ReceiverStream::new(observed))))
    }

    async fn resign(&self, grpc: Grpc<ResignRequest>) -> Result<Answer<ResignResponse>, Status> {
        let (caller, request) = Caller::of(grpc);
        let session = Session { api: self, caller: &caller };
        let leader = request.leader.ok_or_else(no_leader_key)?;
        // One that no longer leads has nothing to do.
        let header = session.txn(delete_if_still_there(leader.key, leader.rev)).await?.header;
        Ok(Answer::new(ResignResponse { header }))
    }
}

fn no_leader_key() -> Status {
    Status::unknown("\"leader\" field must be provided")
}

async fn proclaim(
    session: &Session<'_>,
    leader: &LeaderKey,
    value: bytes::Bytes,
) -> Result<TxnResponse, Status> {
    let LeaderKey { key, lease, rev, .. } = leader.clone();
    let compare = vec![created_at(key.clone(), rev)];
    let put = PutRequest { key, value, lease, ..Default::default() };
    let success = vec![op(Op::RequestPut(put))];
    let response = session.txn(TxnRequest { compare, success, failure: Vec::new() }).await?;
    if response.succeeded { Ok(response) } else { Err(Status::unknown("election: not leader")) }
}

/// Tells who leads and what is proclaimed, from now on, until the observer or the node is gone.
async fn observe(
    api: &Api,
    caller: &Caller,
    name: &[u8],
    leaders: &mpsc::Sender<Result<LeaderResponse, Status>>,
) -> Result<(), Status> {
    let session = Session { api, caller };
    let prefix = prefix_of(name);
    loop {
        let response = session.range(first_created(&prefix)).await?;
        let header = response.header.unwrap_or_default();
        let (header, kv) = match response.kvs.into_iter().next() {
            Some(kv) => (header, kv),
            None => first_put(&session, &prefix, header.revision + 1).await?,
        };
        let (key, from) = (kv.key.clone(), header.revision + 1);
        if !tell(leaders, header, kv).await {
            return Ok(());
        }
        let mut watch = session.watch(key, bytes::Bytes::new(), from).await?;
        'leads: loop {
            let response = watch.next().await?;
            for event in response.events {
                if is_deletion(&event) {
                    break 'leads;
                }
                let told = tell(
                    leaders,
                    response.header.unwrap_or_default(),
                    event.kv.unwrap_or_default(),
                );
                if !told.await {
                    return Ok(());
                }
            }
        }
    }
}

/// Waits for somebody to stand for an election in which nobody stands.
async fn first_put(
    session: &Session<'_>,
    prefix: &[u8],
    from: i64,
) -> Result<(ResponseHeader, KeyValue), Status> {
    let mut watch = session.watch(prefix.to_vec().into(), end_of(prefix), from).await?;
    loop {
        let response = watch.next().await?;
        let header = response.header.unwrap_or_default();
        let put = response.events.into_iter().find(|event| !is_deletion(event));
        if let Some(kv) = put.and_then(|event| event.kv) {
            return Ok((ResponseHeader { revision: kv.mod_revision, ..header }, kv));
        }
    }
}

/// Whether the observer is still there.
async fn tell(
    leaders: &mpsc::Sender<Result<LeaderResponse, Status>>,
    header: ResponseHeader,
    kv: KeyValue,
) -> bool {
    leaders.send(Ok(LeaderResponse { header: Some(header), kv: Some(kv) })).await.is_ok()
}
