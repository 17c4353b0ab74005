//! What has changed since a revision, in order: what watches tell of.

use bytes::Bytes;

use super::{History, Mvcc, Version, interval};
use crate::proto::mvccpb::Event;
use crate::proto::mvccpb::event::EventType;

/// One change of one key.
#[derive(Debug, Clone)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// What it became; a tombstone is a deletion.
    pub version: Version,
    /// What it was before the transaction, if it was there and is still known.
    pub before: Option<Version>,
}

/// Some of the changes since a revision.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// In order.
    pub changes: Vec<Change>,
    /// The revision from which to go on.
    pub next: i64,
    /// How many keys were looked at for them.
    pub keys: usize,
}

/// No change counts for less, in bytes.
const CHANGE_BYTES_MIN: usize = 64;

impl Change {
    fn at(key: &Bytes, history: &History, nth: usize) -> Option<Self> {
        let version = history.get(nth)?.clone();
        // As in etcd the pair before the transaction, also when that has changed the key twice, and
        // none before a creation.
        let earlier = history.partition_point(|earlier| earlier.main < version.main);
        let created = !version.is_tombstone() && version.create == version.main;
        let before = earlier.checked_sub(1).filter(|_| !created).and_then(|nth| history.get(nth));
        let before = before.filter(|before| !before.is_tombstone()).cloned();
        Some(Self { key: key.clone(), version, before })
    }

    /// Roughly its size on the wire, in bytes.
    pub fn size_bytes(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| self.key.len() + before.value.len());
        self.key.len() + self.version.value.len() + before + CHANGE_BYTES_MIN
    }

    /// The change as etcd's API tells of it.
    pub fn to_event(&self, with_before: bool) -> Event {
        let deleted = self.version.is_tombstone();
        let kind = if deleted { EventType::Delete } else { EventType::Put };
        let before = self.before.as_ref().filter(|_| with_before);
        Event {
            r#type: kind.into(),
            kv: Some(self.version.to_kv(&self.key)),
            prev_kv: before.map(|before| before.to_kv(&self.key)),
        }
    }
}

impl Mvcc {
    /// The changes of the last transaction, in its order, given the keys that it changed.
    pub(crate) fn changes_of(&self, changed: &[Bytes]) -> Vec<Change> {
        let revision = self.revision();
        let at = |(sub, key): (usize, &Bytes)| {
            let history = self.keys.get(key)?;
            let is_it = |version: &Version| version.main == revision && version.sub == sub as i64;
            Change::at(key, history, history.iter().rposition(is_it)?)
        };
        changed.iter().enumerate().filter_map(at).collect()
    }

    /// The changes of an interval from a revision on, in order, whole revisions up to roughly
    /// `bytes_max`, but one at least. Linear in the keys of the interval, and besides in what it
    /// gives.
    pub fn changes(&self, key: &[u8], range_end: &[u8], from: i64, bytes_max: usize) -> Changes {
        let (start, end) = interval(key, range_end);
        let mut keys = 0;
        let mut found: Vec<(i64, i64, &Bytes, &History, usize)> = Vec::new();
        for (key, history) in self.keys.range(start, end) {
            keys += 1;
            let first = history.partition_point(|version| version.main < from);
            for (nth, version) in history.iter().enumerate().skip(first) {
                found.push((version.main, version.sub, key, history, nth));
            }
        }
        let mut next = self.revision() + 1;
        let enough = bytes_max / CHANGE_BYTES_MIN + 1;
        if found.len() > enough {
            // To sort all of a large store for its first few changes takes too long.
            let (_, nth, _) = found.select_nth_unstable_by_key(enough, |(main, ..)| *main);
            let last = nth.0;
            found.retain(|(main, ..)| *main <= last);
            next = last + 1;
        }
        found.sort_unstable_by_key(|(main, sub, ..)| (*main, *sub));
        let mut changes: Vec<Change> = Vec::new();
        let mut bytes = 0;
        for (main, _, key, history, nth) in found {
            let begins = changes.last().is_some_and(|last| last.version.main != main);
            if begins && bytes >= bytes_max {
                next = main;
                break;
            }
            if let Some(change) = Change::at(key, history, nth) {
                bytes += change.size_bytes();
                changes.push(change);
            }
        }
        Changes { changes, next, keys }
    }
}
