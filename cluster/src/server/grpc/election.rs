//! The service Election: the key that is oldest under the election's name leads, and its value is
//! what the leader proclaims.

use std::pin::Pin;

use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Grpc, Response as Answer, Status};

use super::concurrency::{Own, failed};
use super::{Api, Caller};
use crate::concurrency::{
    self, Failure, Session, Watching, end_of, first_created, is_deletion, prefix_of,
};
use crate::proto::etcdserverpb::ResponseHeader;
use crate::proto::mvccpb::KeyValue;
use crate::proto::v3electionpb::election_server::Election;
use crate::proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};

/// Leaders that may wait for an observer to read of them.
const LEADERS_MAX: usize = 16;

impl Api {
    /// The node itself, on behalf of whoever calls; and what it is asked.
    fn own<T>(&self, grpc: Grpc<T>) -> (Own, T) {
        let (caller, request) = Caller::of(grpc);
        (Own { api: self.clone(), caller }, request)
    }
}

#[tonic::async_trait]
impl Election for Api {
    async fn campaign(
        &self,
        grpc: Grpc<CampaignRequest>,
    ) -> Result<Answer<CampaignResponse>, Status> {
        let (own, request) = self.own(grpc);
        concurrency::campaign(&own, request).await.map(Answer::new).map_err(failed)
    }

    async fn proclaim(
        &self,
        grpc: Grpc<ProclaimRequest>,
    ) -> Result<Answer<ProclaimResponse>, Status> {
        let (own, request) = self.own(grpc);
        concurrency::proclaim(&own, request).await.map(Answer::new).map_err(failed)
    }

    async fn leader(&self, grpc: Grpc<LeaderRequest>) -> Result<Answer<LeaderResponse>, Status> {
        let (own, request) = self.own(grpc);
        concurrency::leader(&own, request).await.map(Answer::new).map_err(failed)
    }

    type ObserveStream = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

    async fn observe(
        &self,
        grpc: Grpc<LeaderRequest>,
    ) -> Result<Answer<Self::ObserveStream>, Status> {
        let (own, request) = self.own(grpc);
        let (leaders, observed) = mpsc::channel(LEADERS_MAX);
        tokio::spawn(async move {
            tokio::select! {
                // What stops it, a want of permission too, ends the stream without a word in etcd.
                _ = observe(&own, &request.name, &leaders) => {}
                () = leaders.closed() => {}
            }
        });
        Ok(Answer::new(Box::pin(ReceiverStream::new(observed))))
    }

    async fn resign(&self, grpc: Grpc<ResignRequest>) -> Result<Answer<ResignResponse>, Status> {
        let (own, request) = self.own(grpc);
        concurrency::resign(&own, request).await.map(Answer::new).map_err(failed)
    }
}

/// Tells who leads and what is proclaimed, from now on, until the observer or the node is gone.
async fn observe(
    own: &Own,
    name: &[u8],
    leaders: &mpsc::Sender<Result<LeaderResponse, Status>>,
) -> Result<(), Failure> {
    let session = Session { behind: own };
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
    session: &Session<'_, Own>,
    prefix: &[u8],
    from: i64,
) -> Result<(ResponseHeader, KeyValue), Failure> {
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
