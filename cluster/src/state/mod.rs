//! The replicated state machine: the keys, and the members with what they have published.
//!
//! [`State::apply`] is the one way in which it changes, and a pure function of the state and the
//! command. A clone is cheap (see [`crate::mvcc::ChunkedMap`]), so that a snapshot can be written
//! while the state machine goes on.

mod alarms;
mod codec;
mod lease;
mod members;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use alarms::Alarms;
pub use codec::StateDecoder;
pub(crate) use members::check_members;

use crate::auth::AuthStore;
use crate::bugs::{Bug, Bugs};
use crate::error::ApiError;
use crate::mvcc::Mvcc;
use crate::proto::etcdserverpb::{
    AlarmResponse, CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    LeaseGrantResponse, LeaseRevokeResponse, Member, MemberListResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use crate::proto::ordealpb::PublishMember;
use crate::proto::ordealpb::command::Op;

/// Everything that is replicated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The keys.
    pub kv: Mvcc,
    /// The members by id.
    pub members: BTreeMap<u64, Member>,
    /// Who may do what.
    pub auth: Arc<AuthStore>,
    /// The ids of members that were removed, never to come back.
    pub removed: BTreeSet<u64>,
    /// What operators are warned of.
    pub alarms: Alarms,
}

/// What a command gives back. The headers hold the revision alone: who answers, and in which
/// term, is the node's to add.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Applied {
    Range(RangeResponse),
    Put(PutResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    Members(MemberListResponse),
    Alarm(AlarmResponse),
    Published,
    LeaseGrant(LeaseGrantResponse),
    LeaseRevoke(LeaseRevokeResponse),
    /// The auth revision after a change of users, roles or permissions.
    Auth(u64),
}

impl State {
    /// The state before the first entry, with the members that the flags name.
    pub fn bootstrap(members: impl IntoIterator<Item = Member>) -> Self {
        let members = members.into_iter().map(|member| (member.id, member)).collect();
        Self { members, ..Self::default() }
    }

    /// Applies one command of the log. Whether it is `ours`, asked through this node, makes no
    /// difference but to a bug.
    ///
    /// # Errors
    /// The client's to see; a command that fails changes nothing.
    pub fn apply(&mut self, op: &Op, bugs: Bugs, ours: bool) -> Result<Applied, ApiError> {
        self.alarms.admit(op)?;
        match op {
            Op::Put(request) => self.put(request),
            Op::DeleteRange(request) => Ok(self.delete_range(request, bugs)),
            // BUG apply-differs: the node that was asked checks the reads of a transaction, the
            // others do not.
            Op::Txn(request) => self.txn(request, ours || !bugs.has(Bug::ApplyDiffers)),
            Op::Compact(request) => self.compact(request, bugs),
            Op::Publish(member) => Ok(self.publish(member)),
            Op::GrantLease(grant) => self.grant_lease(grant),
            Op::RevokeLease(revoke) => self.revoke_lease(revoke),
            Op::Auth(auth) => {
                let change = auth.change.as_ref();
                change.map_or(Ok(()), |change| Arc::make_mut(&mut self.auth).apply(change))?;
                Ok(Applied::Auth(self.auth.revision()))
            }
            Op::ChangeMembers(change) => self.change_members(change),
            Op::Refused(refused) => Err(members::refusal(refused.reason())),
            Op::Alarm(request) => Ok(self.alarm(request)),
        }
    }

    /// Answers a range from the state as it is.
    ///
    /// # Errors
    /// A revision outside what is kept.
    pub fn range(&self, request: &RangeRequest) -> Result<Applied, ApiError> {
        self.alarms.admit_read()?;
        let mut response = self.kv.range(request, self.kv.revision())?;
        response.header = self.header(self.kv.revision());
        Ok(Applied::Range(response))
    }

    /// Answers a transaction that only reads, from the state as it is.
    ///
    /// # Errors
    /// A revision outside what is kept.
    pub fn read_txn(&mut self, request: &TxnRequest) -> Result<Applied, ApiError> {
        self.alarms.admit_read()?;
        self.txn(request, true)
    }

    fn put(&mut self, request: &PutRequest) -> Result<Applied, ApiError> {
        let mut txn = self.kv.write();
        let mut response = txn.put(request)?;
        let revision = txn.end();
        response.header = self.header(revision);
        Ok(Applied::Put(response))
    }

    fn delete_range(&mut self, request: &DeleteRangeRequest, bugs: Bugs) -> Applied {
        let mut txn = self.kv.write();
        let mut response = txn.delete(request);
        if response.deleted == 0 && bugs.has(Bug::RevisionSkips) {
            // BUG revision-skips: deleting nothing takes a revision.
            txn.take_revision();
        }
        let revision = txn.end();
        response.header = self.header(revision);
        Applied::DeleteRange(response)
    }

    fn txn(&mut self, request: &TxnRequest, checked: bool) -> Result<Applied, ApiError> {
        let mut txn = self.kv.write();
        let mut response = txn.txn(request, checked)?;
        let revision = txn.end();
        response.header = self.header(revision);
        Ok(Applied::Txn(response))
    }

    fn compact(&mut self, request: &CompactionRequest, bugs: Bugs) -> Result<Applied, ApiError> {
        self.kv.compact(request.revision)?;
        if bugs.has(Bug::WatchGap) {
            // BUG watch-gap: a watch may begin at this revision, and its deletions are gone.
            self.kv.forget_kept_deletions();
        }
        let header = self.header(self.kv.revision());
        Ok(Applied::Compact(CompactionResponse { header }))
    }

    fn publish(&mut self, published: &PublishMember) -> Applied {
        if let Some(member) = self.members.get_mut(&published.id) {
            member.name = published.name.clone();
            member.client_ur_ls = published.client_urls.clone();
        }
        Applied::Published
    }

    fn header(&self, revision: i64) -> Option<ResponseHeader> {
        Some(ResponseHeader { revision, ..Default::default() })
    }
}
