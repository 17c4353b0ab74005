//! The simulated cluster as a place where a run takes place.

use super::store::SimStore;
use super::world::World;
use crate::run::environment::{Death, Environment, EnvironmentError};
use ordeal_nemesis::{NodeId, Time};
use ordeal_workloads::etcd::Inspected;
use ordeal_workloads::{Login, StoreError};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Members start one after the other.
const START_APART: Duration = Duration::from_millis(20);

/// A cluster in a simulation.
pub struct Simulation(pub Rc<World>);

impl Environment for Simulation {
    type Store = SimStore;
    type Machinery = World;

    fn machinery(&self) -> &World {
        &self.0
    }

    async fn start(&self) -> Result<(), EnvironmentError> {
        for node in self.0.serving() {
            self.0.start(&node);
            self.0.time.sleep(START_APART).await;
        }
        Ok(())
    }

    async fn connect(&self, node: &NodeId) -> Result<SimStore, StoreError> {
        SimStore::connect(&self.0, node).await
    }

    fn members(&self) -> Vec<NodeId> {
        self.0.serving()
    }

    fn log_in(&self, login: &Login) {
        self.0.set_operator(login);
    }

    async fn inspect(&self, node: &NodeId, at: Option<i64>) -> Result<Inspected, StoreError> {
        let silent = || StoreError::DidNotHappen(format!("{node} does not run"));
        self.0.with_host(node, |host| host.inspect(at)).flatten().ok_or_else(silent)
    }

    async fn keys(&self, node: &NodeId) -> Result<BTreeMap<String, String>, StoreError> {
        let silent = || StoreError::DidNotHappen(format!("{node} does not run"));
        self.0.with_host(node, |host| host.keys()).flatten().ok_or_else(silent)
    }

    fn deaths(&self) -> Vec<Death> {
        let nodes = self.0.nodes();
        let dead = nodes
            .iter()
            .filter_map(|node| self.0.with_host(node, |host| std::mem::take(&mut host.deaths)));
        dead.flatten().collect()
    }

    async fn revive(&self) -> Result<(), EnvironmentError> {
        for node in self.0.nodes().into_iter().filter(|node| self.0.is_in(node)) {
            self.0.start(&node);
        }
        Ok(())
    }

    fn last_words(&self, node: &NodeId) -> String {
        self.0.with_host(node, |host| host.last_words()).unwrap_or_default()
    }

    async fn stop(&self) -> Result<(), EnvironmentError> {
        Ok(())
    }
}
