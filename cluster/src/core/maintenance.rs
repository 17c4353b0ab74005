//! What operators ask of one node: its quota, its measures, another leader.

use super::node::Node;
use super::writes::command;
use super::{Credentials, Effect, Request, RequestId, Response};
use crate::error::ApiError;
use crate::log::snapshot::Image;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::request_op::Request as Inner;
use crate::proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, PutRequest, StatusResponse, TxnRequest,
};
use crate::proto::ordealpb::command::Op;

/// What a key costs besides its bytes, as etcd reckons it for the quota.
const KEY_OVERHEAD: u64 = 256;

/// A move of the leadership that is waited for.
#[derive(Debug)]
pub(super) struct Transfer {
    id: RequestId,
    to: u64,
    deadline_us: u64,
}

/// A node's measures, for its metrics. The totals count since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Vitals {
    pub has_leader: bool,
    pub is_leader: bool,
    pub is_learner: bool,
    pub leader_changes: u64,
    pub reads_retried: u64,
    pub inherited_leases_expired: u64,
    pub committed: u64,
    pub applied: u64,
    pub proposals_pending: u64,
    pub proposals_failed: u64,
    pub db_bytes: u64,
    pub db_bytes_in_use: u64,
    pub keys: u64,
    pub revision: i64,
    pub compact_revision: i64,
    pub puts: u64,
    pub deletes: u64,
    pub txns: u64,
    pub ranges: u64,
    pub no_space: bool,
    pub corrupt: bool,
}

impl Node {
    /// Does what root alone may ask of one node. What is wrong with whoever asks is said as etcd
    /// says it: in its API's words where that has some, and in those of its innards else.
    pub(super) fn maintain(
        &mut self,
        who: &Credentials,
        request: &Request,
    ) -> Result<Response, ApiError> {
        let permitted = self.permit_root(who);
        if matches!(request, Request::Status) {
            return permitted.map(|()| Response::Status(self.status_response()));
        }
        permitted.map_err(ApiError::without_code)?;
        let header = self.header(self.state.kv.revision());
        if matches!(request, Request::Defragment) {
            self.defragment();
            return Ok(Response::Header(header));
        }
        Ok(Response::Image(Box::new(self.image()), header))
    }

    /// Refuses what would exceed the quota, and raises the alarm.
    pub(super) fn check_quota(&mut self, op: &Op) -> Result<(), ApiError> {
        let cost = cost(op);
        if cost == 0 || self.db_bytes() + cost < self.config.limits.quota_bytes {
            return Ok(());
        }
        let id = self.config.id;
        let request = AlarmRequest {
            action: AlarmAction::Activate as i32,
            member_id: id,
            alarm: AlarmType::Nospace as i32,
        };
        let up = AlarmMember { member_id: id, alarm: AlarmType::Nospace as i32 };
        if !self.state.alarms.to_wire().contains(&up) && self.now_us >= self.alarm_us {
            self.alarm_us = self.now_us + self.config.request_timeout_us;
            let command = command(id, self.config.incarnation, 0, Op::Alarm(request));
            self.writes.add_unanswered(&command);
        }
        Err(ApiError::NoSpace)
    }

    /// The size of the store with what it has once taken and not given back: etcd's file does not
    /// shrink either before it is defragmented.
    pub(super) fn db_bytes(&self) -> u64 {
        self.taken_bytes.max(self.state.kv.size_bytes())
    }

    pub(super) fn defragment(&mut self) {
        self.taken_bytes = self.state.kv.size_bytes();
        self.alarm_us = 0;
    }

    pub(super) fn image(&self) -> Image {
        let applied = self.raft.store().applied();
        let metadata = raft::eraftpb::SnapshotMetadata {
            conf_state: Some(self.raft.store().conf_state().clone()),
            index: applied.index,
            term: applied.term,
        };
        Image { metadata, state: self.state.clone() }
    }

    /// Hands the leadership to another member (Raft thesis §3.10).
    pub(super) fn move_leader(
        &mut self,
        (id, who): (RequestId, Credentials),
        to: u64,
        out: &mut Vec<Effect>,
    ) {
        let permitted = self.permit_root(&who);
        let error = if permitted.is_err() {
            permitted.err()
        } else if !self.is_leader() {
            Some(ApiError::NotLeader)
        } else if self.state.members.get(&to).is_none_or(|member| member.is_learner) {
            Some(ApiError::BadTransferee)
        } else if self.transfer.is_some() {
            Some(ApiError::TooManyRequests)
        } else {
            None
        };
        if let Some(error) = error {
            return out.push(Effect::Respond(id, Err(error)));
        }
        let deadline_us = self.now_us + self.config.request_timeout_us;
        self.transfer = Some(Transfer { id, to, deadline_us });
        self.raft.transfer_leader(to);
    }

    /// Answers a move that is done, or has taken too long.
    pub(super) fn settle_transfer(&mut self, out: &mut Vec<Effect>) {
        let leader = self.raft.raft.leader_id;
        let now_us = self.now_us;
        let ends =
            |transfer: &mut Transfer| transfer.to == leader || transfer.deadline_us <= now_us;
        if let Some(Transfer { id, to, .. }) = self.transfer.take_if(ends) {
            let result = if to == leader {
                Ok(Response::Header(self.header(0)))
            } else {
                Err(ApiError::TransferTimeout)
            };
            out.push(Effect::Respond(id, result));
        }
    }

    pub(super) fn is_learner(&self) -> bool {
        self.state.members.get(&self.config.id).is_some_and(|own| own.is_learner)
    }

    pub(super) fn status_response(&self) -> StatusResponse {
        let status = self.status();
        let mut errors = Vec::new();
        if status.leader == 0 {
            errors.push(ApiError::NoLeader.to_string());
        }
        errors.extend(self.state.alarms.to_wire().iter().map(|alarm| {
            // The text form of the message, with the blank that Go leaves at its end.
            format!("memberID:{} alarm:{} ", alarm.member_id, alarm.alarm().as_str_name())
        }));
        StatusResponse {
            header: Some(self.header(status.revision)),
            version: crate::SERVED_VERSION.to_owned(),
            db_size: self.db_bytes() as i64,
            db_size_in_use: self.state.kv.size_bytes() as i64,
            leader: status.leader,
            raft_index: status.commit,
            raft_applied_index: status.applied.index,
            raft_term: status.term,
            errors,
            is_learner: self.is_learner(),
        }
    }

    pub(super) fn vitals(&self) -> Vitals {
        let status = self.status();
        let kv = &self.state.kv;
        Vitals {
            has_leader: status.leader != 0,
            is_leader: self.is_leader(),
            is_learner: self.is_learner(),
            committed: status.commit,
            applied: status.applied.index,
            proposals_pending: self.writes.pending() as u64,
            proposals_failed: self.writes.failed(),
            db_bytes: self.db_bytes(),
            db_bytes_in_use: kv.size_bytes(),
            keys: kv.len() as u64,
            revision: kv.revision(),
            compact_revision: kv.compacted(),
            no_space: self.state.alarms.has(AlarmType::Nospace),
            corrupt: self.state.alarms.has(AlarmType::Corrupt),
            ..self.counts
        }
    }

    /// Counts what was applied, for the metrics.
    pub(super) fn count(&mut self, op: &Op) {
        match op {
            Op::Put(_) => self.counts.puts += 1,
            Op::DeleteRange(_) => self.counts.deletes += 1,
            Op::Txn(_) => self.counts.txns += 1,
            _ => {}
        }
    }
}

/// The bytes that a command may add to the store, as etcd estimates them.
fn cost(op: &Op) -> u64 {
    match op {
        Op::Put(put) => put_cost(put),
        Op::Txn(txn) => txn_cost(txn),
        _ => 0,
    }
}

fn put_cost(put: &PutRequest) -> u64 {
    KEY_OVERHEAD + (put.key.len() + put.value.len()) as u64
}

/// The dearer of both branches.
fn txn_cost(txn: &TxnRequest) -> u64 {
    let branch = |ops: &[crate::proto::etcdserverpb::RequestOp]| -> u64 {
        let costs = ops.iter().map(|op| match &op.request {
            Some(Inner::RequestPut(put)) => put_cost(put),
            Some(Inner::RequestTxn(inner)) => txn_cost(inner),
            _ => 0,
        });
        costs.sum()
    };
    branch(&txn.success).max(branch(&txn.failure))
}
