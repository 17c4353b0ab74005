//! The newest changes, in memory: what watchers that keep up are told from.

use std::collections::VecDeque;

use crate::mvcc::Change;

/// Changes that are kept, at the most.
const CHANGES_MAX: usize = 8_192;

/// Their keys and values, in bytes. Most are shared with the store.
const BYTES_MAX: usize = 16 << 20;

/// The changes of the last revisions, whole revisions only.
#[derive(Debug, Default)]
pub(super) struct Recent {
    changes: VecDeque<Change>,
    bytes: usize,
    /// Every change of this revision and later ones is here; 0 before the first.
    from: i64,
}

impl Recent {
    /// Forgets everything: the next change is of `from` or later.
    pub fn restart(&mut self, from: i64) {
        *self = Self { from, ..Self::default() };
    }

    /// Takes the changes of one revision, the newest.
    pub fn note(&mut self, changes: Vec<Change>) {
        if let (0, Some(first)) = (self.from, changes.first()) {
            self.from = first.version.main;
        }
        self.bytes += changes.iter().map(Change::size_bytes).sum::<usize>();
        self.changes.extend(changes);
        while self.changes.len() > CHANGES_MAX || self.bytes > BYTES_MAX {
            let Some(first) = self.changes.front() else { break };
            self.forget_before(first.version.main + 1);
        }
    }

    /// Forgets the changes before a revision.
    pub fn forget_before(&mut self, revision: i64) {
        if self.from == 0 {
            return;
        }
        self.from = self.from.max(revision);
        while let Some(change) = self.changes.front()
            && change.version.main < self.from
        {
            self.bytes -= change.size_bytes();
            self.changes.pop_front();
        }
    }

    /// The changes from a revision on, or nothing if not all of them are here.
    pub fn since(&self, revision: i64) -> Option<impl Iterator<Item = &Change>> {
        if self.from == 0 || revision < self.from {
            return None;
        }
        let first = self.changes.partition_point(|change| change.version.main < revision);
        Some(self.changes.range(first..))
    }
}
