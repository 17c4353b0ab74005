//! The checks: may this caller do that?
//!
//! A command is checked when it is applied, on every member alike; a read when it is answered.
//! Whoever binds a key to a lease, renews it or revokes it decides over the other keys that are
//! bound to it, and so must have the right to write them all.

use bytes::Bytes;

use super::{Access, AuthStore, ROOT, has_role};
use crate::error::ApiError;
use crate::mvcc::Leases;
use crate::proto::etcdserverpb::alarm_request::AlarmAction;
use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RequestOp, TxnRequest};
use crate::proto::ordealpb::auth_change::Change;
use crate::proto::ordealpb::command::Op;

/// On whose behalf something is asked, and as of which auth revision that was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; empty for nobody.
    pub user: String,
    /// The auth revision; 0 for nobody.
    pub revision: u64,
}

impl AuthStore {
    /// Whether a caller may give a command, where these leases are granted.
    ///
    /// # Errors
    /// [`ApiError::UserEmpty`], [`ApiError::AuthOldRevision`] or [`ApiError::PermissionDenied`].
    pub fn permit(&self, caller: &Caller, op: &Op, leases: &Leases) -> Result<(), ApiError> {
        match op {
            Op::Put(put) => self.permit_put(caller, put, leases),
            Op::DeleteRange(delete) => self.permit_delete(caller, delete),
            Op::Txn(txn) => self.permit_txn(caller, txn, leases),
            Op::Compact(_) => self.permit_admin(caller),
            Op::GrantLease(_) => self.permit_user(caller),
            Op::RevokeLease(revoke) => self.permit_lease(caller, Access::Write, revoke.id, leases),
            // Seeing the alarms is every user's, making and ending them root's.
            Op::Alarm(alarm) if alarm.action() == AlarmAction::Get => self.permit_user(caller),
            Op::Alarm(_) => self.permit_admin(caller),
            // A member speaks for itself.
            Op::Publish(_) => Ok(()),
            // Asked before it is proposed: what Raft has agreed on must be done by every member.
            Op::ChangeMembers(_) | Op::Refused(_) => Ok(()),
            Op::Auth(auth) => match &auth.change {
                // Who logs in is nobody yet.
                Some(Change::Login(_)) | None => Ok(()),
                Some(_) => self.permit_admin(caller),
            },
        }
    }

    /// Whether a caller may access every key of an interval.
    ///
    /// # Errors
    /// As [`AuthStore::permit`].
    pub fn permit_range(
        &self,
        caller: &Caller,
        access: Access,
        key: &Bytes,
        range_end: &Bytes,
    ) -> Result<(), ApiError> {
        if !self.enabled {
            return Ok(());
        }
        if caller.revision == 0 {
            return Err(ApiError::UserEmpty);
        }
        if caller.revision < self.revision {
            return Err(ApiError::AuthOldRevision);
        }
        let user = self.users.get(&caller.user).ok_or(ApiError::PermissionDenied)?;
        let ranges = self.ranges.get(&caller.user);
        let permitted = has_role(user, ROOT)
            || ranges.is_some_and(|ranges| ranges.permit(access, key, range_end));
        if permitted { Ok(()) } else { Err(ApiError::PermissionDenied) }
    }

    /// Whether a caller may access every key that is bound to a lease. One that is not there has
    /// none: that it is missing is for others to say.
    ///
    /// # Errors
    /// As [`AuthStore::permit`].
    pub fn permit_lease(
        &self,
        caller: &Caller,
        access: Access,
        id: i64,
        leases: &Leases,
    ) -> Result<(), ApiError> {
        self.permit_user(caller)?;
        match leases.get(id).filter(|_| self.enabled) {
            Some(lease) => {
                let permit = |key| self.permit_range(caller, access, key, &Bytes::new());
                lease.keys().try_for_each(permit)
            }
            None => Ok(()),
        }
    }

    /// Whether a caller may see which leases there are: only if every key that is bound to one is
    /// the caller's to read.
    ///
    /// # Errors
    /// As [`AuthStore::permit`].
    pub fn permit_leases(&self, caller: &Caller, leases: &Leases) -> Result<(), ApiError> {
        self.permit_user(caller)?;
        let mut ids = leases.iter().filter(|_| self.enabled).map(|(id, _)| id);
        ids.try_for_each(|id| self.permit_lease(caller, Access::Read, id, leases))
    }

    /// Whether a caller may run a transaction: read what it compares, and do what either branch
    /// does, in those nested as well (CVE-2026-33343).
    ///
    /// # Errors
    /// As [`AuthStore::permit`].
    pub fn permit_txn(
        &self,
        caller: &Caller,
        txn: &TxnRequest,
        leases: &Leases,
    ) -> Result<(), ApiError> {
        for compare in &txn.compare {
            self.permit_range(caller, Access::Read, &compare.key, &compare.range_end)?;
        }
        let mut ops = txn.success.iter().chain(&txn.failure);
        ops.try_for_each(|op| self.permit_op(caller, op, leases))
    }

    /// The same of a transaction that only reads, whose caller must be up to date even where it
    /// names no key.
    ///
    /// # Errors
    /// As [`AuthStore::permit`].
    pub fn permit_read_txn(
        &self,
        caller: &Caller,
        txn: &TxnRequest,
        leases: &Leases,
    ) -> Result<(), ApiError> {
        self.permit_txn(caller, txn, leases)?;
        let known = self.enabled && caller.revision != 0;
        if known && caller.revision != self.revision {
            return Err(ApiError::AuthOldRevision);
        }
        Ok(())
    }

    /// Whether a caller may do what only root may.
    ///
    /// # Errors
    /// As [`AuthStore::permit`], but that an old revision does not matter.
    pub fn permit_admin(&self, caller: &Caller) -> Result<(), ApiError> {
        self.permit_user(caller)?;
        if !self.enabled {
            return Ok(());
        }
        let user = self.users.get(&caller.user).ok_or(ApiError::UserNotFound)?;
        if has_role(user, ROOT) { Ok(()) } else { Err(ApiError::PermissionDenied) }
    }

    /// Whether a caller may do what every user may.
    ///
    /// # Errors
    /// [`ApiError::UserEmpty`].
    pub fn permit_user(&self, caller: &Caller) -> Result<(), ApiError> {
        if self.enabled && caller.user.is_empty() { Err(ApiError::UserEmpty) } else { Ok(()) }
    }

    /// Whether a caller may read of a user: of oneself always, and who is nobody of nobody.
    ///
    /// # Errors
    /// As [`AuthStore::permit_admin`].
    pub fn permit_user_get(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        let admin = self.permit_admin(caller);
        if caller.user == name { Ok(()) } else { admin }
    }

    /// Whether a caller may read of a role: of one's own always.
    ///
    /// # Errors
    /// As [`AuthStore::permit_admin`].
    pub fn permit_role_get(&self, caller: &Caller, role: &str) -> Result<(), ApiError> {
        let admin = self.permit_admin(caller);
        let own = self.users.get(&caller.user).is_some_and(|user| has_role(user, role));
        if own { Ok(()) } else { admin }
    }

    fn permit_put(
        &self,
        caller: &Caller,
        put: &PutRequest,
        leases: &Leases,
    ) -> Result<(), ApiError> {
        self.permit_range(caller, Access::Write, &put.key, &Bytes::new())?;
        self.permit_lease(caller, Access::Write, put.lease, leases)?;
        if put.prev_kv {
            self.permit_range(caller, Access::Read, &put.key, &Bytes::new())?;
        }
        Ok(())
    }

    fn permit_delete(&self, caller: &Caller, delete: &DeleteRangeRequest) -> Result<(), ApiError> {
        self.permit_range(caller, Access::Write, &delete.key, &delete.range_end)?;
        if delete.prev_kv {
            self.permit_range(caller, Access::Read, &delete.key, &delete.range_end)?;
        }
        Ok(())
    }

    fn permit_op(&self, caller: &Caller, op: &RequestOp, leases: &Leases) -> Result<(), ApiError> {
        match &op.request {
            Some(Request::RequestRange(range)) => {
                self.permit_range(caller, Access::Read, &range.key, &range.range_end)
            }
            Some(Request::RequestPut(put)) => self.permit_put(caller, put, leases),
            Some(Request::RequestDeleteRange(delete)) => self.permit_delete(caller, delete),
            Some(Request::RequestTxn(txn)) => self.permit_txn(caller, txn, leases),
            None => Ok(()),
        }
    }
}
