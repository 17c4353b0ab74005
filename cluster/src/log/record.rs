//! Records: the unit of the log's segments and of snapshot files.
//!
//! ```text
//! magic u32 | length u32 | crc u32 | kind u8 | synced u64 | payload      (little-endian)
//! ```
//!
//! The checksum covers the kind, `synced`, the record's own offset and the payload, so a record
//! that was left over from elsewhere does not pass. `synced` is the length of the file that was
//! durable when the record was written. It is what tells a torn tail from a corrupt middle: if a
//! good record anywhere behind a bad one says that the bad one's place was durable, then what is
//! bad there was once good.

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Metadata = 1,
    Entry = 2,
    HardState = 3,
    Mark = 4,
    SnapshotMeta = 5,
    StateChunk = 6,
    SnapshotEnd = 7,
}

const KINDS: [Kind; 7] = [
    Kind::Metadata,
    Kind::Entry,
    Kind::HardState,
    Kind::Mark,
    Kind::SnapshotMeta,
    Kind::StateChunk,
    Kind::SnapshotEnd,
];

const MAGIC: u32 = 0x4f57_414c;
const HEADER: usize = 21;

/// The longest entry that `torn-tail-trusted` takes, in bytes: the length may be torn, too.
const PAYLOAD_TRUSTED_MAX: u32 = 16 << 20;

/// A good record found in a file.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub kind: Kind,
    pub offset: usize,
    pub payload: &'a [u8],
    synced: u64,
    next: usize,
}

/// Appends a record that will stand at `offset` of its file. Returns its length in bytes.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    kind: Kind,
    synced: u64,
    offset: u64,
    write_payload: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    write_payload(out);
    let payload = &out[start + HEADER..];
    // A payload is bounded by the size of a request or of a snapshot's chunk, far below 4 GiB.
    let length = payload.len() as u32;
    let crc = checksum(kind as u8, synced, offset, payload);
    let header = &mut out[start..start + HEADER];
    header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..12].copy_from_slice(&crc.to_le_bytes());
    header[12] = kind as u8;
    header[13..21].copy_from_slice(&synced.to_le_bytes());
    out.len() - start
}

fn checksum(kind: u8, synced: u64, offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&synced.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Reads the record at `offset`, if a good one stands there.
pub(crate) fn decode(bytes: &[u8], offset: usize) -> Option<Record<'_>> {
    let header = bytes.get(offset..offset.checked_add(HEADER)?)?;
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
    if word(0) != MAGIC {
        return None;
    }
    let start = offset + HEADER;
    let next = start.checked_add(word(4) as usize)?;
    let payload = bytes.get(start..next)?;
    let kind = KINDS.into_iter().find(|kind| *kind as u8 == header[12])?;
    let synced = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| header[13 + i]));
    let good = checksum(header[12], synced, offset as u64, payload) == word(8);
    good.then_some(Record { kind, offset, payload, synced, next })
}

/// BUG torn-tail-trusted: the payload of the entry at `offset` as far as it was written, and zeros
/// in the place of the rest, whatever its checksum says.
pub(crate) fn decode_trusting(bytes: &[u8], offset: usize) -> Option<Vec<u8>> {
    let header = bytes.get(offset..offset.checked_add(HEADER)?)?;
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
    if word(0) != MAGIC || header[12] != Kind::Entry as u8 || word(4) > PAYLOAD_TRUSTED_MAX {
        return None;
    }
    let rest = &bytes[offset + HEADER..];
    let length = word(4) as usize;
    let mut payload = rest[..rest.len().min(length)].to_vec();
    payload.resize(length, 0);
    Some(payload)
}

/// What a file holds: its good records from the start, and why they end where they do.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub records: Vec<Record<'a>>,
    /// Where the last good record ends.
    pub end: usize,
    pub ending: Ending,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The file ends with its last record.
    Clean,
    /// What follows the last good record was never known to be durable.
    Torn,
    /// What follows the last good record was durable once.
    Corrupt,
}

/// Reads a file's records from its start. Linear in the file's length, with one more pass over
/// the bytes behind a bad record.
pub(crate) fn scan(bytes: &[u8]) -> Scan<'_> {
    let mut records = Vec::new();
    let mut end = 0;
    while let Some(record) = decode(bytes, end) {
        end = record.next;
        records.push(record);
    }
    let ending = if end == bytes.len() {
        Ending::Clean
    } else if proves_durable(bytes, end) {
        Ending::Corrupt
    } else {
        Ending::Torn
    };
    Scan { records, end, ending }
}

fn proves_durable(bytes: &[u8], bad: usize) -> bool {
    let magic = MAGIC.to_le_bytes();
    let mut at = bad + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| find(rest, &magic)) {
        at += found;
        match decode(bytes, at) {
            Some(record) if record.synced > bad as u64 => return true,
            Some(record) => at = record.next,
            None => at += 1,
        }
    }
    false
}

fn find(bytes: &[u8], needle: &[u8; 4]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
