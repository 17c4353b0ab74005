//! A disk in memory that writes down what is done to it, and whose power goes at a chosen point.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use ordeal_cluster::disk::{Disk, DiskFile, MemDisk};
use ordeal_cluster::log::Write;

/// Something that happened to a disk, or to the log on it.
#[derive(Debug, Clone)]
pub enum Line {
    Create {
        path: String,
        inode: usize,
    },
    Append {
        inode: usize,
        bytes: Vec<u8>,
    },
    Sync {
        inode: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    Truncate {
        path: String,
        len: u64,
    },
    SyncDir {
        dir: String,
    },
    /// The log is asked to take this.
    Wrote(Box<Write>),
    /// The core is told that all that the log took is durable.
    Promised,
}

#[derive(Default)]
struct Journal {
    lines: Vec<Line>,
    /// The open files by path, as numbers that no two files share.
    inodes: BTreeMap<String, usize>,
    made: usize,
    operations: u64,
    power_goes_at: Option<u64>,
}

/// See the module. Clones share one disk.
#[derive(Clone, Default)]
pub struct Watched {
    mem: MemDisk,
    journal: Arc<Mutex<Journal>>,
}

impl Watched {
    /// Watches over a disk from now on.
    pub fn over(mem: MemDisk) -> Self {
        Self { mem, ..Self::default() }
    }

    /// What has happened so far.
    pub fn lines(&self) -> Vec<Line> {
        self.journal().lines.clone()
    }

    /// How many times something was changed or synced.
    pub fn operations(&self) -> u64 {
        self.journal().operations
    }

    /// Lets the power go at the operation that comes after so many more.
    pub fn power_goes_after(&self, operations: u64) {
        let mut journal = self.journal();
        journal.power_goes_at = Some(journal.operations + operations);
    }

    /// Takes [`Watched::power_goes_after`] back.
    pub fn power_stays(&self) {
        self.journal().power_goes_at = None;
    }

    /// Whether the power is gone.
    pub fn is_off(&self) -> bool {
        let journal = self.journal();
        journal.power_goes_at.is_some_and(|at| journal.operations > at)
    }

    /// Loses or tears what was not synced; the power is there again.
    pub fn crash(&self, draw: impl FnMut() -> u64) {
        self.mem.crash(draw);
        self.journal().power_goes_at = None;
    }

    pub fn note(&self, line: Line) {
        self.journal().lines.push(line);
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().expect("nobody panics with it")
    }

    /// Counts an operation, and writes it down if there is power for it.
    fn operation(&self, line: impl FnOnce(&mut Journal) -> Line) -> io::Result<()> {
        let mut journal = self.journal();
        journal.operations += 1;
        if journal.power_goes_at.is_some_and(|at| journal.operations > at) {
            return Err(io::Error::other("the power is gone"));
        }
        let line = line(&mut journal);
        journal.lines.push(line);
        Ok(())
    }
}

impl Disk for Watched {
    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.mem.create_dir_all(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.mem.list(dir)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.mem.read(path)
    }

    fn open_append(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let is_new = self.mem.read(path).is_err();
        if is_new {
            self.operation(|journal| {
                let inode = journal.made;
                journal.made += 1;
                journal.inodes.insert(path.to_owned(), inode);
                Line::Create { path: path.to_owned(), inode }
            })?;
        }
        // A file that was there before anybody watched has no number of its own.
        let inode = self.journal().inodes.get(path).copied().unwrap_or(usize::MAX);
        let file = self.mem.open_append(path)?;
        Ok(Box::new(WatchedFile { disk: self.clone(), file, inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation(|journal| {
            if let Some(inode) = journal.inodes.remove(from) {
                journal.inodes.insert(to.to_owned(), inode);
            }
            Line::Rename { from: from.to_owned(), to: to.to_owned() }
        })?;
        self.mem.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.operation(|_| Line::Remove { path: path.to_owned() })?;
        self.mem.remove(path)
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.operation(|_| Line::Truncate { path: path.to_owned(), len })?;
        self.mem.truncate(path, len)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.operation(|_| Line::SyncDir { dir: dir.to_owned() })?;
        self.mem.sync_dir(dir)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Send>> {
        self.mem.lock(path)
    }
}

struct WatchedFile {
    disk: Watched,
    file: Box<dyn DiskFile>,
    inode: usize,
}

impl DiskFile for WatchedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inode;
        let powered = self.disk.operation(|_| Line::Append { inode, bytes: bytes.to_vec() });
        // Part of what was being written when the power went may have arrived.
        self.file.append(bytes)?;
        powered
    }

    fn sync(&mut self) -> io::Result<()> {
        let inode = self.inode;
        self.disk.operation(|_| Line::Sync { inode })?;
        self.file.sync()
    }
}
