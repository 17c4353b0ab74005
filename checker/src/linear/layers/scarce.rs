//! Whether what there is of each class of indeterminate operations is enough.
//!
//! The [`Game`] is played on the [`Graph`] of all ways, first around the place where the narrow
//! passes were lost, as if nothing had been used before, then further and further. Where all ways
//! are too many, the graph holds those that are best at some prices, and is made anew at better
//! ones. Prices that every way of the graph is too dear at are put to a pass that keeps everything
//! that matters: what that refutes is refuted.

use super::game::{Game, Prices};
use super::graph::{Graph, Size};
use super::path;
use super::plan::Plan;
use super::round::{Guide, round};
use super::sweep::{End, Keep, Sweep};
use super::{Answer, Decision, FURTHER, WINDOW};
use std::ops::Range;

/// Ways that are sought in one graph after another, and how many graphs: of everything, and of
/// what is around a place.
const PASSES: u32 = 150;
const GRAPHS: u32 = 12;
const GRAPHS_AROUND: u32 = 4;

/// Graphs of all ways, as long as they are not more; of the cheapest, in which an order may be;
/// and of what nothing is better than, for prices that prove something.
const ALL: Size = Size { width: 1024, arcs: 2_000_000, is_pruned: false };
const CHEAPEST: Size = Size { width: 256, arcs: 5_000_000, is_pruned: false };
const BEST: Size = Size { width: 256, arcs: 8_000_000, is_pruned: true };

/// What the ways may lose on average around a place for it to be left: it proves nothing.
const ENOUGH: f64 = 1e-3;

/// How many of a layer are kept in search of an order, and how much what is nearly used up is
/// shunned.
const GUIDES: [(usize, f64); 5] = [(64, 0.1), (64, 0.01), (64, 1.0), (512, 0.1), (512, 0.01)];

impl Decision<'_> {
    /// Plays around the place where a narrow pass was lost, further and further, and at last about
    /// everything.
    pub(super) fn scarce_around(&mut self, lost: usize) -> Option<Answer> {
        let mut length = WINDOW;
        loop {
            let (events, is_whole) = self.plan.around(lost, length);
            let answer = self.scarce(events);
            if answer.is_some() || is_whole || self.budget.spent().is_some() {
                return answer;
            }
            length *= FURTHER;
        }
    }

    /// Plays about these events.
    pub(super) fn scarce(&mut self, events: Range<usize>) -> Option<Answer> {
        if self.plan.classes.is_empty() {
            return None;
        }
        let is_whole = events == (0..self.plan.events.len());
        let (mut sizes, graphs) = if is_whole {
            ([ALL, CHEAPEST, BEST].as_slice(), GRAPHS)
        } else {
            ([ALL, BEST].as_slice(), GRAPHS_AROUND)
        };
        let mut game = Game::new(self.plan);
        let mut prices = even(self.plan);
        let mut passes = 0;
        for _ in 0..graphs {
            let graph = self.largest(&events, &prices, &mut sizes)?;
            game.renew();
            while passes < PASSES && self.budget.spent().is_none() {
                passes += 1;
                let is_open = game.go(&graph);
                if !is_open || (!is_whole && game.value() < ENOUGH) {
                    break;
                }
            }
            if !game.is_lost() {
                return if is_whole { self.round(&graph, &game) } else { None };
            }
            prices = whole_numbers(&game.best_prices());
            let sweep = Sweep::new(self.plan, &[], Keep::All, self.budget, self.configurations);
            match self.sweep(sweep.with_prices(prices.clone()).within(events.clone())) {
                End::Empty(at) => {
                    self.proof = Some((events, prices));
                    return Some(Answer::Invalid(self.plan.events[at].0));
                }
                End::Path(steps) => game.learn(&steps),
                End::Spent(..) => return None,
            }
            // What was left out of the cheapest is what refutes the prices.
            if sizes[0] == CHEAPEST {
                sizes = &sizes[1..];
            }
        }
        None
    }

    /// The graph of the first of these sizes that does; those before it are dropped.
    fn largest(
        &mut self,
        events: &Range<usize>,
        prices: &[Vec<u32>],
        sizes: &mut &[Size],
    ) -> Option<Graph> {
        loop {
            let size = *sizes.first()?;
            let graph = self.graph(events.clone(), prices, size);
            if let Some(graph) = graph.filter(|graph| graph.is_whole || size != ALL) {
                return Some(graph);
            }
            *sizes = &sizes[1..];
        }
    }

    fn graph(&mut self, events: Range<usize>, prices: &[Vec<u32>], size: Size) -> Option<Graph> {
        let budget = self.budget;
        let graph = Graph::new(self.plan, events, prices.to_vec(), size, budget)?;
        self.configurations += graph.nodes as u64;
        self.memory_bytes = self.memory_bytes.max(graph.bytes() as u64);
        Some(graph)
    }

    /// Looks for an order that is close to what the game came to.
    fn round(&mut self, graph: &Graph, game: &Game<'_>) -> Option<Answer> {
        let prices = game.best_prices();
        let to_go = graph.costs_to_go(self.plan, &prices);
        let used = game.used();
        for (width, fear) in GUIDES {
            let guide = Guide { prices: &prices, to_go: &to_go, used: &used, width, fear };
            if let Some(steps) = round(self.plan, graph, &guide, self.budget)
                && path::overdrawn(self.plan, &steps).is_empty()
            {
                return Some(Answer::Valid(path::order(self.plan, &steps)));
            }
        }
        None
    }
}

/// A price that is the same for all.
fn even(plan: &Plan) -> Vec<Vec<u32>> {
    plan.classes.iter().map(|class| vec![1 << 10; class.members.len()]).collect()
}

/// Prices in whole numbers, the highest about a million.
fn whole_numbers(prices: &Prices) -> Vec<Vec<u32>> {
    let most = prices.iter().flatten().fold(f64::MIN_POSITIVE, |most, &price| most.max(price));
    let whole = |price: &f64| (price / most * f64::from(1 << 20)).round() as u32;
    prices.iter().map(|prices| prices.iter().map(whole).collect()).collect()
}
