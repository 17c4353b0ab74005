//! Leases in the state machine: granted and revoked by commands, so that every member agrees.

use super::{Applied, State};
use crate::error::ApiError;
use crate::proto::etcdserverpb::{DeleteRangeRequest, LeaseGrantResponse, LeaseRevokeResponse};
use crate::proto::ordealpb::{GrantLease, RevokeLease};

/// The longest time to live, in seconds (etcd's `MaxLeaseTTL`).
const TTL_MAX: i64 = 9_000_000_000;

impl State {
    pub(super) fn grant_lease(&mut self, grant: &GrantLease) -> Result<Applied, ApiError> {
        if grant.id == 0 {
            return Err(ApiError::LeaseNotFound);
        }
        if grant.ttl > TTL_MAX {
            return Err(ApiError::LeaseTtlTooLarge);
        }
        if self.kv.leases().get(grant.id).is_some() {
            return Err(ApiError::LeaseExists);
        }
        self.kv.leases_mut().grant(grant.id, grant.ttl);
        let header = self.header(self.kv.revision());
        let GrantLease { id, ttl } = *grant;
        Ok(Applied::LeaseGrant(LeaseGrantResponse { header, id, ttl, error: String::new() }))
    }

    /// Ends a lease: the keys bound to it are deleted in one revision.
    pub(super) fn revoke_lease(&mut self, revoke: &RevokeLease) -> Result<Applied, ApiError> {
        let lease = self.kv.leases().get(revoke.id).ok_or(ApiError::LeaseNotFound)?;
        let keys: Vec<_> = lease.keys().cloned().collect();
        let mut txn = self.kv.write();
        for key in keys {
            txn.delete(&DeleteRangeRequest { key, ..DeleteRangeRequest::default() });
        }
        let revision = txn.end();
        self.kv.leases_mut().remove(revoke.id);
        Ok(Applied::LeaseRevoke(LeaseRevokeResponse { header: self.header(revision) }))
    }
}
