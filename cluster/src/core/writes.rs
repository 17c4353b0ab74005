//! Requests that change something: they go through the log.
//!
//! `propose` may succeed for an entry that is lost later, when the leader falls, so a request is
//! answered when its entry is applied here, or by [`ApiError::Timeout`] after a bound: then it may
//! have happened, or may still.

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;
use raft::eraftpb::{Entry, Message, MessageType};
use rustc_hash::FxHashSet;

use super::membership::entry_for;
use super::{Effect, RequestId};
use crate::bugs::{Bug, Bugs};
use crate::error::ApiError;
use crate::proto::ordealpb::Command;
use crate::proto::ordealpb::command::Op;

/// Requests that may wait at once; etcd's bound is of the same order.
const PENDING_MAX: usize = 16_384;

/// How many bytes of proposals go into one message to the leader.
const PROPOSAL_BYTES_MAX: usize = 1 << 20;

/// The id of a command whose result nobody waits for.
const UNANSWERED: RequestId = 0;

/// The writes that wait.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Not yet given to Raft: there was no leader to give them to.
    queued: VecDeque<(RequestId, Entry)>,
    pending: FxHashSet<RequestId>,
    /// What has been proposed and is not settled; kept for a bug's sake alone.
    proposed: BTreeMap<RequestId, Entry>,
    /// All have the same time to live, so they expire in the order in which they came.
    deadlines: VecDeque<(u64, RequestId)>,
    /// How many have expired.
    failed: u64,
}

impl Writes {
    /// Takes a command, to be proposed at the next flush.
    ///
    /// # Errors
    /// It is too large, or too many wait already.
    pub fn add(
        &mut self,
        id: RequestId,
        deadline_us: u64,
        command: &Command,
        bytes_max: usize,
    ) -> Result<(), ApiError> {
        let entry = entry_for(command);
        if entry.data.len() > bytes_max {
            return Err(ApiError::RequestTooLarge);
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(ApiError::TooManyRequests);
        }
        self.pending.insert(id);
        self.deadlines.push_back((deadline_us, id));
        self.queued.push_back((id, entry));
        Ok(())
    }

    /// How many wait.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many were never answered in time.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Takes a command of the node's own, whose result nobody waits for.
    pub fn add_unanswered(&mut self, command: &Command) {
        self.queued.push_back((UNANSWERED, entry_for(command)));
    }

    /// Takes what is queued as proposals of bounded size, without those that have expired.
    pub fn take_proposals(&mut self, bugs: Bugs) -> Vec<Message> {
        let mut proposals: Vec<Message> = Vec::new();
        let mut bytes = usize::MAX;
        for (id, entry) in self.queued.drain(..) {
            if id != UNANSWERED && !self.pending.contains(&id) {
                continue;
            }
            if bytes.saturating_add(entry.data.len()) > PROPOSAL_BYTES_MAX {
                let mut message = Message::default();
                message.set_msg_type(MessageType::MsgPropose);
                proposals.push(message);
                bytes = 0;
            }
            bytes += entry.data.len();
            if id != UNANSWERED && bugs.has(Bug::RetryDuplicates) {
                self.proposed.insert(id, entry.clone());
            }
            if let Some(message) = proposals.last_mut() {
                message.entries.push(entry);
            }
        }
        proposals
    }

    /// Whether anything waits to be proposed.
    pub fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Whether the request still waits; it does no more after this.
    pub fn settle(&mut self, id: RequestId) -> bool {
        self.proposed.remove(&id);
        self.pending.remove(&id)
    }

    /// Queues again what has been proposed. No leader's fall should.
    pub fn propose_again(&mut self) {
        self.queued.extend(std::mem::take(&mut self.proposed));
    }

    /// Answers the requests whose time is up.
    pub fn expire(&mut self, now_us: u64, out: &mut Vec<Effect>) {
        while let Some(&(deadline, id)) = self.deadlines.front() {
            let waits = self.pending.contains(&id);
            if waits && deadline > now_us {
                break;
            }
            self.deadlines.pop_front();
            if waits {
                self.pending.remove(&id);
                self.failed += 1;
                out.push(Effect::Respond(id, Err(ApiError::Timeout)));
            }
        }
    }
}

/// The entry of a command that is the state machine's business alone.
pub(super) fn normal_entry(command: &Command) -> Entry {
    Entry { data: command.encode_to_vec(), ..Entry::default() }
}

/// The command for a request of this incarnation.
pub(super) fn command(origin: u64, incarnation: u64, sequence: u64, op: Op) -> Command {
    Command { origin, incarnation, sequence, op: Some(op), ..Command::default() }
}
