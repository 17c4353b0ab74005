//! One of the two stores, as its client sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ordeal_cluster::proto::etcdserverpb::{
    AuthenticateRequest, AuthenticateResponse, DeleteRangeRequest, DeleteRangeResponse,
    HashRequest, HashResponse, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, RangeRequest,
    RangeResponse, WatchCreateRequest,
};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::once;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::answer::Answer;
use super::ask::{Ask, Chosen, is_alias};
use super::auth::Who;
use super::etcd::PATIENCE;
use super::generate::PASSWORDS;
use super::stream::Stream;

/// The ids that a store chose for leases.
#[derive(Default)]
pub struct Leases {
    /// Those of this sequence, by their aliases.
    pub chosen: Chosen,
    /// Those of earlier sequences, which a read in the past may find.
    pub former: BTreeSet<i64>,
}

/// A connection, and what was got through it.
pub struct Store {
    channel: Channel,
    /// The ids that it chose for leases.
    pub leases: Leases,
    /// The streams of watches that are open.
    pub streams: BTreeMap<u8, Stream>,
    /// Up to where its history is gone; -1 before the first compaction.
    compacted: i64,
    /// What users got when they logged in.
    tokens: BTreeMap<Who, String>,
    /// By what the request that is being sent tells who asks.
    token: Option<MetadataValue<Ascii>>,
}

impl Store {
    /// Connects, and waits for a leader.
    pub async fn connect(url: &str) -> Store {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
        let store = Store {
            channel: endpoint.connect_lazy(),
            leases: Leases::default(),
            streams: BTreeMap::new(),
            compacted: -1,
            tokens: BTreeMap::new(),
            token: None,
        };
        store.wait_for_leader(url).await;
        store
    }

    /// Waits until it has started again. Where users are checked nobody is told who leads, but a
    /// linearizable read is refused only when there is a leader.
    pub async fn wait_for_leader(&self, url: &str) {
        let deadline = Instant::now() + PATIENCE;
        let read = RangeRequest { key: "a".into(), ..Default::default() };
        loop {
            let answer: Result<RangeResponse, Status> = self.call("KV/Range", read.clone()).await;
            match answer {
                Ok(_) => return,
                Err(error) if error.code() == tonic::Code::InvalidArgument => return,
                Err(error) => assert!(Instant::now() < deadline, "{url} does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a request, and gives the answer as it is compared.
    pub async fn ask(&mut self, ask: &Ask, head: i64) -> Answer {
        let ask = match ask.resolved(head, &self.leases.chosen) {
            Ask::As(who, ask) => {
                self.token = self.token_of(&who);
                *ask
            }
            ask => ask,
        };
        let answer = self.send(ask, head).await;
        self.token = None;
        answer.compared(&self.leases)
    }

    async fn send(&mut self, ask: Ask, head: i64) -> Answer {
        match ask {
            Ask::Watch(stream, create) => self.open_watch(stream, create).await,
            Ask::Cancel(stream, id) => match self.streams.get_mut(&stream) {
                Some(stream) => stream.cancel(id).await,
                None => Answer::Nothing,
            },
            Ask::Progress(stream) => match self.streams.get_mut(&stream) {
                Some(stream) => stream.progress(head).await,
                None => Answer::Nothing,
            },
            Ask::Grant(request) => self.grant(request).await,
            Ask::Restart => Answer::Nothing,
            ask => self.unary(ask).await.unwrap_or_else(Answer::from),
        }
    }

    async fn unary(&mut self, ask: Ask) -> Result<Answer, Status> {
        Ok(match ask {
            Ask::Range(ask) => Answer::Range(self.call("KV/Range", ask).await?),
            Ask::Put(ask) => Answer::Put(self.call("KV/Put", ask).await?),
            Ask::Delete(ask) => Answer::Delete(self.call("KV/DeleteRange", ask).await?),
            Ask::Txn(ask) => Answer::Txn(self.call("KV/Txn", ask).await?),
            Ask::Compact(ask) => {
                let answer = self.call("KV/Compact", ask).await?;
                self.compacted = ask.revision;
                Answer::Compact(answer)
            }
            Ask::Revoke(id) => {
                let ask = LeaseRevokeRequest { id };
                Answer::Revoke(self.call("Lease/LeaseRevoke", ask).await?)
            }
            Ask::KeepAlive(id) => {
                Answer::KeepAlive(self.keep_alive(LeaseKeepAliveRequest { id }).await?)
            }
            Ask::TimeToLive(ask) => {
                Answer::TimeToLive(self.call("Lease/LeaseTimeToLive", ask).await?)
            }
            Ask::Leases => {
                let ask = LeaseLeasesRequest {};
                Answer::Leases(self.call("Lease/LeaseLeases", ask).await?)
            }
            Ask::Auth(ask) => ask.send(self).await?,
            Ask::Login(who, ask) => self.log_in(who, ask).await?,
            // Those with a state of their own are not sent here.
            Ask::Grant(_) | Ask::Watch(..) | Ask::Cancel(..) => Answer::Nothing,
            Ask::Progress(_) | Ask::Restart | Ask::As(..) => Answer::Nothing,
        })
    }

    async fn log_in(&mut self, who: Who, ask: AuthenticateRequest) -> Result<Answer, Status> {
        let answer: AuthenticateResponse = self.call("Auth/Authenticate", ask).await?;
        self.tokens.insert(who, answer.token);
        Ok(Answer::Auth(answer.header, "a token".into()))
    }

    fn token_of(&self, who: &Who) -> Option<MetadataValue<Ascii>> {
        let token = match who {
            Who::Nobody => None,
            Who::Stranger(token) => Some(*token),
            Who::User(_) | Who::Keeper => self.tokens.get(who).map(String::as_str),
        };
        token.map(|token| token.try_into().expect("tokens are ASCII"))
    }

    /// A request, with the token of who asks.
    fn request<T>(&self, body: T) -> Request<T> {
        with_token(body, self.token.clone())
    }

    /// With an alias the id is the store's to choose.
    async fn grant(&mut self, mut request: LeaseGrantRequest) -> Answer {
        let alias = request.id;
        if is_alias(alias) {
            request.id = 0;
        }
        match self.call("Lease/LeaseGrant", request).await {
            Ok(response) => {
                let answer = Answer::Grant(response);
                if let (true, Answer::Grant(response)) = (is_alias(alias), &answer) {
                    self.leases.chosen.insert(alias, response.id);
                }
                answer
            }
            Err(status) => status.into(),
        }
    }

    async fn keep_alive(
        &self,
        ask: LeaseKeepAliveRequest,
    ) -> Result<LeaseKeepAliveResponse, Status> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<LeaseKeepAliveRequest, LeaseKeepAliveResponse>::default();
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let request = self.request(once(ask));
        let mut answers = grpc.streaming(request, path, codec).await?.into_inner();
        let answer = answers.message().await?;
        answer.ok_or_else(|| Status::unknown("the stream ended without an answer"))
    }

    /// The first watch of a stream opens it.
    async fn open_watch(&mut self, number: u8, create: WatchCreateRequest) -> Answer {
        let compacted = self.compacted;
        if let Some(stream) = self.streams.get_mut(&number) {
            return stream.create(create, compacted).await;
        }
        let mut grpc = match self.ready().await {
            Ok(grpc) => grpc,
            Err(status) => return status.into(),
        };
        match Stream::open(&mut grpc, create, |body| self.request(body)).await {
            Ok(mut stream) => {
                let answer = stream.created(compacted).await;
                self.streams.insert(number, stream);
                answer
            }
            Err(status) => status.into(),
        }
    }

    /// One unary call of etcd's API.
    pub async fn call<Q, A>(&self, method: &str, request: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.unary_call(method, self.request(request)).await
    }

    /// The same on behalf of somebody.
    pub async fn call_as<Q, A>(&self, who: &Who, method: &str, request: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.unary_call(method, with_token(request, self.token_of(who))).await
    }

    async fn unary_call<Q, A>(&self, method: &str, request: Request<Q>) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = PathAndQuery::try_from(format!("/etcdserverpb.{method}")).expect("a path");
        let codec = ProstCodec::<Q, A>::default();
        let mut grpc = self.ready().await?;
        let answer = grpc.unary(request, path, codec).await?;
        Ok(answer.into_inner())
    }

    /// Up to where its history is gone; -1 before the first compaction.
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Has etcd commit what it has written, twice: after that it has no buffer of it any more. With
    /// one it may take what a user or a role was before for what it is: after a commit, as each
    /// deletion makes one, the read of one record looks behind the last one that is in use
    /// (`bucketBuffer.Range` in its `tx_buffer.go`; seen with 3.5.30, where a password that was
    /// changed still opened the door, and a user that was deleted still was there).
    ///
    /// Where users are checked root alone may ask for it, whose password may not be known.
    pub async fn commit(&mut self) {
        let former = self.tokens.remove(&Who::Keeper);
        for password in PASSWORDS {
            let root = AuthenticateRequest { name: "root".into(), password: (*password).into() };
            if self.log_in(Who::Keeper, root).await.is_ok() {
                break;
            }
        }
        for _ in 0..2 {
            // What it answers does not matter: it commits before.
            let _: Result<HashResponse, Status> =
                self.call_as(&Who::Keeper, "Maintenance/Hash", HashRequest {}).await;
        }
        self.tokens.remove(&Who::Keeper);
        self.tokens.extend(former.map(|token| (Who::Keeper, token)));
    }

    /// Deletes every key and lease, and closes every stream; gives the newest revision.
    pub async fn wipe(&mut self) -> i64 {
        self.streams.clear();
        self.tokens.clear();
        let zero = bytes::Bytes::from_static(b"\0");
        let all = DeleteRangeRequest { key: zero.clone(), range_end: zero, prev_kv: false };
        let wiped: Result<DeleteRangeResponse, _> = self.call("KV/DeleteRange", all).await;
        let header = wiped.expect("an answer").header.expect("a header");
        let leases: Result<LeaseLeasesResponse, _> =
            self.call("Lease/LeaseLeases", LeaseLeasesRequest {}).await;
        for lease in leases.expect("an answer").leases {
            let revoke = LeaseRevokeRequest { id: lease.id };
            let revoked: Result<LeaseRevokeResponse, _> =
                self.call("Lease/LeaseRevoke", revoke).await;
            revoked.expect("it was there");
        }
        let chosen = std::mem::take(&mut self.leases.chosen);
        self.leases.former.extend(chosen.into_values());
        header.revision
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }
}

fn with_token<T>(body: T, token: Option<MetadataValue<Ascii>>) -> Request<T> {
    let mut request = Request::new(body);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token);
    }
    request
}
