//! Changes of the membership, as the state machine sees them: checked against the members as they
//! are when the change is applied, so that every node decides alike.

use std::collections::{BTreeMap, BTreeSet};

use super::{Applied, State};
use crate::error::ApiError;
use crate::proto::etcdserverpb::{Member, MemberListResponse};
use crate::proto::ordealpb::member_change::Kind;
use crate::proto::ordealpb::refused::Reason;
use crate::proto::ordealpb::{ChangeMembers, MemberChange};

/// Learners that there may be at once (etcd 3.5 allows one).
const LEARNERS_MAX: usize = 1;

/// Who is there and who was.
struct Draft {
    members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
}

/// The members after a change.
///
/// # Errors
/// The change makes no sense with the members as they are.
pub(crate) fn check_members(state: &State, change: &ChangeMembers) -> Result<(), ApiError> {
    draft(state, change).map(drop)
}

fn draft(state: &State, change: &ChangeMembers) -> Result<Draft, ApiError> {
    let mut draft = Draft { members: state.members.clone(), removed: state.removed.clone() };
    change.changes.iter().try_for_each(|change| draft.change(change))?;
    Ok(draft)
}

impl Draft {
    fn change(&mut self, change: &MemberChange) -> Result<(), ApiError> {
        let id = change.id;
        match change.kind() {
            Kind::Add | Kind::AddLearner => {
                if self.members.contains_key(&id) || self.removed.contains(&id) {
                    return Err(ApiError::MemberExists);
                }
                self.check_urls(change)?;
                let is_learner = change.kind() == Kind::AddLearner;
                let learners = self.members.values().filter(|member| member.is_learner).count();
                if is_learner && learners >= LEARNERS_MAX {
                    return Err(ApiError::TooManyLearners);
                }
                let peer_ur_ls = change.peer_urls.clone();
                let member = Member { id, peer_ur_ls, is_learner, ..Member::default() };
                self.members.insert(id, member);
            }
            Kind::Promote => {
                let member = self.member(id)?;
                if !member.is_learner {
                    return Err(ApiError::NotLearner);
                }
                member.is_learner = false;
            }
            Kind::Remove => {
                self.member(id)?;
                self.members.remove(&id);
                self.removed.insert(id);
            }
            Kind::Update => {
                self.member(id)?;
                self.check_urls(change)?;
                self.member(id)?.peer_ur_ls = change.peer_urls.clone();
            }
        }
        Ok(())
    }

    fn member(&mut self, id: u64) -> Result<&mut Member, ApiError> {
        self.members.get_mut(&id).ok_or(ApiError::MemberNotFound)
    }

    /// No two members share a peer URL.
    fn check_urls(&self, change: &MemberChange) -> Result<(), ApiError> {
        let mut others = self.members.values().filter(|member| member.id != change.id);
        let taken =
            |member: &Member| member.peer_ur_ls.iter().any(|u| change.peer_urls.contains(u));
        if others.any(taken) { Err(ApiError::PeerUrlExists) } else { Ok(()) }
    }
}

impl State {
    pub(super) fn change_members(&mut self, change: &ChangeMembers) -> Result<Applied, ApiError> {
        let Draft { members, removed } = draft(self, change)?;
        self.members = members;
        self.removed = removed;
        let members = self.members.values().cloned().collect();
        Ok(Applied::Members(MemberListResponse { header: self.header(0), members }))
    }
}

/// The error that the leader's refusal means to the client.
pub(super) fn refusal(reason: Reason) -> ApiError {
    match reason {
        Reason::Pending => ApiError::Unhealthy,
        Reason::LearnerNotReady => ApiError::LearnerNotReady,
        Reason::MemberNotFound => ApiError::MemberNotFound,
    }
}
