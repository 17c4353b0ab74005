//! What the supply of indeterminate operations comes to: a game of two.
//!
//! One side goes a way through the [`Graph`]; the other bets on a class and a moment, and wins as
//! many as the way has used of that class by then beyond what had begun. An order is a way that
//! loses nowhere. If the bets can be mixed so that every way loses, there is none: the mixture is a
//! list of prices, and prices prove it (Geoffrion 1974; [`super::sweep::Sweep::with_prices`] is the
//! proof). Else there is a mixture of ways that loses nowhere on average, and [`super::round`]
//! looks for one way close to it. The ways are found one by one, each the cheapest at the prices so
//! far (Dantzig and Wolfe 1960), and the game among those that are known is played by regrets
//! (regret matching+, Tammelin 2014).

use super::graph::Graph;
use super::path::Placed;
use super::plan::Plan;

/// Turns that the game is played for each new way.
const TURNS: usize = 300;

/// What bets have to win, at the least, to be told from nothing, and how near to each other what
/// one side can win and the other must lose are near enough.
const CLEAR: f64 = 1e-3;
const NEAR: f64 = 0.02;

/// A price for a member of each class, by how many have begun, less one.
pub(super) type Prices = Vec<Vec<f64>>;

pub(super) struct Game<'a> {
    plan: &'a Plan,
    /// The first bet of each class; the next are for the moments before its next members.
    first: Vec<usize>,
    /// By way: what each bet wins.
    ways: Vec<Vec<f64>>,
    /// What each side would have gained by each of its choices.
    bet_regrets: Vec<f64>,
    way_regrets: Vec<f64>,
    bets: Vec<f64>,
    mix: Vec<f64>,
    value: f64,
    bound: f64,
    best: Vec<f64>,
}

impl<'a> Game<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let mut first = vec![0];
        for class in &plan.classes {
            first.push(first[first.len() - 1] + class.members.len());
        }
        let bets = first[first.len() - 1];
        Game {
            plan,
            first,
            ways: Vec::new(),
            bet_regrets: vec![0.0; bets],
            way_regrets: Vec::new(),
            bets: vec![1.0 / bets as f64; bets],
            mix: Vec::new(),
            value: f64::INFINITY,
            bound: f64::NEG_INFINITY,
            best: Vec::new(),
        }
    }

    /// Other ways: what was proven of those before does not hold of them.
    pub(super) fn renew(&mut self) {
        self.bound = f64::NEG_INFINITY;
    }

    /// Seeks one more way; whether there is more to be learned.
    pub(super) fn go(&mut self, graph: &Graph) -> bool {
        let prices = self.prices(&self.bets);
        let way = self.won(&graph.cheapest(self.plan, &prices));
        self.add(way);
        self.bound < CLEAR && self.value - self.bound > NEAR
    }

    /// Takes up a way that was found elsewhere, where it was the cheapest.
    pub(super) fn learn(&mut self, steps: &[(u64, Placed)]) {
        let begun = |class: u32, time: u64| {
            self.plan.classes[class as usize].members.partition_point(|&(_, call)| call <= time)
        };
        let uses = steps.iter().filter_map(|&(time, placed)| match placed {
            Placed::Maybe(class) => Some((class, begun(class, time) as u32)),
            Placed::Certain(_) => None,
        });
        let way = self.won(&uses.collect::<Vec<_>>());
        self.add(way);
    }

    fn add(&mut self, way: Vec<f64>) {
        let bound = dot(&self.bets, &way);
        if bound > self.bound {
            self.bound = bound;
            self.best = self.bets.clone();
        }
        self.ways.push(way);
        self.way_regrets.push(0.0);
        self.play();
    }

    /// Whether some prices are too high for every way.
    pub(super) fn is_lost(&self) -> bool {
        self.bound >= CLEAR
    }

    /// The most that any bet wins of the mixture of ways.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// The prices that the ways lose the most at, as far as is known.
    pub(super) fn best_prices(&self) -> Prices {
        self.prices(&self.best)
    }

    /// By class and by how many have begun, less one: how many the mixture of ways has used.
    pub(super) fn used(&self) -> Prices {
        let used = self.won_on_average(&self.mix);
        let class = |class: usize| {
            let won = used[self.first[class]..self.first[class + 1]].iter();
            won.enumerate().map(|(place, won)| won + place as f64 + 1.0).collect()
        };
        (0..self.plan.classes.len()).map(class).collect()
    }

    fn prices(&self, bets: &[f64]) -> Prices {
        let class = |class: usize| {
            let mut prices = bets[self.first[class]..self.first[class + 1]].to_vec();
            for at in (1..prices.len()).rev() {
                prices[at - 1] += prices[at];
            }
            prices
        };
        (0..self.plan.classes.len()).map(class).collect()
    }

    /// What each bet wins against a way: its uses by class and by how many had begun.
    fn won(&self, way: &[(u32, u32)]) -> Vec<f64> {
        let mut won = vec![0.0; self.bets.len()];
        for &(class, begun) in way {
            won[self.first[class as usize] + begun as usize - 1] += 1.0;
        }
        for class in 0..self.plan.classes.len() {
            let mut used = 0.0;
            for (place, won) in won[self.first[class]..self.first[class + 1]].iter_mut().enumerate()
            {
                used += *won;
                *won = used - (place as f64 + 1.0);
            }
        }
        won
    }

    /// Plays among the ways that are known: both sides in turn, by what they regret.
    fn play(&mut self) {
        let (bets, ways) = (self.bets.len(), self.ways.len());
        let mut bet_sum = vec![0.0; bets];
        let mut way_sum = vec![0.0; ways];
        let mut bet = strategy(&self.bet_regrets);
        for turn in 0..TURNS {
            let placed: Vec<(usize, f64)> =
                bet.iter().copied().enumerate().filter(|(_, part)| *part > 0.0).collect();
            let lose = |way: &Vec<f64>| placed.iter().map(|&(at, part)| way[at] * part).sum();
            let lost: Vec<f64> = self.ways.iter().map(lose).collect();
            let mean = dot(&strategy(&self.way_regrets), &lost);
            for (regret, lost) in self.way_regrets.iter_mut().zip(&lost) {
                *regret = (*regret + mean - lost).max(0.0);
            }
            let mix = strategy(&self.way_regrets);
            let won = self.won_on_average(&mix);
            let mean = dot(&bet, &won);
            for (regret, won) in self.bet_regrets.iter_mut().zip(&won) {
                *regret = (*regret + won - mean).max(0.0);
            }
            bet = strategy(&self.bet_regrets);
            let weight = turn as f64;
            bet_sum.iter_mut().zip(&bet).for_each(|(sum, part)| *sum += weight * part);
            way_sum.iter_mut().zip(&mix).for_each(|(sum, part)| *sum += weight * part);
        }
        self.bets = strategy(&bet_sum);
        self.mix = strategy(&way_sum);
        let won = self.won_on_average(&self.mix);
        self.value = won.into_iter().fold(f64::NEG_INFINITY, f64::max);
    }

    /// What each bet wins when ways are gone by these parts.
    fn won_on_average(&self, mix: &[f64]) -> Vec<f64> {
        let mut won = vec![0.0; self.bets.len()];
        for (way, &part) in self.ways.iter().zip(mix).filter(|(_, part)| **part > 0.0) {
            won.iter_mut().zip(way).for_each(|(sum, won)| *sum += part * won);
        }
        won
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Parts of one, as the regrets are.
fn strategy(regrets: &[f64]) -> Vec<f64> {
    let sum: f64 = regrets.iter().sum();
    if sum > 0.0 {
        regrets.iter().map(|regret| regret / sum).collect()
    } else {
        vec![1.0 / regrets.len() as f64; regrets.len()]
    }
}
