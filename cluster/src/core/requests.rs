//! Requests: checked, then answered from the state, or after a round of reads, or from the log.

use super::node::Node;
use super::reads::{Query, Read};
use super::writes::command;
use super::{Credentials, Effect, Request, RequestId, Response};
use crate::error::ApiError;
use crate::mvcc;
use crate::proto::etcdserverpb::{MemberListResponse, ResponseHeader, StatusResponse};
use crate::proto::ordealpb::command::Op;
use crate::proto::ordealpb::{AuthChange, PublishMember};
use crate::state::Applied;

impl Node {
    pub(super) fn request(
        &mut self,
        id: RequestId,
        request: Request,
        who: Credentials,
        out: &mut Vec<Effect>,
    ) {
        let checked = match &request {
            Request::Range(range) => mvcc::check_range(range),
            Request::Put(put) => mvcc::check_put(put),
            Request::DeleteRange(delete) => mvcc::check_delete(delete),
            Request::Txn(txn) => mvcc::check_txn(txn),
            Request::Compact(_)
            | Request::MemberList { .. }
            | Request::Status
            | Request::Auth(_)
            | Request::AuthChange(_) => Ok(()),
        };
        if let Err(error) = checked {
            return out.push(Effect::Respond(id, Err(error)));
        }
        match request {
            Request::Status => {
                let permitted =
                    self.caller(&who).and_then(|caller| self.state.auth.permit_admin(&caller));
                let status = permitted.map(|()| Response::Status(self.status_response()));
                out.push(Effect::Respond(id, status));
            }
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
            Request::Compact(compact) => self.write((id, who), Op::Compact(compact), out),
            Request::Auth(query) => self.read((id, who), Query::Auth(query), false, out),
            Request::AuthChange(change) => {
                self.write((id, who), Op::Auth(AuthChange { change: Some(change) }), out);
            }
        }
    }

    fn write(&mut self, (id, who): (RequestId, Credentials), op: Op, out: &mut Vec<Effect>) {
        let caller = match self.caller_who_may_ask(&who, &op) {
            Ok(caller) => caller,
            Err(error) => return out.push(Effect::Respond(id, Err(error))),
        };
        let mut command = command(self.config.id, self.config.incarnation, id, op);
        (command.user, command.auth_revision) = (caller.user, caller.revision);
        let deadline_us = self.now_us + self.config.request_timeout_us;
        if let Err(error) = self.writes.add(id, deadline_us, &command) {
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
        let caller = self.caller(&read.credentials);
        let permitted = caller.and_then(|caller| self.permit_query(&caller, &read.query));
        let result = permitted.and_then(|()| match &read.query {
            Query::Range(range) => self.with_header(self.state.range(range)),
            Query::Txn(txn) => {
                let result = self.state.read_txn(txn);
                self.with_header(result)
            }
            Query::MemberList => Ok(Response::MemberList(MemberListResponse {
                header: Some(self.header(0)),
                members: self.state.members.values().cloned().collect(),
            })),
            Query::Auth(query) => self.answer_auth(query),
        });
        out.push(Effect::Respond(read.id, result));
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
            Ok(Applied::Published | Applied::Auth(_)) | Err(_) => &mut None,
        };
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
        result.map(Response::Applied)
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
