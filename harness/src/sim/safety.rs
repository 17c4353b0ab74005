//! What must hold in every moment of a Raft cluster, whatever the clients see.
//!
//! Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", figure 3: election
//! safety, log matching, state machine safety. And of our own: nobody forgets what was committed,
//! and the revision of a state never goes down.

use ordeal_cluster::core::{StateRole, Status};
use std::collections::BTreeMap;

/// Watches all nodes of a cluster.
#[derive(Debug, Default)]
pub struct Safety {
    /// Who led each term.
    leaders: BTreeMap<u64, u64>,
    /// The term of each applied entry, and the revision after it.
    applied: BTreeMap<u64, (u64, i64)>,
    /// Where each node stood when it was last looked at.
    last: BTreeMap<u64, (u64, i64)>,
    /// The first thing that did not hold, in a sentence.
    pub broken: Option<String>,
}

impl Safety {
    /// Looks at a node after a step.
    pub fn look(&mut self, node: u64, status: &Status) {
        if self.broken.is_some() {
            return;
        }
        self.broken = self.two_leaders(node, status).or_else(|| self.diverged(node, status));
    }

    /// A new process: what it has applied it may have to apply again.
    pub fn restarted(&mut self, node: u64) {
        self.last.remove(&node);
    }

    fn two_leaders(&mut self, node: u64, status: &Status) -> Option<String> {
        if status.role != StateRole::Leader {
            return None;
        }
        let first = *self.leaders.entry(status.term).or_insert(node);
        let term = status.term;
        (first != node).then(|| format!("n{first} and n{node} both led term {term}"))
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
    use ordeal_cluster::log::Position;

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
                safety.look(node, &status);
            }
            let said = safety.broken.unwrap_or_default();
            match expected {
                Some(part) => assert!(said.contains(part), "{said}"),
                None => assert_eq!(said, "", "{steps:?}"),
            }
        }
    }
}
