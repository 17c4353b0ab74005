//! What a cluster must survive, and what it need not.
//!
//! A store promises to keep what it acknowledged as long as a majority of its disks keep what was
//! fsynced on them. A schedule whose faults damage the stored data of fewer nodes than that is
//! within the budget; with one that goes beyond it, data may be lost and the store be right. A
//! cluster that is restored from a snapshot has lost what came after it, by its operator's will.
//! Processes, links, clocks and members may fail in any number: that costs time, not data.

use crate::{Fault, Kind, NodeId, Nodes, Schedule};
use std::collections::BTreeSet;

/// Of which kinds a schedule asks for what need not be survived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// How many nodes' stored data may be damaged, at worst.
    pub damaged: usize,
    /// How many may be, so that nothing acknowledged is lost.
    pub allowed: usize,
    /// The kinds that damage it.
    pub kinds: Vec<Kind>,
}

impl Budget {
    /// Whether a cluster must come through the schedule without losing anything.
    pub fn is_kept(&self) -> bool {
        self.damaged <= self.allowed
    }

    /// For a person: which of the two the schedule asks for, and why.
    pub fn told(&self) -> String {
        let Budget { damaged, allowed, kinds } = self;
        if kinds.is_empty() {
            return "must be survived: no stored data is damaged".to_owned();
        }
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let what = format!(
            "{} may damage stored data on {damaged} of the nodes, and {allowed} may be damaged",
            kinds.join(", ")
        );
        match self.is_kept() {
            true => format!("must be survived: {what}"),
            false => format!("need not be survived: {what}"),
        }
    }
}

impl Schedule {
    /// What it asks of a cluster of these nodes. Who leads is not known yet: each fault that is
    /// aimed at the leader may strike another node.
    pub fn budget(&self, nodes: &[NodeId]) -> Budget {
        let damaging = self.0.iter().filter(|scheduled| damages(&scheduled.fault));
        let (mut named, mut leaders) = (BTreeSet::new(), 0);
        let mut kinds = BTreeSet::new();
        for scheduled in damaging {
            kinds.insert(scheduled.fault.kind());
            match &scheduled.fault {
                Fault::LyingDisk { nodes: Nodes::Leader, .. }
                | Fault::Corrupt { nodes: Nodes::Leader, .. } => leaders += 1,
                Fault::Restore { .. } => named.extend(nodes.iter().cloned()),
                fault => named.extend(fault.strikes(None)),
            }
        }
        Budget {
            damaged: (named.len() + leaders).min(nodes.len()),
            allowed: nodes.len().saturating_sub(1) / 2,
            kinds: kinds.into_iter().collect(),
        }
    }
}

/// Whether it takes or spoils what was fsynced. A wiped node joins anew and votes for nothing that
/// it has forgotten; a full or failing disk keeps what it has.
fn damages(fault: &Fault) -> bool {
    matches!(fault, Fault::LyingDisk { .. } | Fault::Corrupt { .. } | Fault::Restore { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScheduledFault;
    use crate::disk::{Access, Corruption, Files, Survivors};

    fn these(numbers: &[usize]) -> Nodes {
        Nodes::These(numbers.iter().copied().map(NodeId::numbered).collect())
    }

    fn corrupt(nodes: Nodes) -> Fault {
        Fault::Corrupt { nodes, files: Files::wal(), corruption: Corruption::FlipBit, seed: 1 }
    }

    #[test]
    fn damaged_data_on_a_majority_is_beyond_what_must_be_survived() {
        let power = |nodes| Fault::PowerLoss { nodes, survivors: Survivors::Nothing, seed: 1 };
        let lying = |nodes| Fault::LyingDisk { nodes, files: Files::any() };
        let error = |nodes| Fault::DiskError { nodes, files: Files::any(), access: Access::Write };
        let all = || these(&[1, 2, 3, 4, 5]);
        let rows = [
            (vec![], 0, true),
            (vec![power(all()), error(all()), Fault::Kill { nodes: all() }], 0, true),
            (vec![corrupt(these(&[1, 2]))], 2, true),
            (vec![corrupt(these(&[1, 2])), lying(these(&[2]))], 2, true),
            (vec![corrupt(these(&[1, 2])), lying(these(&[3]))], 3, false),
            (vec![corrupt(Nodes::Leader), corrupt(Nodes::Leader)], 2, true),
            (vec![corrupt(Nodes::Leader), corrupt(these(&[1, 2]))], 3, false),
            (vec![lying(all())], 5, false),
            (vec![Fault::Restore { nodes: these(&[1]) }], 5, false),
        ];
        let nodes: Vec<NodeId> = (1..=5).map(NodeId::numbered).collect();
        for (faults, damaged, kept) in rows {
            let scheduled =
                |fault| ScheduledFault { id: 0, at_ms: 0, for_ms: 1, fault, when: None };
            let budget = Schedule(faults.into_iter().map(scheduled).collect()).budget(&nodes);
            assert_eq!((budget.damaged, budget.is_kept()), (damaged, kept), "{budget:?}");
            let word = if kept { "must be survived" } else { "need not be survived" };
            assert!(budget.told().starts_with(word), "{}", budget.told());
        }
    }
}
