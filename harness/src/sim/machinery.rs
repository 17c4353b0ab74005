//! What the nemesis can do to a simulated cluster.

use super::host::as_ns;
use super::wire::{CLIENTS, End};
use super::world::World;
use ordeal_nemesis::clock::{ClockReading, ClockSkew};
use ordeal_nemesis::disk::{BareDisk, Corruption, Damage, Files, Loss, Rule, RuleId, Survivors};
use ordeal_nemesis::link::{Counters, Shape};
use ordeal_nemesis::{
    Capability, InjectError, Link, Machinery, Member, NodeId, Side, Standing, Task, TaskDone, Time,
};
use std::collections::BTreeMap;

/// What can be done to a simulated cluster.
pub const OFFERED: [Capability; 10] = [
    Capability::Kill,
    Capability::Terminate,
    Capability::Pause,
    Capability::Link,
    Capability::ClientLink,
    Capability::Shape,
    Capability::Clock,
    Capability::Disk,
    Capability::Members,
    Capability::Maintenance,
];

impl World {
    fn ends(&self, links: &[Link]) -> Result<Vec<(End, End)>, InjectError> {
        links.iter().map(|link| Ok((self.side(&link.from)?, self.side(&link.to)?))).collect()
    }

    fn side(&self, side: &Side) -> Result<End, InjectError> {
        match side {
            Side::Clients => Ok(CLIENTS),
            Side::Node(node) => self.end(node).ok_or_else(|| unknown(node)),
        }
    }

    fn disk<T>(
        &self,
        node: &NodeId,
        work: impl FnOnce(&mut BareDisk) -> T,
    ) -> Result<T, InjectError> {
        let disk = self.with_host(node, |host| host.disk.clone());
        disk.map(|disk| disk.with(work)).ok_or_else(|| unknown(node))
    }

    fn runs(&self, node: &NodeId) -> bool {
        self.with_host(node, |host| host.process.is_some()).unwrap_or(false)
    }
}

fn unknown(node: &NodeId) -> InjectError {
    InjectError(format!("there is no node {node}"))
}

fn must(done: bool, node: &NodeId, what: &str) -> Result<(), InjectError> {
    if done { Ok(()) } else { Err(InjectError(format!("{node} {what}"))) }
}

impl Machinery for World {
    fn offers(&self) -> Vec<Capability> {
        OFFERED.to_vec()
    }

    fn nodes(&self) -> Vec<NodeId> {
        World::nodes(self)
    }

    async fn leader(&self) -> Option<NodeId> {
        World::leader(self)
    }

    async fn kill(&self, node: &NodeId) -> Result<(), InjectError> {
        must(World::kill(self, node), node, "is not running")
    }

    async fn terminate(&self, node: &NodeId) -> Result<bool, InjectError> {
        must(World::kill(self, node), node, "is not running").map(|()| true)
    }

    async fn start(&self, node: &NodeId) -> Result<(), InjectError> {
        World::start(self, node);
        Ok(())
    }

    async fn pause(&self, node: &NodeId) -> Result<(), InjectError> {
        must(World::pause(self, node, true), node, "is not running")
    }

    async fn resume(&self, node: &NodeId) -> Result<(), InjectError> {
        must(World::pause(self, node, false), node, "was not stopped")
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        World::cut(self, &self.ends(links)?);
        Ok(())
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        let ends = self.ends(links)?;
        World::heal(self, &ends);
        let dropped = |wire: &mut super::world::WireView<'_>| {
            ends.iter().map(|&(from, to)| wire.counters(from, to).dropped).sum()
        };
        Ok(self.with_wire(dropped))
    }

    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        let ends = self.ends(links)?;
        self.with_wire(|wire| ends.iter().for_each(|&(from, to)| wire.shape(from, to, shape)));
        Ok(())
    }

    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        let ends = self.ends(links)?;
        Ok(self.with_wire(|wire| ends.iter().map(|&(from, to)| wire.counters(from, to)).sum()))
    }

    async fn set_clock(
        &self,
        node: &NodeId,
        skew: ClockSkew,
    ) -> Result<Option<ClockReading>, InjectError> {
        World::set_clock(self, node, skew).map_err(InjectError)
    }

    async fn read_clock(&self, node: &NodeId) -> Result<Option<ClockReading>, InjectError> {
        let now_ns = as_ns(self.time.now());
        let read = |host: &mut super::host::Host| {
            host.process.as_ref().map(|_| host.clock.reading(now_ns))
        };
        Ok(self.with_host(node, read).flatten())
    }

    async fn break_disk(&self, node: &NodeId, rule: &Rule) -> Result<RuleId, InjectError> {
        self.disk(node, |disk| disk.inject(rule.clone()))
    }

    async fn mend_disk(&self, node: &NodeId, rule: RuleId) -> Result<u64, InjectError> {
        self.disk(node, |disk| disk.lift(rule))
    }

    async fn lose_power(
        &self,
        node: &NodeId,
        survivors: Survivors,
        seed: u64,
    ) -> Result<Loss, InjectError> {
        // One that lies dead already loses what it had not fsynced when it died.
        World::kill(self, node);
        let loss = self.disk(node, |disk| disk.lose_power(survivors, seed))?;
        self.count_loss(&loss);
        Ok(loss)
    }

    async fn remember_files(&self, node: &NodeId, files: &Files) -> Result<(), InjectError> {
        self.disk(node, |disk| disk.remember(files)).map(drop)
    }

    async fn corrupt(
        &self,
        node: &NodeId,
        corruption: Corruption,
        files: &Files,
        seed: u64,
    ) -> Result<Damage, InjectError> {
        if self.runs(node) {
            return Err(InjectError(format!(
                "{node} runs: stop it before its files are corrupted"
            )));
        }
        let damage = self.disk(node, |disk| disk.corrupt(corruption, files, seed))?;
        damage.map_err(|error| InjectError(error.to_string()))
    }

    async fn members(&self) -> Result<Vec<Member>, InjectError> {
        self.listed_members().await
    }

    async fn remove_member(&self, node: &NodeId) -> Result<u64, InjectError> {
        World::remove(self, node).await
    }

    async fn add_member(&self, node: &NodeId, learner: bool) -> Result<u64, InjectError> {
        World::add(self, node, learner).await
    }

    fn is_uncertain(&self, node: &NodeId) -> bool {
        self.with_host(node, |host| host.uncertain.is_some()).unwrap_or(false)
    }

    async fn promote_member(&self, node: &NodeId) -> Result<(), InjectError> {
        World::promote(self, node).await
    }

    async fn wipe(&self, node: &NodeId) -> Result<u64, InjectError> {
        if self.runs(node) {
            return Err(InjectError(format!("{node} runs: stop it before its data is taken")));
        }
        World::wipe(self, node)
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, InjectError> {
        World::standing(self, node).await
    }

    async fn maintain(&self, task: &Task) -> Result<TaskDone, InjectError> {
        World::maintain(self, task).await
    }

    async fn snapshots_begun(&self) -> Result<BTreeMap<NodeId, u64>, InjectError> {
        Ok(World::snapshots_begun(self))
    }

    async fn has_key(&self, prefix: &str) -> Result<bool, InjectError> {
        World::has_key(self, prefix).await
    }
}
