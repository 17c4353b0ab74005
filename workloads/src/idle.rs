//! `none`: no client does anything.
//!
//! What is left is what every run looks at: that the members live, come back, and are equal.

use crate::{Completion, Generator, Next, Options, Planned, Store, Workload};
use ordeal_checker::Checker;
use rand_chacha::ChaCha8Rng;

/// The workload.
pub struct Idle;

impl Workload for Idle {
    const NAME: &'static str = "none";
    const SUMMARY: &'static str = "no client does anything: the cluster alone, under faults";
    const CHECKS: &'static str = "what every run does: members that die, stay away or differ";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];

    fn generator(_options: &Options, _slots: usize) -> Box<dyn Generator> {
        Box::new(Nothing)
    }

    async fn send<S: Store>(_: &mut S, _options: &Options, operation: &Planned) -> Completion {
        Completion::unknown(operation)
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        Vec::new()
    }
}

struct Nothing;

impl Generator for Nothing {
    fn next(&mut self, _slot: usize, _rng: &mut ChaCha8Rng) -> Next {
        // Not `Done`: the faults are to have their time.
        Next::Wait
    }

    fn observe(&mut self, _slot: usize, _operation: &Planned, _completion: &Completion) {}

    fn next_final(&mut self, _slot: usize) -> Next {
        Next::Done
    }
}
