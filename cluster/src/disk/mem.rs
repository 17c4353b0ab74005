//! A disk in memory that keeps what was written and what was synced apart.
//!
//! The fault model of [`MemDisk::crash`], which stands for a loss of power:
//!
//! - synced bytes survive, always;
//! - of the bytes appended since, any prefix survives, and within it any 512-byte sector may have
//!   been lost, and then reads as zeros (the file's length reached the disk before its data);
//! - names made, changed or removed since the directory was synced all survive, or none does.
//!
//! Not modelled: bit flips in synced data, and a disk that lies about a sync.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

const SECTOR: usize = 512;

/// A disk in memory. Clones share the same content.
#[derive(Debug, Clone, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// Names as a running process sees them.
    names: BTreeMap<String, u64>,
    /// Names as they were when their directory was last synced.
    durable_names: BTreeMap<String, u64>,
    locks: BTreeMap<String, u64>,
    /// Counts crashes: a handle from before one is dead.
    epoch: u64,
    syncs: u64,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    bytes: Vec<u8>,
    synced: usize,
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: un-synced data is lost or torn as `draw` decides, and every open file and
    /// lock is void. `draw` gives random 64-bit numbers.
    pub fn crash(&self, mut draw: impl FnMut() -> u64) {
        let mut state = self.state();
        state.epoch += 1;
        state.locks.clear();
        if draw().is_multiple_of(2) {
            state.names = state.durable_names.clone();
        } else {
            state.durable_names = state.names.clone();
        }
        for inode in state.inodes.values_mut() {
            inode.tear(&mut draw);
        }
        let live: Vec<u64> = state.names.values().copied().collect();
        state.inodes.retain(|id, _| live.contains(id));
    }

    /// A disk of its own with the same content, which nobody has open.
    pub fn copy(&self) -> Self {
        let State { inodes, next_inode, names, durable_names, syncs, .. } = &*self.state();
        let state = State {
            inodes: inodes.clone(),
            next_inode: *next_inode,
            names: names.clone(),
            durable_names: durable_names.clone(),
            locks: BTreeMap::new(),
            epoch: 0,
            syncs: *syncs,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many file syncs were asked for since the disk was made.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Changes a file's bytes in place, as a decaying disk would. For tests.
    pub fn corrupt(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode_mut(path)?;
        change(&mut inode.bytes);
        inode.synced = inode.bytes.len();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inode {
    fn tear(&mut self, draw: &mut impl FnMut() -> u64) {
        let pending = self.bytes.len() - self.synced;
        if pending == 0 {
            return;
        }
        let kept = (draw() % (pending as u64 + 1)) as usize;
        self.bytes.truncate(self.synced + kept);
        let mut at = self.synced;
        while at < self.bytes.len() {
            let end = ((at / SECTOR + 1) * SECTOR).min(self.bytes.len());
            if draw().is_multiple_of(4) {
                self.bytes[at..end].fill(0);
            }
            at = end;
        }
        self.synced = self.bytes.len();
    }
}

impl State {
    fn inode_mut(&mut self, path: &str) -> io::Result<&mut Inode> {
        let id = self.names.get(path).ok_or_else(|| not_found(path))?;
        self.inodes.get_mut(id).ok_or_else(|| not_found(path))
    }
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {path} on the disk in memory"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Disk for MemDisk {
    fn create_dir_all(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        let names = state.names.keys().filter(|path| parent(path) == dir);
        Ok(names.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(self.state().inode_mut(path)?.bytes.clone())
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let inode = match state.names.get(path) {
            Some(id) => *id,
            None => {
                let id = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(id, Inode::default());
                state.names.insert(path.to_owned(), id);
                id
            }
        };
        Ok(Box::new(MemFile { disk: self.clone(), inode, epoch: state.epoch }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let id = state.names.remove(from).ok_or_else(|| not_found(from))?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.state().names.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode_mut(path)?;
        inode.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        inode.synced = inode.bytes.len();
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        let State { names, durable_names, .. } = &mut *state;
        durable_names.retain(|path, _| parent(path) != dir);
        let here = names.iter().filter(|(path, _)| parent(path) == dir);
        durable_names.extend(here.map(|(path, id)| (path.clone(), *id)));
        Ok(())
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Send>> {
        let mut state = self.state();
        let epoch = state.epoch;
        if state.locks.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.insert(path.to_owned(), epoch);
        Ok(Box::new(MemLock { disk: self.clone(), path: path.to_owned(), epoch }))
    }
}

struct MemFile {
    disk: MemDisk,
    inode: u64,
    epoch: u64,
}

impl MemFile {
    fn with<T>(&self, work: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.epoch != self.epoch {
            return Err(io::Error::other("the file was open when the power was cut"));
        }
        let inode = state.inodes.get_mut(&self.inode);
        inode.map(work).ok_or_else(|| io::Error::other("the file is gone"))
    }
}

impl DiskFile for MemFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|inode| inode.bytes.extend_from_slice(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|inode| inode.synced = inode.bytes.len())?;
        self.disk.state().syncs += 1;
        Ok(())
    }
}

struct MemLock {
    disk: MemDisk,
    path: String,
    epoch: u64,
}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.locks.get(&self.path) == Some(&self.epoch) {
            state.locks.remove(&self.path);
        }
    }
}
