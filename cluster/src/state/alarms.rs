//! Alarms: what a member has found wrong, replicated, so that all members act on it alike.
//!
//! With NOSPACE up nothing is taken that would store more; with CORRUPT up no key is read or
//! written at all. Both stay up until an operator takes them down.

use std::collections::BTreeSet;

use super::{Applied, State};
use crate::error::ApiError;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, RequestOp, TxnRequest,
};
use crate::proto::ordealpb::command::Op;

/// The alarms that are up: which, and by which member.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alarms(BTreeSet<(i32, u64)>);

impl Alarms {
    /// The alarms, as the API gives them.
    pub fn to_wire(&self) -> Vec<AlarmMember> {
        self.0.iter().map(|(alarm, member_id)| wire(*alarm, *member_id)).collect()
    }

    /// The alarms that came out of a snapshot.
    pub(crate) fn from_wire(alarms: &[AlarmMember]) -> Self {
        Self(alarms.iter().map(|alarm| (alarm.alarm, alarm.member_id)).collect())
    }

    /// Whether any member has raised an alarm of this type.
    pub fn has(&self, alarm: AlarmType) -> bool {
        self.0.iter().any(|(up, _)| *up == alarm as i32)
    }

    /// Whether the keys may be read.
    pub(super) fn admit_read(&self) -> Result<(), ApiError> {
        if self.has(AlarmType::Corrupt) { Err(ApiError::Corrupt) } else { Ok(()) }
    }

    /// Whether a command may be applied.
    pub(super) fn admit(&self, op: &Op) -> Result<(), ApiError> {
        if self.0.is_empty() {
            return Ok(());
        }
        if touches_keys(op) {
            self.admit_read()?;
        }
        if self.has(AlarmType::Nospace) && stores_more(op) {
            return Err(ApiError::NoSpace);
        }
        Ok(())
    }
}

fn wire(alarm: i32, member_id: u64) -> AlarmMember {
    AlarmMember { member_id, alarm }
}

fn touches_keys(op: &Op) -> bool {
    matches!(op, Op::Put(_) | Op::DeleteRange(_) | Op::Txn(_) | Op::Compact(_))
}

/// Whether a command takes space: a put, or a transaction with a put in either branch.
pub(crate) fn stores_more(op: &Op) -> bool {
    match op {
        Op::Put(_) => true,
        Op::Txn(txn) => txn_puts(txn),
        _ => false,
    }
}

fn txn_puts(txn: &TxnRequest) -> bool {
    let puts = |op: &RequestOp| match &op.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(inner)) => txn_puts(inner),
        _ => false,
    };
    txn.success.iter().chain(&txn.failure).any(puts)
}

impl State {
    pub(super) fn alarm(&mut self, request: &AlarmRequest) -> Applied {
        let one = (request.alarm, request.member_id);
        let known = AlarmType::try_from(request.alarm).is_ok_and(|kind| kind != AlarmType::None);
        let up = &mut self.alarms.0;
        let mut alarms = Vec::new();
        match request.action() {
            AlarmAction::Get => {
                alarms = self.alarms.to_wire();
                alarms.retain(|alarm| !known || alarm.alarm == request.alarm);
            }
            AlarmAction::Activate if known => {
                up.insert(one);
                alarms.push(wire(one.0, one.1));
            }
            AlarmAction::Deactivate if up.remove(&one) => alarms.push(wire(one.0, one.1)),
            AlarmAction::Activate | AlarmAction::Deactivate => {}
        }
        let header = self.header(self.kv.revision());
        Applied::Alarm(AlarmResponse { header, alarms })
    }
}
