//! The service Cluster.

use tonic::{Request as Grpc, Response as Answer, Status};

use super::{Api, Caller, ask, status, unexpected};
use crate::core::{Request, Response};
use crate::error::ApiError;
use crate::proto::etcdserverpb::cluster_server::Cluster;
use crate::proto::etcdserverpb::{
    MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse,
};
use crate::proto::ordealpb::member_change::Kind;
use crate::proto::ordealpb::{ChangeMembers, MemberChange};
use crate::server::config::is_peer_url;
use crate::state::Applied;

impl Api {
    async fn change(
        &self,
        caller: &Caller,
        kind: Kind,
        id: u64,
        mut peer_urls: Vec<String>,
    ) -> Result<MemberListResponse, Status> {
        let named = !matches!(kind, Kind::Promote | Kind::Remove);
        if named && (peer_urls.is_empty() || !peer_urls.iter().all(|url| is_peer_url(url))) {
            return Err(status(ApiError::MemberBadUrls));
        }
        peer_urls.sort();
        let change = MemberChange { kind: kind as i32, id, peer_urls };
        let request = Request::ChangeMembers(ChangeMembers { changes: vec![change] });
        match self.ask(caller, request).await? {
            Response::Applied(Applied::Members(response)) => Ok(response),
            _ => Err(unexpected()),
        }
    }
}

#[tonic::async_trait]
impl Cluster for Api {
    async fn member_add(
        &self,
        grpc: Grpc<MemberAddRequest>,
    ) -> Result<Answer<MemberAddResponse>, Status> {
        let (caller, body) = Caller::of(grpc);
        let mut urls = body.peer_ur_ls;
        urls.sort();
        let kind = if body.is_learner { Kind::AddLearner } else { Kind::Add };
        let MemberListResponse { header, members } =
            self.change(&caller, kind, 0, urls.clone()).await?;
        // No two members share a URL.
        let member = members.iter().find(|member| member.peer_ur_ls == urls).cloned();
        Ok(Answer::new(MemberAddResponse { header, member, members }))
    }

    async fn member_remove(
        &self,
        grpc: Grpc<MemberRemoveRequest>,
    ) -> Result<Answer<MemberRemoveResponse>, Status> {
        let (caller, body) = Caller::of(grpc);
        let MemberListResponse { header, members } =
            self.change(&caller, Kind::Remove, body.id, Vec::new()).await?;
        Ok(Answer::new(MemberRemoveResponse { header, members }))
    }

    async fn member_update(
        &self,
        grpc: Grpc<MemberUpdateRequest>,
    ) -> Result<Answer<MemberUpdateResponse>, Status> {
        let (caller, body) = Caller::of(grpc);
        let MemberListResponse { header, members } =
            self.change(&caller, Kind::Update, body.id, body.peer_ur_ls).await?;
        Ok(Answer::new(MemberUpdateResponse { header, members }))
    }

    async fn member_list(
        &self,
        grpc: Grpc<MemberListRequest>,
    ) -> Result<Answer<MemberListResponse>, Status> {
        let request =
            |body: MemberListRequest| Request::MemberList { linearizable: body.linearizable };
        ask!(self, grpc, request, Response::MemberList(r) => r)
    }

    async fn member_promote(
        &self,
        grpc: Grpc<MemberPromoteRequest>,
    ) -> Result<Answer<MemberPromoteResponse>, Status> {
        let (caller, body) = Caller::of(grpc);
        let MemberListResponse { header, members } =
            self.change(&caller, Kind::Promote, body.id, Vec::new()).await?;
        Ok(Answer::new(MemberPromoteResponse { header, members }))
    }
}
