//! Containers: each node in one of its own, on a network that the harness owns.
//!
//! # Model
//!
//! All is made of one image, built from nothing but Ordeal's own binary and the database's
//! ([`image`]). A node's container has a network namespace with nothing in it, and its first
//! process is an [agent](crate::agent). A **sidecar**, a container of the same image with the one
//! capability that this takes (NET_ADMIN), joins that namespace, makes a TUN device there, hands it
//! over to the runner, and ends. So the nodes are on the very switch that they are on in the
//! sandbox, and every fault of links is here what it is there; Docker's own networks are not
//! needed. Clients are on that switch too: one more container makes their sockets.
//!
//! Beyond Docker's socket this takes nothing: no root, no namespaces of our own.
//!
//! # Who dies with whom
//!
//! Each container's first process ends when its connection to the runner does, and the container
//! is removed with it. What else there is, the image, a [watcher](watch) removes.
//!
//! # What is not here
//!
//! Disk faults: a container may mount nothing.

mod control;
mod descriptors;
mod engine;
mod error;
mod image;
mod roles;
mod start;
mod watch;

use crate::agent::{Ended, Remote};
use crate::run::place::Place;
use crate::sandbox::{Answer, Order};
use ordeal_nemesis::link::{Counters, Shape, Switch, SwitchError};
use ordeal_nemesis::{Capability, InjectError, Link, NodeId, Side};
use ordeal_workloads::etcd::Sockets;
use start::Lifeline;
pub(crate) use start::{address, start};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use watch::Watcher;

/// How long Docker may take to remove what a run leaves.
const CLEAN_UP_MAX: Duration = Duration::from_secs(30);

/// The containers of a run. When this is dropped they are removed.
pub(crate) struct Docker {
    order: Vec<NodeId>,
    nodes: BTreeMap<NodeId, Remote>,
    switch: Switch,
    sockets: Sockets,
    lifeline: Lifeline,
    watcher: Watcher,
}

/// Where a program of this machine lies in the containers.
pub(crate) fn program(path: &Path) -> PathBuf {
    image::place(path)
}

/// Ordeal's own binary in the containers.
pub(crate) fn own_program() -> PathBuf {
    image::ORDEAL.into()
}

/// When this process was started to be something in a container, or its watcher: is that, and gives
/// the exit status.
pub(crate) fn play_role(args: &[&str]) -> Option<u8> {
    match args {
        [watch::WATCH, socket, run, control] => Some(watch::watch(socket, run, control)),
        other => roles::play(other),
    }
}

/// Whether the daemon can be reached and builds an image, which is removed again; where not, why
/// and the way out.
pub(crate) fn try_out() -> Result<(), (String, &'static str)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (error.to_string(), "another machine"))?;
    let tried = runtime.block_on(start::try_out());
    tried.map_err(|error| (error.to_string(), error.way_out()))
}

impl Docker {
    /// Removes everything, and tells what stands in the way of that.
    pub fn finish(mut self) -> Result<(), String> {
        // The containers end with their connections.
        self.nodes.clear();
        if self.lifeline.broken().is_some() {
            // That was told. The watcher waits for the daemon by itself.
            self.watcher.finish(Duration::ZERO);
            return Ok(());
        }
        if self.watcher.finish(CLEAN_UP_MAX) {
            return Ok(());
        }
        Err("Docker has not removed the run's containers and image; what is left of them bears \
             the label ordeal.run (docker ps -a --filter label=ordeal.run), the image is \
             named ordeal"
            .to_owned())
    }

    /// Writes down what the link between these two carries from now on, both ways, in a file there.
    pub fn capture(&self, one: &Side, other: &Side, path: &Path) -> Result<(), String> {
        let captured = File::create(path).and_then(|file| self.switch.capture(one, other, file));
        captured.map_err(|error| format!("capturing to {}: {error}", path.display()))
    }

    fn node(&self, node: &NodeId) -> Result<&Remote, InjectError> {
        self.nodes.get(node).ok_or_else(|| InjectError(format!("there is no node {node}")))
    }
}

impl Place for Docker {
    fn nodes(&self) -> Vec<NodeId> {
        self.order.clone()
    }

    fn offers(&self) -> Vec<Capability> {
        let links = [Capability::Link, Capability::ClientLink, Capability::Shape];
        let mut offers = crate::agent::offered_by_all(self.nodes.values());
        offers.extend(links);
        offers
    }

    async fn obey(&self, node: &NodeId, order: Order) -> Result<Answer, InjectError> {
        self.node(node)?.obey(order).await
    }

    fn runs(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(Remote::runs)
    }

    fn ended(&self, node: &NodeId) -> Option<Ended> {
        self.nodes.get(node)?.ended()
    }

    fn sockets(&self) -> Option<Sockets> {
        Some(self.sockets.clone())
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.switch.cut(links).map_err(refused)
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        self.switch.heal(links).map_err(refused)
    }

    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        self.switch.shape(links, shape).map_err(refused)
    }

    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        links.iter().map(|link| self.switch.counters(link)).sum::<Result<_, _>>().map_err(refused)
    }

    fn lost(&self) -> Option<String> {
        self.lifeline.broken()
    }
}

fn refused(error: SwitchError) -> InjectError {
    InjectError(error.to_string())
}
