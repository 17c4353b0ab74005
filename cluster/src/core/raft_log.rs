//! The log as the raft crate reads it: in memory, behind the snapshot that it goes on from.
//!
//! An entry stands here as soon as the core has asked for its write; whether it is durable is the
//! crate's own account, kept by `on_persist_ready`.

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};
use raft_prost::Message as _;

use crate::log::Position;

/// The log in memory.
#[derive(Debug)]
pub(super) struct RaftLog {
    hard_state: HardState,
    conf_state: ConfState,
    /// The entry before the first.
    base: Position,
    entries: VecDeque<Entry>,
    /// The last entry that the state machine has applied: where a snapshot would stand.
    applied: Position,
}

impl RaftLog {
    pub fn new(
        hard_state: HardState,
        conf_state: ConfState,
        base: Position,
        entries: Vec<Entry>,
    ) -> Self {
        Self { hard_state, conf_state, base, entries: entries.into(), applied: base }
    }

    pub fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    pub fn applied(&self) -> Position {
        self.applied
    }

    pub fn set_applied(&mut self, applied: Position) {
        self.applied = applied;
    }

    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// Appends; what stood from the first new entry's index on is replaced.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let kept = first.index.saturating_sub(self.base.index + 1);
        self.entries.truncate(kept as usize);
        self.entries.extend(entries.iter().cloned());
    }

    /// Goes on from a snapshot, with an empty log.
    pub fn install(&mut self, metadata: &SnapshotMetadata) {
        self.base = Position { index: metadata.index, term: metadata.term };
        self.applied = self.base;
        self.conf_state = metadata.conf_state.clone().unwrap_or_default();
        self.entries.clear();
    }

    /// Drops the entries up to `index` from memory.
    pub fn compact(&mut self, index: u64) {
        while let Some(entry) = self.entries.front()
            && entry.index <= index
        {
            self.base = Position { index: entry.index, term: entry.term };
            self.entries.pop_front();
        }
    }

    fn last(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }
}

impl Storage for RaftLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let max_size = max_size.into().unwrap_or(u64::MAX);
        let mut size = 0;
        let from = (low - self.base.index - 1) as usize;
        let to = (high - self.base.index - 1) as usize;
        let fitting = self.entries.range(from..to).enumerate().take_while(|(nth, entry)| {
            size += entry.encoded_len() as u64;
            // At least one, however large.
            *nth == 0 || size <= max_size
        });
        Ok(fitting.map(|(_, entry)| entry.clone()).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base.index {
            return Ok(self.base.term);
        }
        if index < self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let nth = (index - self.base.index - 1) as usize;
        let entry = self.entries.get(nth).ok_or(Error::Store(StorageError::Unavailable))?;
        Ok(entry.term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// Gives the metadata alone: the node adds the state when it sends the message, before it
    /// applies anything more.
    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        if self.applied.index < request_index || self.applied.index == 0 {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        let metadata = SnapshotMetadata {
            conf_state: Some(self.conf_state.clone()),
            index: self.applied.index,
            term: self.applied.term,
        };
        Ok(Snapshot { data: Vec::new(), metadata: Some(metadata) })
    }
}
