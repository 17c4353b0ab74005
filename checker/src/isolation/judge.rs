//! From findings and a graph to a judgement.

use super::append::Append;
use super::cycle::{self, Cycle};
use super::graph::{DATA, EdgeKind, Edges, INFERRED, PROCESS, REALTIME};
use super::model::{Anomaly, Kind, Model, Order, strongest};
use super::register::{Register, Stuck};
use super::replay::{self, Meaning};
use super::scc::components;
use super::story::{Cast, Finding, edge_name};
use super::txn::{TxnId, Txns};
use crate::{Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Says when a check must end.
pub(super) struct Stop<'a> {
    limits: &'a Limits,
    start: Instant,
}

impl<'a> Stop<'a> {
    fn new(limits: &'a Limits) -> Self {
        Stop { limits, start: Instant::now() }
    }

    /// Errors with the reason once the time is up or the check was cancelled.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.limits.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err("the check was cancelled".to_owned());
        }
        match self.limits.time {
            Some(time) if self.start.elapsed() > time => {
                Err(format!("the check took longer than {} s", time.as_secs_f64()))
            }
            _ => Ok(()),
        }
    }
}

/// What is the same for lists and registers.
struct Case<'a> {
    name: &'a str,
    model: Model,
    history: &'a History,
    meaning: Meaning,
}

pub(super) fn list_append(
    name: &str,
    model: Model,
    history: &History,
    limits: &Limits,
) -> Judgement {
    let case = Case { name, model, history, meaning: Meaning::Append };
    let stop = Stop::new(limits);
    let verdict = (|| {
        let txns = Txns::new(history, "append")?;
        let inferred = Append::new(&txns)?;
        stop.check()?;
        let mut edges = Edges::new(txns.txns.len());
        inferred.add_edges(&mut edges);
        edges.add_process(&txns, &inferred.included);
        edges.add_realtime(&txns, &inferred.included);
        let graph = edges.build(txns.txns.len());
        stop.check()?;
        let mut findings = inferred.findings.clone();
        for cycle in cycle::find(&graph, &txns, &stop) {
            findings.push(tell(&txns, "append", &cycle, |cast, from, to, kind| {
                inferred.explain(cast, from, to, kind)
            }));
        }
        if let Some(invalid) = case.invalid(&txns, &mut findings) {
            return Ok(invalid);
        }
        stop.check()?;
        match &inferred.gap {
            Some(gap) => Err(gap.clone()),
            None => case.valid(&txns, &findings, || {
                // Components are numbered from the last to the first.
                let nodes = components(&graph, mask(case.model.order())).nodes.into_iter().rev();
                nodes.filter(|&n| n < graph.txns && inferred.included[n as usize]).collect()
            }),
        }
    })();
    case.judgement(verdict)
}

pub(super) fn rw_register(
    name: &str,
    model: Model,
    history: &History,
    limits: &Limits,
) -> Judgement {
    let case = Case { name, model, history, meaning: Meaning::Write };
    let stop = Stop::new(limits);
    let verdict = (|| {
        let txns = Txns::new(history, "w")?;
        let inferred = Register::new(&txns);
        stop.check()?;
        let graph = inferred.graph();
        let mut findings = inferred.findings.clone();
        for cycle in cycle::find(&graph, &txns, &stop) {
            findings.push(tell(&txns, "write", &cycle, |cast, from, to, kind| {
                inferred.explain(cast, from, to, kind)
            }));
        }
        if let Some(invalid) = case.invalid(&txns, &mut findings) {
            return Ok(invalid);
        }
        stop.check()?;
        if let Some(gap) = &inferred.gap {
            return Err(gap.clone());
        }
        let order = case.model.order();
        if !case.model.implies_serializable() {
            return case.valid(&txns, &findings, Vec::new);
        }
        // With all orders there is the least to try, and what it finds does for every model.
        let strict = inferred.serial(&graph, mask(Order::Realtime), &stop);
        let found = match strict {
            Err(_) if order != Order::Realtime => inferred.serial(&graph, mask(order), &stop),
            found => found,
        };
        match found {
            Ok(serial) => case.valid(&txns, &findings, || serial),
            Err(Stuck::Proven) => {
                findings.push(no_order(&txns, order));
                case.invalid(&txns, &mut findings).ok_or_else(|| "no serial order".to_owned())
            }
            Err(Stuck::GaveUp(reason)) => Err(reason),
        }
    })();
    case.judgement(verdict)
}

/// A verdict, and a sentence for it.
type Decided = (Verdict, String);

impl Case<'_> {
    fn judgement(&self, decided: Result<Decided, String>) -> Judgement {
        let (verdict, reason) =
            decided.unwrap_or_else(|reason| (Verdict::Unknown(reason.clone()), reason));
        Judgement {
            checker: self.name.to_owned(),
            verdict,
            algorithm: "elle".to_owned(),
            reason,
            operations: self.history.operations.len() as u64,
            cost: Cost::default(),
        }
    }

    /// The verdict, if the model forbids one of `findings`; they are sorted, the worst first.
    fn invalid(&self, txns: &Txns<'_>, findings: &mut [Finding]) -> Option<Decided> {
        findings.sort_by_key(|finding| finding.anomaly);
        let worst = findings.iter().find(|finding| self.model.forbids(finding.anomaly))?;
        let mut positions: Vec<u32> =
            worst.txns.iter().map(|&txn| txns.txns[txn as usize].position).collect();
        positions.sort_unstable();
        let completes = worst.txns.iter().map(|&txn| txns.txns[txn as usize].complete);
        let broken_at_event = completes.filter(|&event| event != u64::MAX).max();
        let mut story = worst.story.clone();
        story.insert(0, format!("{}: {}", worst.anomaly, meaning(worst.anomaly.kind)));
        for other in findings.iter().filter(|other| !std::ptr::eq(*other, worst)) {
            let events: Vec<String> =
                other.txns.iter().map(|&txn| txns.txns[txn as usize].invoke.to_string()).collect();
            let (anomaly, events) = (other.anomaly, events.join(", "));
            let what = meaning(anomaly.kind);
            story.push(format!("Also {anomaly} (transactions of events {events}): {what}"));
        }
        let holding = self.holding(findings);
        story.push(format!("The strongest model that still holds: {holding}."));
        let reason = format!(
            "{} breaks {}; the strongest model that still holds: {holding}",
            worst.anomaly,
            self.model.name()
        );
        let counterexample = Counterexample {
            key: worst.key.clone(),
            operations: positions,
            story,
            broken_at_event,
            anomalies: findings.iter().map(|finding| finding.anomaly.to_string()).collect(),
        };
        Some((Verdict::Invalid(counterexample), reason))
    }

    /// The verdict where nothing is forbidden: with a serial order that was run, if the model
    /// promises that there is one.
    fn valid(
        &self,
        txns: &Txns<'_>,
        findings: &[Finding],
        serial: impl FnOnce() -> Vec<TxnId>,
    ) -> Result<Decided, String> {
        if !self.model.implies_serializable() {
            return Ok(self.holds(Witness::default(), findings));
        }
        let realtime = self.model.order() == Order::Realtime;
        let serial: Vec<u32> =
            serial().into_iter().map(|txn| txns.txns[txn as usize].position).collect();
        replay::accepts(self.history, &serial, self.meaning, realtime).map_err(|wrong| {
            format!("no anomaly was found, but no serial order either: {wrong}")
        })?;
        Ok(self.holds(Witness { orders: vec![(None, serial)] }, findings))
    }

    fn holds(&self, witness: Witness, findings: &[Finding]) -> Decided {
        let names: Vec<String> =
            findings.iter().map(|finding| finding.anomaly.to_string()).collect();
        let reason = match names.as_slice() {
            [] => format!("{} holds", self.model.name()),
            _ => format!("{} holds; it allows {}", self.model.name(), names.join(", ")),
        };
        (Verdict::Valid(witness), reason)
    }

    fn holding(&self, findings: &[Finding]) -> String {
        let anomalies: Vec<Anomaly> = findings.iter().map(|finding| finding.anomaly).collect();
        match strongest(&anomalies).as_slice() {
            [] => "none, not even read-uncommitted".to_owned(),
            models => models.iter().map(|model| model.name()).collect::<Vec<_>>().join(" and "),
        }
    }
}

/// The kinds of edges that a serial order must respect.
pub(super) fn mask(order: Order) -> EdgeKind {
    match order {
        Order::Data => DATA,
        Order::Process => DATA | PROCESS,
        Order::Realtime => DATA | PROCESS | REALTIME | INFERRED,
    }
}

/// The story of a cycle.
fn tell(
    txns: &Txns<'_>,
    verb: &'static str,
    cycle: &Cycle,
    explain: impl Fn(&mut Cast<'_, '_>, TxnId, TxnId, EdgeKind) -> Option<String>,
) -> Finding {
    let mut cast = Cast::new(txns, verb);
    for &(from, ..) in &cycle.edges {
        cast.name(from);
    }
    let mut story = Vec::new();
    let mut chain = Vec::new();
    for &(from, to, kind) in &cycle.edges {
        let why = match explain(&mut cast, from, to, kind) {
            Some(why) => why,
            None => cast.outside(from, to, kind),
        };
        let (before, after) = (cast.name(from), cast.name(to));
        story.push(format!("{before} before {after} ({}): {why}.", edge_name(kind)));
        chain.push(before);
    }
    chain.extend(chain.first().cloned());
    story.push(format!("So {}: no order can hold.", chain.join(" before ")));
    cast.tell(cycle.anomaly, story, None)
}

/// The finding that no serial order holds.
fn no_order(txns: &Txns<'_>, order: Order) -> Finding {
    Finding {
        anomaly: Anomaly { kind: Kind::CycleExists, order },
        txns: (0..txns.txns.len() as TxnId).collect(),
        story: vec![format!("None of the orders of these {} transactions holds.", txns.txns.len())],
        key: None,
    }
}

/// What an anomaly is, in a few words.
fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::GarbageRead => "a value was read that nobody wrote.",
        Kind::DuplicateElements => "an element was read twice.",
        Kind::G0 => "writes of several transactions are interleaved (write cycle).",
        Kind::IncompatibleOrder => "two reads disagree on the order of the appends.",
        Kind::DirtyUpdate => "a committed write was built on an aborted one.",
        Kind::G1a => "an aborted transaction's write was read (aborted read).",
        Kind::G1b => "a state from the middle of a transaction was read (intermediate read).",
        Kind::FutureRead => "a transaction read its own later write.",
        Kind::G1c => "transactions saw each other's effects in a circle.",
        Kind::Internal => "a transaction's reads contradict its own earlier steps.",
        Kind::LostUpdate => "two transactions updated one version, and one update was lost.",
        Kind::GSingle => "a transaction saw a part of the state and missed another (read skew).",
        Kind::GNonadjacent => "readers disagree on the order of writers (long fork).",
        Kind::G2Item => "transactions each missed what another wrote (write skew).",
        Kind::CycleExists => "every serial order was tried, and none holds.",
    }
}
