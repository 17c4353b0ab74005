//! What a node keeps on its disk: the log, in segments of checksummed records, and snapshots of
//! the state machine, each a file.
//!
//! ```text
//! member/lock                      held while the node runs
//! member/wal/0000000000000001.wal  segments of the log, numbered without a gap
//! member/snap/INDEX-TERM.snap      a snapshot of the state after the entry INDEX
//! ```
//!
//! The order of writes makes any prefix of them good: a snapshot's file is durable before the
//! log's mark names it, and the mark is durable before anything that it replaces is removed.
//! Nothing here knows Raft's rules; it keeps what it is told, in order, and says when it is
//! durable. Only [`Log::sync`] makes a [`Write`] durable.

mod error;
mod record;
mod recover;
pub mod snapshot;
mod writer;

pub use error::LogError;
pub use recover::{Recovered, open, owner};
pub use writer::Log;

use raft::eraftpb::{Entry, HardState};

use crate::bugs::Bugs;

/// The format of the log and of snapshots that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

const LOCK: &str = "member/lock";
const WAL_DIR: &str = "member/wal";
const SNAP_DIR: &str = "member/snap";

/// Whose log it is, and how it is cut.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The member that writes it.
    pub node_id: u64,
    /// The cluster that the member belongs to.
    pub cluster_id: u64,
    /// A segment that has grown beyond this is closed and the next begun.
    pub segment_bytes: u64,
    /// The member joined a running cluster.
    pub joined: bool,
    /// The bugs that are on.
    pub bugs: Bugs,
}

/// Whose a data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The member that writes it.
    pub node_id: u64,
    /// The cluster that the member belongs to.
    pub cluster_id: u64,
    /// The member joined a running cluster, so its id is not made from its flags.
    pub joined: bool,
}

/// The size in bytes at which etcd, too, begins a new segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// One step of the core's state to make durable.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Write {
    /// Term, vote and commit index, if they changed.
    pub hard_state: Option<HardState>,
    /// Entries; one whose index is in the log already replaces it and everything after it.
    pub entries: Vec<Entry>,
    /// A snapshot from the leader that replaces the whole log.
    pub install: Option<Install>,
    /// A snapshot that this node has saved: the log up to there may go.
    pub release: Option<Position>,
}

/// A place in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The entry's index.
    pub index: u64,
    /// The entry's term.
    pub term: u64,
}

/// A snapshot as it came from the leader.
#[derive(Debug, Clone, PartialEq)]
pub struct Install {
    /// The last entry that it covers.
    pub position: Position,
    /// The bytes of its file.
    pub bytes: Vec<u8>,
}

fn segment_path(sequence: u64) -> String {
    format!("{WAL_DIR}/{sequence:016x}.wal")
}
