//! Snapshot files, which are also what goes over the wire to a lagging follower.
//!
//! A file is records: the metadata, chunks of the state in order, and an end that counts them.

use std::convert::Infallible;
use std::io;

use raft::eraftpb::SnapshotMetadata;
use raft_prost::Message as _;

use super::record::{Ending, Kind, encode, scan};
use super::{LogError, Position, SNAP_DIR};
use crate::disk::{Disk, DiskFile};
use crate::state::{State, StateDecoder};

/// The state machine as of one entry, ready to be written: cheap to make, as the state's parts are
/// shared with the live one until that changes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// The last entry that the state contains, and the membership then.
    pub metadata: SnapshotMetadata,
    /// The state.
    pub state: State,
}

impl Image {
    /// Where in the log the image stands.
    pub fn position(&self) -> Position {
        Position { index: self.metadata.index, term: self.metadata.term }
    }

    /// The bytes of the file, all at once. Linear in the size of the state.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let Ok(()) = self.encode_parts(|part| {
            out.extend_from_slice(part);
            Ok::<_, Infallible>(())
        });
        out
    }

    /// Gives the bytes of the file, record after record, until one is not taken.
    fn encode_parts<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut record = Vec::new();
        let mut offset = 0;
        let mut chunks: u64 = 0;
        let mut put = |kind, payload: &[u8]| {
            record.clear();
            encode(&mut record, kind, 0, offset, |out| out.extend_from_slice(payload));
            offset += record.len() as u64;
            take(&record)
        };
        put(Kind::SnapshotMeta, &self.metadata.encode_to_vec())?;
        self.state.encode_chunks(|chunk| {
            chunks += 1;
            put(Kind::StateChunk, chunk)
        })?;
        put(Kind::SnapshotEnd, &chunks.to_le_bytes())
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// Says what is wrong and at which byte, if they are not the whole of a good snapshot.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let found = scan(bytes);
        let damage = |offset, what: &str| Damage { offset, what: what.to_owned() };
        if found.ending != Ending::Clean {
            return Err(damage(found.end, "a record does not match its checksum"));
        }
        let [first, chunks @ .., last] = &found.records[..] else {
            return Err(damage(0, "a snapshot has at least two records"));
        };
        let count = (chunks.len() as u64).to_le_bytes();
        if first.kind != Kind::SnapshotMeta
            || last.kind != Kind::SnapshotEnd
            || last.payload != count
            || chunks.iter().any(|chunk| chunk.kind != Kind::StateChunk)
        {
            return Err(damage(last.offset, "the snapshot is not whole"));
        }
        let metadata = SnapshotMetadata::decode(first.payload)
            .map_err(|error| damage(first.offset, &error.to_string()))?;
        let mut decoder = StateDecoder::default();
        for chunk in chunks {
            decoder.chunk(chunk.payload).map_err(|what| Damage { offset: chunk.offset, what })?;
        }
        let state = decoder.finish().map_err(|what| Damage { offset: last.offset, what })?;
        Ok(Self { metadata, state })
    }
}

/// What is wrong with a snapshot's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// At which byte.
    pub offset: usize,
    /// What was found there.
    pub what: String,
}

/// Writes an image as a durable file. The log does not use it until a mark names it
/// ([`super::Write::release`]).
///
/// # Errors
/// If the disk refuses.
pub fn save(disk: &dyn Disk, image: &Image) -> Result<(), LogError> {
    // Record by record: the state may be larger than the memory that is left.
    write_file(disk, image.position(), |file| image.encode_parts(|part| file.append(part)))
}

pub(super) fn save_bytes(
    disk: &dyn Disk,
    position: Position,
    bytes: &[u8],
) -> Result<(), LogError> {
    write_file(disk, position, |file| file.append(bytes))
}

fn write_file(
    disk: &dyn Disk,
    position: Position,
    fill: impl FnOnce(&mut dyn DiskFile) -> io::Result<()>,
) -> Result<(), LogError> {
    let path = path(position);
    let unfinished = format!("{path}.tmp");
    if disk.list(SNAP_DIR).is_ok_and(|names| names.iter().any(|n| unfinished.ends_with(n))) {
        disk.remove(&unfinished).map_err(LogError::disk("remove", &unfinished))?;
    }
    let mut file = disk.open_append(&unfinished).map_err(LogError::disk("create", &unfinished))?;
    fill(&mut *file).map_err(LogError::disk("write", &unfinished))?;
    file.sync().map_err(LogError::disk("sync", &unfinished))?;
    disk.rename(&unfinished, &path).map_err(LogError::disk("rename", &unfinished))?;
    disk.sync_dir(SNAP_DIR).map_err(LogError::disk("sync", SNAP_DIR))
}

pub(super) fn load(disk: &dyn Disk, position: Position) -> Result<Image, LogError> {
    let path = path(position);
    let bytes = disk.read(&path).map_err(LogError::disk("read", &path))?;
    let image = Image::decode(&bytes)
        .map_err(|damage| LogError::corrupt(&path, damage.offset, damage.what))?;
    if image.position() != position {
        return Err(LogError::corrupt(&path, 0, "its content is of another snapshot"));
    }
    Ok(image)
}

/// Removes the snapshot files other than that of index `kept` whose index `goes` is true for.
pub(super) fn remove_others(
    disk: &dyn Disk,
    dir: &str,
    kept: u64,
    goes: impl Fn(u64) -> bool,
) -> Result<(), LogError> {
    for name in disk.list(dir).map_err(LogError::disk("list", dir))? {
        let index = name.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if index.is_some_and(|index| index != kept && goes(index)) {
            let path = format!("{dir}/{name}");
            disk.remove(&path).map_err(LogError::disk("remove", &path))?;
        }
    }
    Ok(())
}

fn path(position: Position) -> String {
    format!("{SNAP_DIR}/{:016x}-{:016x}.snap", position.index, position.term)
}
