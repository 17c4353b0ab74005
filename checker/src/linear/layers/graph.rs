//! All ways through a history at once, so that they can be gone again and again at different
//! prices without being sought each time.
//!
//! A node is a configuration without what it cost: what it owes, what it used, the value. An arc
//! places an operation or, at the end of one, nothing. A layer is what happens at one end.

use super::front::{Config, Free, prune};
use super::path::Placed;
use super::plan::{Happening, Plan};
use super::sweep::{Keep, Sweep};
use crate::linear::search::Budget;
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// From one node to another.
#[derive(Clone, Copy)]
pub(super) struct Arc {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) placed: Option<Placed>,
}

/// What happens at the end of an operation.
pub(super) struct Layer {
    pub(super) time: u64,
    /// Classes of which one more had begun since the layer before.
    pub(super) begun: Vec<u32>,
    pub(super) arcs: Range<usize>,
}

/// The ways.
pub(super) struct Graph {
    pub(super) layers: Vec<Layer>,
    pub(super) arcs: Vec<Arc>,
    /// Nodes are numbered from 0; the first are the beginnings.
    pub(super) nodes: usize,
    pub(super) starts: usize,
    /// The nodes at the end.
    pub(super) ends: Range<u32>,
    /// Whether no configuration was left out.
    pub(super) is_whole: bool,
}

/// What a graph may come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Nodes of a layer.
    pub(super) width: usize,
    pub(super) arcs: usize,
    /// Whether what others are no worse than is left out.
    pub(super) is_pruned: bool,
}

/// What tells nodes apart.
type Key = (u128, u128, u32, bool);

fn key(config: &Config) -> Key {
    (config.owed, config.used, config.state, config.fresh)
}

impl Graph {
    /// The ways through these events, with what no other is better than at these prices, and no
    /// more than the `width` cheapest of each layer; `None` when there are too many arcs, the
    /// budget is spent, or no way was left.
    pub(super) fn new(
        plan: &Plan,
        events: Range<usize>,
        prices: Vec<Vec<u32>>,
        size: Size,
        budget: Budget<'_>,
    ) -> Option<Graph> {
        let sweep = Sweep::new(plan, &[], Keep::All, budget, 0).with_prices(prices);
        let mut sweep = sweep.without_limit().within(events.clone());
        let starts = sweep.front.len();
        for (node, config) in (0..).zip(&mut sweep.front) {
            config.step = node;
        }
        let mut graph = Graph {
            layers: Vec::new(),
            arcs: Vec::new(),
            nodes: starts,
            starts,
            ends: 0..0,
            is_whole: true,
        };
        let mut begun = Vec::new();
        for (class, &supply) in (0..).zip(&sweep.moment.supply) {
            begun.extend(std::iter::repeat_n(class, supply as usize));
        }
        for &(time, happening) in &plan.events[events] {
            sweep.moment.time = time;
            match happening {
                Happening::Supply(class) => {
                    sweep.moment.supply(plan, class);
                    begun.push(class);
                }
                Happening::Call(place) => sweep.call(place),
                Happening::Return(place) => {
                    let begun = std::mem::take(&mut begun);
                    graph.layer(&mut sweep, plan, (time, place), begun, size);
                    if sweep.front.is_empty() || graph.arcs.len() > size.arcs {
                        return None;
                    }
                    if sweep.look().is_some() {
                        return None;
                    }
                }
            }
        }
        graph.tidy();
        Some(graph)
    }

    fn layer(
        &mut self,
        sweep: &mut Sweep<'_>,
        plan: &Plan,
        (time, place): (u64, u32),
        begun: Vec<u32>,
        size: Size,
    ) {
        let target = sweep.moment.open(plan, place);
        let bit = target.bit();
        let makes = target.act.makes().is_some();
        let first = self.arcs.len();
        let mut known: FxHashMap<Key, u32> = FxHashMap::default();
        let mut done: Vec<(Config, u32)> = Vec::new();
        let mut work = std::mem::take(&mut sweep.front);
        // In a configuration of this layer `step` is its node.
        for config in &work {
            known.insert(key(config), config.step);
            if config.owed & bit == 0 {
                done.push((Config { used: config.used & !bit, ..*config }, config.step));
            }
        }
        work.retain(|config| config.owed & bit != 0 || (makes && config.used & bit == 0));
        let mut at = 0;
        let mut steps = Vec::new();
        while at < work.len() {
            let config = work[at];
            at += 1;
            sweep.steps(config, target, &mut steps);
            for next in steps.drain(..) {
                let placed = Some(sweep.path.placed(next.step));
                let mut node = self.nodes as u32;
                let is_new = match known.entry(key(&next)) {
                    std::collections::hash_map::Entry::Occupied(known) => {
                        node = *known.get();
                        false
                    }
                    std::collections::hash_map::Entry::Vacant(vacant) => {
                        vacant.insert(node);
                        self.nodes += 1;
                        true
                    }
                };
                self.arcs.push(Arc { from: config.step, to: node, placed });
                if !is_new {
                    continue;
                }
                let next = Config { step: node, ..next };
                let is_done = next.owed & bit == 0;
                if is_done && (!next.fresh || next.used & bit != 0) {
                    done.push((Config { used: next.used & !bit, fresh: false, ..next }, node));
                }
                if !is_done || (makes && next.used & bit == 0) {
                    work.push(next);
                }
            }
            sweep.path.clear();
        }
        // Where they come from stays with them while those that lead nowhere go.
        sweep.front = done.iter().map(|&(config, node)| Config { step: node, ..config }).collect();
        sweep.leave(target);
        let all = sweep.front.clone();
        let free = Free { is_priced: true, ..Free::default() };
        if size.is_pruned {
            prune(&mut sweep.front, &free);
        }
        sweep.front.sort_by_key(|config| config.uses);
        let mut seen: FxHashSet<Key> = FxHashSet::default();
        sweep.front.retain(|config| seen.insert(key(config)));
        self.is_whole &= sweep.front.len() <= size.width;
        sweep.front.truncate(size.width);
        let ends = self.nodes as u32;
        let mut places: FxHashMap<Key, u32> = FxHashMap::default();
        for config in &mut sweep.front {
            let next = ends + places.len() as u32;
            config.step = next;
            places.insert(key(config), next);
        }
        let front = std::mem::take(&mut sweep.front);
        for config in all {
            if let Some(&place) = places.get(&key(&config)) {
                self.arcs.push(Arc { from: config.step, to: place, placed: None });
            }
        }
        self.nodes += front.len();
        self.ends = ends..self.nodes as u32;
        sweep.front = front;
        self.layers.push(Layer { time, begun, arcs: first..self.arcs.len() });
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.arcs.capacity() * size_of::<Arc>() + self.nodes * 2 * size_of::<f64>()
    }

    /// Leaves out what does not lead to the end.
    fn tidy(&mut self) {
        let mut leads = vec![false; self.nodes];
        leads[self.ends.start as usize..].fill(true);
        let mut kept: Vec<Arc> = Vec::new();
        for layer in self.layers.iter_mut().rev() {
            let arcs = &self.arcs[layer.arcs.clone()];
            loop {
                let mut changed = false;
                for arc in arcs.iter().rev() {
                    if leads[arc.to as usize] && !leads[arc.from as usize] {
                        leads[arc.from as usize] = true;
                        changed = true;
                    }
                }
                if !changed {
                    break;
                }
            }
            let first = kept.len();
            kept.extend(arcs.iter().rev().filter(|arc| leads[arc.to as usize]));
            layer.arcs = first..kept.len();
        }
        let count = kept.len();
        kept.reverse();
        for layer in &mut self.layers {
            layer.arcs = count - layer.arcs.end..count - layer.arcs.start;
        }
        for layer in &mut self.layers {
            kept[layer.arcs.clone()].sort_by_key(|arc| arc.from);
        }
        self.arcs = kept;
    }
}
