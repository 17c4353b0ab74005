//! A node's disk in a simulation: the embedded node's view of [`BareDisk`].

use ordeal_cluster::disk::{Disk, DiskFile};
use ordeal_nemesis::disk::{BareDisk, BareFile};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much it holds; a simulation's nodes hold little.
const CAPACITY_BYTES: u64 = 1 << 30;

/// A disk; clones are handles on the same one.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Held>>);

struct Held {
    bare: BareDisk,
    locks: BTreeSet<String>,
}

impl Default for SimDisk {
    fn default() -> Self {
        let (bare, locks) = (BareDisk::new(CAPACITY_BYTES), BTreeSet::new());
        SimDisk(Arc::new(Mutex::new(Held { bare, locks })))
    }
}

impl SimDisk {
    /// The disk itself, to be broken.
    pub fn with<T>(&self, work: impl FnOnce(&mut BareDisk) -> T) -> T {
        work(&mut self.held().bare)
    }

    /// How many bytes its files hold together.
    pub fn stored_bytes(&self) -> u64 {
        let folders = ["member/wal", "member/snap"];
        let bytes = |folder: &str| {
            let names = self.list(folder).unwrap_or_default();
            let of = |name: &String| self.read(&format!("{folder}/{name}")).map_or(0, |b| b.len());
            names.iter().map(of).sum::<usize>() as u64
        };
        folders.into_iter().map(bytes).sum()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // One thread alone uses it, and a panic in it ends the simulation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.with(|disk| disk.create_folders(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.with(|disk| disk.list(dir))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.with(|disk| disk.read(path))
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.with(|disk| disk.open(path))?;
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|disk| disk.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.with(|disk| disk.remove(path))
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.with(|disk| {
            let file = disk.truncate(path, len)?;
            disk.sync(file)
        })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.with(|disk| disk.sync_folder(dir))
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Send>> {
        if !self.held().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }
}

struct SimFile {
    disk: SimDisk,
    file: BareFile,
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.with(|disk| disk.append(self.file, bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.with(|disk| disk.sync(self.file))
    }
}

struct SimLock {
    disk: SimDisk,
    path: String,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.held().locks.remove(&self.path);
    }
}
