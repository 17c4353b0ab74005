//! What the watches of one stream have told and nobody has asked for yet.

use super::{Answer, Said, StoreError, Told};
use std::collections::{BTreeMap, VecDeque};

/// The number that etcd gives to what concerns all watches of a stream, or none.
const ALL: i64 = -1;

/// Responses to other watches than the one that is waited for, kept until somebody asks.
#[derive(Debug, Default)]
pub struct Heard {
    /// Ours by the store's numbers.
    ours: BTreeMap<i64, i64>,
    /// By our numbers.
    waiting: BTreeMap<i64, VecDeque<Answer>>,
}

impl Heard {
    /// The store has begun a watch; it calls it `theirs`, and we `number`.
    pub fn begin(&mut self, theirs: i64, number: i64) {
        self.ours.insert(theirs, number);
        self.waiting.insert(number, VecDeque::new());
    }

    /// What the store calls the watch of this number, as long as it goes on.
    pub fn theirs(&self, number: i64) -> Option<i64> {
        self.ours.iter().find(|(_, ours)| **ours == number).map(|(theirs, _)| *theirs)
    }

    /// What the watch of this number has told and nobody has heard.
    ///
    /// # Errors
    ///
    /// When there is no such watch.
    pub fn next(&mut self, number: i64) -> Result<Option<Answer>, StoreError> {
        let none = || StoreError::DidNotHappen(format!("this connection has no watch {number}"));
        Ok(self.waiting.get_mut(&number).ok_or_else(none)?.pop_front())
    }

    /// Keeps what the store told of the watch that it calls `theirs`, or of all, at a revision.
    pub fn keep(&mut self, theirs: i64, revision: i64, told: &Told) {
        let to: Vec<i64> = match theirs {
            ALL => self.ours.values().copied().collect(),
            theirs => self.ours.get(&theirs).copied().into_iter().collect(),
        };
        if told.canceled {
            self.ours.remove(&theirs);
        }
        for number in to {
            let answer = Answer { revision, said: Said::Told(told.clone()) };
            self.waiting.entry(number).or_default().push_back(answer);
        }
    }
}
