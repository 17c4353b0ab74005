//! Requests: checked, then answered from the state, or after a round of reads, or from the log.

use super::leases::TTL_MAX;
use super::node::Node;
use super::reads::{Query, Read};
use super::writes::command;
use super::{Config, Effect, Request, RequestId, Response, mix};
use crate::error::ApiError;
use crate::mvcc;
use crate::proto::etcdserverpb::{
    LeaseLeasesResponse, LeaseStatus, MemberListResponse, ResponseHeader, StatusResponse,
};
use crate::proto::ordealpb::aside::What;
use crate::proto::ordealpb::command::Op;
use crate::proto::ordealpb::{GrantLease, PublishMember, RevokeLease};
use crate::state::Applied;

impl Node {
    pub(super) fn request(&mut self, id: RequestId, request: Request, out: &mut Vec<Effect>) {
        let checked = match &request {
            Request::Range(range) => mvcc::check_range(range),
            Request::Put(put) => mvcc::check_put(put),
            Request::DeleteRange(delete) => mvcc::check_delete(delete),
            Request::Txn(txn) => mvcc::check_txn(txn),
            Request::LeaseGrant(grant) if grant.ttl > TTL_MAX => Err(ApiError::LeaseTtlTooLarge),
            _ => Ok(()),
        };
        if let Err(error) = checked {
            return out.push(Effect::Respond(id, Err(error)));
        }
        match request {
            Request::Status => {
                out.push(Effect::Respond(id, Ok(Response::Status(self.status_response()))));
            }
            Request::MemberList { linearizable } => {
                self.read(id, Query::MemberList, !linearizable, out);
            }
            Request::Range(range) => {
                let local = range.serializable;
                self.read(id, Query::Range(range), local, out);
            }
            Request::Txn(txn) if mvcc::is_read_only(&txn) => {
                let local = mvcc::is_serializable(&txn);
                self.read(id, Query::Txn(txn), local, out);
            }
            Request::Txn(txn) => self.write(id, Op::Txn(txn), out),
            Request::Put(put) => self.write(id, Op::Put(put), out),
            Request::DeleteRange(delete) => self.write(id, Op::DeleteRange(delete), out),
            Request::Compact(compact) => self.write(id, Op::Compact(compact), out),
            Request::LeaseGrant(grant) => {
                let lease = if grant.id == 0 { self.choose_lease(id) } else { grant.id };
                let ttl = grant.ttl.max(self.ttl_min());
                self.write(id, Op::GrantLease(GrantLease { id: lease, ttl }), out);
            }
            Request::LeaseRevoke(revoke) => {
                let op = Op::RevokeLease(RevokeLease { id: revoke.id, expired_in_term: 0 });
                self.write(id, op, out);
            }
            Request::LeaseKeepAlive(request) => {
                self.ask_leader(id, What::KeepAlive(request), out);
            }
            Request::LeaseTimeToLive(request) => {
                self.ask_leader(id, What::TimeToLive(request), out);
            }
            Request::LeaseLeases => self.read(id, Query::Leases, false, out),
        }
    }

    /// An id for a lease, positive, that no other request of any member gets but by chance.
    fn choose_lease(&self, request: RequestId) -> i64 {
        let Config { id, incarnation, seed, .. } = self.config;
        let hash = [id, incarnation, request].iter().fold(mix(seed), |hash, part| mix(hash ^ part));
        (hash as i64 & i64::MAX).max(1)
    }

    fn write(&mut self, id: RequestId, op: Op, out: &mut Vec<Effect>) {
        let command = command(self.config.id, self.config.incarnation, id, op);
        let deadline_us = self.now_us + self.config.request_timeout_us;
        if let Err(error) = self.writes.add(id, deadline_us, &command) {
            out.push(Effect::Respond(id, Err(error)));
        }
    }

    fn read(&mut self, id: RequestId, query: Query, local: bool, out: &mut Vec<Effect>) {
        let deadline_us = self.now_us + self.config.request_timeout_us;
        let read = Read { id, deadline_us, query };
        if local { self.answer(read, out) } else { self.reads.add(read) }
    }

    /// Answers a read from the state as it is.
    pub(super) fn answer(&mut self, read: Read, out: &mut Vec<Effect>) {
        let result = match read.query {
            Query::Range(range) => self.state.range(&range),
            Query::Txn(txn) => self.state.read_txn(&txn),
            Query::Aside(what, asker) => return self.answer_aside(read.id, what, asker, out),
            Query::Leases => {
                let ids = self.state.kv.leases().iter().map(|(id, _)| LeaseStatus { id });
                let leases = ids.collect();
                let header = Some(self.header(self.state.kv.revision()));
                let response = Response::LeaseLeases(LeaseLeasesResponse { header, leases });
                return out.push(Effect::Respond(read.id, Ok(response)));
            }
            Query::MemberList => {
                let response = MemberListResponse {
                    header: Some(self.header(0)),
                    members: self.state.members.values().cloned().collect(),
                };
                return out.push(Effect::Respond(read.id, Ok(Response::MemberList(response))));
            }
        };
        self.respond(read.id, result, out);
    }

    /// Adds to a result who answers, and sends it off.
    pub(super) fn respond(
        &self,
        id: RequestId,
        mut result: Result<Applied, ApiError>,
        out: &mut Vec<Effect>,
    ) {
        let header = match &mut result {
            Ok(Applied::Range(response)) => &mut response.header,
            Ok(Applied::Put(response)) => &mut response.header,
            Ok(Applied::DeleteRange(response)) => &mut response.header,
            Ok(Applied::Txn(response)) => &mut response.header,
            Ok(Applied::Compact(response)) => &mut response.header,
            Ok(Applied::LeaseGrant(response)) => &mut response.header,
            Ok(Applied::LeaseRevoke(response)) => &mut response.header,
            Ok(Applied::Published) | Err(_) => &mut None,
        };
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
        out.push(Effect::Respond(id, result.map(Response::Applied)));
    }

    pub(super) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.config.cluster_id,
            member_id: self.config.id,
            revision,
            raft_term: self.raft.raft.term,
        }
    }

    fn status_response(&self) -> StatusResponse {
        let status = self.status();
        let size = self.state.kv.size_bytes() as i64;
        StatusResponse {
            header: Some(self.header(status.revision)),
            version: crate::SERVED_VERSION.to_owned(),
            db_size: size,
            db_size_in_use: size,
            leader: status.leader,
            raft_index: status.commit,
            raft_applied_index: status.applied.index,
            raft_term: status.term,
            errors: if status.leader == 0 { vec![ApiError::NoLeader.to_string()] } else { vec![] },
            is_learner: false,
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
