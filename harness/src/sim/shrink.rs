//! `ordeal shrink`: the smallest plan that still gives the same class of violation.
//!
//! The plan's own workload is first written down as a script of operations, so that one can be left
//! out without changing the others. Then faults, operations, nodes and time are taken away for as
//! long as anything can go (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
//! Input", 2002: ddmin). Every try is a simulation of its own, of which the seed stays: each link
//! and each machine draws from a stream of its own, so what is left is disturbed as little as can
//! be.

use super::one::{Simulated, simulate};
use crate::plan::{Plan, Scripted};
use ordeal_history::History;
use ordeal_reports::Ruling;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What is kept: the checkers that say invalid.
pub type Class = BTreeSet<String>;

/// A plan, and what came of it.
pub struct Shrunk {
    pub plan: Plan,
    pub simulated: Simulated,
    /// Simulations that it took.
    pub tries: u64,
    /// Whether nothing more can go; false when the time was over before.
    pub is_minimal: bool,
}

/// The checkers that say invalid.
pub fn class_of(simulated: &Simulated) -> Class {
    let checkers = simulated.judgements.results.checkers.iter();
    let invalid = checkers.filter(|checker| checker.verdict == Ruling::Invalid);
    invalid.map(|checker| checker.name.clone()).collect()
}

/// Takes away from `plan` what can go, for at most `bound`.
///
/// # Errors
/// One sentence, when the plan gives no violation to begin with.
pub fn shrink(plan: &Plan, bound: Duration) -> Result<Shrunk, String> {
    let simulated = simulate(plan)?;
    let class = class_of(&simulated);
    if class.is_empty() {
        return Err(format!("the plan of seed {} gives no violation", plan.seed));
    }
    let deadline = Instant::now() + bound;
    let mut search = Search { plan: plan.clone(), simulated, class, tries: 1, deadline };
    search.write_down();
    loop {
        let before = search.size();
        search.faults();
        search.operations();
        search.nodes();
        search.durations();
        search.time();
        if search.size() == before || search.is_over() {
            break;
        }
    }
    let is_minimal = !search.is_over();
    let Search { plan, simulated, tries, .. } = search;
    Ok(Shrunk { plan, simulated, tries, is_minimal })
}

struct Search {
    plan: Plan,
    simulated: Simulated,
    class: Class,
    tries: u64,
    deadline: Instant,
}

impl Search {
    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// What can become less.
    fn size(&self) -> (usize, usize, usize, u64, u64) {
        let Plan { schedule, script, nodes, time_limit_ms, .. } = &self.plan;
        let lasting = schedule.0.iter().map(|fault| fault.for_ms).sum();
        let operations = script.as_ref().map_or(usize::MAX, Vec::len);
        (schedule.0.len(), operations, nodes.len(), *time_limit_ms, lasting)
    }

    /// Takes `plan` if the same class of violation comes of it.
    fn take(&mut self, plan: Plan) -> bool {
        if self.is_over() || plan.validate().is_err() {
            return false;
        }
        self.tries += 1;
        let Ok(simulated) = simulate(&plan) else { return false };
        let same = class_of(&simulated) == self.class;
        if same {
            (self.plan, self.simulated) = (plan, simulated);
        }
        same
    }

    /// Writes the operations down that were chosen, up to the last that the violation needs.
    fn write_down(&mut self) {
        if self.plan.script.is_some() {
            return;
        }
        let history = &self.simulated.history;
        let script = script_of(history, self.plan.concurrency);
        let needed = self.simulated.judgements.counterexample.as_ref().and_then(|positions| {
            let operations = positions.iter().filter_map(|&at| history.operations.get(at as usize));
            operations.map(|operation| operation.invoke_time / 1_000).max()
        });
        let whole = Plan { script: Some(script.clone()), ..self.plan.clone() };
        if let Some(last_us) = needed {
            let until = script.into_iter().filter(|scripted| scripted.at_us <= last_us).collect();
            let mut short = Plan { script: Some(until), ..self.plan.clone() };
            short.time_limit_ms = (last_us / 1_000 + 1 + short.op_timeout_ms).max(1);
            short.schedule.0.retain(|fault| fault.at_ms * 1_000 < last_us);
            if self.take(short) {
                return;
            }
        }
        self.take(whole);
    }

    fn faults(&mut self) {
        let faults = self.plan.schedule.0.clone();
        self.ddmin(faults, |plan, faults| plan.schedule.0 = faults);
    }

    fn operations(&mut self) {
        let Some(script) = self.plan.script.clone() else { return };
        self.ddmin(script, |plan, script| plan.script = Some(script));
    }

    /// Takes away complements of ever smaller parts, as long as the class stays.
    fn ddmin<T: Clone>(&mut self, mut items: Vec<T>, put: impl Fn(&mut Plan, Vec<T>)) {
        let mut parts = 2;
        while !items.is_empty() && !self.is_over() {
            let size = items.len().div_ceil(parts);
            let mut from = 0;
            let mut shrunk = false;
            while from < items.len() {
                let to = (from + size).min(items.len());
                let rest: Vec<T> = items[..from].iter().chain(&items[to..]).cloned().collect();
                let mut plan = self.plan.clone();
                put(&mut plan, rest.clone());
                if self.take(plan) {
                    items = rest;
                    shrunk = true;
                } else {
                    from = to;
                }
            }
            if size == 1 {
                if !shrunk {
                    return;
                }
                continue;
            }
            parts = if shrunk { (parts - 1).max(2) } else { parts * 2 }.min(items.len().max(1));
        }
    }

    /// Fewer nodes, where the faults name none of the others.
    fn nodes(&mut self) {
        while self.plan.nodes.len() > 1 {
            let mut plan = self.plan.clone();
            plan.nodes.pop();
            if !self.take(plan) {
                return;
            }
        }
    }

    /// Shorter faults.
    fn durations(&mut self) {
        for place in 0..self.plan.schedule.0.len() {
            while self.plan.schedule.0[place].for_ms > 1 {
                let mut plan = self.plan.clone();
                plan.schedule.0[place].for_ms /= 2;
                if !self.take(plan) {
                    break;
                }
            }
        }
    }

    /// An earlier end.
    fn time(&mut self) {
        while self.plan.time_limit_ms > 1 {
            let plan = Plan { time_limit_ms: self.plan.time_limit_ms / 2, ..self.plan.clone() };
            if !self.take(plan) {
                return;
            }
        }
    }
}

/// The operations of a history, as a script for so many clients.
fn script_of(history: &History, clients: u32) -> Vec<Scripted> {
    let clients = i64::from(clients.max(1));
    let scripted = history.operations.iter().map(|operation| Scripted {
        at_us: operation.invoke_time / 1_000,
        // Processes of one client follow each other in steps of as many as there are clients.
        client: u32::try_from(operation.process.rem_euclid(clients)).unwrap_or(0),
        f: operation.f.to_string(),
        key: operation.key.clone(),
        value: operation.input.clone(),
    });
    scripted.collect()
}
