//! What a node runs.

use super::SandboxError;
use super::process::{ExitReason, Process};
use nix::sys::signal::Signal;
use ordeal_nemesis::NodeId;
use std::time::Duration;

/// How long a signal that cannot be refused may take. A process waits that long only when its disk
/// does not answer.
pub(super) const SIGNAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What a node runs, and how its last process ended when that was not our doing.
#[derive(Default)]
pub(super) struct Slot {
    pub process: Option<Process>,
    pub exited: Option<ExitReason>,
    /// Whether the process was asked to end: then its end is our doing.
    pub asked: bool,
}

impl Slot {
    /// Notices an end that nobody asked for.
    pub fn look(&mut self) {
        if let Some(reason) = self.process.as_ref().and_then(|process| process.wait(Duration::ZERO))
        {
            self.process = None;
            if !std::mem::take(&mut self.asked) {
                self.exited = Some(reason);
            }
        }
    }

    /// The process, if it runs.
    pub fn running(&mut self, node: &NodeId) -> Result<&Process, SandboxError> {
        self.look();
        self.process.as_ref().ok_or_else(|| SandboxError::NotRunning(node.clone()))
    }

    /// Waits so long for the slot's process to end by itself, then kills it. It is our doing either
    /// way, so the slot does not remember it as an end that nobody asked for.
    pub fn finish(
        &mut self,
        node: &NodeId,
        patience: Duration,
    ) -> Result<ExitReason, SandboxError> {
        self.asked = false;
        let process = self.process.take().ok_or_else(|| SandboxError::NotRunning(node.clone()))?;
        let reason = process.wait(patience).or_else(|| {
            process.signal(Signal::SIGKILL);
            process.wait(SIGNAL_TIMEOUT)
        });
        reason.ok_or_else(|| {
            self.process = Some(process);
            stuck(node, "SIGKILL", "there")
        })
    }
}

/// The kernel has not done what it cannot refuse.
pub(super) fn stuck(node: &NodeId, signal: &'static str, state: &'static str) -> SandboxError {
    SandboxError::Stuck { node: node.clone(), signal, seconds: SIGNAL_TIMEOUT.as_secs(), state }
}
