//! The calls to the kernel that no safe wrapper offers. All `unsafe` code of the sandbox is here.

use nix::errno::Errno;
use nix::libc;
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Which side of a [`clone_process`] one is on.
pub(super) enum Cloned {
    /// The new process.
    Child,
    /// The old one: the child's number, and a descriptor that becomes readable when it ends.
    Parent { child: Pid, pidfd: OwnedFd },
}

/// Makes a child in new namespaces, as fork(2) does otherwise; its end is told by SIGCHLD.
///
/// The system call is made directly, as bubblewrap and systemd do: glibc's `clone` wants a stack,
/// and its `fork` takes no flags. What is lost is glibc's own bookkeeping after a fork: its locks
/// are as they were.
///
/// # Safety
///
/// Either the process has one thread, or the child does nothing but async-signal-safe calls until
/// it executes a program.
pub(super) unsafe fn clone_process(namespaces: CloneFlags) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let flags = namespaces.bits() | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the child has memory of its own and may go on with this stack; the
    // kernel writes the descriptor into `pidfd`, which lives until the call returns.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags as libc::c_ulong,
            std::ptr::null_mut::<libc::c_void>(),
            &raw mut pidfd,
            std::ptr::null_mut::<libc::c_void>(),
            std::ptr::null_mut::<libc::c_void>(),
        )
    };
    match Errno::result(child)? {
        0 => Ok(Cloned::Child),
        child => Ok(Cloned::Parent {
            child: Pid::from_raw(child as libc::pid_t),
            // SAFETY: CLONE_PIDFD has just made this descriptor, and nobody else knows it.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// A program with everything that execve(2) wants, allocated beforehand.
pub(super) struct Image {
    path: CString,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    /// What the pointers point at.
    _strings: Vec<CString>,
}

impl Image {
    /// Prepares to execute `path`; `args` includes the program's own name, `env` is `KEY=value`.
    pub fn new(path: CString, args: Vec<CString>, env: Vec<CString>) -> Image {
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            // The characters of a CString stay where they are when it moves.
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&args), pointers(&env));
        Image { path, argv, envp, _strings: args.into_iter().chain(env).collect() }
    }
}

/// Clones a child into new namespaces that executes `image` and inherits `keep`.
///
/// May be called from a process of many threads. When the execution fails the child ends with
/// status 127.
pub(super) fn spawn(
    namespaces: CloneFlags,
    image: &Image,
    keep: &[BorrowedFd],
) -> nix::Result<(Pid, OwnedFd)> {
    // SAFETY: the child makes only the system calls below, on memory that was prepared before.
    match unsafe { clone_process(namespaces) }? {
        Cloned::Parent { child, pidfd } => Ok((child, pidfd)),
        // SAFETY: fcntl, execve and _exit are async-signal-safe; the arrays end with a null, and
        // what they point at is alive, being owned by `image`.
        Cloned::Child => unsafe {
            for fd in keep {
                libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0);
            }
            libc::execve(image.path.as_ptr(), image.argv.as_ptr(), image.envp.as_ptr());
            libc::_exit(127)
        },
    }
}

/// Takes ownership of a descriptor that this process was given by its number, and has it closed
/// at the next exec. `None` when there is no such descriptor.
pub(crate) fn adopt(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl on any number is sound; it only fails when nothing is open there.
    let open = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    // SAFETY: it is open, and by the caller's word it is nobody else's in this process: it came
    // over exec under this number, for this purpose.
    open.then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Has every descriptor but the standard three closed at the next exec, those too that whoever
/// started Ordeal left open.
pub(super) fn close_on_exec_all() -> nix::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: it closes nothing now, and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, flags) };
    Errno::result(done).map(drop)
}

nix::ioctl_write_ptr_bad!(tun_set_iff, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_read_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_address, libc::SIOCSIFADDR, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_netmask, libc::SIOCSIFNETMASK, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_mtu, libc::SIOCSIFMTU, libc::ifreq);

/// A request about the network interface `name`, of at most 15 bytes.
fn request(name: &CStr) -> libc::ifreq {
    let bytes = name.to_bytes();
    assert!(bytes.len() < libc::IFNAMSIZ, "an interface's name has at most 15 bytes");
    // SAFETY: zeroes are a valid ifreq: an empty name and a union of plain numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = *from as c_char;
    }
    request
}

/// The request's name with this address in it.
fn with_address(name: &CStr, address: Ipv4Addr) -> libc::ifreq {
    let mut request = request(name);
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: both are 16 bytes of plain numbers, and the kernel reads a sockaddr by its family.
    request.ifr_ifru.ifru_addr =
        unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
    request
}

/// Makes the open clone device `tun` a layer 3 interface `name` without packet information.
pub(super) fn make_tun(tun: BorrowedFd, name: &CStr) -> nix::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq.
    unsafe { tun_set_iff(tun.as_raw_fd(), &request) }.map(drop)
}

/// Gives the interface an address in a network of this mask, and a packet size in bytes.
///
/// `socket` is any of the interface's network namespace.
pub(super) fn configure(
    socket: BorrowedFd,
    name: &CStr,
    address: Ipv4Addr,
    mask: Ipv4Addr,
    mtu: u16,
) -> nix::Result<()> {
    let mut size = request(name);
    size.ifr_ifru.ifru_mtu = i32::from(mtu);
    // SAFETY: each of these reads one ifreq.
    unsafe {
        set_address(socket.as_raw_fd(), &with_address(name, address))?;
        set_netmask(socket.as_raw_fd(), &with_address(name, mask))?;
        set_mtu(socket.as_raw_fd(), &size)?;
    }
    Ok(())
}

/// Has the interface carry packets.
pub(super) fn bring_up(socket: BorrowedFd, name: &CStr) -> nix::Result<()> {
    let mut request = request(name);
    // SAFETY: SIOCGIFFLAGS fills in the flags of one ifreq, SIOCSIFFLAGS reads it; a short is
    // valid whatever its bits.
    unsafe {
        get_flags(socket.as_raw_fd(), &mut request)?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        set_flags(socket.as_raw_fd(), &request)?;
    }
    Ok(())
}

/// The last error of the C library as Rust's.
pub(super) fn as_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno as i32)
}
