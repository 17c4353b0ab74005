//! Why hosts cannot be had.

use std::io;

/// Each message names the host, and the way out where there is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshError {
    /// `ssh` could not be started.
    #[error("--env ssh: cannot start the program ssh: {0}; install OpenSSH's client")]
    NoClient(io::Error),
    /// The host let nobody in.
    #[error(
        "--env ssh: cannot log in to {host}: {why}; `ssh {host} true` must work without a question"
    )]
    NoLogin {
        /// What ssh was told.
        host: String,
        /// What it said.
        why: String,
    },
    /// Something failed on the host.
    #[error("--env ssh: {doing} on {host} failed: {why}")]
    Remote {
        /// What ssh was told.
        host: String,
        /// What was tried.
        doing: String,
        /// What was said.
        why: String,
    },
    /// Ordeal's binary does not run there.
    #[error(
        "--env ssh: Ordeal's own binary does not run on {host}: {why}; one that is static runs on \
         any Linux of this processor: RUSTFLAGS='-C target-feature=+crt-static' cargo build \
         --release --target x86_64-unknown-linux-gnu"
    )]
    DoesNotRun {
        /// What ssh was told.
        host: String,
        /// What was said.
        why: String,
    },
    /// Something on this side failed.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}
