//! The attempts themselves.

use super::{Finding, finding};
use crate::sandbox::{self, Sandbox, SandboxError, SandboxSpec, fuse_path};
use nix::mount::{MsFlags, mount};
use ordeal_nemesis::NodeId;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long Docker may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// Asks the Docker daemon whether it is there.
pub(super) fn docker() -> Finding {
    let host =
        std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
    let Err(error) = ping(&host) else { return Finding::There };
    let way_out = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "join the group that owns the socket, usually docker, or use a rootless Docker"
        }
        _ => "start the Docker daemon, or name it in DOCKER_HOST",
    };
    let reason = format!("asking {host} failed: {error}");
    Finding::Missing { reason, way_out: way_out.into() }
}

const REQUEST: &[u8] = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n";

/// `GET /_ping` of Docker's Engine API, which answers `OK`.
fn ping(host: &str) -> io::Result<()> {
    let mut answer = Vec::new();
    if let Some(path) = host.strip_prefix("unix://") {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(REQUEST)?;
        stream.take(4096).read_to_end(&mut answer)?;
    } else if let Some(address) = host.strip_prefix("tcp://") {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(REQUEST)?;
        stream.take(4096).read_to_end(&mut answer)?;
    } else {
        return Err(io::Error::other("DOCKER_HOST is neither unix:// nor tcp://"));
    }
    let first = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if first.starts_with(b"HTTP/1.") && first.windows(5).any(|word| word == b" 200 ") {
        return Ok(());
    }
    Err(io::Error::other(format!("it says {:?}", String::from_utf8_lossy(first))))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// What `ping` says of a daemon that answers so.
    fn answering(answer: &'static [u8]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; REQUEST.len()];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            stream.write_all(answer).unwrap();
        });
        let said = ping(&format!("unix://{}", socket.display()));
        daemon.join().unwrap();
        said.map_err(|error| error.to_string())
    }

    #[test]
    fn a_daemon_that_answers_is_there_and_any_other_is_not() {
        assert_eq!(answering(b"HTTP/1.0 200 OK\r\n\r\nOK"), Ok(()));
        assert!(answering(b"HTTP/1.1 500 Oh\r\n\r\n").unwrap_err().contains("500 Oh"));
        assert!(answering(b"hello").unwrap_err().contains("hello"));
        assert!(ping("unix:///no/such/socket").unwrap_err().to_string().contains("No such file"));
        assert!(ping("npipe:////./pipe/docker").is_err());
    }
}
