//! Changes of the membership: what a member checks before it asks, what the leader admits, and
//! what every member does when the change is applied.
//!
//! One change at a time, and none before the leader has committed an entry of its own term: else
//! two majorities that share nobody may both decide (Ongaro, raft-dev, 2015). A change of several
//! members goes by joint consensus (Raft thesis §4.3). A membership counts from the moment that it
//! is applied, as in etcd, and not from the moment that it is appended.

use prost::Message as _;
use raft::StateRole;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, Entry, EntryType};
use raft_prost::Message as _;

use super::node::Node;
use super::writes::normal_entry;
use super::{Credentials, Effect, Note, RequestId, mix};
use crate::bugs::Bug;
use crate::error::ApiError;
use crate::log::{Position, Write};
use crate::proto::ordealpb::command::Op;
use crate::proto::ordealpb::member_change::Kind;
use crate::proto::ordealpb::refused::Reason;
use crate::proto::ordealpb::{ChangeMembers, Command, MemberChange, Refused};
use crate::state::check_members;

/// A member counts as healthy when it has been in reach for so long (etcd's `HealthInterval`).
const HEALTHY_US: u64 = 5_000_000;

/// A learner may be promoted when it has this many percent of the leader's log (etcd's
/// `readyPercent`).
const IN_SYNC_PERCENT: u64 = 90;

impl Node {
    /// Takes a client's wish to change the membership.
    pub(super) fn change_members(
        &mut self,
        (id, who): (RequestId, Credentials),
        mut change: ChangeMembers,
        out: &mut Vec<Effect>,
    ) {
        for added in change.changes.iter_mut().filter(|change| adds(change) && change.id == 0) {
            added.id = self.new_member_id(added);
        }
        // Not asked again when the change is applied: by then Raft has agreed on it.
        let permitted = self.permit_root(&who).and_then(|()| self.check_health(&change));
        if let Err(error) = permitted {
            return out.push(Effect::Respond(id, Err(error)));
        }
        self.write((id, who), Op::ChangeMembers(change), out);
    }

    /// As in etcd, a hash of where the member is and when it was added, so that a member that
    /// comes back after its removal is another.
    fn new_member_id(&self, change: &MemberChange) -> u64 {
        let bytes = change.peer_urls.iter().flat_map(|url| url.bytes().chain([0]));
        let hash = bytes.fold(mix(self.config.incarnation ^ self.now_us), |hash, byte| {
            mix(hash ^ u64::from(byte))
        });
        hash.max(1)
    }

    /// The strict reconfiguration check: refuses what would leave no majority of members that
    /// have started and are in reach.
    fn check_health(&self, change: &ChangeMembers) -> Result<(), ApiError> {
        if !self.config.limits.strict_reconfig {
            return Ok(());
        }
        for change in &change.changes {
            match change.kind() {
                Kind::Add | Kind::AddLearner => {
                    if change.kind() == Kind::Add && !self.enough_started(Some(false), None) {
                        return Err(ApiError::NotEnoughStarted);
                    }
                    if !self.all_in_reach() {
                        return Err(ApiError::Unhealthy);
                    }
                }
                Kind::Promote if self.state.members.contains_key(&change.id) => {
                    if !self.enough_started(Some(true), None) {
                        return Err(ApiError::NotEnoughStarted);
                    }
                }
                Kind::Remove => self.check_removal(change.id)?,
                Kind::Promote | Kind::Update => {}
            }
        }
        Ok(())
    }

    fn check_removal(&self, id: u64) -> Result<(), ApiError> {
        if self.state.members.get(&id).is_some_and(|member| member.is_learner) {
            return Ok(());
        }
        if !self.enough_started(None, Some(id)) {
            return Err(ApiError::NotEnoughStarted);
        }
        // One that is down is no part of the majority that works, and its removal costs nothing.
        if id != self.config.id && !self.connected.contains_key(&id) {
            return Ok(());
        }
        let voters = self.voters().count();
        let healthy = self.voters().filter(|voter| self.is_healthy(*voter)).count();
        if healthy.saturating_sub(1) < 1 + voters.saturating_sub(1) / 2 {
            return Err(ApiError::Unhealthy);
        }
        Ok(())
    }

    fn voters(&self) -> impl Iterator<Item = u64> {
        self.state.members.values().filter(|member| !member.is_learner).map(|member| member.id)
    }

    /// Whether those who vote after the change and have started once, so that their names are
    /// known, make a majority. `added`: one more votes, and has started or not.
    fn enough_started(&self, added: Option<bool>, removed: Option<u64>) -> bool {
        let mut members = usize::from(added.is_some());
        let mut started = usize::from(added == Some(true));
        for id in self.voters().filter(|id| Some(*id) != removed) {
            members += 1;
            started += usize::from(!self.state.members[&id].name.is_empty());
        }
        // A cluster of one may grow: it is the only case in which the new member's start is
        // waited for.
        (added == Some(false) && started == 1 && members == 2) || started > members / 2
    }

    fn all_in_reach(&self) -> bool {
        self.voters().all(|voter| self.is_healthy(voter))
    }

    fn is_healthy(&self, id: u64) -> bool {
        let since = self.connected.get(&id);
        id == self.config.id || since.is_some_and(|since| since + HEALTHY_US <= self.now_us)
    }

    /// What a leader does with proposals before Raft gets them: a change that it does not admit
    /// becomes a note of its refusal.
    pub(super) fn admit(&mut self, entries: &mut [Entry]) {
        if !self.is_leader() {
            return;
        }
        let mut taken = false;
        for entry in entries {
            let Some((_, command)) = decode(entry) else { continue };
            match self.refusal(&command, taken) {
                Some(reason) => {
                    let op = Some(Op::Refused(Refused { reason: reason as i32 }));
                    *entry = normal_entry(&Command { op, ..command });
                }
                None => taken = true,
            }
        }
    }

    fn refusal(&mut self, command: &Command, taken: bool) -> Option<Reason> {
        let raft = &mut self.raft.raft;
        if self.config.bugs.has(Bug::OneStepMembership) {
            // BUG one-step-membership: nobody waits for the change before to be applied.
            raft.pending_conf_index = 0;
        }
        let early = !raft.commit_to_current_term();
        if early && self.config.bugs.has(Bug::MembershipBeforeCommit) {
            // BUG membership-before-commit: a change that an earlier leader left in the log is
            // not waited for, nor an entry of this leader's own term.
            raft.pending_conf_index = 0;
        } else if early {
            return Some(Reason::Pending);
        }
        if taken || raft.has_pending_conf() || *raft.prs().conf().auto_leave() {
            return Some(Reason::Pending);
        }
        let Some(Op::ChangeMembers(change)) = &command.op else { return None };
        let promoted = change.changes.iter().filter(|change| change.kind() == Kind::Promote);
        promoted.map(|change| self.not_ready(change.id)).find_map(|reason| reason)
    }

    fn not_ready(&self, id: u64) -> Option<Reason> {
        let progress = self.raft.raft.prs();
        let Some(learner) = progress.get(id) else { return Some(Reason::MemberNotFound) };
        let own = progress.get(self.config.id).map_or(0, |own| own.matched);
        let behind = learner.matched * 100 < own * IN_SYNC_PERCENT;
        behind.then_some(Reason::LearnerNotReady)
    }

    /// Applies a change of who votes; one without changes ends a joint consensus.
    pub(super) fn apply_conf_change(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        if entry.data.is_empty() {
            return self.change_raft(&ConfChangeV2::default(), entry.index, out);
        }
        let Some((change, command)) = decode(entry) else {
            let what = "it is no change of the membership".to_owned();
            return out.push(Effect::Note(Note::UnreadableEntry { index: entry.index, what }));
        };
        let Some(Op::ChangeMembers(members)) = &command.op else { return };
        if check_members(&self.state, members).is_ok() {
            self.change_raft(&change, entry.index, out);
        }
        let position = Position { index: entry.index, term: entry.term };
        self.apply_and_answer(&command, position, out);
    }

    fn change_raft(&mut self, change: &ConfChangeV2, index: u64, out: &mut Vec<Effect>) {
        match self.raft.apply_conf_change(change) {
            Ok(conf_state) => {
                self.raft.mut_store().set_conf_state(conf_state);
                self.step_down_if_removed();
            }
            Err(error) => {
                let what = error.to_string();
                out.push(Effect::Note(Note::UnreadableEntry { index, what }));
            }
        }
    }

    /// A leader that is no member any more leads nobody; and the raft crate takes it for granted
    /// that a leader is one when what it wrote before becomes durable.
    fn step_down_if_removed(&mut self) {
        let raft = &mut self.raft.raft;
        if raft.state == StateRole::Leader && raft.prs().get(raft.id).is_none() {
            raft.become_follower(raft.term, 0);
        }
    }

    /// Tells the driver who the members are, after anything that may have changed it.
    pub(super) fn tell_members(&mut self, out: &mut Vec<Effect>) {
        let members = self.state.members.values().cloned().collect();
        let removed = self.state.removed.iter().copied().collect();
        out.push(Effect::Members { members, removed });
        if self.state.removed.contains(&self.config.id) && !self.removed {
            self.removed = true;
            // After a restart the node must know it again, though nobody would tell it.
            let hard_state = Some(self.raft.raft.hard_state());
            let write = Write { hard_state, ..Write::default() };
            out.push(Effect::Write(write, Some(self.last_ready)));
            out.push(Effect::Removed);
        }
    }
}

fn adds(change: &MemberChange) -> bool {
    matches!(change.kind(), Kind::Add | Kind::AddLearner)
}

/// The entry for a command: a change of who votes is Raft's business too.
pub(super) fn entry_for(command: &Command) -> Entry {
    let Some(Op::ChangeMembers(change)) = &command.op else { return normal_entry(command) };
    let singles: Vec<ConfChangeSingle> = change.changes.iter().filter_map(single).collect();
    if singles.is_empty() {
        return normal_entry(command);
    }
    let change =
        ConfChangeV2 { changes: singles, context: command.encode_to_vec(), ..Default::default() };
    let mut data = Vec::new();
    // Encoding fails only for want of room, and a Vec grows.
    change.encode(&mut data).expect("a Vec has room");
    let mut entry = Entry { data, ..Entry::default() };
    entry.set_entry_type(EntryType::EntryConfChangeV2);
    entry
}

fn single(change: &MemberChange) -> Option<ConfChangeSingle> {
    let kind = match change.kind() {
        Kind::Add | Kind::Promote => ConfChangeType::AddNode,
        Kind::AddLearner => ConfChangeType::AddLearnerNode,
        Kind::Remove => ConfChangeType::RemoveNode,
        Kind::Update => return None,
    };
    let mut single = ConfChangeSingle { node_id: change.id, ..Default::default() };
    single.set_change_type(kind);
    Some(single)
}

/// The change and its command, if the entry is one.
fn decode(entry: &Entry) -> Option<(ConfChangeV2, Command)> {
    if entry.get_entry_type() != EntryType::EntryConfChangeV2 || entry.data.is_empty() {
        return None;
    }
    let change = <ConfChangeV2 as raft_prost::Message>::decode(&entry.data[..]).ok()?;
    let command = <Command as prost::Message>::decode(&change.context[..]).ok()?;
    Some((change, command))
}
