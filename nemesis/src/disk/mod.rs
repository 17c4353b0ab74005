//! A disk of our own, under the nodes' data: a FUSE filesystem that keeps what was written and
//! what was fsynced apart.
//!
//! # Fault model
//!
//! **Bytes.** A write changes the live image and is pending until the file is fsynced: by sector
//! of 512 bytes, each with its place in the order of all writes to the disk. An fsync or fdatasync
//! makes everything pending in *that file* durable, and nothing of other files. A sector written
//! twice between two fsyncs survives in its last version or not at all. A sector is never torn
//! in itself. Size and bytes of a file are separate pending changes: a cut that was not fsynced
//! is undone by a power loss, and a file can come back longer than its bytes (zeros), or with
//! some of its sectors and zeros between them.
//!
//! **Names.** Creating, linking, renaming and removing, and changes of owner and permissions, go
//! into one journal, in order, as with ext4 and XFS. *Any* fsync, of a file or of a folder,
//! commits the whole journal. So after `rename` and an fsync of the folder the new name is there;
//! a file that was created and fsynced has its name; a file that was created and not fsynced may
//! be gone; and one that was renamed into place without an fsync of its own may be there and
//! empty. Filesystems exist that promise less (a file fsynced without its folder may lose its
//! name): that is not modelled, because etcd itself relies on it.
//!
//! **Power loss** goes back to the durable image, or to it and a part of what was pending
//! ([`Survivors`]). It is played in this order: [`Disk::freeze`], kill the processes,
//! [`Disk::cut_power`], wait for the processes, [`Disk::power_on`]. Killed first, requests under
//! way would complete and nothing be lost; answered while frozen, they would be lies; waited for
//! before the cut, processes that hang in a request would never end.
//!
//! **Requests** can be made to fail (EIO), to take long, to be answered with a lie (fsync), or to
//! find no space (ENOSPC): [`Rule`]. A failed fsync changes nothing: what was pending is still
//! pending, and a later fsync that succeeds makes it durable. (Linux may drop it instead, on some
//! filesystems: that is [`Effect::Fail`] followed by a power loss.)
//!
//! **Stored bytes** can go bad while nobody looks: [`Corruption`].
//!
//! # What is deliberately not there
//!
//! - No writeback cache: each write reaches us before it is acknowledged. Pages dirtied through a
//!   shared writable mapping do not, until msync or fsync; they count as not written.
//! - `sync` and `syncfs` make nothing durable: the kernel does not tell us of them. Extended
//!   attributes, and times in the crash model.
//! - Space reserved by fallocate is given back by a power loss, though the size stays.
//! - Nothing is on the host's disk: a node's files live in the harness' memory, once; what is
//!   reserved and not written costs nothing. [`Disk::export`] writes them out.

mod bare;
mod content;
mod corrupt;
mod crash;
mod file;
mod filesystem;
mod handle;
mod image;
mod mount;
mod requests;
mod rules;
mod state;
#[cfg(test)]
mod tests;
mod tree;

pub use bare::{BareDisk, BareFile};
pub use corrupt::{Corruption, Damage};
pub use crash::{Loss, Survivors};
pub use handle::{Disk, DiskOptions};
pub use mount::mount;
pub use rules::{Access, Effect, Files, Rule, RuleId};
pub use state::Counters;

use nix::errno::Errno;
use std::path::PathBuf;

/// What a disk writes as a whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// The unit in which space is taken up.
pub const CHUNK_BYTES: usize = 4096;

/// Why a disk could not be had, or not be damaged.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// There is no such device node.
    #[error(
        "{device} is not there: load the kernel's fuse module (modprobe fuse), pass the device \
         into the container (--device /dev/fuse), or name another path by ORDEAL_FUSE"
    )]
    DeviceMissing {
        /// The path that was tried.
        device: PathBuf,
    },
    /// The device is there, and we may not open it.
    #[error(
        "{device} cannot be opened for reading and writing ({source}): let this user open it \
         (chmod 666), or name a copy that it can open by ORDEAL_FUSE"
    )]
    DeviceClosed {
        /// The path that was tried.
        device: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The device is there, and the kernel has no such filesystem.
    #[error("the kernel has no FUSE filesystem: load its module (modprobe fuse)")]
    NoFuse,
    /// mount(2) failed.
    #[error(
        "cannot mount a FUSE filesystem on {at}: {errno}; device and mount must belong to the same \
         user namespace"
    )]
    Mount {
        /// The folder.
        at: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// The kernel and we did not come to terms, or no thread could be started.
    #[error("the disk cannot be served: {0}")]
    Serve(#[source] std::io::Error),
    /// A file that is to be corrupted is in use.
    #[error("{path} is open: stop the node before its files are corrupted")]
    InUse {
        /// Its path below the disk's root.
        path: String,
    },
    /// There is nothing to damage.
    #[error("no file that matches `{files}` holds anything that this corruption would change")]
    NothingToCorrupt {
        /// The files that were asked for.
        files: Files,
    },
    /// The files could not be written out.
    #[error("cannot write the disk's files out to {to}: {source}")]
    Export {
        /// Where to.
        to: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}
