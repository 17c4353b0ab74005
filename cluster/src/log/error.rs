//! What can be wrong with a data directory.

use std::io;

use thiserror::Error;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// Another process has it open.
    #[error("the data directory is in use: another process holds {0}; stop that node first")]
    InUse(String),
    /// The disk refused.
    #[error("cannot {doing} {path}: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: String,
        /// What the disk said.
        source: io::Error,
    },
    /// Data that was durable is not what was written.
    #[error(
        "{path} is corrupt at byte {offset}: {what}; this is no torn tail, so the node will not \
         start from it: restore the file, or remove the data directory and let the member rejoin"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// Where in it.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// It belongs to somebody else.
    #[error(
        "the data directory belongs to {what} {found:x}, this node has {expected:x}; start it with \
         the flags that it was made with, or with another --data-dir"
    )]
    Foreign {
        /// Cluster or member.
        what: &'static str,
        /// What the directory says.
        found: u64,
        /// What the flags say.
        expected: u64,
    },
    /// It was written by a later version.
    #[error("the data directory has format {found}, newer than {known}, the newest known here")]
    Newer {
        /// The format found.
        found: u32,
        /// The newest that this version reads.
        known: u32,
    },
}

impl LogError {
    /// Wraps an error of the disk with what was tried and where.
    pub(crate) fn disk(doing: &'static str, path: &str) -> impl FnOnce(io::Error) -> LogError {
        let path = path.to_owned();
        move |source| LogError::Disk { doing, path, source }
    }

    /// A file whose bytes are not what was written.
    pub(crate) fn corrupt(path: &str, offset: usize, what: impl Into<String>) -> LogError {
        LogError::Corrupt { path: path.to_owned(), offset: offset as u64, what: what.into() }
    }
}
