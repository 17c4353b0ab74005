//! The cheapest ways through a graph.

use super::game::Prices;
use super::graph::Graph;
use super::path::Placed;
use super::plan::Plan;

impl Graph {
    /// The cheapest way: the classes that it uses, and how many of each had begun then.
    pub(super) fn cheapest(&self, plan: &Plan, prices: &Prices) -> Vec<(u32, u32)> {
        let mut costs = vec![f64::INFINITY; self.nodes];
        let mut before = vec![u32::MAX; self.nodes];
        costs[..self.starts].fill(0.0);
        let mut begun = vec![0_u32; plan.classes.len()];
        let mut begun_at: Vec<u32> = vec![0; self.arcs.len()];
        for layer in &self.layers {
            layer.begun.iter().for_each(|&class| begun[class as usize] += 1);
            loop {
                let mut changed = false;
                for at in layer.arcs.clone() {
                    let arc = self.arcs[at];
                    let price = match arc.placed {
                        Some(Placed::Maybe(class)) => {
                            let begun = begun[class as usize];
                            begun_at[at] = begun;
                            prices[class as usize][begun as usize - 1]
                        }
                        _ => 0.0,
                    };
                    let cost = costs[arc.from as usize] + price;
                    if cost < costs[arc.to as usize] {
                        costs[arc.to as usize] = cost;
                        before[arc.to as usize] = at as u32;
                        changed = true;
                    }
                }
                if !changed {
                    break;
                }
            }
        }
        let mut way = Vec::new();
        let ends = self.ends.clone();
        let Some(mut at) = ends.min_by(|&a, &b| costs[a as usize].total_cmp(&costs[b as usize]))
        else {
            return way;
        };
        while at as usize >= self.starts {
            let place = before[at as usize] as usize;
            if let Some(Placed::Maybe(class)) = self.arcs[place].placed {
                way.push((class, begun_at[place]));
            }
            at = self.arcs[place].from;
        }
        way.reverse();
        way
    }

    /// What is the least to be paid from each node on.
    pub(super) fn costs_to_go(&self, plan: &Plan, prices: &Prices) -> Vec<f64> {
        let mut costs = vec![f64::INFINITY; self.nodes];
        costs[self.ends.start as usize..].fill(0.0);
        let mut begun = vec![0; plan.classes.len()];
        let in_layers = self.layers.iter().flat_map(|layer| &layer.begun);
        in_layers.for_each(|&class| begun[class as usize] += 1);
        for layer in self.layers.iter().rev() {
            loop {
                let mut changed = false;
                for arc in self.arcs[layer.arcs.clone()].iter().rev() {
                    let price = match arc.placed {
                        Some(Placed::Maybe(class)) => {
                            prices[class as usize][begun[class as usize] - 1]
                        }
                        _ => 0.0,
                    };
                    let cost = costs[arc.to as usize] + price;
                    if cost < costs[arc.from as usize] {
                        costs[arc.from as usize] = cost;
                        changed = true;
                    }
                }
                if !changed {
                    break;
                }
            }
            layer.begun.iter().for_each(|&class| begun[class as usize] -= 1);
        }
        costs
    }
}
