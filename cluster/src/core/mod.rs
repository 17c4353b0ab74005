//! The node's core: Raft, the state machine and the requests that wait, without any I/O.
//!
//! A [`Node`] takes an [`Event`] and gives [`Effect`]s. It reads no clock, no file and no socket,
//! starts no thread and draws no random number: the time comes with each event, and what randomness
//! it needs flows from [`Config::seed`]. So the same core runs in the server and in a simulation,
//! and there the same events give the same effects, to the last byte.
//!
//! ```text
//!            Request, Message, Tick, Persisted, …
//!   driver ────────────────────────────────────────► Node::step … Node::step, Node::flush
//!          ◄────────────────────────────────────────
//!            Respond, Send, Write, SaveSnapshot, …
//! ```
//!
//! The driver may step several events before it flushes: then their proposals share one log write
//! and one round of messages, and their reads one confirmation of leadership. It must carry out
//! the writes in their order, may carry out everything else in any order or not at all, and may
//! answer a write with [`Event::Persisted`] only when it is durable.
//!
//! Architecture invariant: what waits for durability (votes, acknowledgements of appended entries)
//! is held back in here, by [`outbox`], and nowhere else.

mod asides;
mod auth;
mod leases;
mod maintenance;
mod membership;
mod node;
mod outbox;
mod raft_log;
mod reads;
mod ready;
mod requests;
mod timeout;
mod tokens;
mod wall_lease;
mod watch;
mod writes;

use std::fmt;

use raft_prost::Message as _;

use crate::bugs::Bugs;
use crate::error::ApiError;
use crate::log::snapshot::Image;
use crate::log::{Position, Write};
use crate::proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, Member, PutRequest, RangeRequest, ResponseHeader, StatusResponse,
    TxnRequest, WatchCreateRequest, WatchResponse,
};
use crate::proto::ordealpb::ChangeMembers;
use crate::proto::ordealpb::auth_change::Change;
use crate::state::Applied;

pub use auth::{AuthAnswer, AuthQuery, AuthResponse, Credentials};
pub use maintenance::Vitals;
pub use node::{Node, StartError, Status, bootstrap_image};
pub use raft::StateRole;
pub use raft::eraftpb::{Entry, Message, MessageType};
pub(crate) use timeout::mix;
pub use watch::{StreamId, WatchInput};

/// A message as it goes over the wire.
pub fn encoded(message: &Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// A new cluster's log starts behind this index: the membership that the flags give stands for the
/// first entry.
pub const BOOTSTRAP_INDEX: u64 = 1;

/// How a node behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The member; never 0.
    pub id: u64,
    /// The cluster, for the responses' headers.
    pub cluster_id: u64,
    /// The members when the cluster is new, this one among them with all that it publishes.
    pub members: Vec<Member>,
    /// The cluster is not new: a node without a log learns everything from the leader.
    pub joins: bool,
    /// Differs at each start of the member, so that an answer meant for the process that ran
    /// before does not go to a request of this one.
    pub incarnation: u64,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Ticks without a word from the leader before an election; a tick is one heartbeat.
    pub election_ticks: usize,
    /// The time between two ticks, in microseconds.
    pub tick_us: u64,
    /// A request without an answer after so many microseconds gets [`ApiError::Timeout`].
    pub request_timeout_us: u64,
    /// Entries applied between two snapshots, at least; more while the state is much larger than
    /// what they have changed of it.
    pub snapshot_count: u64,
    /// A watch that asked for it is told how far it is when it has had nothing to tell for so many
    /// microseconds.
    pub watch_progress_us: u64,
    /// A simple token that is not used for so many microseconds is forgotten.
    pub token_ttl_us: u64,
    /// What is refused.
    pub limits: Limits,
    /// The bugs that are on.
    pub bugs: Bugs,
}

/// What a node refuses; the defaults are etcd's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `--strict-reconfig-check`: no change of the membership that would cost the majority.
    pub strict_reconfig: bool,
    /// `--quota-backend-bytes`: the store takes no more when it has grown to this.
    pub quota_bytes: u64,
    /// `--max-txn-ops`: operations, and compares, of one transaction.
    pub txn_ops: usize,
    /// `--max-request-bytes`: the largest command.
    pub request_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { strict_reconfig: true, quota_bytes: 2 << 30, txn_ops: 128, request_bytes: 1_572_864 }
    }
}

/// Names a request among those of one incarnation of a node; given by the driver, never 0 and
/// never twice.
pub type RequestId = u64;

/// What happens to a node.
#[derive(Debug)]
pub enum Event {
    /// Another [`Config::tick_us`] has passed.
    Tick,
    /// A message from a peer. A snapshot's message has the file's bytes as its data.
    Message(Message),
    /// A client asks that does not say who it is.
    Request(RequestId, Request),
    /// A client of a stream of watches opens it, asks, takes what came, or goes.
    Watch(StreamId, WatchInput),
    /// What the clock on the wall shows, in microseconds. Only a bug looks at it.
    WallClock(u64),
    /// A client asks that says who it is.
    RequestAs(RequestId, Request, Credentials),
    /// The write of this number, and so all before it, is durable.
    Persisted(u64),
    /// The image of [`Effect::SaveSnapshot`] is a durable file.
    SnapshotSaved(Position),
    /// The snapshot of [`Effect::SendSnapshot`] has arrived at the peer, or could not be sent.
    SnapshotSent {
        /// To whom it went.
        peer: u64,
        /// Whether it arrived.
        arrived: bool,
    },
    /// A message to the peer could not be sent.
    Unreachable(u64),
    /// The connection to the peer is gone.
    Disconnected(u64),
    /// There is a connection to the peer.
    Reachable(u64),
}

/// What a node wants done.
// A handful of them live at a time, and a box for each message would cost more than the room.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Effect {
    /// Send to the peer that the message names. It may be lost.
    Send(Message),
    /// Send a snapshot, then report [`Event::SnapshotSent`]. The message's data is left out; it is
    /// the image's bytes.
    SendSnapshot(Message, Box<Image>),
    /// Write to the log. With a number: make it durable, then report [`Event::Persisted`].
    Write(Write, Option<u64>),
    /// Save a snapshot file, then report [`Event::SnapshotSaved`]. It may take its time.
    SaveSnapshot(Image),
    /// Answer a request.
    Respond(RequestId, Result<Response, ApiError>),
    /// Send to the client of a stream of watches, then report how much it took.
    Watch(StreamId, WatchResponse),
    /// There can be no such stream, or no longer.
    WatchEnded(StreamId, ApiError),
    /// Who the members are now, and who has been one and is no more: those to talk to, and those
    /// to be refused.
    Members {
        /// By id.
        members: Vec<Member>,
        /// Their ids.
        removed: Vec<u64>,
    },
    /// This node has been removed from the cluster. Send what is to be sent, and stop.
    Removed,
    /// Something that an operator would want to read of.
    Note(Note),
}

/// What a client may ask.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Request {
    Range(RangeRequest),
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    /// The node's own, which nobody waits for.
    CompactUnasked(CompactionRequest),
    MemberList {
        linearizable: bool,
    },
    LeaseGrant(LeaseGrantRequest),
    LeaseRevoke(LeaseRevokeRequest),
    LeaseKeepAlive(LeaseKeepAliveRequest),
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    LeaseLeases,
    Auth(AuthQuery),
    AuthChange(Change),
    /// Whether whoever asks may have a watch.
    MayWatch(WatchCreateRequest),
    /// A member that is added without an id gets one.
    ChangeMembers(ChangeMembers),
    MoveLeader {
        to: u64,
    },
    Alarm(AlarmRequest),
    Defragment,
    /// The state as it is here, to be hashed.
    Hash,
    /// The state as it is here, to be sent.
    Snapshot,
    Status,
    Vitals,
}

/// What a client gets. The headers are whole.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Response {
    Applied(Applied),
    MemberList(crate::proto::etcdserverpb::MemberListResponse),
    Status(StatusResponse),
    LeaseKeepAlive(LeaseKeepAliveResponse),
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    LeaseLeases(LeaseLeasesResponse),
    Auth(AuthResponse),
    /// The watch may be had.
    MayWatch,
    Vitals(Box<Vitals>),
    Image(Box<Image>, ResponseHeader),
    Header(ResponseHeader),
}

/// A notable turn of events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Note {
    BecameLeader { term: u64 },
    Follows { leader: u64, term: u64 },
    NoLeader { term: u64 },
    SavesSnapshot { index: u64 },
    ReleasedLog { index: u64 },
    SendsSnapshot { peer: u64, index: u64 },
    InstalledSnapshot { index: u64 },
    DamagedSnapshot { from: u64, what: String },
    UnreadableEntry { index: u64, what: String },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::BecameLeader { term } => write!(f, "became leader at term {term}"),
            Note::Follows { leader, term } => write!(f, "follows leader {leader:x} at term {term}"),
            Note::NoLeader { term } => write!(f, "knows no leader at term {term}"),
            Note::SavesSnapshot { index } => write!(f, "saves a snapshot at index {index}"),
            Note::ReleasedLog { index } => write!(f, "released the log up to index {index}"),
            Note::SendsSnapshot { peer, index } => {
                write!(f, "sends a snapshot at index {index} to {peer:x}")
            }
            Note::InstalledSnapshot { index } => {
                write!(f, "installed the leader's snapshot at index {index}")
            }
            Note::DamagedSnapshot { from, what } => {
                write!(f, "dropped a damaged snapshot from {from:x}: {what}")
            }
            Note::UnreadableEntry { index, what } => {
                write!(f, "skipped entry {index}, which is no command: {what}")
            }
        }
    }
}
