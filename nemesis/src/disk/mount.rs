//! Mounting, with nothing but open(2) and mount(2).
//!
//! The kernel lets an unprivileged user mount a FUSE filesystem inside a user namespace of his own
//! when the device was opened inside that namespace too. The descriptor may then be handed to a
//! process outside, which serves it; what is mounted stays inside.

use super::DiskError;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount as mount_2};
use nix::unistd::{getegid, geteuid};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Mounts an empty disk at `at`, a folder, and returns the descriptor for `Disk::serve`.
///
/// To be called inside the user and mount namespaces that the disk is for; `device` is
/// `/dev/fuse`, or a copy of that node which may be opened. The mount is gone with its namespace.
/// Accesses to it wait until the disk is served, and fail once the last copy of the descriptor is
/// closed: the descriptor is closed on exec, and a copy that is left behind keeps the kernel
/// waiting.
pub fn mount(device: &Path, at: &Path) -> Result<OwnedFd, DiskError> {
    let device_error = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => DiskError::DeviceMissing { device: device.to_owned() },
        _ => DiskError::DeviceClosed { device: device.to_owned(), source },
    };
    // The standard library sets O_CLOEXEC.
    let file = OpenOptions::new().read(true).write(true).open(device).map_err(device_error)?;
    let options = format!(
        "fd={},rootmode=40000,user_id={},group_id={},allow_other,default_permissions",
        file.as_raw_fd(),
        geteuid(),
        getegid()
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_2(Some("ordeal"), at, Some("fuse.ordeal"), flags, Some(options.as_str())).map_err(
        |errno| match errno {
            Errno::ENODEV => DiskError::NoFuse,
            _ => DiskError::Mount { at: at.to_owned(), errno },
        },
    )?;
    Ok(file.into())
}
