//! The kinds of faults, by the names that the command line and the history use.

use crate::Capability;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Processes end without warning.
    Kill,
    /// Processes stop for a while.
    Pause,
    /// Nodes cannot reach each other.
    Partition,
    /// Clocks leap, and are set right later.
    ClockJump,
    /// Clocks run fast or slow.
    ClockDrift,
    /// Clocks leap to and fro.
    ClockStrobe,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Kind; 6] = [
        Kind::Kill,
        Kind::Pause,
        Kind::Partition,
        Kind::ClockJump,
        Kind::ClockDrift,
        Kind::ClockStrobe,
    ];

    /// The name on the command line and in the history.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Partition => "partition",
            Kind::ClockJump => "clock-jump",
            Kind::ClockDrift => "clock-drift",
            Kind::ClockStrobe => "clock-strobe",
        }
    }

    /// What it does, in one sentence.
    pub fn summary(self) -> &'static str {
        match self {
            Kind::Kill => "ends nodes at once (SIGKILL) and starts them again later",
            Kind::Pause => "stops nodes (SIGSTOP) and lets them go on later",
            Kind::Partition => {
                "cuts links between nodes in silence: one node, halves, majorities ring, bridge, \
                 the leader, one-way"
            }
            Kind::ClockJump => "sets nodes' wall clocks ahead or back, and right again later",
            Kind::ClockDrift => "lets nodes' clocks run fast or slow, wall and monotonic apart",
            Kind::ClockStrobe => "sets nodes' wall clocks to and fro many times a second",
        }
    }

    /// What the environment must be able to do.
    pub fn needs(self) -> Capability {
        match self {
            Kind::Kill => Capability::Kill,
            Kind::Pause => Capability::Pause,
            Kind::Partition => Capability::Link,
            Kind::ClockJump | Kind::ClockDrift | Kind::ClockStrobe => Capability::Clock,
        }
    }

    /// The fewest nodes on which it makes sense.
    pub fn nodes_min(self) -> usize {
        match self {
            Kind::Kill | Kind::Pause | Kind::ClockJump | Kind::ClockDrift | Kind::ClockStrobe => 1,
            Kind::Partition => 2,
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
