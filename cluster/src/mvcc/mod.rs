//! The keys and all their versions since the last compaction, as etcd's v3 API tells of them.
//!
//! A revision counts the transactions that changed something; it starts at 1, with nothing in the
//! store. Each key keeps its versions by revision, a deletion being one of them (a tombstone), so a
//! read at an older revision is a search in one short list. Nothing here knows of Raft, and there
//! is no clock: the same commands give the same store on every node.

mod changes;
mod check;
mod chunked;
mod hash;
mod leases;
mod range;
mod records;
mod txn;

pub use changes::{Change, Changes};
pub use check::{check_delete, check_put, check_range, check_txn, is_read_only, is_serializable};
pub use chunked::ChunkedMap;
pub use hash::KvHash;
pub use leases::{Lease, Leases};
pub use records::revision_key;
pub use txn::WriteTxn;

use std::ops::Bound;

use bytes::Bytes;

use crate::error::ApiError;
use crate::proto::mvccpb::KeyValue;

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The revision that made it, and its place among that revision's changes.
    pub main: i64,
    /// See `main`.
    pub sub: i64,
    /// The revision that created the key, for the last time.
    pub create: i64,
    /// Counts the puts since the creation; 0 marks a tombstone.
    pub version: i64,
    /// The value; empty in a tombstone.
    pub value: Bytes,
    /// The lease that the key is bound to; 0 is none.
    pub lease: i64,
}

impl Version {
    /// Whether the key does not exist at this version.
    pub fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    fn to_kv(&self, key: &Bytes) -> KeyValue {
        KeyValue {
            key: key.clone(),
            create_revision: self.create,
            mod_revision: self.main,
            version: self.version,
            value: self.value.clone(),
            lease: self.lease,
        }
    }
}

/// The versions of one key, oldest first; never empty.
pub type History = Vec<Version>;

/// The store. A clone is cheap and shares what neither side has changed since.
#[derive(Debug, Clone, PartialEq)]
pub struct Mvcc {
    keys: ChunkedMap<History>,
    revision: i64,
    compacted: i64,
    bytes: u64,
    leases: Leases,
    /// The keys that the last transaction changed, in the order of its changes.
    changed: Vec<Bytes>,
}

/// What a version costs besides its key and value, in bytes, roughly: for the size that Status
/// reports.
const VERSION_OVERHEAD: u64 = 64;

impl Default for Mvcc {
    fn default() -> Self {
        Self {
            keys: ChunkedMap::default(),
            revision: 1,
            compacted: -1,
            bytes: 0,
            leases: Leases::default(),
            changed: Vec::new(),
        }
    }
}

impl Mvcc {
    /// A store as a snapshot tells of it: grant its leases, then put its keys with
    /// [`Mvcc::restore_key`].
    pub fn restored(revision: i64, compacted: i64) -> Self {
        Self { revision, compacted, ..Self::default() }
    }

    /// Puts back one key with all its versions.
    pub fn restore_key(&mut self, key: Bytes, history: History) {
        self.bytes += history.iter().map(|version| cost(&key, version)).sum::<u64>();
        self.leases.rebind(&key, 0, history.last().map_or(0, |version| version.lease));
        self.keys.insert(key, history);
    }

    /// The leases, and the keys bound to them.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn leases_mut(&mut self) -> &mut Leases {
        &mut self.leases
    }

    /// Takes the keys that the last transaction changed, in the order of its changes.
    pub(crate) fn take_changed(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.changed)
    }

    /// How many keys are kept, those among them of which only history is left.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is kept at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The newest revision.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision below which history is gone; -1 before the first compaction, as in etcd, where
    /// clients can tell it from a compaction at 0.
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// The size of everything kept, in bytes, roughly.
    pub fn size_bytes(&self) -> u64 {
        self.bytes
    }

    /// Every key with its versions, in order.
    pub fn keys(&self) -> impl Iterator<Item = (&Bytes, &History)> {
        self.keys.iter()
    }

    /// Begins a transaction that may write. Its revision is taken when it ends, if it changed
    /// anything.
    pub fn write(&mut self) -> WriteTxn<'_> {
        WriteTxn::new(self)
    }

    /// Forgets the versions that no read at `revision` or later can see. Linear in the store.
    ///
    /// # Errors
    /// [`ApiError::Compacted`] or [`ApiError::FutureRevision`] outside what is kept.
    pub fn compact(&mut self, revision: i64) -> Result<(), ApiError> {
        if revision <= self.compacted {
            return Err(ApiError::Compacted);
        }
        if revision > self.revision {
            return Err(ApiError::FutureRevision);
        }
        self.compacted = revision;
        let mut freed = 0;
        let concerns = |history: &History| superseded(history, revision) > 0;
        self.keys.retain(concerns, |key, history| {
            let gone = superseded(history, revision);
            freed += history.drain(..gone).map(|version| cost(key, &version)).sum::<u64>();
            !history.is_empty()
        });
        self.bytes -= freed;
        Ok(())
    }

    /// Forgets the deletions that the last compaction kept. No store should.
    pub fn forget_kept_deletions(&mut self) {
        let compacted = self.compacted;
        let kept = |version: &Version| !version.is_tombstone() || version.main != compacted;
        let concerns = |history: &History| !history.iter().all(kept);
        self.keys.retain(concerns, |_, history| {
            history.retain(kept);
            !history.is_empty()
        });
    }

    /// The version of a key that a read at `revision` sees.
    fn visible(history: &History, revision: i64) -> Option<&Version> {
        let newest = history.last()?;
        let seen = if newest.main <= revision {
            newest
        } else {
            let after = history.partition_point(|version| version.main <= revision);
            history.get(after.checked_sub(1)?)?
        };
        (!seen.is_tombstone()).then_some(seen)
    }

    /// The keys of an interval as a read at `revision` sees them, in order.
    fn live<'a>(
        &'a self,
        key: &'a [u8],
        range_end: &'a [u8],
        revision: i64,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Version)> {
        let (start, end) = interval(key, range_end);
        self.keys
            .range(start, end)
            .filter_map(move |(key, history)| Some((key, Self::visible(history, revision)?)))
    }
}

/// How many of the oldest versions no read at `revision` or later can see.
fn superseded(history: &History, revision: i64) -> usize {
    let visible = history.partition_point(|version| version.main <= revision);
    let Some(newest) = visible.checked_sub(1) else { return 0 };
    // A deletion at that very revision is kept: a watch may begin there (etcd #18089).
    let is_gone = history[newest].is_tombstone() && history[newest].main < revision;
    if is_gone { visible } else { newest }
}

fn cost(key: &Bytes, version: &Version) -> u64 {
    (key.len() + version.value.len()) as u64 + VERSION_OVERHEAD
}

/// The interval that `key` and `range_end` mean: the one key without an end, everything from the
/// key on when the end is a zero byte.
pub(crate) fn interval<'a>(key: &'a [u8], range_end: &'a [u8]) -> (&'a [u8], Bound<&'a [u8]>) {
    match range_end {
        [] => (key, Bound::Included(key)),
        [0] => (key, Bound::Unbounded),
        end => (key, Bound::Excluded(end)),
    }
}
