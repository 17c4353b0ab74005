//! `ordeal shrink`: the smallest plan that still gives the same class of violation.
//!
//! The plan's own workload is first written down as a script of operations, so that one can be left
//! out without changing the others. Then faults, operations, clients, nodes and time are taken away
//! for as long as anything can go (Zeller and Hildebrandt, "Simplifying and Isolating
//! Failure-Inducing Input", 2002: ddmin). Every try is a simulation of its own, of which the seed
//! stays: each link and each machine draws from a stream of its own, so what is left is disturbed
//! as little as can be.

mod timeline;

use super::one::{Simulated, simulate};
use crate::plan::{Plan, Scripted};
use ordeal_history::{History, Operation};
use ordeal_reports::Ruling;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The checkers that say invalid.
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
    invalid(simulated).map(str::to_owned).collect()
}

/// The same, the one that tells the most first: those of the workload come before those that watch
/// every run.
fn invalid(simulated: &Simulated) -> impl Iterator<Item = &str> {
    let checkers = simulated.judgements.results.checkers.iter();
    let invalid = checkers.filter(|checker| checker.verdict == Ruling::Invalid);
    invalid.map(|checker| checker.name.as_str())
}

/// Takes away from `plan` what can go, for at most `bound`.
///
/// # Errors
/// One sentence, when the plan gives no violation to begin with.
pub fn shrink(plan: &Plan, bound: Duration) -> Result<Shrunk, String> {
    let simulated = simulate(plan)?;
    let Some(first) = invalid(&simulated).next().map(str::to_owned) else {
        return Err(format!("the plan of seed {} gives no violation", plan.seed));
    };
    let class = class_of(&simulated);
    let deadline = Instant::now() + bound;
    let mut search = Search { plan: plan.clone(), simulated, class, first, tries: 1, deadline };
    loop {
        let before = search.size();
        search.write_down();
        search.faults();
        search.operations();
        search.clients();
        search.nodes();
        search.durations();
        search.settings();
        search.times();
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
    /// Who said invalid at first, and who of them must still: others may fall silent as the
    /// operations go that they look at, and nobody else may come.
    class: Class,
    first: String,
    tries: u64,
    deadline: Instant,
}

/// What can become less: faults, operations, clients, nodes, how long the faults last, and how long
/// all of it.
type Size = (usize, usize, u32, usize, u64, u64);

impl Search {
    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn size(&self) -> Size {
        let Plan { schedule, script, nodes, time_limit_ms, concurrency, .. } = &self.plan;
        let lasting = schedule.0.iter().map(|fault| fault.for_ms).sum();
        let operations = script.as_ref().map_or(usize::MAX, Vec::len);
        let length = timeline::end_ms(&self.plan).unwrap_or(*time_limit_ms);
        (schedule.0.len(), operations, *concurrency, nodes.len(), lasting, length)
    }

    /// Takes `plan` if the same class of violation comes of it.
    fn take(&mut self, plan: Plan) -> bool {
        if self.is_over() || plan.validate().is_err() {
            return false;
        }
        self.tries += 1;
        let Ok(simulated) = simulate(&plan) else { return false };
        let class = class_of(&simulated);
        let same = class.contains(&self.first) && class.is_subset(&self.class);
        if same {
            (self.plan, self.simulated) = (plan, simulated);
        }
        same
    }

    /// Writes the operations down that were chosen: the violation's own alone if that will do, else
    /// those on its objects, else all up to its last, else all. Where what is written down does not
    /// give the violation, it is tried again when there is less of the rest.
    fn write_down(&mut self) {
        if self.plan.script.is_some() {
            return;
        }
        let History { operations, .. } = &self.simulated.history;
        let clients = self.plan.concurrency;
        let needed = self.simulated.judgements.counterexample.as_deref().unwrap_or_default();
        let needed: Vec<&Operation> =
            needed.iter().filter_map(|&at| operations.get(at as usize)).collect();
        let last = needed.iter().map(|operation| operation.invoke_time).max();
        let keys: Vec<_> = needed.iter().map(|operation| &operation.key).collect();
        let of = |wanted: &dyn Fn(&Operation) -> bool| {
            let wanted = operations.iter().filter(|operation| wanted(operation));
            wanted.map(|operation| scripted(operation, clients)).collect::<Vec<_>>()
        };
        let mut scripts = Vec::new();
        if let Some(last) = last {
            let own: BTreeSet<_> = needed.iter().map(|it| it.invoke).collect();
            scripts.push(of(&|it| own.contains(&it.invoke)));
            scripts.push(of(&|it| it.invoke_time <= last && keys.contains(&&it.key)));
            scripts.push(of(&|it| it.invoke_time <= last));
        }
        scripts.push(of(&|_| true));
        scripts.dedup();
        for script in scripts {
            let whole = Plan { script: Some(script), ..self.plan.clone() };
            let short = timeline::cut(whole.clone());
            if self.take(short) || self.take(whole) {
                return;
            }
        }
    }

    fn faults(&mut self) {
        let faults = self.plan.schedule.0.clone();
        self.ddmin(faults, |plan, faults| plan.schedule.0 = faults);
    }

    fn operations(&mut self) {
        let Some(script) = self.plan.script.clone() else { return };
        self.ddmin(script, |plan, script| plan.script = Some(script));
    }

    /// Takes away all, and then complements of ever smaller parts, as long as the class stays.
    fn ddmin<T: Clone>(&mut self, mut items: Vec<T>, put: impl Fn(&mut Plan, Vec<T>)) {
        let mut parts = 1;
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

    /// Fewer clients: what one does another may do that works through the same node and waits as
    /// long for an answer.
    fn clients(&mut self) {
        let Some(script) = self.plan.script.clone() else { return };
        let used: BTreeSet<u32> = script.iter().map(|scripted| scripted.client).collect();
        let nodes = u32::try_from(self.plan.nodes.len()).unwrap_or(u32::MAX).max(1);
        for client in used.into_iter().rev() {
            let others = (0..client).filter(|other| other % nodes == client % nodes);
            for other in others {
                let mut plan = self.plan.clone();
                let theirs = plan.script.iter_mut().flatten().filter(|it| it.client == client);
                theirs.for_each(|it| it.client = other);
                if self.take(plan) {
                    break;
                }
            }
        }
        let last = self.plan.script.iter().flatten().map(|scripted| scripted.client).max();
        let concurrency = last.map_or(1, |last| last + 1);
        if concurrency < self.plan.concurrency {
            self.take(Plan { concurrency, ..self.plan.clone() });
        }
    }

    /// Fewer nodes, where the faults name none of the others.
    fn nodes(&mut self) {
        for place in (0..self.plan.spares.len()).rev() {
            let mut plan = self.plan.clone();
            plan.spares.remove(place);
            self.take(plan);
        }
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

    /// What was drawn for this seed as it is by default, so that a reader has less to wonder about.
    fn settings(&mut self) {
        let usual = super::Simulated::default();
        let tuning = crate::plan::Tuning { heartbeat_ms: 50, election_ms: 500, ..self.plan.tuning };
        let drawn = self.plan.simulated.clone().unwrap_or_default();
        let simulated = [
            usual.clone(),
            super::Simulated {
                latency_us: usual.latency_us,
                latency_spread_us: usual.latency_spread_us,
                ..drawn.clone()
            },
            super::Simulated {
                fsync_us: usual.fsync_us,
                fsync_spread_us: usual.fsync_spread_us,
                ..drawn
            },
        ];
        for simulated in simulated {
            let simulated = Some(simulated);
            if simulated != self.plan.simulated
                && self.take(Plan { simulated, ..self.plan.clone() })
            {
                break;
            }
        }
        if tuning != self.plan.tuning {
            self.take(Plan { tuning, ..self.plan.clone() });
        }
        if self.plan.tuning.snapshot_count.is_some() {
            let mut plan = self.plan.clone();
            plan.tuning.snapshot_count = None;
            self.take(plan);
        }
        if self.plan.workload.options.value_bytes > 0 {
            let mut plan = self.plan.clone();
            plan.workload.options.value_bytes = 0;
            self.take(plan);
        }
    }
}

/// An operation of a history, as one of a script for so many clients.
fn scripted(operation: &Operation, clients: u32) -> Scripted {
    let clients = i64::from(clients.max(1));
    Scripted {
        at_us: operation.invoke_time / 1_000,
        // Processes of one client follow each other in steps of as many as there are clients.
        client: u32::try_from(operation.process.rem_euclid(clients)).unwrap_or(0),
        f: operation.f.to_string(),
        key: operation.key.clone(),
        value: operation.input.clone(),
    }
}
