//! The nodes' disks.
//!
//! A node's data can be put on a disk of our own, which the supervisor serves from memory. It is
//! mounted once, in the supervisor's mount namespace: each process of the node starts with a copy
//! of that, and finds what the one before it left. See [`ordeal_nemesis::disk`].

use super::slot::{SIGNAL_TIMEOUT, Slot};
use super::{Sandbox, SandboxError};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;
use ordeal_nemesis::NodeId;
use ordeal_nemesis::disk::{
    Corruption, Damage, Disk, DiskError, DiskOptions, Files, Loss, Rule, RuleId, Survivors, mount,
};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a process that is to end is looked after: its last requests may come meanwhile.
const LOOK_REST: Duration = Duration::from_millis(5);

/// The device: `ORDEAL_FUSE` where it is set, else `/dev/fuse`.
pub(crate) fn fuse_path() -> PathBuf {
    std::env::var_os("ORDEAL_FUSE").map_or_else(|| "/dev/fuse".into(), PathBuf::from)
}

/// Whether the device can be opened; the rest shows at the first mount.
pub(crate) fn is_offered() -> bool {
    OpenOptions::new().read(true).write(true).open(fuse_path()).is_ok()
}

/// A disk, and where it is mounted.
pub(super) struct Mounted {
    disk: Arc<Disk>,
    at: PathBuf,
}

/// A node's disk, if it has one.
#[derive(Default)]
pub(super) struct DiskSlot(Mutex<Option<Mounted>>);

impl DiskSlot {
    fn disk(&self) -> Option<Arc<Disk>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|mounted| mounted.disk.clone())
    }

    /// Kills the slot's process, and answers what it waits for until it is gone.
    pub(super) fn kill_off(&self, slot: &Slot) {
        if let (Some(disk), Some(process)) = (self.disk(), &slot.process) {
            process.signal(Signal::SIGKILL);
            let deadline = Instant::now() + SIGNAL_TIMEOUT;
            while !process.has_ended(LOOK_REST) && Instant::now() < deadline {
                disk.hurry();
            }
        }
    }

    pub(super) fn take(&self) -> Option<Mounted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Sandbox {
    /// Puts what the node writes below `at` on a disk of its own, empty at first. `at` is a folder,
    /// and the node must be started after this.
    ///
    /// The device is `/dev/fuse`, or what `ORDEAL_FUSE` names.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Disk`] when there is no such device, or it cannot be opened or mounted, with
    /// the way out; [`SandboxError::NoSuchNode`].
    pub fn mount_disk(&self, node: &NodeId, at: &Path) -> Result<(), SandboxError> {
        let it = self.node(node)?;
        let failed = |source| SandboxError::Disk { node: node.clone(), source };
        let device = mount(&fuse_path(), at).map_err(failed)?;
        let disk = Arc::new(Disk::serve(device, DiskOptions::default()).map_err(failed)?);
        let mut slot = it.disk.0.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Mounted { disk, at: at.to_owned() });
        Ok(())
    }

    /// Takes the node's disk away and writes its files to where it was mounted. The node must not
    /// run. A node without a disk is left as it is.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Disk`] when the files cannot be written; [`SandboxError::NoSuchNode`].
    pub fn unmount_disk(&self, node: &NodeId) -> Result<(), SandboxError> {
        let Some(Mounted { disk, at }) = self.node(node)?.disk.take() else {
            return Ok(());
        };
        umount2(&at, MntFlags::MNT_DETACH)
            .map_err(|errno| SandboxError::io("unmounting a disk", super::sys::as_io(errno)))?;
        disk.export(&at).map_err(|source| SandboxError::Disk { node: node.clone(), source })
    }

    /// Cuts the node's power: requests to its disk are held up, its process is killed, its disk
    /// goes back to what was fsynced and what `survivors` adds to that, the requests fail, and the
    /// process is gone. A node that does not run loses only what its last process left unsynced.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoDisk`]; [`SandboxError::Stuck`] when the kernel does not let it go.
    pub fn lose_power(
        &self,
        node: &NodeId,
        survivors: Survivors,
        seed: u64,
    ) -> Result<Loss, SandboxError> {
        let disk = self.disk(node)?;
        let mut slot = self.node(node)?.lock();
        slot.look();
        disk.freeze();
        if let Some(process) = &slot.process {
            process.signal(Signal::SIGKILL);
        }
        let loss = disk.cut_power(survivors, seed);
        let ended = match slot.process {
            Some(_) => slot.finish(node, Duration::ZERO).map(drop),
            None => Ok(()),
        };
        disk.power_on();
        ended.map(|()| loss)
    }

    /// Lets a rule stand for the node's disk; see [`Disk::inject`].
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoDisk`], [`SandboxError::NoSuchNode`].
    pub fn break_disk(&self, node: &NodeId, rule: &Rule) -> Result<RuleId, SandboxError> {
        Ok(self.disk(node)?.inject(rule.clone()))
    }

    /// Takes the rule away, and tells how many requests it hit.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoDisk`], [`SandboxError::NoSuchNode`].
    pub fn mend_disk(&self, node: &NodeId, rule: RuleId) -> Result<u64, SandboxError> {
        Ok(self.disk(node)?.lift(rule))
    }

    /// Keeps a copy of these files of the node's; see [`Disk::remember`].
    ///
    /// # Errors
    ///
    /// [`SandboxError::NoDisk`], [`SandboxError::NoSuchNode`].
    pub fn remember_files(&self, node: &NodeId, files: &Files) -> Result<usize, SandboxError> {
        Ok(self.disk(node)?.remember(files))
    }

    /// Damages a stored file of a node that does not run; see [`Disk::corrupt`].
    ///
    /// # Errors
    ///
    /// [`SandboxError::Disk`] when the node runs or there is nothing to damage;
    /// [`SandboxError::NoDisk`], [`SandboxError::NoSuchNode`].
    pub fn corrupt(
        &self,
        node: &NodeId,
        corruption: Corruption,
        files: &Files,
        seed: u64,
    ) -> Result<Damage, SandboxError> {
        let failed = |source: DiskError| SandboxError::Disk { node: node.clone(), source };
        self.disk(node)?.corrupt(corruption, files, seed).map_err(failed)
    }

    fn disk(&self, node: &NodeId) -> Result<Arc<Disk>, SandboxError> {
        let disk = self.node(node)?.disk.disk();
        disk.ok_or_else(|| SandboxError::NoDisk(node.clone()))
    }
}
