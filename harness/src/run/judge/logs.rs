//! What must stand in no log of a member, and what a plan explains of it.

use ordeal_checker::Judgement;
use ordeal_checker::others::{log_matches, log_patterns};
use ordeal_nemesis::{Capability, Fault, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// What no log of a member may have.
const PATTERNS: &[&str] = &[
    "panic: ",
    "panicked at",
    "fatal error: ",
    "\"level\":\"fatal\"",
    "\"level\":\"panic\"",
    "\"level\":\"dpanic\"",
    "SIGSEGV",
    "found data inconsistency",
];

/// Last words of an etcd that ends as it must under some faults.
struct Explained {
    /// What such a line has.
    has: &'static str,
    /// Whether a plan with this fault explains it.
    by: fn(&Fault) -> bool,
}

/// By reading etcd 3.4 and 3.5, and as runs have shown them.
const EXPLAINED: [Explained; 5] = [
    // Asked for its status as it was taken out (`RaftCluster.IsLocalMemberLearner`).
    Explained { has: "failed to find local ID in cluster members", by: Fault::changes_members },
    // It joins, and the member that it asks has not heard of it yet (`bootstrapExistingCluster`).
    Explained { has: "error validating peerURLs", by: Fault::changes_members },
    Explained { has: "member count is unequal", by: Fault::changes_members },
    // It joins, and nobody whom it asks answers: what it is started again for.
    Explained { has: "cannot fetch cluster info from peer urls", by: Fault::changes_members },
    // Ended, by a signal or because it was taken out, before it had begun to listen.
    Explained { has: "\"error\":\"server is stopping\"", by: ends_members },
];

fn ends_members(fault: &Fault) -> bool {
    fault.changes_members() || matches!(fault.needs(), Capability::Terminate | Capability::Upgrade)
}

/// The logs of the nodes, by name; those in `failed` may say what they like.
pub fn judge<'f>(
    logs: &BTreeMap<NodeId, String>,
    failed: &BTreeSet<NodeId>,
    faults: impl Iterator<Item = &'f Fault> + Clone,
) -> Judgement {
    let counted = logs.iter().filter(|(node, _)| !failed.contains(*node));
    let matches: Vec<_> =
        counted.flat_map(|(node, log)| log_matches(&node.0, log.lines(), PATTERNS)).collect();
    let found = matches.len();
    let is_explained = |text: &str| {
        EXPLAINED.iter().any(|line| text.contains(line.has) && faults.clone().any(line.by))
    };
    let matches: Vec<_> = matches.into_iter().filter(|line| !is_explained(&line.text)).collect();
    let explained = found - matches.len();
    let mut judgement = Judgement { checker: "logs".to_owned(), ..log_patterns(&matches) };
    if explained > 0 {
        let more = format!(". Not counted: {explained} that the plan's own faults explain");
        judgement.reason.push_str(&more);
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_checker::Verdict;
    use ordeal_nemesis::Nodes;

    fn judged(log: &str, failed: &[usize], faults: &[Fault]) -> (bool, String) {
        let logs = BTreeMap::from([(NodeId::numbered(1), log.to_owned())]);
        let failed = failed.iter().copied().map(NodeId::numbered).collect();
        let judgement = judge(&logs, &failed, faults.iter());
        assert_eq!(judgement.checker, "logs");
        (matches!(judgement.verdict, Verdict::Valid(_)), judgement.reason)
    }

    #[test]
    fn a_panic_in_a_log_is_told_with_its_node_and_line() {
        let log = "starting\npanic: runtime error: index out of range\n";
        let (valid, reason) = judged(log, &[], &[]);
        assert!(!valid && reason.contains("n1:2: panic: "), "{reason}");
        assert!(judged(log, &[1], &[]).0);
    }

    #[test]
    fn what_a_fault_of_the_plan_explains_is_not_counted_and_anything_else_is() {
        let these = || Nodes::These(vec![NodeId::numbered(1)]);
        let removal = Fault::MemberRemove { nodes: these() };
        let kill = Fault::Kill { nodes: these() };
        let gone = "panic: failed to find local ID in cluster members\n";
        let (valid, reason) = judged(gone, &[], std::slice::from_ref(&removal));
        assert!(valid && reason.contains("Not counted: 1"), "{reason}");
        assert!(!judged(gone, &[], std::slice::from_ref(&kill)).0);
        let alone = "{\"level\":\"fatal\",\"msg\":\"discovery failed\",\"error\":\"cannot fetch \
                     cluster info from peer urls: failed to get raft cluster member(s)\"}\n";
        assert!(judged(alone, &[], std::slice::from_ref(&removal)).0);
        assert!(!judged(alone, &[], &[kill]).0);
        assert!(!judged(&format!("{gone}panic: oh\n"), &[], &[removal]).0);
    }
}
