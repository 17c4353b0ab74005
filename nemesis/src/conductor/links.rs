//! Which faults hold which links cut or shaped.
//!
//! Cuts are counted: a link that two faults cut carries again when both are over. Shapes are put
//! together: a link that two faults shape has the delay of both and the worse share of each.

use super::state::{Active, State};
use crate::fault::{Sign, alone};
use crate::link::{Counters, Shape, Shaped};
use crate::{Fault, Link, Machinery, NodeId};
use std::collections::BTreeMap;

/// Who shapes what.
#[derive(Default)]
pub(super) struct Shapes(BTreeMap<Link, BTreeMap<u32, Shape>>);

/// What a fault did to packets.
#[derive(Default)]
pub(super) struct TrafficSeen {
    links: Vec<Link>,
    before: Counters,
    sign: Option<Sign>,
    /// What went over its links while it lasted, and what became of it.
    pub(super) during: Counters,
}

impl TrafficSeen {
    /// Whether there are links that it shapes.
    pub(super) fn took_hold(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether a packet had its effect.
    pub(super) fn landed(&self) -> bool {
        let Shaped { delayed, lost, duplicated, reordered, corrupted, throttled, reset } =
            self.during.shaped;
        let packets = match self.sign {
            None => 0,
            Some(Sign::Delayed) => delayed,
            Some(Sign::Lost) => lost,
            Some(Sign::Duplicated) => duplicated,
            Some(Sign::Reordered) => reordered,
            Some(Sign::Corrupted) => corrupted,
            Some(Sign::Throttled) => throttled,
            Some(Sign::Reset) => reset,
        };
        packets > 0
    }
}

impl Shapes {
    pub(super) async fn begin<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        leader: Option<&NodeId>,
        active: &mut Active,
    ) {
        let Some((links, shape, sign)) = active.fault.link_effect() else {
            return;
        };
        let links = links.resolve(&machinery.nodes(), leader);
        if links.is_empty() {
            active.errors.push("it shapes no link of this cluster".to_owned());
            return;
        }
        let before = match machinery.traffic(&links).await {
            Ok(before) => before,
            Err(error) => return active.errors.push(error.to_string()),
        };
        for link in &links {
            self.0.entry(link.clone()).or_default().insert(id, shape);
        }
        if let Err(error) = self.set(machinery, &links).await {
            active.errors.push(error);
            // Some of them may have been shaped before the error.
            self.let_go(machinery, id, &links, active).await;
            return;
        }
        active.traffic = TrafficSeen { links, before, sign: Some(sign), during: before };
    }

    pub(super) async fn end<M: Machinery>(&mut self, machinery: &M, id: u32, active: &mut Active) {
        let links = std::mem::take(&mut active.traffic.links);
        match machinery.traffic(&links).await {
            Ok(after) => active.traffic.during = after.since(active.traffic.before),
            Err(error) => {
                active.traffic.during = Counters::default();
                active.errors.push(error.to_string());
            }
        }
        self.let_go(machinery, id, &links, active).await;
    }

    async fn let_go<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        links: &[Link],
        active: &mut Active,
    ) {
        for link in links {
            if let Some(holders) = self.0.get_mut(link) {
                holders.remove(&id);
            }
        }
        if let Err(error) = self.set(machinery, links).await {
            active.errors.push(error);
        }
        self.0.retain(|_, holders| !holders.is_empty());
    }

    /// Gives these links the shapes that their holders give them together.
    async fn set<M: Machinery>(&self, machinery: &M, links: &[Link]) -> Result<(), String> {
        let mut alike: Vec<(Shape, Vec<Link>)> = Vec::new();
        for link in links {
            let shapes = self.0.get(link).into_iter().flat_map(BTreeMap::values);
            let shape = shapes.fold(Shape::default(), |all, one| all.and(*one));
            match alike.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, links)) => links.push(link.clone()),
                None => alike.push((shape, vec![link.clone()])),
            }
        }
        for (shape, links) in alike {
            machinery.shape(&links, shape).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl State {
    /// Cuts these links, for the first time or again.
    pub(super) async fn cut<M: Machinery>(
        &mut self,
        machinery: &M,
        links: Vec<Link>,
        active: &mut Active,
    ) {
        let fresh: Vec<Link> =
            links.iter().filter(|link| !self.cut.contains_key(link)).cloned().collect();
        if links.is_empty() {
            active.errors.push("it cuts no link of this cluster".to_owned());
            return;
        }
        if let Err(error) = machinery.cut(&fresh).await {
            active.errors.push(error.to_string());
            // Some of them may have been cut before the error.
            if let Err(error) = machinery.heal(&fresh).await {
                active.errors.push(error.to_string());
            }
            return;
        }
        for link in &links {
            *self.cut.entry(link.clone()).or_default() += 1;
        }
        active.links.extend(links);
    }

    /// Heals these links, as far as no other fault holds them cut.
    async fn heal<M: Machinery>(&mut self, machinery: &M, links: Vec<Link>, active: &mut Active) {
        let mut free = Vec::new();
        for link in links {
            if let Some(holders) = self.cut.get_mut(&link) {
                *holders -= 1;
                if *holders == 0 {
                    self.cut.remove(&link);
                    free.push(link);
                }
            }
        }
        if free.is_empty() {
            return;
        }
        match machinery.heal(&free).await {
            Ok(dropped) => active.dropped += dropped,
            Err(error) => active.errors.push(error.to_string()),
        }
    }

    /// Heals whatever the fault still holds cut.
    pub(super) async fn heal_all<M: Machinery>(&mut self, machinery: &M, active: &mut Active) {
        let links = std::mem::take(&mut active.links);
        self.heal(machinery, links, active).await;
    }

    /// Heals what is cut, or cuts it again.
    pub(super) async fn flap<M: Machinery>(&mut self, machinery: &M, active: &mut Active) {
        if active.links.is_empty() {
            let links = std::mem::take(&mut active.flapping);
            self.cut(machinery, links, active).await;
        } else {
            active.flapping = active.links.clone();
            self.heal_all(machinery, active).await;
        }
    }

    /// Isolates one node more, or heals one.
    pub(super) async fn swizzle<M: Machinery>(&mut self, machinery: &M, active: &mut Active) {
        let Fault::Swizzle { cut, heal } = &active.fault else {
            return;
        };
        let turn = usize::try_from(active.turn).unwrap_or(usize::MAX);
        let nodes = machinery.nodes();
        if turn < cut.len() {
            let links = alone(&nodes, cut.get(turn));
            return self.cut(machinery, links, active).await;
        }
        let links = alone(&nodes, heal.get(turn - cut.len()));
        for link in &links {
            // Once: another of its nodes may hold the same link.
            if let Some(at) = active.links.iter().position(|held| held == link) {
                active.links.remove(at);
            }
        }
        self.heal(machinery, links, active).await;
    }
}
