//! The bugs that can be switched on, each modelled on one that a real system had.
//!
//! Every switch is off by default and acts in one visible place, which asks for it through
//! [`Bugs::has`]. A tester that does not find them is not to be believed when it finds nothing.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A bug that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Bug {
    /// See the registry's entry, as for those that follow.
    AckBeforeFsync,
    /// See the registry.
    AppliedIndexEarly,
    /// See the registry.
    AppliedIndexLate,
    /// See the registry.
    ApplyDiffers,
    /// See the registry.
    AuthCheckNotGuarded,
    /// See the registry.
    AuthIndexNotSaved,
    /// See the registry.
    CommitPriorTerm,
    /// See the registry.
    LeaseReadWallClock,
    /// See the registry.
    LocalRead,
    /// See the registry.
    LockWithoutKey,
    /// See the registry.
    MembershipBeforeCommit,
    /// See the registry.
    OldLeaderRevokes,
    /// See the registry.
    OneStepMembership,
    /// See the registry.
    ProgressEarly,
    /// See the registry.
    ReadDuringReplay,
    /// See the registry.
    ReadIndexBeforeTermCommit,
    /// See the registry.
    ReadIndexIdReuse,
    /// See the registry.
    ReadIndexNoQuorum,
    /// See the registry.
    RetryDuplicates,
    /// See the registry.
    RevisionSkips,
    /// See the registry.
    SnapshotLogGap,
    /// See the registry.
    SnapshotOmitsAuth,
    /// See the registry.
    SnapshotOmitsLeases,
    /// See the registry.
    TornTailTrusted,
    /// See the registry.
    VoteNotPersisted,
    /// See the registry.
    WatchGap,
    /// See the registry.
    WatchReplays,
}

/// What there is to know of a bug.
#[derive(Debug, Clone, Copy)]
pub struct BugInfo {
    /// The switch.
    pub bug: Bug,
    /// What `--bug` calls it.
    pub name: &'static str,
    /// What the node does wrong.
    pub summary: &'static str,
    /// The system that had it, with the issue or paper.
    pub source: &'static str,
    /// The workload that meets it.
    pub workload: &'static str,
    /// The fault that brings it out.
    pub fault: &'static str,
}

/// Every bug, in the order of their names.
pub const REGISTRY: &[BugInfo] = &[
    BugInfo {
        bug: Bug::AckBeforeFsync,
        name: "ack-before-fsync",
        summary: "writes are acknowledged, and votes sent, before they are durable",
        source: "etcd #14370, where a one-node cluster answered before its log was synced",
        workload: "append",
        fault: "power loss",
    },
    BugInfo {
        bug: Bug::AppliedIndexEarly,
        name: "applied-index-early",
        summary: "a snapshot says that it covers an entry which it lacks, so after a restart \
                  the member goes on without it",
        source: "etcd #13766, where the applied index was saved before what it counts",
        workload: "cas",
        fault: "kill",
    },
    BugInfo {
        bug: Bug::AppliedIndexLate,
        name: "applied-index-late",
        summary: "a snapshot has an entry that it does not say to cover, so after a restart the \
                  member applies it twice",
        source: "the mirror of etcd #13766",
        workload: "counter",
        fault: "kill",
    },
    BugInfo {
        bug: Bug::ApplyDiffers,
        name: "apply-differs",
        summary: "a transaction that puts a key and reads at a revision not there yet fails on \
                  the member that was asked, and is applied by the others",
        source: "etcd #18667",
        workload: "mixed transactions",
        fault: "none",
    },
    BugInfo {
        bug: Bug::AuthCheckNotGuarded,
        name: "auth-check-not-guarded",
        summary: "whether a user may write is asked of the member that takes the request, and not \
                  again when the write is applied, after the right may be gone",
        source: "the reason for etcd's auth revision in the header of every logged request \
                 (etcd's design of v3 authentication)",
        workload: "auth",
        fault: "delay or partition",
    },
    BugInfo {
        bug: Bug::AuthIndexNotSaved,
        name: "auth-index-not-saved",
        summary: "a change of users or roles does not save the index of its log entry, so a \
                  restarted member does it once more, and its auth revision runs ahead",
        source: "etcd #11651",
        workload: "auth",
        fault: "kill",
    },
    BugInfo {
        bug: Bug::CommitPriorTerm,
        name: "commit-prior-term",
        summary: "a leader takes an entry of an earlier term for committed when a majority has it",
        source: "Raft (Ongaro and Ousterhout 2014), §5.4.2 and figure 8",
        workload: "append",
        fault: "kills of leaders",
    },
    BugInfo {
        bug: Bug::LeaseReadWallClock,
        name: "lease-read-wall-clock",
        summary: "for an election timeout after a majority has confirmed it, the leader answers \
                  reads by itself, and measures that time by the clock on the wall",
        source: "leader leases on wall clocks, as in TiKV and CockroachDB; Raft thesis §6.4.1",
        workload: "register",
        fault: "clock set back, with pause or partition of the leader",
    },
    BugInfo {
        bug: Bug::LocalRead,
        name: "local-read",
        summary: "the leader answers linearizable reads from its own state, without asking a \
                  majority whether it still leads, and no silence of theirs makes it step down",
        source: "etcd before 0.5, found by Jepsen in 2014; Consul's and MongoDB's default reads",
        workload: "register",
        fault: "partition that isolates the leader",
    },
    BugInfo {
        bug: Bug::LockWithoutKey,
        name: "lock-without-key",
        summary: "Lock is granted without a look whether the waiter's own key is still there",
        source: "etcd #11456",
        workload: "lock with a short time to live",
        fault: "none",
    },
    BugInfo {
        bug: Bug::MembershipBeforeCommit,
        name: "membership-before-commit",
        summary: "a new leader takes a change of the membership before it has committed an entry \
                  of its own term, though an earlier leader's change may be in the log",
        source: "Ongaro on raft-dev, 2015: the bug in single-server membership changes",
        workload: "append",
        fault: "membership and partition",
    },
    BugInfo {
        bug: Bug::OldLeaderRevokes,
        name: "old-leader-revokes",
        summary: "a leader that has lost its place hands the leases that it believes expired to \
                  its successor, which revokes them though they were kept alive",
        source: "etcd #15247",
        workload: "lease",
        fault: "pause of the leader",
    },
    BugInfo {
        bug: Bug::OneStepMembership,
        name: "one-step-membership",
        summary: "a change of the membership is taken while the one before is not applied, \
                  without joint consensus",
        source: "RedisRaft #17",
        workload: "append",
        fault: "membership and partition",
    },
    BugInfo {
        bug: Bug::ProgressEarly,
        name: "progress-early",
        summary: "a request for progress is answered at once, with a revision whose events are \
                  still to come",
        source: "etcd #15220",
        workload: "watch with requests for progress",
        fault: "none",
    },
    BugInfo {
        bug: Bug::ReadDuringReplay,
        name: "read-during-replay",
        summary: "a restarted member answers linearizable reads from what its log held, until \
                  it has met a leader",
        source: "RedisRaft #18, etcd #3879",
        workload: "register",
        fault: "kill of all members",
    },
    BugInfo {
        bug: Bug::ReadIndexBeforeTermCommit,
        name: "read-index-before-term-commit",
        summary: "a new leader gives its commit index to readers before it has committed an \
                  entry of its own term",
        source: "etcd's fix in 3.4.20; Raft thesis §6.4",
        workload: "register",
        fault: "elections",
    },
    BugInfo {
        bug: Bug::ReadIndexIdReuse,
        name: "read-index-id-reuse",
        summary: "the rounds that confirm reads all have one name, so a late answer to one \
                  counts for another",
        source: "etcd #20418",
        workload: "register",
        fault: "pauses",
    },
    BugInfo {
        bug: Bug::ReadIndexNoQuorum,
        name: "read-index-no-quorum",
        summary: "the leader gives its commit index to readers for as long as it believes that \
                  it leads, without asking a majority",
        source: "RedisRaft #19",
        workload: "register",
        fault: "partition or pause of the leader",
    },
    BugInfo {
        bug: Bug::RetryDuplicates,
        name: "retry-duplicates",
        summary: "a write that waits when the leader changes is proposed again, though the first \
                  may have been committed",
        source: "etcd #14890",
        workload: "counter",
        fault: "any that makes the leader change",
    },
    BugInfo {
        bug: Bug::RevisionSkips,
        name: "revision-skips",
        summary: "deleting a key that is not there takes a revision",
        source: "etcd's API: a revision is one change of the store",
        workload: "any that deletes",
        fault: "none",
    },
    BugInfo {
        bug: Bug::SnapshotLogGap,
        name: "snapshot-log-gap",
        summary: "after a restart the log's entries between a snapshot and the moment when it \
                  was finished are gone",
        source: "RedisRaft #43",
        workload: "append",
        fault: "kill and partition",
    },
    BugInfo {
        bug: Bug::SnapshotOmitsAuth,
        name: "snapshot-omits-auth",
        summary: "a member that is caught up by a snapshot keeps the users, roles and permissions \
                  that it had before",
        source: "etcd #14571",
        workload: "auth",
        fault: "pause or partition, longer than the log is kept",
    },
    BugInfo {
        bug: Bug::SnapshotOmitsLeases,
        name: "snapshot-omits-leases",
        summary: "a member that goes on from a snapshot knows of no lease granted before it",
        source: "the family of etcd #14571 and #13676",
        workload: "lease",
        fault: "kill, with a low --snapshot-count",
    },
    BugInfo {
        bug: Bug::TornTailTrusted,
        name: "torn-tail-trusted",
        summary: "the log's reader takes a torn last record for whole",
        source: "the write-ahead logs of several stores, which read without a checksum",
        workload: "append",
        fault: "torn write",
    },
    BugInfo {
        bug: Bug::VoteNotPersisted,
        name: "vote-not-persisted",
        summary: "a vote is not written to the log, so a restarted member may vote twice in a term",
        source: "Raft (Ongaro and Ousterhout 2014), §5.2",
        workload: "append",
        fault: "kill and partition",
    },
    BugInfo {
        bug: Bug::WatchGap,
        name: "watch-gap",
        summary: "compacting at the revision of a deletion forgets the deletion, so a watch from \
                  that very revision misses it",
        source: "etcd #18089",
        workload: "watch",
        fault: "compaction",
    },
    BugInfo {
        bug: Bug::WatchReplays,
        name: "watch-replays",
        summary: "a snapshot of the leader's sets watches back to where they started, and they \
                  deliver again what they have delivered",
        source: "etcd #15271",
        workload: "watch",
        fault: "pause of a follower, with a low --snapshot-count",
    },
];

/// The bugs that are on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bugs(u32);

impl Bugs {
    /// Whether a bug is on.
    pub fn has(self, bug: Bug) -> bool {
        self.0 & (1 << bug as u32) != 0
    }

    /// Switches a bug on.
    pub fn with(self, bug: Bug) -> Self {
        Self(self.0 | (1 << bug as u32))
    }
}

impl FromIterator<Bug> for Bugs {
    fn from_iter<I: IntoIterator<Item = Bug>>(bugs: I) -> Self {
        bugs.into_iter().fold(Self::default(), Self::with)
    }
}

impl Bug {
    /// What there is to know of it.
    pub fn info(self) -> Option<&'static BugInfo> {
        REGISTRY.iter().find(|info| info.bug == self)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().map_or("unnamed", |info| info.name))
    }
}

/// A name that no bug has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no bug named {name}; there are: {known}")]
pub struct UnknownBug {
    name: String,
    known: String,
}

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let found = REGISTRY.iter().find(|info| info.name == name);
        found.map(|info| info.bug).ok_or_else(|| UnknownBug {
            name: name.to_owned(),
            known: REGISTRY.iter().map(|info| info.name).collect::<Vec<_>>().join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bug, Bugs, REGISTRY};

    #[test]
    fn every_bug_is_found_by_its_name_and_is_a_switch_of_its_own() {
        for info in REGISTRY {
            assert_eq!(info.name.parse(), Ok(info.bug));
            assert_eq!(info.bug.to_string(), info.name);
            let on = Bugs::default().with(info.bug);
            let count = REGISTRY.iter().filter(|other| on.has(other.bug)).count();
            assert_eq!(count, 1, "{}", info.name);
        }
        assert!(REGISTRY.is_sorted_by_key(|info| info.name));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = "local-reads".parse::<Bug>().expect_err("there is no such bug").to_string();
        assert!(error.starts_with("there is no bug named local-reads; there are: "), "{error}");
        assert!(error.contains("local-read,"), "{error}");
    }
}
