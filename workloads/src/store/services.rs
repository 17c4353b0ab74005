//! Requests and answers of what etcd offers besides keys: watches and elections.

use super::KeyValue;

/// A watch that is to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchRequest {
    /// Its number, by which the client names it on this connection.
    pub number: i64,
    /// The first key.
    pub key: Vec<u8>,
    /// As in a range.
    pub range_end: Vec<u8>,
    /// The first revision; 0: from now on.
    pub start: i64,
    /// Tell what was there before each change.
    pub prev_kv: bool,
    /// Tell from time to time how far it is.
    pub progress_notify: bool,
    /// Split great responses.
    pub fragment: bool,
    /// Tell of no puts.
    pub no_put: bool,
    /// Tell of no deletions.
    pub no_delete: bool,
}

/// One response to a watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What changed; nothing in a notification of progress.
    pub changes: Vec<Change>,
    /// More of the same revision is to come.
    pub fragment: bool,
    /// The watch has ended.
    pub canceled: bool,
    /// Not 0 where it ended since what it asks for was compacted.
    pub compact_revision: i64,
    /// Why it ended.
    pub reason: String,
}

/// One key's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key was deleted, else it was put.
    pub deleted: bool,
    /// The key as it is now; of a deletion the key and its revision.
    pub kv: KeyValue,
    /// As it was before, where that was asked for and there.
    pub prev: Option<KeyValue>,
}

/// The office of a leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// The election.
    pub name: Vec<u8>,
    /// The key that stands for leading.
    pub key: Vec<u8>,
    /// The revision of that key's creation.
    pub revision: i64,
    /// The lease that it hangs on.
    pub lease: i64,
}
