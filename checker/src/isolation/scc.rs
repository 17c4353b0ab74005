//! Strongly connected components: Tarjan's algorithm (SIAM J. Comput. 1972), without recursion.

use super::graph::{EdgeKind, Graph, VIA};

const NONE: u32 = u32::MAX;

/// The components of a graph.
pub(super) struct Components {
    /// Each node's component. A component is numbered after all that can be reached from it.
    pub(super) of: Vec<u32>,
    /// Nodes, component by component, in the order of their numbers.
    pub(super) nodes: Vec<u32>,
    /// Where each component begins in `nodes`, and a last entry for the end.
    starts: Vec<u32>,
}

impl Components {
    /// The components of more than one node, that is, those with a cycle.
    pub(super) fn cyclic(&self) -> impl Iterator<Item = &[u32]> {
        self.starts
            .windows(2)
            .filter(|bounds| bounds[1] - bounds[0] > 1)
            .map(|bounds| &self.nodes[bounds[0] as usize..bounds[1] as usize])
    }
}

/// The components of the subgraph whose edges have no kind but those in `mask`. O(nodes + edges).
pub(super) fn components(graph: &Graph, mask: EdgeKind) -> Components {
    let count = graph.nodes();
    let mut found =
        Components { of: vec![NONE; count], nodes: Vec::with_capacity(count), starts: vec![0] };
    // Order of discovery; the lowest that can be reached.
    let mut index = vec![NONE; count];
    let mut low = vec![NONE; count];
    let mut stack: Vec<u32> = Vec::new();
    let mut calls: Vec<(u32, u32)> = Vec::new();
    let mut next_index = 0;
    for root in 0..count as u32 {
        if index[root as usize] != NONE {
            continue;
        }
        calls.push((root, graph.range(root).start));
        while let Some((node, place)) = calls.last_mut() {
            let node = *node;
            if index[node as usize] == NONE {
                index[node as usize] = next_index;
                low[node as usize] = next_index;
                next_index += 1;
                stack.push(node);
            }
            let end = graph.range(node).end;
            let mut descend = None;
            while *place < end {
                let (to, kind) = graph.edge(*place);
                if kind & !(mask | VIA) == 0 {
                    if index[to as usize] == NONE {
                        descend = Some(to);
                        break;
                    }
                    // A node without a component is still on the stack.
                    if found.of[to as usize] == NONE {
                        low[node as usize] = low[node as usize].min(low[to as usize]);
                    }
                }
                *place += 1;
            }
            if let Some(to) = descend {
                calls.push((to, graph.range(to).start));
                continue;
            }
            calls.pop();
            if let Some(&(parent, _)) = calls.last() {
                low[parent as usize] = low[parent as usize].min(low[node as usize]);
            }
            if low[node as usize] == index[node as usize] {
                close(&mut found, &mut stack, node);
            }
        }
    }
    found
}

/// Moves the component whose root is `root` from the stack to `found`.
fn close(found: &mut Components, stack: &mut Vec<u32>, root: u32) {
    let number = found.starts.len() as u32 - 1;
    while let Some(node) = stack.pop() {
        found.of[node as usize] = number;
        found.nodes.push(node);
        if node == root {
            break;
        }
    }
    found.starts.push(found.nodes.len() as u32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation::graph::{Edges, RW, WW};

    type Row<'a> = (&'a [(u32, u32, EdgeKind)], &'a [&'a [u32]]);

    #[test]
    fn components_are_those_that_reachability_says() {
        let rows: &[Row<'_>] = &[
            (&[], &[]),
            (&[(0, 1, WW), (1, 2, WW)], &[]),
            (&[(0, 1, WW), (1, 0, RW)], &[]),
            (&[(0, 1, WW), (1, 0, WW)], &[&[0, 1]]),
            (&[(0, 1, WW), (1, 2, WW), (2, 0, WW), (2, 3, WW), (4, 3, WW)], &[&[0, 1, 2]]),
            (&[(0, 1, WW), (1, 0, WW), (1, 2, WW), (2, 3, WW), (3, 2, WW)], &[&[2, 3], &[0, 1]]),
        ];
        for (edges, expected) in rows {
            let mut list = Edges::new(5);
            edges.iter().for_each(|&(from, to, kind)| list.add(from, to, kind));
            let found = components(&list.build(5), WW);
            let mut cyclic: Vec<Vec<u32>> = found.cyclic().map(<[u32]>::to_vec).collect();
            cyclic.iter_mut().for_each(|nodes| nodes.sort_unstable());
            assert_eq!(cyclic, *expected, "{edges:?}");
        }
    }

    #[test]
    fn a_path_of_a_million_nodes_does_not_exhaust_the_stack() {
        let nodes = 1_000_000;
        let mut list = Edges::new(nodes);
        (0..nodes as u32).for_each(|node| list.add(node, (node + 1) % nodes as u32, WW));
        assert_eq!(components(&list.build(nodes), WW).cyclic().count(), 1);
    }
}
