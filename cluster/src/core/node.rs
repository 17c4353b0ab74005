//! The node: what happens to it, and who it is.

use std::collections::{BTreeMap, BTreeSet};

use raft::eraftpb::{ConfState, Message, MessageType, SnapshotMetadata};
use raft::{RawNode, ReadOnlyOption, StateRole};
use thiserror::Error;

use super::asides::{Asides, is_aside};
use super::leases::LeaseClock;
use super::maintenance::{Transfer, Vitals};
use super::outbox::Outbox;
use super::raft_log::RaftLog;
use super::reads::{Reads, context_bytes};
use super::timeout::election_timeout;
use super::tokens::Tokens;
use super::wall_lease::WallLease;
use super::watch::Watches;
use super::writes::Writes;
use super::{BOOTSTRAP_INDEX, Config, Credentials, Effect, Event, Note};
use crate::bugs::{Bug, Bugs};
use crate::log::snapshot::Image;
use crate::log::{Position, Recovered, Write};
use crate::proto::etcdserverpb::Member;
use crate::state::State;

/// Entries that stay in memory behind a snapshot, so that a follower that is a little behind need
/// not be sent all of it (etcd's `SnapshotCatchUpEntries`).
const CATCH_UP_ENTRIES: u64 = 5_000;

/// The term of the entry that the first membership stands for.
const BOOTSTRAP_TERM: u64 = 1;

/// One member of the cluster. See the module's documentation.
pub struct Node {
    pub(super) config: Config,
    pub(super) raft: RawNode<RaftLog>,
    pub(super) state: State,
    pub(super) now_us: u64,
    pub(super) outbox: Outbox,
    pub(super) writes: Writes,
    pub(super) reads: Reads,
    pub(super) asides: Asides,
    pub(super) leases: LeaseClock,
    pub(super) watches: Watches,
    pub(super) wall_lease: WallLease,
    /// Snapshots that came in this batch, until Raft has said whether it wants them.
    pub(super) incoming: Vec<(Image, Vec<u8>)>,
    pub(super) leader: u64,
    /// The last write that is durable.
    pub(super) durable: u64,
    /// Where the last snapshot stands, and whether one is being saved.
    pub(super) snapshot_index: u64,
    pub(super) saving: bool,
    /// Bytes of commands applied since then.
    pub(super) applied_bytes: u64,
    pub(super) publish_us: u64,
    /// The peers that have been reached, until they are enough for a first election.
    reached: Option<BTreeSet<u64>>,
    /// A leader has been known since the start.
    pub(super) met_leader: bool,
    pub(super) tokens: Tokens,
    /// The last entry that was known to be committed when the node started.
    pub(super) replayed_until: u64,
    /// The peers in reach, and since when.
    pub(super) connected: BTreeMap<u64, u64>,
    /// The membership is without this node.
    pub(super) removed: bool,
    /// The members were told of since the start.
    told_members: bool,
    /// The number of the newest ready.
    pub(super) last_ready: u64,
    pub(super) transfer: Option<Transfer>,
    /// The most that the store has taken since it was defragmented, in bytes.
    pub(super) taken_bytes: u64,
    /// No alarm of the quota is raised again before then.
    pub(super) alarm_us: u64,
    pub(super) counts: Vitals,
    /// The state before the newest entry; kept for `applied-index-early` alone.
    pub(super) before: Option<State>,
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
                (
                    restored(image.state, config.bugs),
                    position,
                    image.metadata.conf_state.unwrap_or_default(),
                )
            }
            None => bootstrap(&config),
        };
        let mut hard_state = recovered.hard_state;
        hard_state.commit = hard_state.commit.max(base.index);
        hard_state.term = hard_state.term.max(base.term);
        let replayed_until = hard_state.commit;
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
            asides: Asides::default(),
            leases: LeaseClock::default(),
            watches: Watches::default(),
            wall_lease: WallLease::default(),
            incoming: Vec::new(),
            leader: 0,
            durable: 0,
            snapshot_index: base.index,
            saving: false,
            applied_bytes: 0,
            publish_us: 0,
            reached: Some(BTreeSet::new()),
            met_leader: false,
            tokens: Tokens::default(),
            replayed_until,
            connected: BTreeMap::new(),
            removed: false,
            told_members: false,
            last_ready: 0,
            transfer: None,
            taken_bytes: 0,
            alarm_us: 0,
            counts: Vitals::default(),
            before: None,
        };
        node.set_election_timeout();
        Ok(node)
    }

    /// Takes one event, at a time that never goes back. Its effects may wait for the next
    /// [`Node::flush`].
    pub fn step(&mut self, now_us: u64, event: Event, out: &mut Vec<Effect>) {
        self.now_us = now_us;
        if !std::mem::replace(&mut self.told_members, true) {
            self.tell_members(out);
        }
        match event {
            Event::Tick => {
                self.raft.tick();
                self.campaign_if_alone();
                self.settle_transfer(out);
                self.writes.expire(now_us, out);
                self.reads.expire(now_us, out);
                self.expire_asides(out);
                self.count_leases();
                self.tick_leases();
                self.tick_watches(out);
                self.tokens.expire(now_us, out);
            }
            Event::Message(message) => self.message(message, out),
            Event::Request(id, request) => self.request(id, request, Credentials::None, out),
            Event::RequestAs(id, request, credentials) => {
                self.request_as(id, request, credentials, out);
            }
            Event::Watch(id, input) => self.watch(id, input, out),
            Event::WallClock(wall_us) => self.wall_clock(wall_us),
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
            Event::Disconnected(peer) => {
                self.connected.remove(&peer);
                self.raft.report_unreachable(peer);
            }
            Event::Reachable(peer) => {
                self.connected.entry(peer).or_insert(now_us);
                self.reached(peer);
            }
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

    /// Whether the log has this entry, or has had it until a snapshot took its place.
    pub fn has_entry(&self, Position { index, term }: Position) -> bool {
        let log = &self.raft.raft.raft_log;
        index < log.first_index() || log.term(index) == Ok(term)
    }

    /// What has been counted since the start; what is looked up when it is asked for is 0 here.
    pub fn counts(&self) -> &Vitals {
        &self.counts
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

    /// With nobody to wait for there is no use in waiting.
    fn campaign_if_alone(&mut self) {
        let raft = &self.raft.raft;
        if raft.prs().is_singleton() && raft.promotable() && raft.leader_id == 0 {
            // It fails only for one that leads already.
            let _ = self.raft.campaign();
        }
    }

    /// After a start the first election need not wait for a whole silence of a leader that there
    /// may never have been: once a majority is in reach, all but two ticks of it are taken as
    /// passed (etcd's `--initial-election-tick-advance`). In a new cluster the members stand one
    /// after the other, a tick apart.
    fn reached(&mut self, peer: u64) {
        let Some(reached) = &mut self.reached else { return };
        reached.insert(peer);
        let voters = &self.raft.store().conf_state().voters;
        if (reached.len() + 1) * 2 <= voters.len() {
            return;
        }
        self.reached = None;
        let rank = voters.iter().filter(|voter| **voter < self.config.id).count();
        let raft = &mut self.raft.raft;
        if raft.leader_id != 0 || raft.state != StateRole::Follower {
            return;
        }
        let timeout = raft.randomized_election_timeout();
        let left = if raft.term == BOOTSTRAP_TERM {
            1 + rank
        } else {
            2 + timeout - self.config.election_ticks
        };
        raft.election_elapsed = raft.election_elapsed.max(timeout.saturating_sub(left));
    }

    fn message(&mut self, mut message: Message, out: &mut Vec<Effect>) {
        if is_aside(&message) {
            return self.hear_aside(&message, out);
        }
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
        if self.answers_too_early() && message.get_msg_type() == MessageType::MsgReadIndex {
            // BUG read-index-before-term-commit, for those who read through a follower.
            return out.push(Effect::Send(self.unconfirmed_read_index(message)));
        }
        if message.get_msg_type() == MessageType::MsgPropose {
            self.admit(message.mut_entries());
        }
        // A message that Raft has no use for, from a stranger or of the past, is dropped.
        let _ = self.raft.step(message);
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

    /// Whether this leader gives its commit index to readers before it has committed an entry of
    /// its own term.
    pub(super) fn answers_too_early(&self) -> bool {
        self.config.bugs.has(Bug::ReadIndexBeforeTermCommit)
            && self.is_leader()
            && !self.raft.raft.commit_to_current_term()
    }

    /// BUG commit-prior-term: an entry of an earlier term counts as committed when a majority has
    /// it, though a leader of a later term may not (Raft figure 8).
    pub(super) fn commit_prior_term(&mut self) {
        if !self.config.bugs.has(Bug::CommitPriorTerm) || !self.is_leader() {
            return;
        }
        let raft = &mut self.raft.raft;
        let (index, _) = raft.mut_prs().maximal_committed_index();
        if index > raft.raft_log.committed {
            raft.raft_log.commit_to(index);
            raft.bcast_append();
        }
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

/// The state that a snapshot holds.
pub(super) fn restored(mut state: State, bugs: Bugs) -> State {
    if bugs.has(Bug::SnapshotOmitsLeases) {
        // BUG snapshot-omits-leases: the keys keep their leases' ids, and nobody knows of them.
        *state.kv.leases_mut() = Default::default();
    }
    state
}

/// The state of a new cluster, before its first entry: the same on every member.
pub fn bootstrap_image(members: &[Member]) -> Image {
    let conf_state = ConfState {
        voters: members.iter().map(|member| member.id).collect(),
        ..ConfState::default()
    };
    // The flags tell no member's client addresses but this one's, and every node must begin with
    // the same state: each publishes its own later.
    let members = members.iter().map(|member| Member {
        id: member.id,
        peer_ur_ls: member.peer_ur_ls.clone(),
        ..Member::default()
    });
    let metadata = SnapshotMetadata {
        conf_state: Some(conf_state),
        index: BOOTSTRAP_INDEX,
        term: BOOTSTRAP_TERM,
    };
    Image { metadata, state: State::bootstrap(members) }
}

fn bootstrap(config: &Config) -> (State, Position, ConfState) {
    if config.joins {
        // It knows nothing before the leader has told it.
        return Default::default();
    }
    let image = bootstrap_image(&config.members);
    let position = image.position();
    (image.state, position, image.metadata.conf_state.unwrap_or_default())
}

fn raft_config(config: &Config, applied: u64) -> raft::Config {
    raft::Config {
        id: config.id,
        election_tick: config.election_ticks,
        heartbeat_tick: 1,
        applied,
        // One entry a message shows commit-prior-term at work: else a leader's own first entry
        // goes with those of earlier terms, and commits them rightly.
        max_size_per_msg: if config.bugs.has(Bug::CommitPriorTerm) { 0 } else { 1 << 20 },
        max_inflight_msgs: 512,
        // BUG local-read: as in etcd's of that time, nothing tells a leader that it has lost its
        // followers, so it goes on answering.
        check_quorum: !config.bugs.has(Bug::LocalRead),
        pre_vote: true,
        batch_append: true,
        // BUG read-index-no-quorum: its answer stands for a majority's for as long as the leader
        // thinks that it leads, which after a pause is too long.
        read_only_option: if config.bugs.has(Bug::ReadIndexNoQuorum) {
            ReadOnlyOption::LeaseBased
        } else {
            ReadOnlyOption::Safe
        },
        ..raft::Config::default()
    }
}
