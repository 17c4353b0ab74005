//! What a small simulation's spacetime diagram is drawn from: messages between nodes, and what
//! happened in each.
//!
//! Kept only where the operations are scripted, as they are in what was shrunk, and bounded.

use super::wire::End;
use ordeal_reports::{Moment, Sent, Spacetime};
use std::time::Duration;

/// Messages and moments that are kept.
const KEPT_MAX: usize = 20_000;

/// Keeps what happens; nothing, unless it is told to.
#[derive(Debug, Default)]
pub struct Story {
    on: bool,
    kept: Spacetime,
}

impl Story {
    /// One about these nodes, or none.
    pub fn of(nodes: Vec<String>, on: bool) -> Story {
        Story { on, kept: Spacetime { nodes, ..Spacetime::default() } }
    }

    /// A message is sent from one node to another.
    pub fn sent(
        &mut self,
        (from, to): (End, End),
        at: Duration,
        arrives: Option<Duration>,
        what: impl FnOnce() -> String,
    ) {
        if !self.on {
            return;
        }
        if self.kept.messages.len() >= KEPT_MAX {
            self.kept.left_out += 1;
            return;
        }
        let (from, to, at_ns, arrives_ns) = (from - 1, to - 1, ns(at), arrives.map(ns));
        self.kept.messages.push(Sent { from, to, at_ns, arrives_ns, what: what() });
    }

    /// Something happens to a node.
    pub fn happened(&mut self, end: End, at: Duration, what: impl FnOnce() -> String) {
        if self.on && self.kept.moments.len() < KEPT_MAX {
            self.kept.moments.push(Moment { node: end - 1, at_ns: ns(at), what: what() });
        }
    }

    /// All that was kept, if it was to be, with times that count from `origin`.
    pub fn told(&self, origin: Duration) -> Option<Spacetime> {
        let mut told = self.on.then(|| self.kept.clone())?;
        let origin = ns(origin);
        for sent in &mut told.messages {
            sent.at_ns -= origin;
            sent.arrives_ns = sent.arrives_ns.map(|at| at - origin);
        }
        told.moments.iter_mut().for_each(|moment| moment.at_ns -= origin);
        Some(told)
    }
}

fn ns(at: Duration) -> i64 {
    super::host::as_ns(at)
}
