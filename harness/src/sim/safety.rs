//! What must hold in every moment of a Raft cluster, whatever the clients see.
//!
//! Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", figure 3: election
//! safety, log matching, leader completeness, state machine safety. And of our own: the revision of
//! a state never goes down.

use super::trace::Trace;
use ordeal_cluster::core::{StateRole, Status};
use ordeal_cluster::log::{Position, Write};
use std::collections::BTreeMap;

/// Watches all nodes of a cluster.
#[derive(Debug, Default)]
pub struct Safety {
    /// Who led each term.
    leaders: BTreeMap<u64, u64>,
    /// What each entry holds, as a hash, and the term of the one before it, where that is known: by
    /// index and term.
    entries: BTreeMap<(u64, u64), (u64, Option<u64>)>,
    /// The terms of each node's log since its process began.
    logs: BTreeMap<u64, BTreeMap<u64, u64>>,
    /// The term of each applied entry, and the revision after it.
    applied: BTreeMap<u64, (u64, i64)>,
    /// Where each node stood when it was last looked at.
    last: BTreeMap<u64, (u64, i64)>,
    /// The first thing that did not hold, in a sentence.
    pub broken: Option<String>,
}

impl Safety {
    /// Looks at a node after a step; `has` tells whether an entry is in its log, or was until a
    /// snapshot took its place.
    pub fn look(&mut self, node: u64, status: &Status, has: impl Fn(Position) -> bool) {
        if self.broken.is_some() {
            return;
        }
        self.broken = self.leads(node, status, has).or_else(|| self.diverged(node, status));
    }

    /// A node writes to its log: entries of one index and term are the same everywhere, and so are
    /// those before them.
    pub fn appended(&mut self, node: u64, write: &Write) {
        let log = self.logs.entry(node).or_default();
        if let Some(install) = &write.install {
            log.clear();
            log.insert(install.position.index, install.position.term);
        }
        if let Some(first) = write.entries.first() {
            drop(log.split_off(&first.index));
        }
        for entry in &write.entries {
            let mut hash = Trace::default();
            hash.add(&entry.data);
            let before = log.get(&(entry.index - 1)).copied();
            log.insert(entry.index, entry.term);
            let here = (hash.value(), before);
            let there = self.entries.entry((entry.index, entry.term)).or_insert(here);
            there.1 = there.1.or(before);
            let same = there.0 == here.0 && (before.is_none() || there.1 == before);
            if !same && self.broken.is_none() {
                let (index, term) = (entry.index, entry.term);
                self.broken = Some(format!(
                    "the log of n{node} and another differ up to entry {index} of term {term}"
                ));
            }
        }
    }

    /// A new process, with what its log held: what it has applied it may have to apply again.
    pub fn restarted(&mut self, node: u64, held: &Write) {
        self.last.remove(&node);
        self.logs.remove(&node);
        self.appended(node, held);
    }

    /// One leader a term, and no entry missing in its log that was committed in an earlier one.
    fn leads(
        &mut self,
        node: u64,
        status: &Status,
        has: impl Fn(Position) -> bool,
    ) -> Option<String> {
        if status.role != StateRole::Leader {
            return None;
        }
        let term = status.term;
        if let Some(first) = self.leaders.get(&term) {
            return (*first != node).then(|| format!("n{first} and n{node} both led term {term}"));
        }
        self.leaders.insert(term, node);
        let committed = self.applied.iter().rev().map(|(index, (term, _))| (*index, *term));
        let (index, of) = committed.into_iter().find(|(_, of)| *of < term)?;
        let lost = !has(Position { index, term: of });
        lost.then(|| {
            format!("n{node} leads term {term} without entry {index}, committed in term {of}")
        })
    }

    fn diverged(&mut self, node: u64, status: &Status) -> Option<String> {
        let (index, term) = (status.applied.index, status.applied.term);
        let here = (term, status.revision);
        let before = self.last.insert(node, (index, status.revision));
        if before == Some((index, status.revision)) {
            return None;
        }
        if let Some((was, revision)) = before
            && (index < was || status.revision < revision)
        {
            return Some(format!(
                "n{node} went back from entry {was} and revision {revision} to entry {index} and \
                 revision {}",
                status.revision
            ));
        }
        let there = *self.applied.entry(index).or_insert(here);
        (there != here).then(|| {
            format!(
                "at entry {index} n{node} has term {term} and revision {}, and another had term {} \
                 and revision {}",
                status.revision, there.0, there.1
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_cluster::core::Entry;
    fn at(role: StateRole, term: u64, index: u64, revision: i64) -> Status {
        let applied = Position { index, term };
        Status { leader: 1, role, term, commit: index, applied, revision }
    }

    #[test]
    fn whatever_does_not_hold_is_told() {
        use StateRole::{Follower, Leader};
        let rows = [
            (vec![(1, at(Leader, 2, 5, 3)), (2, at(Follower, 2, 5, 3))], None),
            (vec![(1, at(Leader, 2, 5, 3)), (2, at(Leader, 3, 5, 3))], None),
            (vec![(1, at(Leader, 2, 5, 3)), (2, at(Leader, 2, 5, 3))], Some("both led term 2")),
            (vec![(1, at(Follower, 2, 5, 3)), (2, at(Follower, 2, 5, 4))], Some("at entry 5 n2")),
            (vec![(1, at(Follower, 2, 5, 3)), (1, at(Follower, 2, 6, 2))], Some("n1 went back")),
        ];
        for (steps, expected) in rows {
            let mut safety = Safety::default();
            for (node, mut status) in steps.clone() {
                status.applied.term = 2;
                safety.look(node, &status, |_| true);
            }
            let said = safety.broken.unwrap_or_default();
            match expected {
                Some(part) => assert!(said.contains(part), "{said}"),
                None => assert_eq!(said, "", "{steps:?}"),
            }
        }
    }

    #[test]
    fn a_leader_without_what_was_committed_before_its_term_is_told() {
        let mut safety = Safety::default();
        let mut follower = at(StateRole::Follower, 2, 5, 3);
        follower.applied.term = 2;
        safety.look(1, &follower, |_| true);
        let mut leader = at(StateRole::Leader, 3, 4, 2);
        leader.applied = Position { index: 4, term: 1 };
        safety.look(2, &leader, |entry| entry.index < 5);
        let said = safety.broken.unwrap_or_default();
        assert_eq!(said, "n2 leads term 3 without entry 5, committed in term 2");
    }

    fn write(entries: &[(u64, u64, &str)]) -> Write {
        let entry = |(index, term, data): &(u64, u64, &str)| Entry {
            index: *index,
            term: *term,
            data: data.as_bytes().to_vec(),
            ..Entry::default()
        };
        Write { entries: entries.iter().map(entry).collect(), ..Write::default() }
    }

    #[test]
    fn logs_that_do_not_match_are_told_and_those_that_were_cut_off_are_not() {
        let said = |writes: &[(u64, Write)]| {
            let mut safety = Safety::default();
            writes.iter().for_each(|(node, write)| safety.appended(*node, write));
            safety.broken.unwrap_or_default()
        };
        let first = write(&[(2, 1, "a"), (3, 1, "b")]);
        let rows = [
            (vec![(1, first.clone()), (2, first.clone())], ""),
            // Of another term: one of the two will be cut off.
            (vec![(1, first.clone()), (2, write(&[(2, 1, "a"), (3, 2, "c")]))], ""),
            (vec![(1, first.clone()), (1, write(&[(3, 2, "c")])), (2, write(&[(3, 2, "c")]))], ""),
            (
                vec![(1, first.clone()), (2, write(&[(2, 1, "a"), (3, 1, "c")]))],
                "entry 3 of term 1",
            ),
            (vec![(1, first), (2, write(&[(2, 2, "a"), (3, 1, "b")]))], "entry 3 of term 1"),
        ];
        for (writes, expected) in rows {
            let said = said(&writes);
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
        }
    }
}
