//! Requests: checked, then answered from the state, or after a round of reads, or from the log.

use super::node::Node;
use super::reads::{Query, Read};
use super::writes::command;
use super::{Config, Credentials, Effect, Request, RequestId, Response, mix};
use crate::error::ApiError;
use crate::mvcc;
use crate::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseLeasesResponse, LeaseStatus, MemberListResponse, ResponseHeader,
};
use crate::proto::ordealpb::aside::What;
use crate::proto::ordealpb::command::Op;
use crate::proto::ordealpb::{AuthChange, GrantLease, PublishMember, RevokeLease};
use crate::state::Applied;

impl Node {
    pub(super) fn request(
        &mut self,
        id: RequestId,
        request: Request,
        who: Credentials,
        out: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.check(&request) {
            return out.push(Effect::Respond(id, Err(error)));
        }
        match request {
            Request::Vitals => {
                let vitals = Box::new(self.vitals());
                out.push(Effect::Respond(id, Ok(Response::Vitals(vitals))));
            }
            Request::Status | Request::Defragment | Request::Hash | Request::Snapshot => {
                let result = self.maintain(&who, &request);
                out.push(Effect::Respond(id, result));
            }
            Request::MoveLeader { to } => self.move_leader((id, who), to, out),
            Request::ChangeMembers(change) => self.change_members((id, who), change, out),
            Request::Alarm(alarm) => self.write((id, who), Op::Alarm(alarm), out),
            Request::MemberList { linearizable } => {
                self.read((id, who), Query::MemberList, !linearizable, out);
            }
            Request::Range(range) => {
                let local = range.serializable;
                self.read((id, who), Query::Range(range), local, out);
            }
            Request::Txn(txn) if mvcc::is_read_only(&txn) => {
                let local = mvcc::is_serializable(&txn);
                self.read((id, who), Query::Txn(txn), local, out);
            }
            Request::Txn(txn) => self.write((id, who), Op::Txn(txn), out),
            Request::Put(put) => self.write((id, who), Op::Put(put), out),
            Request::DeleteRange(delete) => self.write((id, who), Op::DeleteRange(delete), out),
            Request::CompactUnasked(compact) => {
                let command =
                    command(self.config.id, self.config.incarnation, 0, Op::Compact(compact));
                self.writes.add_unanswered(&command);
                let header = self.header(self.state.kv.revision());
                out.push(Effect::Respond(id, Ok(Response::Header(header))));
            }
            Request::Compact(compact) => self.write((id, who), Op::Compact(compact), out),
            Request::MayWatch(watch) => {
                self.read((id, who), Query::MayWatch(watch), true, out);
            }
            Request::Auth(query) => self.read((id, who), Query::Auth(query), false, out),
            Request::AuthChange(change) => {
                self.write((id, who), Op::Auth(AuthChange { change: Some(change) }), out);
            }
            Request::LeaseGrant(grant) => {
                let op = Op::GrantLease(self.bounded(id, &grant));
                self.write((id, who), op, out);
            }
            Request::LeaseRevoke(revoke) => {
                let op = Op::RevokeLease(RevokeLease { id: revoke.id, expired_in_term: 0 });
                self.write((id, who), op, out);
            }
            Request::LeaseKeepAlive(request) => {
                self.ask_leader((id, who), What::KeepAlive(request), out);
            }
            Request::LeaseTimeToLive(request) => {
                self.ask_leader((id, who), What::TimeToLive(request), out);
            }
            Request::LeaseLeases => self.read((id, who), Query::Leases, false, out),
        }
    }

    /// What is wrong with a request in itself, or on this member.
    fn check(&self, request: &Request) -> Result<(), ApiError> {
        if self.is_learner() && !is_for_learners(request) {
            return Err(ApiError::Learner);
        }
        match request {
            Request::Range(range) => mvcc::check_range(range),
            Request::Put(put) => mvcc::check_put(put),
            Request::DeleteRange(delete) => mvcc::check_delete(delete),
            Request::Txn(txn) => mvcc::check_txn(txn, self.config.limits.txn_ops),
            _ => Ok(()),
        }
    }

    /// The lease to be granted: with an id, and with no shorter a time to live than there may be.
    fn bounded(&self, request: RequestId, grant: &LeaseGrantRequest) -> GrantLease {
        let id = if grant.id == 0 { self.choose_lease(request) } else { grant.id };
        GrantLease { id, ttl: grant.ttl.max(self.ttl_min()) }
    }

    /// An id for a lease, positive, that no other request of any member gets but by chance.
    fn choose_lease(&self, request: RequestId) -> i64 {
        let Config { id, incarnation, seed, .. } = self.config;
        let hash = [id, incarnation, request].iter().fold(mix(seed), |hash, part| mix(hash ^ part));
        (hash as i64 & i64::MAX).max(1)
    }

    pub(super) fn write(
        &mut self,
        (id, who): (RequestId, Credentials),
        op: Op,
        out: &mut Vec<Effect>,
    ) {
        let caller = match self.caller_who_may_ask(&who, &op) {
            Ok(caller) => caller,
            Err(error) => return out.push(Effect::Respond(id, Err(error))),
        };
        let deadline_us = self.now_us + self.config.request_timeout_us;
        let taken = self.check_quota(&op).and_then(|()| {
            let mut command = command(self.config.id, self.config.incarnation, id, op);
            (command.user, command.auth_revision) = (caller.user, caller.revision);
            let bytes_max = self.config.limits.request_bytes;
            self.writes.add(id, deadline_us, &command, bytes_max)
        });
        if let Err(error) = taken {
            out.push(Effect::Respond(id, Err(error)));
        }
    }

    fn read(
        &mut self,
        (id, credentials): (RequestId, Credentials),
        query: Query,
        local: bool,
        out: &mut Vec<Effect>,
    ) {
        let deadline_us = self.now_us + self.config.request_timeout_us;
        let read = Read { id, deadline_us, query, credentials };
        if local { self.answer(read, out) } else { self.reads.add(read) }
    }

    /// Answers a read from the state as it is.
    pub(super) fn answer(&mut self, read: Read, out: &mut Vec<Effect>) {
        let Read { id, query, credentials, .. } = read;
        let caller = self.caller(&credentials);
        let permitted = caller.and_then(|caller| self.permit_query(&caller, &query));
        if let Err(error) = permitted {
            return out.push(Effect::Respond(id, Err(error)));
        }
        self.counts.ranges += 1;
        let result = match query {
            Query::Range(range) => self.with_header(self.state.range(&range)),
            Query::Txn(txn) => {
                let result = self.state.read_txn(&txn);
                self.with_header(result)
            }
            Query::MemberList => Ok(Response::MemberList(MemberListResponse {
                header: Some(self.header(0)),
                members: self.state.members.values().cloned().collect(),
            })),
            Query::Leases => Ok(self.leases_response()),
            Query::Auth(query) => self.answer_auth(&query),
            Query::MayWatch(_) => Ok(Response::MayWatch),
            Query::Aside(what, asker) => {
                return self.answer_aside((id, credentials), what, asker, out);
            }
        };
        out.push(Effect::Respond(id, result));
    }

    /// Adds to a result who answers.
    pub(super) fn with_header(
        &self,
        mut result: Result<Applied, ApiError>,
    ) -> Result<Response, ApiError> {
        let header = match &mut result {
            Ok(Applied::Range(response)) => &mut response.header,
            Ok(Applied::Put(response)) => &mut response.header,
            Ok(Applied::DeleteRange(response)) => &mut response.header,
            Ok(Applied::Txn(response)) => &mut response.header,
            Ok(Applied::Compact(response)) => &mut response.header,
            Ok(Applied::LeaseGrant(response)) => &mut response.header,
            Ok(Applied::LeaseRevoke(response)) => &mut response.header,
            Ok(Applied::Members(response)) => &mut response.header,
            Ok(Applied::Alarm(response)) => &mut response.header,
            Ok(Applied::Published | Applied::Auth(_)) | Err(_) => &mut None,
        };
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
        result.map(Response::Applied)
    }

    fn leases_response(&self) -> Response {
        let ids = self.state.kv.leases().iter().map(|(id, _)| LeaseStatus { id });
        let leases = ids.collect();
        let header = Some(self.header(self.state.kv.revision()));
        Response::LeaseLeases(LeaseLeasesResponse { header, leases })
    }

    pub(super) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.config.cluster_id,
            member_id: self.config.id,
            revision,
            raft_term: self.raft.raft.term,
        }
    }

    /// Tells the members, through the log, this one's name and where clients reach it, until they
    /// know.
    pub(super) fn publish(&mut self) {
        let id = self.config.id;
        let Some(own) = self.config.members.iter().find(|member| member.id == id) else { return };
        let known = self.state.members.get(&id);
        let stale = known
            .is_some_and(|known| known.name != own.name || known.client_ur_ls != own.client_ur_ls);
        if !stale || self.leader == 0 || self.now_us < self.publish_us {
            return;
        }
        self.publish_us = self.now_us + self.config.request_timeout_us;
        let member =
            PublishMember { id, name: own.name.clone(), client_urls: own.client_ur_ls.clone() };
        let command = command(id, self.config.incarnation, 0, Op::Publish(member));
        self.writes.add_unanswered(&command);
    }
}

/// Whether a learner answers it: it votes on nothing, and its state may be of any age.
fn is_for_learners(request: &Request) -> bool {
    match request {
        Request::Status | Request::Vitals | Request::Snapshot => true,
        Request::Range(range) => range.serializable,
        _ => false,
    }
}
