//! What the log must hold, from what it was asked to take: written without a look at its files.

use std::fmt;

use ordeal_cluster::log::{Position, Recovered, Write};
use raft::eraftpb::{Entry, HardState};

use crate::hand::disk::Line;

/// What a log holds after some record.
#[derive(Clone, Default, PartialEq)]
pub struct Held {
    base: Position,
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Held {
    /// What recovery found.
    pub fn of(recovered: &Recovered) -> Self {
        Self {
            base: recovered.snapshot.as_ref().map(|image| image.position()).unwrap_or_default(),
            entries: recovered.entries.clone(),
            hard_state: recovered.hard_state.clone(),
        }
    }

    fn goes_on_from(&mut self, base: Position) {
        self.base = base;
        self.entries.retain(|entry| entry.index > base.index);
        self.hard_state.commit = self.hard_state.commit.max(base.index);
    }

    fn entry(&mut self, new: &Entry) {
        self.entries.retain(|entry| entry.index < new.index);
        if new.index > self.base.index {
            self.entries.push(new.clone());
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HardState { term, vote, commit, .. } = self.hard_state;
        let of = |entry: &Entry| (entry.index, entry.term);
        write!(f, "base {:?}, term {term}, vote {vote}, commit {commit}, entries ", self.base)?;
        f.debug_list().entries(self.entries.iter().map(of)).finish()
    }
}

/// All that the log may hold, in the order in which it came to be.
pub struct Candidates {
    all: Vec<Held>,
    /// The first that what was promised allows.
    floor: usize,
}

impl Default for Candidates {
    fn default() -> Self {
        Self { all: vec![Held::default()], floor: 0 }
    }
}

impl Candidates {
    /// Takes in what happened.
    pub fn take(&mut self, line: &Line) {
        match line {
            Line::Wrote(write) => self.write(write),
            Line::Promised => self.floor = self.all.len() - 1,
            _ => {}
        }
    }

    fn write(&mut self, write: &Write) {
        let mut held = self.all.last().expect("never empty").clone();
        let mut give = |held: &Held| self.all.push(held.clone());
        if let Some(install) = &write.install {
            held.entries.clear();
            held.goes_on_from(install.position);
            give(&held);
        }
        if let Some(position) = write.release {
            held.goes_on_from(position);
            give(&held);
        }
        for entry in &write.entries {
            held.entry(entry);
            give(&held);
        }
        if let Some(hard_state) = &write.hard_state {
            held.hard_state = hard_state.clone();
            held.hard_state.commit = held.hard_state.commit.max(held.base.index);
            give(&held);
        }
    }

    /// Those that the log may hold now.
    pub fn possible(&self) -> &[Held] {
        &self.all[self.floor..]
    }
}
