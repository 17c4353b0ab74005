//! What the disk faults come to, in one form.

use super::Fault;
use crate::disk::{Access, Corruption, Effect, Files, Rule, Survivors};

/// What a disk fault does, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiskTrouble {
    /// The power is cut at the start, and the node started again at the end.
    PowerLoss { survivors: Survivors, seed: u64 },
    /// A rule stands from the start to the end.
    Rule { rule: Rule, end: RuleEnd },
    /// The files are remembered at the start; at the end the node is killed, its files are damaged,
    /// and it is started again.
    Corrupt { files: Files, corruption: Corruption, seed: u64 },
}

/// How a node comes out of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleEnd {
    /// It goes on.
    GoesOn,
    /// It is started again: a store may stop for good at an error of its disk, and etcd does.
    Restarts,
    /// It loses its power first: only then is it seen that a disk has lied.
    LosesPower,
}

impl Fault {
    /// What it does to disks; `None` when that is nothing.
    pub(crate) fn disk_trouble(&self) -> Option<DiskTrouble> {
        let rule = |files: &Files, effect, end| {
            let rule = Rule { files: files.clone(), effect };
            Some(DiskTrouble::Rule { rule, end })
        };
        match self {
            Fault::PowerLoss { survivors, seed, .. } => {
                Some(DiskTrouble::PowerLoss { survivors: *survivors, seed: *seed })
            }
            Fault::FsyncDelay { files, delay_ms, .. } => {
                let effect = Effect::Delay { access: Access::Fsync, delay_ms: *delay_ms };
                rule(files, effect, RuleEnd::GoesOn)
            }
            Fault::DiskFull { bytes_free, .. } => {
                let effect = Effect::Full { bytes_free: *bytes_free };
                rule(&Files::any(), effect, RuleEnd::Restarts)
            }
            Fault::DiskError { files, access, .. } => {
                rule(files, Effect::Fail(*access), RuleEnd::Restarts)
            }
            Fault::LyingDisk { files, .. } => {
                rule(files, Effect::LieAboutFsync, RuleEnd::LosesPower)
            }
            Fault::Corrupt { files, corruption, seed, .. } => Some(DiskTrouble::Corrupt {
                files: files.clone(),
                corruption: *corruption,
                seed: *seed,
            }),
            _ => None,
        }
    }
}

/// What survives, for a person.
pub(super) fn torn(survivors: Survivors) -> &'static str {
    match survivors {
        Survivors::Nothing => "nothing that was not fsynced survives",
        Survivors::Prefix => "the last write is torn",
        Survivors::Scattered => "unsynced sectors survive by chance",
    }
}

pub(super) fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "reads",
        Access::Write => "writes",
        Access::Fsync => "fsyncs",
    }
}

pub(super) fn corruption(corruption: Corruption) -> String {
    match corruption {
        Corruption::FlipBit => "a bit flips".to_owned(),
        Corruption::TruncateTail { bytes_max } => format!("up to {bytes_max} bytes are cut off"),
        Corruption::ZeroTail { bytes_max } => format!("up to {bytes_max} bytes become zeros"),
        Corruption::OldCopy => "an old copy is put back".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::{Access, Corruption, Files, Survivors};
    use crate::{Fault, NodeId, Nodes};

    #[test]
    fn a_disk_fault_tells_what_it_does_and_survives_json() -> Result<(), serde_json::Error> {
        let nodes = || Nodes::These(vec![NodeId::numbered(1)]);
        let (any, wal) = (Files::any, Files::wal);
        let rows = [
            (
                Fault::PowerLoss { nodes: nodes(), survivors: Survivors::Prefix, seed: 1 },
                "power loss of n1: the last write is torn",
            ),
            (
                Fault::FsyncDelay { nodes: nodes(), files: any(), delay_ms: 50 },
                "fsyncs of n1 take 50 ms longer",
            ),
            (
                Fault::FsyncDelay { nodes: nodes(), files: wal(), delay_ms: 50 },
                "fsyncs of n1 (wal) take 50 ms longer",
            ),
            (
                Fault::DiskFull { nodes: Nodes::Leader, bytes_free: 9 },
                "disk of the leader is full after 9 bytes",
            ),
            (
                Fault::DiskError { nodes: nodes(), files: any(), access: Access::Read },
                "reads of n1 fail with EIO",
            ),
            (
                Fault::LyingDisk { nodes: nodes(), files: any() },
                "disk of n1 lies about fsync, then loses power",
            ),
            (
                Fault::Corrupt {
                    nodes: nodes(),
                    files: wal(),
                    corruption: Corruption::FlipBit,
                    seed: 1,
                },
                "files of n1 (wal) go bad: a bit flips",
            ),
        ];
        for (fault, what) in rows {
            assert_eq!(fault.what(None), what);
            assert!(fault.disk_trouble().is_some(), "{what}");
            let text = serde_json::to_string(&fault)?;
            assert!(text.contains(&format!("\"kind\":\"{}\"", fault.kind())), "{text}");
            assert_eq!(serde_json::from_str::<Fault>(&text)?, fault);
        }
        Ok(())
    }
}
