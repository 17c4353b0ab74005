//! Why containers cannot be had.

use std::io;

/// Each message names the place, and the way out where there is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DockerError {
    /// `DOCKER_HOST` names no daemon of this machine.
    #[error(
        "--env docker: DOCKER_HOST is {0}, and the nodes' network devices can only be handed over \
         by a daemon on this machine; name its socket, as in unix:///var/run/docker.sock"
    )]
    Elsewhere(String),
    /// The daemon cannot be reached.
    #[error("--env docker: the Docker daemon at {at} cannot be reached: {source}; {way_out}")]
    Unreachable {
        /// Its socket.
        at: String,
        /// Why.
        source: io::Error,
        /// What would give it.
        way_out: &'static str,
    },
    /// The daemon was there, and is not any more.
    #[error(
        "the Docker daemon at {at} went away while {doing}: {why}; what it still holds of this \
         run is removed if it is back within a minute"
    )]
    Gone {
        /// Its socket.
        at: String,
        /// What was being done.
        doing: String,
        /// What was heard last.
        why: String,
    },
    /// The daemon refused.
    #[error("Docker refused {doing}: {message} (status {status})")]
    Refused {
        /// What was asked.
        doing: String,
        /// What it said.
        message: String,
        /// The status of HTTP.
        status: u16,
    },
    /// The daemon maps users, so that containers cannot write into the run's folder.
    #[error(
        "--env docker: this daemon gives containers other users than this machine's \
         (userns-remap), so they cannot write into the run's folder; run a daemon without it"
    )]
    UsersRemapped,
    /// A container did not come up.
    #[error("the container of {role} did not come up: {why}")]
    NotUp {
        /// Whose.
        role: String,
        /// What was seen.
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

impl DockerError {
    /// What would give it, in one clause.
    pub fn way_out(&self) -> &'static str {
        match self {
            DockerError::Elsewhere(_) => "name a socket of this machine in DOCKER_HOST",
            DockerError::Unreachable { way_out, .. } => way_out,
            DockerError::Gone { .. } => "see why the daemon does not answer",
            DockerError::Refused { .. } | DockerError::NotUp { .. } => {
                "a daemon on this machine that may start containers with NET_ADMIN and /dev/net/tun"
            }
            DockerError::UsersRemapped => "a daemon without userns-remap",
            DockerError::Io { .. } => "see that there is room in the temporary folder",
        }
    }

    /// `doing` failed on this side.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> DockerError {
        let doing = doing.into();
        move |source| DockerError::Io { doing, source }
    }
}
