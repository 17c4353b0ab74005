//! What an operator asks of a cluster, and what it answers.

use crate::NodeId;

/// A member, as the cluster lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node; `None` when it is none that is known here.
    pub node: Option<NodeId>,
    /// The member's id, new with each time that the node joins.
    pub id: u64,
    /// Whether it has no vote.
    pub learner: bool,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The version of its program.
    pub version: String,
    /// Its term.
    pub term: u64,
    /// The revision of its store.
    pub revision: i64,
    /// Whether it knows of a leader.
    pub has_leader: bool,
    /// Whether it has no vote.
    pub learner: bool,
    /// How large its file is, in bytes.
    pub db_bytes: u64,
}

/// What an operator does, beside changing who is a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// The leader is to hand over to this one.
    MoveLeader(NodeId),
    /// Compact history up to the present.
    Compact,
    /// Give free space back to the disk.
    Defragment(NodeId),
    /// Save a snapshot in the folder of the node, under this name.
    Snapshot(NodeId, String),
    /// Say that this one has no space left.
    RaiseAlarm(NodeId),
    /// Disarm every alarm.
    DisarmAlarms,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskDone {
    /// Nothing but that it succeeded.
    Done,
    /// Up to which revision was compacted.
    Revision(i64),
    /// So many bytes were saved.
    Bytes(u64),
    /// So many bytes were there before, and after.
    Shrunk(u64, u64),
    /// So many alarms stand now.
    Alarms(u64),
}
