//! The writing side of the log.

use std::sync::Arc;

use prost::Message as _;
use raft::eraftpb::{Entry, HardState};

use super::record::{Kind, encode};
use super::snapshot;
use super::{FORMAT, LogConfig, LogError, Position, SNAP_DIR, WAL_DIR, Write, segment_path};
use crate::disk::{Disk, DiskFile};
use crate::proto::ordealpb::{LogMetadata, SnapshotMark};

/// A segment that is closed: when everything in it is in a snapshot, it can go.
#[derive(Debug)]
pub(super) struct Closed {
    pub sequence: u64,
    /// The highest index of an entry in it; 0 if it has none.
    pub last_index: u64,
}

/// The log, open for writing. Dropping it gives up the data directory's lock.
pub struct Log {
    disk: Arc<dyn Disk>,
    config: LogConfig,
    closed: Vec<Closed>,
    current: Segment,
    hard_state: HardState,
    mark: Option<SnapshotMark>,
    buffer: Vec<u8>,
    /// Written since the last sync: there is something to make durable.
    dirty: bool,
    _lock: Box<dyn Send>,
}

struct Segment {
    sequence: u64,
    file: Box<dyn DiskFile>,
    /// Bytes written, and bytes known to be durable.
    length: u64,
    synced: u64,
    last_index: u64,
}

/// Where recovery left off.
pub(super) struct Resume {
    pub closed: Vec<Closed>,
    /// Sequence, length and last index of the segment to go on with; none on a fresh disk.
    pub current: Option<(u64, u64, u64)>,
    pub hard_state: HardState,
    pub mark: Option<SnapshotMark>,
}

impl Log {
    pub(super) fn resume(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        resume: Resume,
        lock: Box<dyn Send>,
    ) -> Result<Self, LogError> {
        let (sequence, length, last_index) = resume.current.unwrap_or((1, 0, 0));
        let path = segment_path(sequence);
        let file = disk.open_append(&path).map_err(LogError::disk("open", &path))?;
        let current = Segment { sequence, file, length, synced: length, last_index };
        let mut log = Self {
            disk,
            config,
            closed: resume.closed,
            current,
            hard_state: resume.hard_state,
            mark: resume.mark,
            buffer: Vec::new(),
            dirty: false,
            _lock: lock,
        };
        if resume.current.is_some() {
            log.settle()?;
        } else {
            log.begin_segment()?;
        }
        Ok(log)
    }

    /// Makes durable what recovery has read: a process that was killed may have left it in the
    /// kernel's memory alone, and this one is about to take it for promised.
    fn settle(&mut self) -> Result<(), LogError> {
        let path = segment_path(self.current.sequence);
        self.current.file.sync().map_err(LogError::disk("sync", &path))?;
        self.disk.sync_dir(WAL_DIR).map_err(LogError::disk("sync", WAL_DIR))
    }

    /// Writes one step at the end of the log. It is durable after [`Log::sync`].
    ///
    /// # Errors
    /// If the disk refuses. The log must not be used after that: what it holds is not known.
    pub fn append(&mut self, write: &Write) -> Result<(), LogError> {
        if self.current.length >= self.config.segment_bytes {
            self.rotate()?;
        }
        if let Some(install) = &write.install {
            // The mark may name the snapshot only when its file is durable.
            snapshot::save_bytes(&*self.disk, install.position, &install.bytes)?;
            self.put_mark(install.position, true);
        }
        if let Some(position) = write.release {
            self.put_mark(position, false);
        }
        for entry in &write.entries {
            self.put_entry(entry);
        }
        if let Some(hard_state) = &write.hard_state {
            self.hard_state = hard_state.clone();
            self.put_hard_state();
        }
        self.flush()?;
        if write.install.is_some() || write.release.is_some() {
            self.sync()?;
            self.remove_released()?;
        }
        Ok(())
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// If the disk refuses: then nothing since the last sync may be taken for durable, and a
    /// second try proves nothing, because the kernel may have dropped the pages.
    pub fn sync(&mut self) -> Result<(), LogError> {
        if self.dirty {
            let path = segment_path(self.current.sequence);
            self.current.file.sync().map_err(LogError::disk("sync", &path))?;
            self.current.synced = self.current.length;
            self.dirty = false;
        }
        Ok(())
    }

    /// How many segments there are, the one being written among them.
    pub fn segments(&self) -> usize {
        self.closed.len() + 1
    }

    fn put_entry(&mut self, entry: &Entry) {
        self.current.last_index = self.current.last_index.max(entry.index);
        self.put(Kind::Entry, |out| encode_into(entry, out));
    }

    fn put_hard_state(&mut self) {
        let hard_state = self.hard_state.clone();
        self.put(Kind::HardState, |out| encode_into(&hard_state, out));
    }

    fn put_mark(&mut self, position: Position, installed: bool) {
        let Position { index, term } = position;
        let mark = SnapshotMark { index, term, installed };
        self.mark = Some(mark);
        self.put(Kind::Mark, |out| out.extend_from_slice(&mark.encode_to_vec()));
    }

    fn put(&mut self, kind: Kind, payload: impl FnOnce(&mut Vec<u8>)) {
        let segment = &mut self.current;
        let added = encode(&mut self.buffer, kind, segment.synced, segment.length, payload);
        segment.length += added as u64;
    }

    fn flush(&mut self) -> Result<(), LogError> {
        if !self.buffer.is_empty() {
            let path = segment_path(self.current.sequence);
            self.current.file.append(&self.buffer).map_err(LogError::disk("write", &path))?;
            self.buffer.clear();
            self.dirty = true;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        self.sync()?;
        let sequence = self.current.sequence + 1;
        let path = segment_path(sequence);
        let file = self.disk.open_append(&path).map_err(LogError::disk("create", &path))?;
        let next = Segment { sequence, file, length: 0, synced: 0, last_index: 0 };
        let old = std::mem::replace(&mut self.current, next);
        self.closed.push(Closed { sequence: old.sequence, last_index: old.last_index });
        self.begin_segment()
    }

    /// A segment stands on its own: it begins with everything that a reader needs besides entries.
    fn begin_segment(&mut self) -> Result<(), LogError> {
        let metadata = LogMetadata {
            format: FORMAT,
            node_id: self.config.node_id,
            cluster_id: self.config.cluster_id,
            joined: self.config.joined,
        };
        self.put(Kind::Metadata, |out| out.extend_from_slice(&metadata.encode_to_vec()));
        if self.hard_state != HardState::default() {
            self.put_hard_state();
        }
        if let Some(mark) = self.mark {
            // The log before this segment is not void, even if the mark's snapshot once voided
            // what stood before the mark: what came since stands in the segments between.
            let position = Position { index: mark.index, term: mark.term };
            self.put_mark(position, false);
        }
        self.flush()?;
        self.sync()?;
        self.disk.sync_dir(WAL_DIR).map_err(LogError::disk("sync", WAL_DIR))
    }

    fn remove_released(&mut self) -> Result<(), LogError> {
        let Some(mark) = self.mark else { return Ok(()) };
        // Only from the front: a gap in the numbers would read as a lost segment.
        let done = self.closed.iter().take_while(|closed| closed.last_index <= mark.index).count();
        for closed in self.closed.drain(..done) {
            let path = segment_path(closed.sequence);
            self.disk.remove(&path).map_err(LogError::disk("remove", &path))?;
        }
        if done > 0 {
            self.disk.sync_dir(WAL_DIR).map_err(LogError::disk("sync", WAL_DIR))?;
        }
        snapshot::remove_others(&*self.disk, SNAP_DIR, mark.index, |index| index < mark.index)
    }
}

fn encode_into(message: &impl raft_prost::Message, out: &mut Vec<u8>) {
    // Encoding fails only for want of room, and a Vec grows.
    message.encode(out).expect("a Vec has room");
}
