//! The versions as etcd keeps them on its disk: by revision, each an encoded pair. Hashes are made
//! of them, and snapshots that etcd's own tools read.

use bytes::Bytes;

use super::{Mvcc, Version};
use crate::proto::mvccpb::KeyValue;

impl Mvcc {
    /// Every version up to a revision with its key, in the order of their making. Takes time and
    /// memory in proportion to the store.
    pub fn records(&self, revision: i64) -> Vec<(&Bytes, &Version)> {
        let mut records: Vec<(&Bytes, &Version)> = self
            .keys()
            .flat_map(|(key, history)| history.iter().map(move |version| (key, version)))
            .filter(|(_, version)| version.main <= revision)
            .collect();
        records.sort_unstable_by_key(|(_, version)| (version.main, version.sub));
        records
    }
}

/// A revision as bytes whose order is that of revisions.
pub fn revision_key(main: i64, sub: i64) -> Vec<u8> {
    [&main.to_be_bytes()[..], b"_", &sub.to_be_bytes()].concat()
}

impl Version {
    /// The key that etcd gives the version on its disk.
    pub fn record_key(&self) -> Vec<u8> {
        let mut key = revision_key(self.main, self.sub);
        if self.is_tombstone() {
            key.push(b't');
        }
        key
    }

    /// The pair that etcd keeps under it: of a deletion the key alone.
    pub fn record(&self, key: &Bytes) -> KeyValue {
        if self.is_tombstone() {
            KeyValue { key: key.clone(), ..KeyValue::default() }
        } else {
            self.to_kv(key)
        }
    }
}
