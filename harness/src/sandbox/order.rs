//! What a node can be told to do, as data.
//!
//! The runner says the same to a node wherever it is. In the sandbox the words are obeyed in the
//! same process; elsewhere they travel to an agent beside the node, which obeys them there.

use super::{Launch, Sandbox, SandboxError};
use ordeal_nemesis::NodeId;
use ordeal_nemesis::clock::{ClockReading, ClockSkew};
use ordeal_nemesis::disk::{Corruption, Damage, Files, Loss, Rule, RuleId, Survivors};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One thing to do to a node's process, clocks or disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// [`Sandbox::start`], where the directory that it starts in is made if it is not there.
    Start(Launch),
    /// [`Sandbox::kill`].
    Kill,
    /// [`Sandbox::ask_to_end`].
    End,
    /// [`Sandbox::expect_end`].
    ExpectEnd(bool),
    /// [`Sandbox::pause`].
    Pause,
    /// [`Sandbox::resume`].
    Resume,
    /// Takes away what this folder holds, of a node that does not run.
    Wipe(PathBuf),
    /// [`Sandbox::change_clock`].
    ChangeClock(ClockSkew),
    /// [`Sandbox::read_clock`].
    ReadClock,
    /// [`Sandbox::mount_disk`], where the folder is made if it is not there.
    MountDisk(PathBuf),
    /// [`Sandbox::unmount_disk`].
    UnmountDisk,
    /// [`Sandbox::break_disk`].
    BreakDisk(Rule),
    /// [`Sandbox::mend_disk`].
    MendDisk(RuleId),
    /// [`Sandbox::lose_power`].
    LosePower(Survivors, u64),
    /// [`Sandbox::remember_files`].
    Remember(Files),
    /// [`Sandbox::corrupt`].
    Corrupt(Corruption, Files, u64),
}

/// What came of an [`Order`] that was obeyed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// It was done.
    Done,
    /// It holds in this long.
    In(Duration),
    /// What the clocks read.
    Clock(Option<ClockReading>),
    /// The rule's number.
    Rule(RuleId),
    /// How many requests were hit.
    Hit(u64),
    /// How many bytes were taken away.
    Wiped(u64),
    /// What was lost with the power.
    Lost(Loss),
    /// What was damaged.
    Damaged(Damage),
}

impl Sandbox {
    /// Does what the order says, to this node.
    ///
    /// # Errors
    ///
    /// Those of the call that each order names.
    pub(crate) fn obey(&self, node: &NodeId, order: Order) -> Result<Answer, SandboxError> {
        let done = |()| Answer::Done;
        match order {
            Order::Start(launch) => {
                make_folder(&launch.cwd)?;
                self.start(node, &launch).map(done)
            }
            Order::Kill => self.kill(node).map(done),
            Order::End => self.ask_to_end(node).map(done),
            Order::ExpectEnd(expected) => self.expect_end(node, expected).map(done),
            Order::Wipe(data) => {
                let failed =
                    |source| SandboxError::io(format!("wiping {}", data.display()), source);
                empty(&data).map(Answer::Wiped).map_err(failed)
            }
            Order::Pause => self.pause(node).map(done),
            Order::Resume => self.resume(node).map(done),
            Order::ChangeClock(skew) => self.change_clock(node, skew).map(Answer::In),
            Order::ReadClock => self.read_clock(node).map(Answer::Clock),
            Order::MountDisk(at) => {
                make_folder(&at)?;
                self.mount_disk(node, &at).map(done)
            }
            Order::UnmountDisk => self.unmount_disk(node).map(done),
            Order::BreakDisk(rule) => self.break_disk(node, &rule).map(Answer::Rule),
            Order::MendDisk(rule) => self.mend_disk(node, rule).map(Answer::Hit),
            Order::LosePower(survivors, seed) => {
                self.lose_power(node, survivors, seed).map(Answer::Lost)
            }
            Order::Remember(files) => self.remember_files(node, &files).map(|_| Answer::Done),
            Order::Corrupt(corruption, files, seed) => {
                self.corrupt(node, corruption, &files, seed).map(Answer::Damaged)
            }
        }
    }
}

fn make_folder(path: &Path) -> Result<(), SandboxError> {
    std::fs::create_dir_all(path)
        .map_err(|source| SandboxError::io(format!("making the folder {}", path.display()), source))
}

/// Takes away all that a folder holds, for good, and tells how many bytes of files that were.
fn empty(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() {
            bytes += empty(&entry.path())?;
            std::fs::remove_dir(entry.path())?;
        } else {
            bytes += about.len();
            std::fs::remove_file(entry.path())?;
        }
    }
    // A power loss later on must not bring any of it back.
    std::fs::File::open(folder)?.sync_all()?;
    Ok(bytes)
}
