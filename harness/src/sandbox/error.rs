//! What the sandbox needs of the machine, and what to do where it is missing.

use ordeal_nemesis::NodeId;
use ordeal_nemesis::disk::DiskError;
use ordeal_nemesis::link::SwitchError;
use std::fmt;
use std::io;
use std::path::Path;

/// Something that the kernel must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facility {
    /// User namespaces, which let an ordinary user make all others.
    UserNamespaces,
    /// Mount, pid, network, ipc and uts namespaces.
    Namespaces,
    /// A `/proc` of one's own.
    Proc,
    /// TUN devices.
    Tun,
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Facility::UserNamespaces => "user namespaces",
            Facility::Namespaces => "namespaces",
            Facility::Proc => "a /proc of its own",
            Facility::Tun => "TUN devices",
        })
    }
}

/// Why the sandbox could not do it. Each message names the place and, where the machine is short
/// of something, the ways round it.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The machine does not give what the sandbox is made of.
    #[error("the sandbox needs {facility}, and {what} failed: {source}; {way_out}")]
    Missing {
        /// What is missing.
        facility: Facility,
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
        /// What would give it.
        way_out: String,
    },
    /// Something else that the kernel refused.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A sandbox was asked for outside of [`enter`](super::enter).
    #[error("a sandbox can only be made inside of sandbox::enter")]
    NotEntered,
    /// More nodes than the network has addresses.
    #[error("the sandbox has room for {max} nodes, not for {asked}")]
    TooManyNodes {
        /// How many were asked for.
        asked: usize,
        /// How many there can be.
        max: usize,
    },
    /// A node of this name was never made.
    #[error("there is no node {0}")]
    NoSuchNode(NodeId),
    /// The node has a process already.
    #[error("{0} is running already")]
    Running(NodeId),
    /// The node has no process.
    #[error("{0} is not running")]
    NotRunning(NodeId),
    /// The node's process could not be started.
    #[error("cannot start {node}: {what}: {source}")]
    Start {
        /// Which node.
        node: NodeId,
        /// What was tried, with the path that it is about.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A process did not come into the state that it was sent to.
    #[error("{node} was sent {signal}, and {seconds} s later it is still {state}")]
    Stuck {
        /// Which node.
        node: NodeId,
        /// The signal.
        signal: &'static str,
        /// How long was waited.
        seconds: u64,
        /// What it is instead.
        state: &'static str,
    },
    /// The node's clocks cannot be changed.
    #[error("cannot change the clocks of {node}: {reason}")]
    Clock {
        /// Which node.
        node: NodeId,
        /// What stands in the way.
        reason: String,
    },
    /// A node's disk could not be had or broken.
    #[error("the disk of {node}: {source}")]
    Disk {
        /// Which node.
        node: NodeId,
        /// What was wrong.
        source: DiskError,
    },
    /// The node's files are on the host's own disk.
    #[error("{0} has no disk of its own")]
    NoDisk(NodeId),
    /// The network refused.
    #[error(transparent)]
    Network(#[from] SwitchError),
}

impl SandboxError {
    /// `what` failed for want of this facility; finds the way out on this machine.
    pub(super) fn missing(
        facility: Facility,
        what: impl Into<String>,
        errno: nix::Error,
    ) -> SandboxError {
        SandboxError::missing_io(facility, what, super::sys::as_io(errno))
    }

    /// As [`SandboxError::missing`], for an error of the standard library.
    pub(super) fn missing_io(
        facility: Facility,
        what: impl Into<String>,
        source: io::Error,
    ) -> SandboxError {
        let way_out = way_out(facility, source.raw_os_error(), &Facts::of_this_machine());
        SandboxError::Missing { facility, what: what.into(), source, way_out }
    }

    /// `what` failed, for a reason that is none of the machine's make.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> SandboxError {
        SandboxError::Io { what: what.into(), source }
    }
}

/// What is known to forbid the sandbox.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1: Ubuntu since 23.10.
    apparmor_restricts: bool,
    /// `kernel.unprivileged_userns_clone` is 0: older Debian, hardened kernels.
    clone_forbidden: bool,
    /// `user.max_user_namespaces` is 0: Red Hat 7, hardened machines.
    none_allowed: bool,
    /// Inside a container.
    container: bool,
    /// The user is root already.
    root: bool,
}

impl Facts {
    /// Reads them where the kernel and the container engines leave them.
    pub(crate) fn of_this_machine() -> Facts {
        let is = |path: &str, value: &str| {
            std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
        };
        Facts {
            apparmor_restricts: is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            clone_forbidden: is("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            none_allowed: is("/proc/sys/user/max_user_namespaces", "0"),
            container: Path::new("/.dockerenv").exists()
                || Path::new("/run/.containerenv").exists(),
            root: nix::unistd::geteuid().is_root(),
        }
    }
}

/// What else there is when the sandbox cannot be had.
const ELSEWHERE: &str = "or run it on a machine that allows them";
/// What lets the sandbox work in a container, for root there.
const CONTAINER: &str = "this looks like a container: start it with \
     --security-opt seccomp=unconfined --security-opt systempaths=unconfined \
     --device /dev/net/tun --device /dev/fuse";

/// What would give the facility, in one clause.
pub(crate) fn way_out(facility: Facility, errno: Option<i32>, facts: &Facts) -> String {
    let absent = facility == Facility::Tun && errno == Some(nix::libc::ENOENT);
    let or_sudo = if facts.root || absent { "" } else { ", or run as root" };
    let way = match facility {
        Facility::UserNamespaces | Facility::Namespaces | Facility::Proc
            if facts.apparmor_restricts && !facts.root =>
        {
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (as root) allows it"
        }
        Facility::UserNamespaces | Facility::Namespaces if facts.clone_forbidden && !facts.root => {
            "sysctl -w kernel.unprivileged_userns_clone=1 (as root) allows it"
        }
        Facility::UserNamespaces | Facility::Namespaces if facts.none_allowed => {
            "sysctl -w user.max_user_namespaces=10000 (as root) allows it"
        }
        Facility::Tun => match errno {
            Some(nix::libc::ENOENT) => {
                "modprobe tun, and where the device has no name: mkdir -p /dev/net && mknod -m 666 \
                 /dev/net/tun c 10 200, as root; a container is given it with --device /dev/net/tun"
            }
            Some(nix::libc::EACCES | nix::libc::EPERM) => {
                "let this user open it (chmod 666 /dev/net/tun, as root), or name a copy that it \
                 can open in ORDEAL_TUN (mknod -m 666 PATH c 10 200, as root)"
            }
            _ => "modprobe tun, and see that ORDEAL_TUN, where it is set, names a TUN device",
        },
        _ if facts.container => CONTAINER,
        Facility::UserNamespaces | Facility::Namespaces => {
            "look at the limits in /proc/sys/user, and at any seccomp profile that this runs under"
        }
        Facility::Proc => "something is mounted over parts of /proc: run where it is whole",
    };
    format!("{way}{or_sudo}, {ELSEWHERE}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc::{EACCES, ENOENT, EPERM};

    #[test]
    fn each_obstacle_is_named_with_its_way_out() {
        let nothing = Facts::default();
        let ubuntu = Facts { apparmor_restricts: true, ..nothing };
        let debian = Facts { clone_forbidden: true, ..nothing };
        let red_hat = Facts { none_allowed: true, ..nothing };
        let docker = Facts { container: true, root: true, ..nothing };
        for (facility, errno, facts, expected) in [
            (Facility::UserNamespaces, EPERM, ubuntu, "apparmor_restrict_unprivileged_userns=0"),
            (Facility::Namespaces, EPERM, ubuntu, "apparmor_restrict_unprivileged_userns=0"),
            (Facility::UserNamespaces, EPERM, debian, "kernel.unprivileged_userns_clone=1"),
            (Facility::UserNamespaces, EPERM, red_hat, "user.max_user_namespaces=10000"),
            (Facility::UserNamespaces, EPERM, docker, "seccomp=unconfined"),
            (Facility::Proc, EPERM, docker, "systempaths=unconfined"),
            (Facility::Tun, ENOENT, docker, "with --device /dev/net/tun"),
            (Facility::Tun, EPERM, docker, "ORDEAL_TUN"),
            (Facility::Proc, EPERM, nothing, "run where it is whole"),
            (Facility::Tun, ENOENT, nothing, "mknod -m 666 /dev/net/tun c 10 200"),
            (Facility::Tun, EACCES, nothing, "ORDEAL_TUN"),
            (Facility::UserNamespaces, EPERM, nothing, "/proc/sys/user"),
        ] {
            let way = way_out(facility, Some(errno), &facts);
            assert!(way.contains(expected), "{facility:?}, {facts:?}: {way}");
            // Root has no use for what is not there.
            let root_helps = !facts.root && errno != ENOENT;
            assert_eq!(way.contains("run as root"), root_helps, "{way}");
            assert!(way.contains(ELSEWHERE), "{way}");
        }
    }
}
