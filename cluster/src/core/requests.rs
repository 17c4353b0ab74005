//! Requests: checked, then answered from the state, or after a round of reads, or from the log.

use super::node::Node;
use super::reads::{Query, Read};
use super::writes::command;
use super::{Effect, Request, RequestId, Response};
use crate::error::ApiError;
use crate::mvcc;
use crate::proto::etcdserverpb::{MemberListResponse, ResponseHeader};
use crate::proto::ordealpb::PublishMember;
use crate::proto::ordealpb::command::Op;
use crate::state::Applied;

impl Node {
    pub(super) fn request(&mut self, id: RequestId, request: Request, out: &mut Vec<Effect>) {
        let checked = match &request {
            Request::Range(range) => mvcc::check_range(range),
            Request::Put(put) => mvcc::check_put(put),
            Request::DeleteRange(delete) => mvcc::check_delete(delete),
            Request::Txn(txn) => mvcc::check_txn(txn, self.config.limits.txn_ops),
            _ => Ok(()),
        };
        let checked = if self.is_learner() && !is_for_learners(&request) {
            Err(ApiError::Learner)
        } else {
            checked
        };
        if let Err(error) = checked {
            return out.push(Effect::Respond(id, Err(error)));
        }
        match request {
            Request::Status => {
                out.push(Effect::Respond(id, Ok(Response::Status(self.status_response()))));
            }
            Request::Vitals => {
                let vitals = Box::new(self.vitals());
                out.push(Effect::Respond(id, Ok(Response::Vitals(vitals))));
            }
            Request::Hash | Request::Snapshot => {
                let header = self.header(self.state.kv.revision());
                let response = Response::Image(Box::new(self.image()), header);
                out.push(Effect::Respond(id, Ok(response)));
            }
            Request::Defragment => {
                self.defragment();
                let header = self.header(self.state.kv.revision());
                out.push(Effect::Respond(id, Ok(Response::Header(header))));
            }
            Request::MoveLeader { to } => self.move_leader(id, to, out),
            Request::ChangeMembers(change) => self.change_members(id, change, out),
            Request::Alarm(alarm) => self.write(id, Op::Alarm(alarm), out),
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
        }
    }

    pub(super) fn write(&mut self, id: RequestId, op: Op, out: &mut Vec<Effect>) {
        let deadline_us = self.now_us + self.config.request_timeout_us;
        let taken = self.check_quota(&op).and_then(|()| {
            let command = command(self.config.id, self.config.incarnation, id, op);
            let bytes_max = self.config.limits.request_bytes;
            self.writes.add(id, deadline_us, &command, bytes_max)
        });
        if let Err(error) = taken {
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
        self.counts.ranges += 1;
        let result = match &read.query {
            Query::Range(range) => self.state.range(range),
            Query::Txn(txn) => self.state.read_txn(txn),
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
            Ok(Applied::Members(response)) => &mut response.header,
            Ok(Applied::Alarm(response)) => &mut response.header,
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
