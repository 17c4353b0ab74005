//! Network namespaces with a TUN device each.
//!
//! The device is of layer 3: on a layer 2 device (TAP) ARP fails under a partition, and the kernel
//! reports "host unreachable" where a real network is silent. It has no virtio header, so that the
//! kernel segments and checksums: a lost packet is one packet, and a corrupted one is noticed. It
//! goes away with the last descriptor; nothing need be deleted.

use super::error::{Facility, SandboxError};
use super::sys;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Ethernet's, and so that of nearly every network between data centres' machines.
const MTU_BYTES: u16 = 1500;
/// 254 addresses for nodes and clients.
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
/// The device's name, the same in each namespace.
const DEVICE: &CStr = c"ordeal0";

/// The clone device: `ORDEAL_TUN` where it is set, else `/dev/net/tun`.
pub(crate) fn tun_path() -> PathBuf {
    std::env::var_os("ORDEAL_TUN").map_or_else(|| "/dev/net/tun".into(), PathBuf::from)
}

/// A network namespace, and the outer end of the device in it.
pub(super) struct Network {
    pub namespace: OwnedFd,
    pub device: OwnedFd,
}

/// Makes a network namespace with loopback and a TUN device of this address, both up.
pub(super) fn new_namespace(tun: &Path, address: Ipv4Addr) -> Result<Network, SandboxError> {
    // A network namespace belongs to a thread: one that ends here leaves the others where they are.
    let build = || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
            SandboxError::missing(Facility::Namespaces, "making a network namespace", errno)
        })?;
        let namespace = File::open("/proc/thread-self/ns/net")
            .map_err(|source| SandboxError::io("opening a network namespace", source))?;
        loopback_up()?;
        let device = open_device(tun, address)?;
        Ok(Network { namespace: namespace.into(), device })
    };
    std::thread::scope(|scope| match scope.spawn(build).join() {
        Ok(network) => network,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Makes a TUN device of this address in the network namespace of the calling thread.
pub(crate) fn open_device(tun: &Path, address: Ipv4Addr) -> Result<OwnedFd, SandboxError> {
    let device = OpenOptions::new().read(true).write(true).open(tun).map_err(|source| {
        let what = format!("opening {}", tun.display());
        SandboxError::missing_io(Facility::Tun, what, source)
    })?;
    let missing = |doing: &'static str| {
        move |errno: nix::Error| SandboxError::missing(Facility::Tun, doing, errno)
    };
    sys::make_tun(device.as_fd(), DEVICE).map_err(missing("making a TUN device"))?;
    let socket = control_socket()?;
    sys::configure(socket.as_fd(), DEVICE, address, MASK, MTU_BYTES)
        .map_err(missing("giving the TUN device an address"))?;
    sys::bring_up(socket.as_fd(), DEVICE).map_err(missing("bringing the TUN device up"))?;
    Ok(device.into())
}

/// Brings loopback up in the network namespace of the calling thread.
pub(crate) fn loopback_up() -> Result<(), SandboxError> {
    let socket = control_socket()?;
    sys::bring_up(socket.as_fd(), c"lo")
        .map_err(|errno| SandboxError::missing(Facility::Namespaces, "bringing loopback up", errno))
}

/// Any socket will do: the requests about interfaces are made on it.
fn control_socket() -> Result<OwnedFd, SandboxError> {
    socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .map_err(|errno| SandboxError::io("opening a socket", sys::as_io(errno)))
}
