//! The attempts themselves.

use super::{Finding, finding};
use crate::docker;
use crate::sandbox::{self, Sandbox, SandboxError, SandboxSpec, fuse_path};
use nix::mount::{MsFlags, mount};
use ordeal_nemesis::NodeId;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What can be tried only inside of a sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Inside {
    pub tun: Finding,
    pub fuse: Finding,
    pub clocks: Finding,
}

impl Inside {
    pub fn untried() -> Inside {
        Inside { tun: Finding::Untried, fuse: Finding::Untried, clocks: Finding::Untried }
    }
}

/// Makes a user namespace in which this user is root, and gives it up again.
pub(super) fn user_namespace() -> Result<(), SandboxError> {
    sandbox::try_user_namespace()
}

/// Enters a sandbox and tries things there; the error is that of entering.
pub(super) fn inside() -> Result<Inside, SandboxError> {
    let broken = |source| SandboxError::Io { what: "hearing from the sandbox".into(), source };
    let (mut answer, mut report) = io::pipe().map_err(broken)?;
    sandbox::enter(|| {
        let inside = Inside { tun: tun(), fuse: fuse(), clocks: clocks() };
        // When the doctor has gone there is nobody to tell.
        let _ = report.write_all(&serde_json::to_vec(&inside).unwrap_or_default());
        0
    })?;
    drop(report);
    let mut text = Vec::new();
    answer.read_to_end(&mut text).map_err(broken)?;
    serde_json::from_slice(&text).map_err(|error| broken(error.into()))
}

/// Builds the network of a sandbox of two nodes.
fn tun() -> Finding {
    let nodes = [1, 2].map(NodeId::numbered).to_vec();
    finding(Sandbox::new(SandboxSpec { nodes, seed: 0 }).map(drop))
}

/// Mounts a FUSE filesystem, which nobody serves, where only this sandbox sees it.
fn fuse() -> Finding {
    let device = &fuse_path();
    let mounted = OpenOptions::new().read(true).write(true).open(device).and_then(|device| {
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let (name, flags) = (Some("ordeal"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV);
        Ok(mount(name, "/proc/sys", Some("fuse"), flags, Some(options.as_str()))?)
    });
    let Err(error) = mounted else { return Finding::There };
    let way_out = match error.kind() {
        io::ErrorKind::NotFound => {
            "modprobe fuse; in a container, start it with --device /dev/fuse"
        }
        io::ErrorKind::PermissionDenied if !device_opens(device) => {
            "let this user open it (chmod 666 /dev/fuse, as root), or name a copy that it can \
             open in ORDEAL_FUSE (mknod -m 666 PATH c 10 229, as root)"
        }
        _ => "a kernel since 4.18, with FUSE in user namespaces",
    };
    let reason = format!("mounting a filesystem through {} failed: {error}", device.display());
    Finding::Missing { reason, way_out: way_out.into() }
}

fn device_opens(device: &Path) -> bool {
    OpenOptions::new().read(true).write(true).open(device).is_ok()
}

/// Takes over the clocks of a process that is started for this alone.
fn clocks() -> Finding {
    match ordeal_nemesis::clock::probe() {
        Ok(()) => Finding::There,
        Err(error) => Finding::Missing {
            reason: error.to_string(),
            way_out: "sysctl -w kernel.yama.ptrace_scope=1 (as root; from 3 only by a restart), \
                      and /proc without hidepid"
                .into(),
        },
    }
}

/// Asks the Docker daemon to build an image out of nothing.
pub(super) fn docker() -> Finding {
    match docker::try_out() {
        Ok(()) => Finding::There,
        Err((reason, way_out)) => Finding::Missing { reason, way_out: way_out.into() },
    }
}

/// Looks for the ssh program on the path.
pub(super) fn ssh() -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("ssh")).any(|program| {
        let metadata = File::open(&program).and_then(|file| file.metadata());
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
    });
    if found {
        return Finding::There;
    }
    Finding::Missing {
        reason: "there is no program ssh on PATH".into(),
        way_out: "install OpenSSH's client (openssh-client)".into(),
    }
}
