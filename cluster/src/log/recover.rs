//! Reading a data directory back after a stop, however it came about.

use std::io::ErrorKind;
use std::sync::Arc;

use prost::Message as _;
use raft::eraftpb::{Entry, HardState};
use raft_prost::Message as _;

use super::record::{Ending, Kind, Record, decode, decode_trusting, scan};
use super::snapshot::{self, Image};
use super::writer::{Closed, Log, Resume};
use super::{
    FORMAT, LOCK, LogConfig, LogError, Owner, Position, SNAP_DIR, WAL_DIR, Write, segment_path,
};
use crate::bugs::{Bug, Bugs};
use crate::disk::Disk;
use crate::proto::ordealpb::{LogMetadata, SnapshotMark};

/// What a data directory held.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// The entries behind the snapshot, without a gap.
    pub entries: Vec<Entry>,
    /// The snapshot that the log goes on from.
    pub snapshot: Option<Image>,
    /// The directory held nothing: this is the member's first start.
    pub fresh: bool,
    /// Bytes of a torn tail that were cut off.
    pub torn_bytes: u64,
}

/// Locks and opens a data directory, makes what is missing, repairs a torn tail, and gives back the
/// log, ready to be written, and what it held. Linear in the size of the log.
///
/// # Errors
/// If the directory is in use, belongs to another member or cluster, is of a newer format, or holds
/// data that was durable and is not what was written.
pub fn open(disk: Arc<dyn Disk>, config: LogConfig) -> Result<(Log, Recovered), LogError> {
    for dir in [WAL_DIR, SNAP_DIR] {
        disk.create_dir_all(dir).map_err(LogError::disk("create", dir))?;
    }
    let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => LogError::InUse(LOCK.to_owned()),
        _ => LogError::disk("lock", LOCK)(error),
    })?;
    let mut replay = Replay { bugs: config.bugs, ..Replay::default() };
    let mut trusted = None;
    let mut closed = Vec::new();
    let mut current = None;
    let mut torn_bytes = 0;
    let sequences = segments(&*disk)?;
    for (nth, sequence) in sequences.iter().copied().enumerate() {
        let last = nth + 1 == sequences.len();
        let path = segment_path(sequence);
        let bytes = disk.read(&path).map_err(LogError::disk("read", &path))?;
        let found = scan(&bytes);
        if found.ending == Ending::Corrupt || (found.ending == Ending::Torn && !last) {
            return Err(LogError::corrupt(&path, found.end, "a record fails its checksum"));
        }
        torn_bytes += (bytes.len() - found.end) as u64;
        if last && found.records.is_empty() {
            // The power went while this segment was being made; nothing had been told of it.
            disk.remove(&path).map_err(LogError::disk("remove", &path))?;
            disk.sync_dir(WAL_DIR).map_err(LogError::disk("sync", WAL_DIR))?;
            break;
        }
        if found.ending == Ending::Torn {
            if config.bugs.has(Bug::TornTailTrusted) {
                // BUG torn-tail-trusted: what is left of the last record is taken for an entry.
                trusted = decode_trusting(&bytes, found.end);
            }
            disk.truncate(&path, found.end as u64).map_err(LogError::disk("truncate", &path))?;
        }
        let last_index = replay.segment(&path, &config, &found.records)?;
        if let Some((sequence, _, last_index)) =
            current.replace((sequence, found.end as u64, last_index))
        {
            closed.push(Closed { sequence, last_index });
        }
    }
    let mark = replay.mark;
    let mut recovered = replay.finish(&*disk, current.is_none(), torn_bytes)?;
    let hard_state = recovered.hard_state.clone();
    let mut log = Log::resume(disk, config, Resume { closed, current, hard_state, mark }, lock)?;
    if let Some(entry) = trusted.and_then(|bytes| Entry::decode(&bytes[..]).ok())
        && recovered.entries.last().is_some_and(|last| last.index + 1 == entry.index)
    {
        log.append(&Write { entries: vec![entry.clone()], ..Write::default() })?;
        recovered.entries.push(entry);
    }
    Ok((log, recovered))
}

/// Reads whose a data directory is, from the newest segment that tells; none if it is empty. Takes
/// no lock and changes nothing.
///
/// # Errors
/// If it cannot be read.
pub fn owner(disk: &dyn Disk) -> Result<Option<Owner>, LogError> {
    disk.create_dir_all(WAL_DIR).map_err(LogError::disk("create", WAL_DIR))?;
    for sequence in segments(disk)?.into_iter().rev() {
        let path = segment_path(sequence);
        let bytes = disk.read(&path).map_err(LogError::disk("read", &path))?;
        if let Some(record) = decode(&bytes, 0)
            && let Ok(metadata) = LogMetadata::decode(record.payload)
        {
            let LogMetadata { node_id, cluster_id, joined, .. } = metadata;
            return Ok(Some(Owner { node_id, cluster_id, joined }));
        }
    }
    Ok(None)
}

fn segments(disk: &dyn Disk) -> Result<Vec<u64>, LogError> {
    let names = disk.list(WAL_DIR).map_err(LogError::disk("list", WAL_DIR))?;
    let mut sequences = Vec::new();
    for name in names {
        let number = name.strip_suffix(".wal").filter(|stem| stem.len() == 16);
        match number.and_then(|stem| u64::from_str_radix(stem, 16).ok()) {
            Some(sequence) => sequences.push(sequence),
            None => {
                let path = format!("{WAL_DIR}/{name}");
                return Err(LogError::corrupt(&path, 0, "this is no segment of ours"));
            }
        }
    }
    for pair in sequences.windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(LogError::corrupt(&segment_path(pair[0] + 1), 0, "the file is missing"));
        }
    }
    Ok(sequences)
}

#[derive(Default)]
struct Replay {
    hard_state: HardState,
    entries: Vec<Entry>,
    mark: Option<SnapshotMark>,
    bugs: Bugs,
}

impl Replay {
    /// Takes in one segment's records; gives the highest index of an entry among them.
    fn segment(
        &mut self,
        path: &str,
        config: &LogConfig,
        records: &[Record<'_>],
    ) -> Result<u64, LogError> {
        let mut last_index = 0;
        for (nth, record) in records.iter().enumerate() {
            let bad = |what: String| LogError::corrupt(path, record.offset, what);
            if (nth == 0) != (record.kind == Kind::Metadata) {
                return Err(bad("the segment's metadata is not where it belongs".into()));
            }
            match record.kind {
                Kind::Metadata => {
                    let metadata = LogMetadata::decode(record.payload);
                    check_owner(&metadata.map_err(|error| bad(error.to_string()))?, config)?;
                }
                Kind::HardState => {
                    let hard_state = HardState::decode(record.payload);
                    self.hard_state = hard_state.map_err(|error| bad(error.to_string()))?;
                }
                Kind::Entry => {
                    let entry = Entry::decode(record.payload);
                    let entry = entry.map_err(|error| bad(error.to_string()))?;
                    last_index = last_index.max(entry.index);
                    self.entry(entry).map_err(bad)?;
                }
                Kind::Mark => {
                    let mark = SnapshotMark::decode(record.payload);
                    self.mark(mark.map_err(|error| bad(error.to_string()))?);
                }
                kind => return Err(bad(format!("a record of kind {kind:?} in the log"))),
            }
        }
        Ok(last_index)
    }

    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        let base = self.mark.map_or(0, |mark| mark.index);
        if entry.index <= base {
            return Ok(());
        }
        if let Some(first) = self.entries.first() {
            let next = first.index + self.entries.len() as u64;
            if entry.index > next {
                return Err(format!("entry {} where {next} belongs", entry.index));
            }
            let kept = entry.index.saturating_sub(first.index);
            self.entries.truncate(kept as usize);
        }
        self.entries.push(entry);
        Ok(())
    }

    fn mark(&mut self, mark: SnapshotMark) {
        // BUG snapshot-log-gap: the mark of a snapshot that took a while voids what was written
        // meanwhile, too.
        if mark.installed || self.bugs.has(Bug::SnapshotLogGap) {
            self.entries.clear();
        } else {
            self.entries.retain(|entry| entry.index > mark.index);
        }
        self.mark = Some(mark);
    }

    fn finish(
        mut self,
        disk: &dyn Disk,
        fresh: bool,
        torn_bytes: u64,
    ) -> Result<Recovered, LogError> {
        let position = self
            .mark
            .map_or(Position::default(), |mark| Position { index: mark.index, term: mark.term });
        // A file that no mark names was saved in vain: the power went in between.
        snapshot::remove_others(disk, SNAP_DIR, position.index, |_| true)?;
        let snapshot =
            if position.index > 0 { Some(snapshot::load(disk, position)?) } else { None };
        let last = self.entries.last().map_or(position.index, |entry| entry.index);
        let gap = self.entries.first().is_some_and(|first| {
            // Without a snapshot the log starts behind the membership that the flags gave, which
            // stands for the first entry.
            first.index > position.index.max(crate::core::BOOTSTRAP_INDEX) + 1
        });
        self.hard_state.commit = self.hard_state.commit.max(position.index);
        if self.bugs.has(Bug::SnapshotLogGap) && (gap || self.hard_state.commit > last) {
            // BUG snapshot-log-gap: and nobody minds the gap.
            self.entries.clear();
            self.hard_state.commit = position.index;
            return Ok(self.recovered(snapshot, fresh, torn_bytes));
        }
        let last = if fresh { last } else { last.max(crate::core::BOOTSTRAP_INDEX) };
        if gap || self.hard_state.commit > last {
            let what =
                format!("the log ends at {last} but {} was committed", self.hard_state.commit);
            return Err(LogError::corrupt(WAL_DIR, 0, what));
        }
        Ok(self.recovered(snapshot, fresh, torn_bytes))
    }

    fn recovered(self, snapshot: Option<Image>, fresh: bool, torn_bytes: u64) -> Recovered {
        let Replay { hard_state, entries, .. } = self;
        Recovered { hard_state, entries, snapshot, fresh, torn_bytes }
    }
}

fn check_owner(metadata: &LogMetadata, config: &LogConfig) -> Result<(), LogError> {
    if metadata.format > FORMAT {
        return Err(LogError::Newer { found: metadata.format, known: FORMAT });
    }
    let checks = [
        ("the cluster", metadata.cluster_id, config.cluster_id),
        ("the member", metadata.node_id, config.node_id),
    ];
    for (what, found, expected) in checks {
        if found != expected {
            return Err(LogError::Foreign { what, found, expected });
        }
    }
    Ok(())
}
