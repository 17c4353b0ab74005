//! The node: what happens to it, and who it is.

use raft::eraftpb::{ConfState, Message, MessageType};
use raft::{RawNode, StateRole};
use thiserror::Error;

use super::outbox::Outbox;
use super::raft_log::RaftLog;
use super::reads::{Query, Read, Reads, context_bytes};
use super::timeout::election_timeout;
use super::writes::{Writes, command};
use super::{BOOTSTRAP_INDEX, Config, Effect, Event, Note, Request, RequestId, Response};
use crate::bugs::Bug;
use crate::error::ApiError;
use crate::log::snapshot::Image;
use crate::log::{Position, Recovered, Write};
use crate::mvcc;
use crate::proto::etcdserverpb::{Member, MemberListResponse, ResponseHeader, StatusResponse};
use crate::proto::ordealpb::PublishMember;
use crate::proto::ordealpb::command::Op;
use crate::state::{Applied, State};

/// Entries that stay in memory behind a snapshot, so that a follower that is a little behind need
/// not be sent all of it (etcd's `SnapshotCatchUpEntries`).
const CATCH_UP_ENTRIES: u64 = 5_000;

/// One member of the cluster. See the module's documentation.
pub struct Node {
    pub(super) config: Config,
    pub(super) raft: RawNode<RaftLog>,
    pub(super) state: State,
    pub(super) now_us: u64,
    pub(super) outbox: Outbox,
    pub(super) writes: Writes,
    pub(super) reads: Reads,
    /// Snapshots that came in this batch, until Raft has said whether it wants them.
    pub(super) incoming: Vec<(Image, Vec<u8>)>,
    pub(super) leader: u64,
    /// The last write that is durable.
    pub(super) durable: u64,
    /// Where the last snapshot stands, and whether one is being saved.
    pub(super) snapshot_index: u64,
    pub(super) saving: bool,
    publish_us: u64,
}

/// Why a node cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The raft crate refuses the configuration.
    #[error("the Raft configuration is wrong: {0}")]
    Raft(#[from] raft::Error),
    /// The election timeout is too short.
    #[error("the election timeout must be at least two heartbeats, it is {0}")]
    ElectionTicks(usize),
}

/// Where a node stands; for the API, for tests, and for the invariants of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The leader that the node knows, or 0.
    pub leader: u64,
    /// Its role.
    pub role: StateRole,
    /// Its term.
    pub term: u64,
    /// The last entry that it knows to be committed.
    pub commit: u64,
    /// The last entry that its state contains.
    pub applied: Position,
    /// The newest revision of its keys.
    pub revision: i64,
}

impl Node {
    /// A node that goes on from what its disk held.
    ///
    /// # Errors
    /// If the configuration makes no sense.
    pub fn new(config: Config, recovered: Recovered) -> Result<Self, StartError> {
        if config.election_ticks < 2 {
            return Err(StartError::ElectionTicks(config.election_ticks));
        }
        let (state, base, conf_state) = match recovered.snapshot {
            Some(image) => {
                let position = image.position();
                (image.state, position, image.metadata.conf_state.unwrap_or_default())
            }
            None => bootstrap(&config),
        };
        let mut hard_state = recovered.hard_state;
        hard_state.commit = hard_state.commit.max(base.index);
        hard_state.term = hard_state.term.max(base.term);
        let log = RaftLog::new(hard_state, conf_state, base, recovered.entries);
        let raft_config = raft_config(&config, base.index);
        let raft = RawNode::new(&raft_config, log, &slog::Logger::root(slog::Discard, slog::o!()))?;
        let mut node = Self {
            config,
            raft,
            state,
            now_us: 0,
            outbox: Outbox::default(),
            writes: Writes::default(),
            reads: Reads::default(),
            incoming: Vec::new(),
            leader: 0,
            durable: 0,
            snapshot_index: base.index,
            saving: false,
            publish_us: 0,
        };
        node.set_election_timeout();
        Ok(node)
    }

    /// Takes one event, at a time that never goes back. Its effects may wait for the next
    /// [`Node::flush`].
    pub fn step(&mut self, now_us: u64, event: Event, out: &mut Vec<Effect>) {
        self.now_us = now_us;
        match event {
            Event::Tick => {
                self.raft.tick();
                self.writes.expire(now_us, out);
                self.reads.expire(now_us, out);
            }
            Event::Message(message) => self.message(message, out),
            Event::Request(id, request) => self.request(id, request, out),
            Event::Persisted(number) => self.persisted(number, out),
            Event::SnapshotSaved(position) => self.snapshot_saved(position, out),
            Event::SnapshotSent { peer, arrived } => {
                let status = if arrived {
                    raft::SnapshotStatus::Finish
                } else {
                    raft::SnapshotStatus::Failure
                };
                self.raft.report_snapshot(peer, status);
            }
            Event::Unreachable(peer) => self.raft.report_unreachable(peer),
        }
        self.set_election_timeout();
    }

    /// Where the node stands.
    pub fn status(&self) -> Status {
        let raft = &self.raft.raft;
        Status {
            leader: raft.leader_id,
            role: raft.state,
            term: raft.term,
            commit: raft.raft_log.committed,
            applied: self.raft.store().applied(),
            revision: self.state.kv.revision(),
        }
    }

    /// The state machine, to look at.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn is_leader(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    pub(super) fn set_election_timeout(&mut self) {
        let raft = &mut self.raft.raft;
        let Config { seed, id, election_ticks, .. } = self.config;
        let ticks = election_timeout(seed, id, raft.term, raft.state, election_ticks);
        raft.set_randomized_election_timeout(ticks);
    }

    fn message(&mut self, mut message: Message, out: &mut Vec<Effect>) {
        if message.get_msg_type() == MessageType::MsgSnapshot {
            let from = message.from;
            let bytes = message.mut_snapshot().take_data();
            match Image::decode(&bytes) {
                Ok(image) if Some(&image.metadata) == message.get_snapshot().metadata.as_ref() => {
                    self.incoming.push((image, bytes));
                }
                Ok(_) => {
                    let what = "it is not the one that the message announces".to_owned();
                    return out.push(Effect::Note(Note::DamagedSnapshot { from, what }));
                }
                Err(damage) => {
                    let what = format!("byte {}: {}", damage.offset, damage.what);
                    return out.push(Effect::Note(Note::DamagedSnapshot { from, what }));
                }
            }
        }
        if self.config.bugs.has(Bug::LocalRead)
            && self.is_leader()
            && message.get_msg_type() == MessageType::MsgReadIndex
        {
            // BUG local-read, for those who read through a follower.
            return out.push(Effect::Send(self.unconfirmed_read_index(message)));
        }
        // A message that Raft has no use for, from a stranger or of the past, is dropped.
        let _ = self.raft.step(message);
    }

    fn request(&mut self, id: RequestId, request: Request, out: &mut Vec<Effect>) {
        let checked = match &request {
            Request::Range(range) => mvcc::check_range(range),
            Request::Put(put) => mvcc::check_put(put),
            Request::DeleteRange(delete) => mvcc::check_delete(delete),
            Request::Txn(txn) => mvcc::check_txn(txn),
            Request::Compact(_) | Request::MemberList { .. } | Request::Status => Ok(()),
        };
        if let Err(error) = checked {
            return out.push(Effect::Respond(id, Err(error)));
        }
        match request {
            Request::Status => {
                out.push(Effect::Respond(id, Ok(Response::Status(self.status_response()))));
            }
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

    fn write(&mut self, id: RequestId, op: Op, out: &mut Vec<Effect>) {
        let command = command(self.config.id, self.config.incarnation, id, op);
        let deadline_us = self.now_us + self.config.request_timeout_us;
        if let Err(error) = self.writes.add(id, deadline_us, &command) {
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
            Ok(Applied::Published) | Err(_) => &mut None,
        };
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
        out.push(Effect::Respond(id, result.map(Response::Applied)));
    }

    fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.config.cluster_id,
            member_id: self.config.id,
            revision,
            raft_term: self.raft.raft.term,
        }
    }

    fn status_response(&self) -> StatusResponse {
        let status = self.status();
        let size = self.state.kv.size_bytes() as i64;
        StatusResponse {
            header: Some(self.header(status.revision)),
            version: crate::SERVED_VERSION.to_owned(),
            db_size: size,
            db_size_in_use: size,
            leader: status.leader,
            raft_index: status.commit,
            raft_applied_index: status.applied.index,
            raft_term: status.term,
            errors: if status.leader == 0 { vec![ApiError::NoLeader.to_string()] } else { vec![] },
            is_learner: false,
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

    fn snapshot_saved(&mut self, position: Position, out: &mut Vec<Effect>) {
        self.saving = false;
        // The leader may have sent a later one meanwhile.
        if position.index < self.snapshot_index {
            return;
        }
        self.snapshot_index = position.index;
        let kept = CATCH_UP_ENTRIES.min(self.config.snapshot_count);
        self.raft.mut_store().compact(position.index.saturating_sub(kept));
        let write = Write { release: Some(position), ..Write::default() };
        out.push(Effect::Write(write, None));
        out.push(Effect::Note(Note::ReleasedLog { index: position.index }));
    }

    /// Asks the leader to confirm that it leads; the answer comes as a read state.
    pub(super) fn ask_read_index(&mut self, context: u64) {
        let Config { id, incarnation, .. } = self.config;
        self.raft.read_index(context_bytes(id, incarnation, context));
    }

    /// BUG local-read: the leader's commit index as if a majority had confirmed that it leads.
    fn unconfirmed_read_index(&self, request: Message) -> Message {
        let mut response = Message::default();
        response.set_msg_type(MessageType::MsgReadIndexResp);
        response.to = request.from;
        response.from = self.config.id;
        response.term = self.raft.raft.term;
        response.index = self.raft.raft.raft_log.committed;
        response.entries = request.entries;
        response
    }
}

fn bootstrap(config: &Config) -> (State, Position, ConfState) {
    let voters = config.members.iter().map(|member| member.id).collect();
    let conf_state = ConfState { voters, ..ConfState::default() };
    // The flags tell no member's client addresses but this one's, and every node must begin with
    // the same state: each publishes its own later.
    let members = config.members.iter().map(|member| Member {
        id: member.id,
        peer_ur_ls: member.peer_ur_ls.clone(),
        ..Member::default()
    });
    let base = Position { index: BOOTSTRAP_INDEX, term: 1 };
    (State::bootstrap(members), base, conf_state)
}

fn raft_config(config: &Config, applied: u64) -> raft::Config {
    raft::Config {
        id: config.id,
        election_tick: config.election_ticks,
        heartbeat_tick: 1,
        applied,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 512,
        check_quorum: true,
        pre_vote: true,
        batch_append: true,
        ..raft::Config::default()
    }
}
