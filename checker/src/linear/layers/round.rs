//! One way that uses of each class no more than there is, close to a mixture of ways that does so
//! on average.
//!
//! A narrow pass over the [`Graph`] that counts everything. What it keeps is what would come out
//! best if from there on the mixture were followed: the cheapest at the prices of the game, and
//! dear where the mixture's own part of what is to come would no longer be there.

use super::front::{LANES, Lanes};
use super::game::Prices;
use super::graph::Graph;
use super::path::{Path, Placed, START};
use super::plan::Plan;
use crate::linear::search::Budget;
use rustc_hash::FxHashSet;

/// What can be counted of a class; more is not sought.
const USED_MAX: usize = 120;

/// Steps at the end of an operation, for each that is kept.
const TRIES: usize = 16;

#[derive(Clone, Copy)]
struct Label {
    node: u32,
    lanes: Lanes,
    step: u32,
    /// What was paid so far, and with that what is still to be paid.
    paid: f64,
    score: f64,
}

/// What guides the pass.
pub(super) struct Guide<'a> {
    pub(super) prices: &'a Prices,
    pub(super) to_go: &'a [f64],
    /// See [`super::game::Game::used`].
    pub(super) used: &'a Prices,
    pub(super) width: usize,
    pub(super) fear: f64,
}

/// The steps of such a way, if there was one.
pub(super) fn round(
    plan: &Plan,
    graph: &Graph,
    guide: &Guide<'_>,
    budget: Budget<'_>,
) -> Option<Vec<(u64, Placed)>> {
    if plan.classes.len() > LANES {
        return None;
    }
    let slack: Prices = guide.used.iter().map(|used| slacks(used)).collect();
    let mut path = Path::default();
    let start = |node| Label { node, lanes: Lanes::default(), step: START, paid: 0.0, score: 0.0 };
    let mut front: Vec<Label> = (0..graph.starts as u32).map(start).collect();
    let mut tariff = Tariff { guide, slack, of: vec![(0.0, 0.0); plan.classes.len()] };
    let mut begun = vec![0_usize; plan.classes.len()];
    for layer in &graph.layers {
        layer.begun.iter().for_each(|&class| begun[class as usize] += 1);
        for &class in &layer.begun {
            tariff.change(class as usize, begun[class as usize]);
        }
        for label in front.iter_mut().filter(|_| !layer.begun.is_empty()) {
            label.paid = tariff.paid(label.lanes);
        }
        let arcs = &graph.arcs[layer.arcs.clone()];
        let mut seen: FxHashSet<(u32, Lanes)> = FxHashSet::default();
        let mut next: Vec<Label> = Vec::new();
        let mut work = std::mem::take(&mut front);
        let mut at = 0;
        let tries = TRIES * guide.width;
        while at < work.len() && at < tries {
            let label = work[at];
            at += 1;
            let first = arcs.partition_point(|arc| arc.from < label.node);
            for arc in arcs[first..].iter().take_while(|arc| arc.from == label.node) {
                let (mut lanes, mut paid) = (label.lanes, label.paid);
                if let Some(Placed::Maybe(class)) = arc.placed {
                    if usize::from(lanes.get(class as u8)) >= begun[class as usize].min(USED_MAX) {
                        continue;
                    }
                    paid += tariff.one_more(class as usize, lanes.get(class as u8));
                    lanes.add(class as u8);
                }
                if !seen.insert((arc.to, lanes)) {
                    continue;
                }
                let step = match arc.placed {
                    Some(placed) => path.add(label.step, placed, layer.time),
                    None => label.step,
                };
                let score = paid + guide.to_go[arc.to as usize];
                let label = Label { node: arc.to, lanes, step, paid, score };
                if arc.placed.is_none() { next.push(label) } else { work.push(label) }
            }
        }
        if next.is_empty() || budget.spent().is_some() {
            return None;
        }
        next.sort_by(|a, b| a.score.total_cmp(&b.score));
        let mut kept: Vec<Label> = Vec::with_capacity(guide.width);
        for label in next {
            if kept.len() == guide.width {
                break;
            }
            let is_worse =
                |rival: &Label| rival.node == label.node && rival.lanes.is_at_most(label.lanes);
            if !kept.iter().any(is_worse) {
                kept.push(label);
            }
        }
        front = kept;
        path.tidy(front.iter_mut().map(|label| &mut label.step));
    }
    front.first().map(|label| path.until(label.step))
}

/// By how many have begun, less one: what the mixture leaves over from then on.
fn slacks(used: &[f64]) -> Vec<f64> {
    let mut slacks: Vec<f64> =
        used.iter().enumerate().map(|(place, used)| place as f64 + 1.0 - used).collect();
    for at in (1..slacks.len()).rev() {
        slacks[at - 1] = slacks[at - 1].min(slacks[at]);
    }
    slacks
}

/// What members of each class cost now: the game's price, and what grows with their scarcity.
struct Tariff<'a> {
    guide: &'a Guide<'a>,
    slack: Prices,
    of: Vec<(f64, f64)>,
}

impl Tariff<'_> {
    fn change(&mut self, class: usize, begun: usize) {
        let room = self.guide.used[class][begun - 1] + self.slack[class][begun - 1];
        self.of[class] = (self.guide.prices[class][begun - 1], self.guide.fear * (-room).exp());
    }

    fn one_more(&self, class: usize, used: u8) -> f64 {
        let (price, fear) = self.of[class];
        price + fear * (f64::from(used + 1).exp() - f64::from(used).exp())
    }

    fn paid(&self, lanes: Lanes) -> f64 {
        let pay = |(class, &(price, fear)): (usize, &(f64, f64))| {
            let used = f64::from(lanes.get(class as u8));
            used * price + fear * used.exp()
        };
        self.of.iter().enumerate().map(pay).sum()
    }
}
