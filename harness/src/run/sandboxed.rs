//! The cluster in the sandbox: real processes, real sockets.

use super::environment::{Death, Environment, EnvironmentError};
use super::target::Target;
use crate::sandbox::{Sandbox, SandboxError};
use futures::future::join_all;
use ordeal_nemesis::clock::{ClockReading, ClockSkew};
use ordeal_nemesis::disk::{Corruption, Damage, Files, Loss, Rule, RuleId, Survivors};
use ordeal_nemesis::link::{Counters, Shape};
use ordeal_nemesis::{Capability, InjectError, Link, Machinery, NodeId};
use ordeal_workloads::StoreError;
use ordeal_workloads::etcd::{EtcdOptions, EtcdStore, Status, status};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// Members that start in the same instant may elect in vain for two seconds.
const START_APART: Duration = Duration::from_millis(100);
/// How long a member may take to say who leads.
const STATUS_MAX: Duration = Duration::from_millis(300);
/// How long members may take to end.
const STOP_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether one has.
const STOP_POLL: Duration = Duration::from_millis(5);
/// How much of a log a person is shown.
const LAST_WORDS_BYTES: u64 = 2_048;
const LAST_WORDS_LINES: usize = 6;

/// A cluster in the sandbox.
pub struct Sandboxed {
    sandbox: Sandbox,
    target: Target,
    options: EtcdOptions,
    deaths: RefCell<Vec<Death>>,
    /// Nodes that lie dead and of which that was said.
    mourned: RefCell<BTreeSet<NodeId>>,
    version: RefCell<Option<String>>,
}

impl Sandboxed {
    /// The target's members, none of them started.
    pub fn new(sandbox: Sandbox, target: Target) -> Sandboxed {
        let options = EtcdOptions::default();
        Sandboxed {
            sandbox,
            target,
            options,
            deaths: RefCell::default(),
            mourned: RefCell::default(),
            version: RefCell::default(),
        }
    }

    /// Puts each node's data on a disk that can be broken.
    ///
    /// # Errors
    ///
    /// When the machine gives no such disks, with the way out.
    pub fn mount_disks(&self) -> Result<(), EnvironmentError> {
        for node in self.sandbox.nodes() {
            let data = self.target.data(&node);
            make_folder(&data)?;
            let mounted = self.sandbox.mount_disk(&node, &data);
            mounted.map_err(|error| EnvironmentError(error.to_string()))?;
        }
        Ok(())
    }

    /// The version that a member named, if one was asked.
    pub fn version_seen(&self) -> Option<String> {
        self.version.borrow().clone()
    }

    /// What each member that answers in time says of itself.
    async fn statuses(&self) -> Vec<(NodeId, Status)> {
        let asked = self.sandbox.nodes().into_iter().map(|node| async move {
            let endpoint = self.target.endpoint(&node);
            let said = tokio::time::timeout(STATUS_MAX, status(&endpoint, &self.options)).await;
            said.ok()?.ok().map(|status| (node, status))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    fn launch(&self, node: &NodeId) -> Result<(), SandboxError> {
        self.notice(node);
        self.sandbox.start(node, &self.target.launch(node))?;
        self.mourned.borrow_mut().remove(node);
        Ok(())
    }

    /// Remembers how the node died, if it did and nobody killed it: its next start forgets it.
    fn notice(&self, node: &NodeId) {
        if let Ok(Some(reason)) = self.sandbox.exited(node)
            && self.mourned.borrow_mut().insert(node.clone())
        {
            let last_words = self.last_words(node);
            let (node, how) = (node.clone(), reason.to_string());
            self.deaths.borrow_mut().push(Death { node, how, last_words });
        }
    }
}

impl Environment for Sandboxed {
    type Store = EtcdStore;
    type Machinery = Sandboxed;

    fn machinery(&self) -> &Sandboxed {
        self
    }

    async fn start(&self) -> Result<(), EnvironmentError> {
        for (place, node) in self.sandbox.nodes().iter().enumerate() {
            if place > 0 {
                tokio::time::sleep(START_APART).await;
            }
            make_folder(&self.target.folder(node))?;
            self.launch(node).map_err(|error| EnvironmentError(error.to_string()))?;
        }
        Ok(())
    }

    async fn connect(&self, node: &NodeId) -> Result<EtcdStore, StoreError> {
        EtcdStore::connect(&self.target.endpoint(node), &self.options).await
    }

    fn deaths(&self) -> Vec<Death> {
        self.sandbox.nodes().iter().for_each(|node| self.notice(node));
        self.deaths.take()
    }

    async fn revive(&self) -> Result<(), EnvironmentError> {
        for node in self.sandbox.nodes() {
            if let Ok(None) = self.sandbox.pid(&node) {
                self.launch(&node).map_err(|error| EnvironmentError(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn last_words(&self, node: &NodeId) -> String {
        let path = self.target.log(node);
        let words = tail(&path).unwrap_or_default();
        if words.is_empty() { format!("(nothing in {})", path.display()) } else { words }
    }

    async fn stop(&self) -> Result<(), EnvironmentError> {
        let failed = |error: SandboxError| EnvironmentError(error.to_string());
        self.sandbox.terminate(&self.sandbox.nodes(), STOP_MAX).map_err(failed)?;
        self.sandbox
            .nodes()
            .iter()
            .try_for_each(|node| self.sandbox.unmount_disk(node))
            .map_err(failed)
    }
}

impl Machinery for Sandboxed {
    fn offers(&self) -> Vec<Capability> {
        self.sandbox.offers()
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.sandbox.nodes()
    }

    async fn leader(&self) -> Option<NodeId> {
        let said = self.statuses().await;
        if let Some((_, status)) = said.iter().find(|(_, status)| !status.version.is_empty()) {
            self.version.replace(Some(status.version.clone()));
        }
        // A leader that was cut off says so for a while yet: the one of the highest term leads.
        let leaders = said.into_iter().filter(|(_, status)| status.leads());
        leaders.max_by_key(|(_, status)| status.term).map(|(node, _)| node)
    }

    async fn kill(&self, node: &NodeId) -> Result<(), InjectError> {
        self.sandbox.kill(node).map_err(refused)
    }

    async fn terminate(&self, node: &NodeId) -> Result<bool, InjectError> {
        self.sandbox.ask_to_end(node).map_err(refused)?;
        let give_up = tokio::time::Instant::now() + STOP_MAX;
        while tokio::time::Instant::now() < give_up {
            if let Ok(None) = self.sandbox.pid(node) {
                return Ok(true);
            }
            tokio::time::sleep(STOP_POLL).await;
        }
        self.sandbox.kill(node).map_err(refused)?;
        Ok(false)
    }

    async fn start(&self, node: &NodeId) -> Result<(), InjectError> {
        self.launch(node).map_err(refused)
    }

    async fn pause(&self, node: &NodeId) -> Result<(), InjectError> {
        self.sandbox.pause(node).map_err(refused)
    }

    async fn resume(&self, node: &NodeId) -> Result<(), InjectError> {
        self.sandbox.resume(node).map_err(refused)
    }

    async fn cut(&self, links: &[Link]) -> Result<(), InjectError> {
        self.sandbox.cut(links).map_err(refused)
    }

    async fn heal(&self, links: &[Link]) -> Result<u64, InjectError> {
        self.sandbox.heal(links).map_err(refused)
    }

    async fn shape(&self, links: &[Link], shape: Shape) -> Result<(), InjectError> {
        self.sandbox.shape(links, shape).map_err(refused)
    }

    async fn traffic(&self, links: &[Link]) -> Result<Counters, InjectError> {
        links.iter().map(|link| self.sandbox.counters(link)).sum::<Result<_, _>>().map_err(refused)
    }

    async fn set_clock(
        &self,
        node: &NodeId,
        skew: ClockSkew,
    ) -> Result<Option<ClockReading>, InjectError> {
        let wait = self.sandbox.change_clock(node, skew).map_err(refused)?;
        tokio::time::sleep(wait).await;
        self.sandbox.read_clock(node).map_err(refused)
    }

    async fn read_clock(&self, node: &NodeId) -> Result<Option<ClockReading>, InjectError> {
        self.sandbox.read_clock(node).map_err(refused)
    }

    async fn break_disk(&self, node: &NodeId, rule: &Rule) -> Result<RuleId, InjectError> {
        self.sandbox.break_disk(node, rule).map_err(refused)
    }

    async fn mend_disk(&self, node: &NodeId, rule: RuleId) -> Result<u64, InjectError> {
        self.sandbox.mend_disk(node, rule).map_err(refused)
    }

    async fn lose_power(
        &self,
        node: &NodeId,
        survivors: Survivors,
        seed: u64,
    ) -> Result<Loss, InjectError> {
        self.sandbox.lose_power(node, survivors, seed).map_err(refused)
    }

    async fn remember_files(&self, node: &NodeId, files: &Files) -> Result<(), InjectError> {
        self.sandbox.remember_files(node, files).map(drop).map_err(refused)
    }

    async fn corrupt(
        &self,
        node: &NodeId,
        corruption: Corruption,
        files: &Files,
        seed: u64,
    ) -> Result<Damage, InjectError> {
        self.sandbox.corrupt(node, corruption, files, seed).map_err(refused)
    }
}

fn make_folder(path: &Path) -> Result<(), EnvironmentError> {
    std::fs::create_dir_all(path).map_err(|error| {
        EnvironmentError(format!("cannot make the folder {}: {error}", path.display()))
    })
}

fn refused(error: SandboxError) -> InjectError {
    InjectError(error.to_string())
}

/// The last lines of a file.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(LAST_WORDS_LINES)..].join("\n"))
}
