//! Open files that go from one process to another over a Unix socket.

use crate::sandbox::sys;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The longest message that comes with a descriptor.
const BYTES_MAX: usize = 4096;

/// Sends a message of at least one byte, with this descriptor.
pub(super) fn send(
    stream: &UnixStream,
    message: &[u8],
    descriptor: Option<BorrowedFd>,
) -> io::Result<()> {
    let numbers: Vec<_> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let parts = [IoSlice::new(message)];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None)?;
    // A stream takes a message this short whole, or not at all.
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// The next bytes, and the descriptor that came with them. No bytes: the other end is closed.
pub(super) fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut bytes = [0; BYTES_MAX];
    let mut room = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let (count, numbers) = {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
        let mut numbers = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(some) = part {
                numbers.extend(some);
            }
        }
        (message.bytes, numbers)
    };
    // The kernel has just made these numbers, and nobody else knows them.
    let descriptor = numbers.into_iter().find_map(sys::adopt);
    Ok((bytes[..count].to_vec(), descriptor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_open_here_is_open_there() -> io::Result<()> {
        let (here, there) = UnixStream::pair()?;
        let mut file = tempfile::tempfile()?;
        file.write_all(b"told")?;
        send(&here, b"hello", Some(file.as_fd()))?;
        send(&here, b".", None)?;
        drop((file, here));
        let (message, descriptor) = receive(&there)?;
        assert!(message.starts_with(b"hello"));
        let mut received = File::from(descriptor.ok_or(io::ErrorKind::NotFound)?);
        received.rewind()?;
        let mut text = String::new();
        received.read_to_string(&mut text)?;
        assert_eq!(text, "told");
        Ok(())
    }
}
