//! The disk as the node sees it: a few calls, each of which may fail, and none of which is durable
//! until it is synced.
//!
//! The log and the snapshots are written through [`Disk`] alone, so every point at which data
//! becomes durable is a visible call, and the same code runs on a real disk ([`RealDisk`]) and on
//! one in memory that loses what was not synced ([`MemDisk`]). Paths are relative to the root that
//! the disk was made with, with `/` between their parts.

mod mem;
mod real;

pub use mem::MemDisk;
pub use real::RealDisk;

use std::io;

/// A place for files. A handle is cheap to clone by its implementation's own means and may be used
/// from several threads.
pub trait Disk: Send + Sync + 'static {
    /// Makes a directory and those above it; no error if it is there.
    fn create_dir_all(&self, path: &str) -> io::Result<()>;

    /// The names of the files in a directory, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// The whole content of a file.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Opens a file to append to it, and creates it empty if it is not there. The name of a new
    /// file is durable after [`Disk::sync_dir`] only.
    fn open_append(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file over whatever bears the new name; durable after [`Disk::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; durable after [`Disk::sync_dir`].
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Cuts a file to `len` bytes and makes that durable.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Takes the file's lock for as long as the guard lives. Fails with
    /// [`io::ErrorKind::WouldBlock`] if another process holds it.
    fn lock(&self, path: &str) -> io::Result<Box<dyn Send>>;
}

/// An open file that grows at its end.
pub trait DiskFile: Send {
    /// Writes the bytes at the end of the file. They may be lost, or arrive in part, until
    /// [`DiskFile::sync`] has returned.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended so far durable.
    fn sync(&mut self) -> io::Result<()>;
}
