//! From Raft's readies to effects: what to write, what to send, what to apply.

use prost::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType, Snapshot};
use raft::{ReadState, Ready, Storage};

use super::node::{Node, restored};
use super::outbox::promises_nothing;
use super::{Effect, Note};
use crate::bugs::Bug;
use crate::log::snapshot::Image;
use crate::log::{Install, Position, Write};
use crate::proto::ordealpb::Command;
use crate::proto::ordealpb::command::Op;
use crate::state::Applied;

/// A read's round without an answer is tried again after so many ticks.
const READ_RETRY_TICKS: u64 = 2;

/// Bytes of state that a snapshot may write for each byte of commands since the last.
const SNAPSHOT_COST_MAX: u64 = 4;

/// A state up to this size is small enough to write whenever a snapshot is due.
const SNAPSHOT_FREE_BYTES: u64 = 16 << 20;

impl Node {
    /// Gives the effects of the events stepped since the last flush.
    pub fn flush(&mut self, out: &mut Vec<Effect>) {
        self.commit_prior_term();
        self.propose();
        self.send_asides(out);
        self.begin_reads();
        while self.raft.has_ready() {
            self.ready(out);
            self.count_leases();
            self.resume_requests(out);
            self.propose();
            self.send_asides(out);
            self.begin_reads();
        }
        self.incoming.clear();
        for read in self.reads.ready(self.raft.store().applied().index) {
            self.answer(read, out);
        }
        self.tell_watches(out);
        self.settle_transfer(out);
        self.maybe_snapshot(out);
        self.set_election_timeout();
    }

    /// The writes up to `number` are durable: what waited for them may leave.
    pub(super) fn persisted(&mut self, number: u64, out: &mut Vec<Effect>) {
        self.durable = number;
        let (settled, messages) = self.outbox.release(number);
        out.extend(messages.into_iter().map(Effect::Send));
        if let Some(settled) = settled {
            self.raft.on_persist_ready(settled);
            self.advance_applied();
        }
    }

    /// Gives Raft the writes that wait, when there is a leader to take them.
    fn propose(&mut self) {
        self.publish();
        let raft = &self.raft.raft;
        if !self.writes.has_queued() || raft.leader_id == 0 || raft.lead_transferee.is_some() {
            return;
        }
        for mut proposal in self.writes.take_proposals(self.config.bugs) {
            proposal.from = self.config.id;
            self.admit(proposal.mut_entries());
            // A proposal that is dropped nonetheless is answered when its time is up.
            let _ = self.raft.step(proposal);
        }
    }

    fn begin_reads(&mut self) {
        let leader = self.raft.raft.leader_id;
        if self.config.bugs.has(Bug::LocalRead) && self.is_leader() {
            // BUG local-read: no majority is asked whether this node still leads.
            return self.reads.skip_round(self.raft.store().applied().index);
        }
        if self.config.bugs.has(Bug::ReadDuringReplay) && !self.met_leader {
            // BUG read-during-replay: what the log held at the start is taken for the newest.
            return self.reads.skip_round(self.raft.store().applied().index);
        }
        if self.reads_on_wall_lease() {
            // BUG lease-read-wall-clock: as long as the clock on the wall says so.
            return self.reads.skip_round(self.raft.store().applied().index);
        }
        if self.answers_too_early() {
            // BUG read-index-before-term-commit: what an earlier leader has committed, and this
            // one does not know to be, is passed over.
            return self.reads.skip_round(self.raft.raft.raft_log.committed);
        }
        // A leader knows what is committed only when an entry of its own term is (thesis §6.4).
        if leader == 0 || (self.is_leader() && !self.raft.raft.commit_to_current_term()) {
            return;
        }
        let retry_us = READ_RETRY_TICKS * self.config.tick_us;
        let begun = self.reads.begin(self.now_us, leader, retry_us, self.config.bugs);
        self.counts.reads_retried = self.reads.retried;
        if let Some(context) = begun {
            self.wall_round_begins(context);
            self.ask_read_index(context);
        }
    }

    fn ready(&mut self, out: &mut Vec<Effect>) {
        let mut ready = self.raft.ready();
        self.last_ready = ready.number();
        self.note_leader(&ready, out);
        // First, because a snapshot that is sent is the state as it is before the entries below.
        for message in ready.take_messages() {
            self.send(message, out);
        }
        self.persist(&ready, out);
        self.hold_back(&mut ready, out);
        self.confirm_reads(ready.take_read_states());
        let committed = ready.take_committed_entries();
        self.raft.advance_append_async(ready);
        // What waits for no write of its own may go if no earlier write is still on its way.
        self.persisted(self.durable, out);
        self.apply(committed, out);
        self.advance_applied();
    }

    /// Tells Raft what is applied. A snapshot is applied before it is durable, and Raft may not
    /// hear of it until then.
    fn advance_applied(&mut self) {
        let log = &self.raft.raft.raft_log;
        let applied = self.raft.store().applied().index.min(log.persisted);
        if applied > log.applied {
            self.raft.advance_apply_to(applied);
        }
    }

    fn note_leader(&mut self, ready: &Ready, out: &mut Vec<Effect>) {
        let Some(leader) = ready.ss().map(|soft| soft.leader_id) else { return };
        if leader == self.leader {
            return;
        }
        if leader != 0 {
            self.counts.leader_changes += 1;
        }
        self.leader = leader;
        self.wall_lease_ends();
        let term = self.raft.raft.term;
        let note = match leader {
            0 => Note::NoLeader { term },
            leader if leader == self.config.id => Note::BecameLeader { term },
            leader => Note::Follows { leader, term },
        };
        out.push(Effect::Note(note));
        if leader != 0 {
            self.met_leader = true;
            self.reads.leader_is(leader, out);
            if self.config.bugs.has(Bug::RetryDuplicates) {
                // BUG retry-duplicates: what the old leader was asked may be committed yet.
                self.writes.propose_again();
            }
        }
    }

    fn send(&mut self, message: Message, out: &mut Vec<Effect>) {
        if message.get_msg_type() != MessageType::MsgSnapshot {
            return out.push(Effect::Send(message));
        }
        let Some(metadata) = message.get_snapshot().metadata.clone() else { return };
        out.push(Effect::Note(Note::SendsSnapshot { peer: message.to, index: metadata.index }));
        let image = Image { metadata, state: self.state.clone() };
        out.push(Effect::SendSnapshot(message, Box::new(image)));
    }

    /// Goes on from the leader's snapshot. The state may be replaced before the snapshot is
    /// durable: all of it is committed.
    fn install(&mut self, snapshot: &Snapshot, out: &mut Vec<Effect>) -> Install {
        let metadata = snapshot.get_metadata();
        let found = self.incoming.iter().position(|(image, _)| image.metadata == *metadata);
        // Raft gives back only what came in a message of this batch.
        let nth = found.expect("a snapshot that Raft accepts came in this batch");
        let (image, bytes) = self.incoming.swap_remove(nth);
        let position = image.position();
        self.applied_bytes = 0;
        let state = restored(image.state, self.config.bugs);
        let auth = std::mem::replace(&mut self.state, state).auth;
        if self.config.bugs.has(Bug::SnapshotOmitsAuth) {
            // BUG snapshot-omits-auth: users and permissions stay what they were before.
            self.state.auth = auth;
        }
        self.watches.installed(&self.state.kv, self.config.bugs);
        self.snapshot_index = position.index;
        self.raft.mut_store().install(metadata);
        self.taken_bytes = self.state.kv.size_bytes();
        out.push(Effect::Note(Note::InstalledSnapshot { index: position.index }));
        self.tell_members(out);
        Install { position, bytes }
    }

    fn persist(&mut self, ready: &Ready, out: &mut Vec<Effect>) {
        let snapshot = ready.snapshot();
        let install = (!snapshot.is_empty()).then(|| self.install(snapshot, out));
        self.raft.mut_store().append(ready.entries());
        if let Some(hard_state) = ready.hs() {
            self.raft.mut_store().set_hard_state(hard_state.clone());
        }
        let mut hard_state = ready.hs().cloned();
        if let Some(hard_state) = &mut hard_state
            && self.config.bugs.has(Bug::VoteNotPersisted)
        {
            // BUG vote-not-persisted: after a restart the node may vote once more in the term.
            hard_state.vote = 0;
        }
        let entries = ready.entries().clone();
        if hard_state.is_some() || !entries.is_empty() || ready.must_sync() {
            let write = Write { hard_state, entries, install, release: None };
            // A commit index alone need not be durable: it is learned again.
            let number = ready.must_sync().then_some(ready.number());
            out.push(Effect::Write(write, number));
        }
    }

    fn hold_back(&mut self, ready: &mut Ready, out: &mut Vec<Effect>) {
        let (free, held): (Vec<Message>, Vec<Message>) =
            ready.take_persisted_messages().into_iter().partition(promises_nothing);
        out.extend(free.into_iter().map(Effect::Send));
        // A snapshot among them is of a leadership that is over.
        let held = held.into_iter().filter(|m| m.get_msg_type() != MessageType::MsgSnapshot);
        // BUG ack-before-fsync: the write goes its way, but nothing waits for it.
        let waits = ready.must_sync() && !self.config.bugs.has(Bug::AckBeforeFsync);
        self.outbox.hold(ready.number(), waits, held.collect());
    }

    fn confirm_reads(&mut self, states: Vec<ReadState>) {
        let own = super::reads::context_bytes(self.config.id, self.config.incarnation, 0);
        for state in states {
            let (prefix, context) = state.request_ctx.split_at(state.request_ctx.len().min(16));
            if prefix == &own[..16]
                && let Ok(context) = context.try_into()
            {
                let context = u64::from_be_bytes(context);
                self.wall_round_ends(context);
                self.reads.confirm(context, state.index);
            }
        }
    }

    fn apply(&mut self, entries: Vec<Entry>, out: &mut Vec<Effect>) {
        for entry in entries {
            if self.config.bugs.has(Bug::AppliedIndexEarly) {
                self.before = Some(self.state.clone());
            }
            let position = Position { index: entry.index, term: entry.term };
            match entry.get_entry_type() {
                EntryType::EntryNormal if entry.data.is_empty() => {}
                EntryType::EntryNormal => self.apply_command(entry, out),
                _ => self.apply_conf_change(&entry, out),
            }
            self.raft.mut_store().set_applied(position);
        }
    }

    fn apply_command(&mut self, entry: Entry, out: &mut Vec<Effect>) {
        let Entry { index, term, .. } = entry;
        self.applied_bytes += entry.data.len() as u64;
        let command = match Command::decode(bytes::Bytes::from(entry.data)) {
            Ok(command) => command,
            Err(error) => {
                let note = Note::UnreadableEntry { index, what: error.to_string() };
                return out.push(Effect::Note(note));
            }
        };
        self.apply_and_answer(&command, Position { index, term }, out);
    }

    /// Changes the state by a command, and answers whoever waits for it here.
    pub(super) fn apply_and_answer(
        &mut self,
        command: &Command,
        Position { index, term }: Position,
        out: &mut Vec<Effect>,
    ) {
        let Some(op) = &command.op else { return };
        if Self::is_void(op, term) {
            return;
        }
        self.count(op);
        self.apply_auth_twice(index, op);
        let ours = command.origin == self.config.id
            && command.incarnation == self.config.incarnation
            && self.writes.settle(command.sequence);
        let permitted = self.permit_command(command, op);
        let voided = self.tokens_voided_by(op);
        let result = permitted.and_then(|()| self.state.apply(op, self.config.bugs, ours));
        self.watches.note(&mut self.state.kv);
        self.taken_bytes = self.taken_bytes.max(self.state.kv.size_bytes());
        if result.is_ok() {
            self.account_leases(op);
            if matches!(op, Op::ChangeMembers(_)) {
                self.tell_members(out);
            }
        }
        let result = match (result, op) {
            (Ok(Applied::Auth(auth_revision)), Op::Auth(auth)) => {
                self.tokens.forget(&voided);
                let former = index <= self.replayed_until
                    || command.origin == self.config.id
                        && command.incarnation != self.config.incarnation;
                Ok(self.auth_changed((index, former), auth.change.as_ref(), auth_revision))
            }
            (result, _) => self.with_header(result),
        };
        if ours {
            out.push(Effect::Respond(command.sequence, result));
        }
    }

    /// The image that a restart goes on from.
    fn saved_image(&mut self) -> Image {
        let mut image = self.image();
        if let Some(before) = self.before.take() {
            // BUG applied-index-early: the index is that of an entry which the state lacks.
            image.state = before;
        }
        let before = image.metadata.index - 1;
        if self.config.bugs.has(Bug::AppliedIndexLate)
            && let Ok(term) = self.raft.store().term(before)
        {
            // BUG applied-index-late: the state has an entry that will be applied once more.
            (image.metadata.index, image.metadata.term) = (before, term);
        }
        image
    }

    fn maybe_snapshot(&mut self, out: &mut Vec<Effect>) {
        let applied = self.raft.store().applied();
        let due = applied.index >= self.snapshot_index + self.config.snapshot_count;
        // A snapshot writes the whole state: of a large one it must not take more of the disk
        // than a few times the commands themselves did.
        let size = self.state.kv.size_bytes();
        let worth = size <= SNAPSHOT_FREE_BYTES || self.applied_bytes * SNAPSHOT_COST_MAX >= size;
        if self.saving || !due || !worth {
            return;
        }
        self.saving = true;
        self.applied_bytes = 0;
        out.push(Effect::Note(Note::SavesSnapshot { index: applied.index }));
        let image = self.saved_image();
        out.push(Effect::SaveSnapshot(image));
    }
}
