//! From a cut, as a plan names it, to the directed links that vanish.

use crate::{Cut, Link, NodeId, Nodes, Side};

impl Cut {
    /// The links that this cut takes away, each once, among `nodes`, while `leader` leads.
    ///
    /// A cut aimed at the leader when nobody leads takes away none.
    pub fn links(&self, nodes: &[NodeId], leader: Option<&NodeId>) -> Vec<Link> {
        match self {
            Cut::Isolate(target) => {
                let cut_off = target.resolve(leader);
                cut_where(nodes, |from, to| cut_off.contains(from) != cut_off.contains(to))
            }
            Cut::Groups(groups) => {
                let group = |node: &NodeId| groups.iter().position(|group| group.contains(node));
                cut_where(nodes, |from, to| group(from) != group(to))
            }
            Cut::MajoritiesRing(ring) => cut_where(nodes, |from, to| !hears(ring, to, from)),
            Cut::Bridge { left, right, .. } => cut_where(nodes, |from, to| {
                (left.contains(from) && right.contains(to))
                    || (right.contains(from) && left.contains(to))
            }),
            Cut::OneWay(target) => {
                let mute = target.resolve(leader);
                cut_where(nodes, |from, to| mute.contains(from) && !mute.contains(to))
            }
        }
    }
}

impl Nodes {
    /// The nodes meant, while `leader` leads; none when it is the leader that is meant and
    /// nobody leads.
    pub fn resolve(&self, leader: Option<&NodeId>) -> Vec<NodeId> {
        match self {
            Nodes::These(nodes) => nodes.clone(),
            Nodes::Leader => leader.cloned().into_iter().collect(),
            Nodes::Followers(nodes) => {
                nodes.iter().filter(|node| Some(*node) != leader).cloned().collect()
            }
        }
    }
}

/// Whether, in a ring of majorities, `listener` hears `speaker`.
///
/// Each node hears a majority: itself and its neighbours in the ring, as evenly as can be to both
/// sides. No two nodes hear the same majority. Where a majority is an even number the ring is
/// lopsided, and some links are cut in one direction alone.
fn hears(ring: &[NodeId], listener: &NodeId, speaker: &NodeId) -> bool {
    let place = |node: &NodeId| ring.iter().position(|other| other == node);
    let (Some(listener), Some(speaker)) = (place(listener), place(speaker)) else {
        return true;
    };
    let neighbours = ring.len() / 2;
    let before = neighbours.div_ceil(2);
    let after = neighbours - before;
    let ahead = (speaker + ring.len() - listener) % ring.len();
    ahead <= after || ahead >= ring.len() - before
}

fn cut_where(nodes: &[NodeId], cut: impl Fn(&NodeId, &NodeId) -> bool) -> Vec<Link> {
    let mut links = Vec::new();
    for from in nodes {
        for to in nodes {
            if from != to && cut(from, to) {
                links.push(Link { from: Side::Node(from.clone()), to: Side::Node(to.clone()) });
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeId {
        NodeId::numbered(number)
    }

    fn these(numbers: &[usize]) -> Vec<NodeId> {
        numbers.iter().copied().map(node).collect()
    }

    /// The links as `from>to` in numbers, in the order in which they are given.
    fn cut(nodes: usize, cut: Cut, leader: Option<usize>) -> String {
        let nodes: Vec<NodeId> = (1..=nodes).map(node).collect();
        let name = |side: &Side| match side {
            Side::Node(node) => node.0.trim_start_matches('n').to_owned(),
            Side::Clients => "clients".to_owned(),
        };
        let leader = leader.map(node);
        let links = cut.links(&nodes, leader.as_ref());
        let links: Vec<String> =
            links.iter().map(|link| format!("{}>{}", name(&link.from), name(&link.to))).collect();
        links.join(" ")
    }

    #[test]
    fn each_cut_takes_away_just_its_links() {
        let rows = [
            (3, Cut::Isolate(Nodes::These(these(&[2]))), None, "1>2 2>1 2>3 3>2"),
            (3, Cut::Isolate(Nodes::Leader), Some(1), "1>2 1>3 2>1 3>1"),
            (3, Cut::Isolate(Nodes::Leader), None, ""),
            (3, Cut::Groups(vec![these(&[1]), these(&[2, 3])]), None, "1>2 1>3 2>1 3>1"),
            (3, Cut::OneWay(Nodes::These(these(&[3]))), None, "3>1 3>2"),
            (3, Cut::OneWay(Nodes::Leader), Some(2), "2>1 2>3"),
            (
                3,
                Cut::Bridge { over: node(2), left: these(&[1]), right: these(&[3]) },
                None,
                "1>3 3>1",
            ),
            (3, Cut::MajoritiesRing(these(&[1, 2, 3])), None, "1>3 2>1 3>2"),
            (
                5,
                Cut::MajoritiesRing(these(&[1, 2, 3, 4, 5])),
                None,
                "1>3 1>4 2>4 2>5 3>1 3>5 4>1 4>2 5>2 5>3",
            ),
        ];
        for (nodes, shape, leader, expected) in rows {
            let shown = format!("{shape:?} led by {leader:?}");
            assert_eq!(cut(nodes, shape, leader), expected, "{shown}");
        }
    }

    #[test]
    fn in_a_ring_each_node_hears_a_majority_and_no_two_the_same() {
        for count in 3..=9 {
            let ring: Vec<NodeId> = (1..=count).map(node).collect();
            let mut heard: Vec<Vec<&NodeId>> = ring
                .iter()
                .map(|listener| ring.iter().filter(|s| hears(&ring, listener, s)).collect())
                .collect();
            assert!(heard.iter().all(|nodes| nodes.len() == count / 2 + 1), "{heard:?}");
            heard.sort();
            heard.dedup();
            assert_eq!(heard.len(), count, "two nodes hear the same majority of {count}");
        }
    }
}
