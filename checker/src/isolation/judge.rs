//! From findings and a graph to a judgement.

use super::append::Append;
use super::cycle::{self, Cycle, Found};
use super::footprint;
use super::graph::{DATA, EdgeKind, Edges, INFERRED, PROCESS, REALTIME};
use super::model::{Anomaly, Kind, Model, Order, strongest};
use super::register::{Register, Stuck};
use super::replay::{self, Meaning};
use super::scc::components;
use super::story::{Cast, Finding, edge_name, meaning};
use super::txn::{TxnId, Txns};
use crate::stop::Stop;
use crate::{Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;

/// Counterexamples of more transactions than this are not made smaller.
const MINIMIZED_MAX: usize = 64;

/// The same where each part must be searched.
const MINIMIZED_BY_SEARCH_MAX: usize = 16;

/// What is the same for lists and registers.
struct Case<'a> {
    name: &'a str,
    model: Model,
    history: &'a History,
    meaning: Meaning,
    /// Whether this is a part of another case's history.
    part: bool,
}

pub(super) fn list_append(
    name: &str,
    model: Model,
    history: &History,
    limits: &Limits,
) -> Judgement {
    let case = Case { name, model, history, meaning: Meaning::Append, part: false };
    case.judgement(case.decide(limits))
}

pub(super) fn rw_register(
    name: &str,
    model: Model,
    history: &History,
    limits: &Limits,
) -> Judgement {
    let case = Case { name, model, history, meaning: Meaning::Write, part: false };
    case.judgement(case.decide(limits))
}

/// A verdict, and a sentence for it.
type Decided = (Verdict, String);

impl Case<'_> {
    fn decide(&self, limits: &Limits) -> Result<Decided, String> {
        let stop = Stop::new(limits);
        match self.meaning {
            Meaning::Append => self.lists(&stop),
            Meaning::Write => self.registers(&stop),
        }
    }

    fn lists(&self, stop: &Stop<'_>) -> Result<Decided, String> {
        stop.fits(footprint::of_transactions(self.history))?;
        let txns = Txns::new(self.history, "append").map_err(|misfit| misfit.to_string())?;
        let inference = footprint::of_inference(&txns);
        stop.fits(inference)?;
        let (inferred, realtime) = rayon::join(|| Append::new(&txns), || Edges::realtime(&txns));
        stop.check()?;
        let mut edges = Edges::beside(&realtime);
        inferred.add_edges(&mut edges);
        edges.add_process(&txns, &inferred.included);
        edges.join(realtime);
        let (nodes, listed) = edges.size();
        let building = footprint::of_edges(listed) + footprint::of_graph(nodes, listed);
        stop.fits(inference + building)?;
        let graph = edges.build(txns.txns.len());
        stop.check()?;
        let mut findings = inferred.findings.clone();
        let Found { cycles, order } = cycle::find(&graph, &txns, stop);
        for cycle in cycles {
            findings.push(tell(&txns, "append", &cycle, |cast, from, to, kind| {
                inferred.explain(cast, from, to, kind)
            }));
        }
        if let Some(invalid) = self.invalid(&txns, &mut findings) {
            return Ok(invalid);
        }
        stop.check()?;
        match &inferred.gap {
            Some(gap) => Err(gap.clone()),
            None => self.valid(&txns, &findings, || {
                // Components are numbered from the last to the first.
                let asked = || components(&graph, mask(self.model.order()));
                let nodes = order.unwrap_or_else(asked).nodes.into_iter().rev();
                nodes.filter(|&n| n < graph.txns && inferred.included[n as usize]).collect()
            }),
        }
    }

    fn registers(&self, stop: &Stop<'_>) -> Result<Decided, String> {
        stop.fits(footprint::of_transactions(self.history))?;
        let txns = Txns::new(self.history, "w").map_err(|misfit| misfit.to_string())?;
        let inference = footprint::of_inference(&txns);
        stop.fits(inference)?;
        let inferred = Register::new(&txns);
        stop.check()?;
        let graph = inferred.graph();
        stop.fits(inference + footprint::of_built(&graph))?;
        let mut findings = inferred.findings.clone();
        for cycle in cycle::find(&graph, &txns, stop).cycles {
            findings.push(tell(&txns, "write", &cycle, |cast, from, to, kind| {
                inferred.explain(cast, from, to, kind)
            }));
        }
        if let Some(invalid) = self.invalid(&txns, &mut findings) {
            return Ok(invalid);
        }
        stop.check()?;
        if let Some(gap) = &inferred.gap {
            return Err(gap.clone());
        }
        let order = self.model.order();
        if !self.model.implies_serializable() {
            return self.valid(&txns, &findings, Vec::new);
        }
        // With all orders there is the least to try, and what it finds does for every model.
        let strict = inferred.serial(&graph, mask(Order::Realtime), stop);
        let found = match strict {
            Err(_) if order != Order::Realtime => inferred.serial(&graph, mask(order), stop),
            found => found,
        };
        match found {
            Ok(serial) => self.valid(&txns, &findings, || serial),
            Err(Stuck::Proven) => {
                findings.push(no_order(&txns, order));
                self.invalid(&txns, &mut findings).ok_or_else(|| "no serial order".to_owned())
            }
            Err(Stuck::GaveUp(reason)) => Err(reason),
        }
    }

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
        let positions: Vec<u32> =
            worst.txns.iter().map(|&txn| txns.txns[txn as usize].position).collect();
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
            operations: self.minimal(positions, worst.anomaly),
            story,
            broken_at_event,
            anomalies: findings.iter().map(|finding| finding.anomaly.to_string()).collect(),
        };
        Some((Verdict::Invalid(counterexample), reason))
    }

    /// As few of `positions` as still have `anomaly` when they are judged by themselves; those that
    /// were named last, because they only show why an edge is there, are left out first.
    fn minimal(&self, mut positions: Vec<u32>, anomaly: Anomaly) -> Vec<u32> {
        let most = match anomaly.kind {
            Kind::CycleExists => MINIMIZED_BY_SEARCH_MAX,
            _ => MINIMIZED_MAX,
        };
        // What is left out changes what the rest implies, so one round may make another possible.
        let mut before = usize::MAX;
        while !self.part && positions.len() <= most && positions.len() < before {
            before = positions.len();
            for place in (0..positions.len()).rev() {
                let left_out = positions.remove(place);
                if !self.part_has(&positions, anomaly) {
                    positions.insert(place, left_out);
                }
            }
        }
        positions.sort_unstable();
        positions
    }

    fn part_has(&self, positions: &[u32], anomaly: Anomaly) -> bool {
        let Ok(part) = History::from_events(self.history.events_of(positions)) else {
            return false;
        };
        let case = Case { history: &part, part: true, ..*self };
        match case.decide(&Limits::default()) {
            Ok((Verdict::Invalid(wrong), _)) => wrong.anomalies.contains(&anomaly.to_string()),
            _ => false,
        }
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
