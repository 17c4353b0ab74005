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
    LocalRead,
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
pub const REGISTRY: &[BugInfo] = &[BugInfo {
    bug: Bug::LocalRead,
    name: "local-read",
    summary: "the leader answers linearizable reads from its own state, without asking a \
              majority whether it still leads",
    source: "etcd before 0.5, found by Jepsen in 2014; Consul's and MongoDB's default reads",
    workload: "register",
    fault: "partition that isolates the leader",
}];

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
