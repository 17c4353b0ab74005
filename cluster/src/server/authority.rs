//! A connection on which the first request's `:authority` need not be one.
//!
//! To some calls etcdctl 3.4 and 3.3 give an `:authority` like `#initially=[http://10.0.0.1:2379]`.
//! Go's servers do not look at it; ours, by RFC 9113 §8.3.1, refuses a request whose `:authority`
//! cannot be parsed, before anybody can see it. Nobody here wants to know whom the client meant to
//! call. So in the first HEADERS frame of a connection the value is replaced by a short one, and
//! every other byte, before and after, goes through as it is.
//!
//! Nothing is decoded for that: HPACK's representations (RFC 7541 §6) tell their lengths. A client
//! refers to the value again by its place in the dynamic table, which is the same with the shorter
//! value: that table holds all that the client's does, as it is forgotten later and not earlier.
//! What is not done: a header block in several frames, and a client that forgets the value from
//! its table and sends it anew. Both go through as they are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, kind, flags and stream of a frame.
const FRAME_HEADER_BYTES: usize = 9;

/// No peer sends a longer frame unless it was told that it may.
const FRAME_BYTES_MAX: usize = 16 << 10;

const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The place of `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

/// In place of the client's: as short as can be, and not in Huffman's code.
const REPLACEMENT: &[u8] = &[1, b'-'];

/// A longer value would not fit into the client's dynamic table, and empty that.
const VALUE_BYTES_MAX: usize = 1 << 10;

const READ_BYTES: usize = 4 << 10;

/// The connection.
#[derive(Debug)]
pub(super) struct AnyAuthority<S> {
    inner: S,
    filter: Filter,
}

impl<S> AnyAuthority<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, filter: Filter::default() }
    }
}

/// What was read and is not given on yet.
#[derive(Debug, Default)]
struct Filter {
    /// Not looked at yet, as it is no whole frame.
    pending: Vec<u8>,
    /// Looked at.
    ready: Vec<u8>,
    greeted: bool,
    /// Nothing is looked at any more.
    done: bool,
}

impl Filter {
    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while !self.done && self.step() {}
        if self.done {
            self.ready.append(&mut self.pending);
        }
    }

    fn give(&mut self, count: usize) {
        self.ready.extend(self.pending.drain(..count));
    }

    /// Looks at what comes next; false if more must be read for that.
    fn step(&mut self) -> bool {
        if !self.greeted {
            let seen = self.pending.len().min(PREFACE.len());
            if self.pending[..seen] != PREFACE[..seen] {
                // HTTP/1.1, or nonsense.
                self.done = true;
            } else if seen == PREFACE.len() {
                self.greeted = true;
                self.give(seen);
                return true;
            }
            return false;
        }
        let Some(header) = self.pending.first_chunk::<FRAME_HEADER_BYTES>() else { return false };
        let len =
            usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let (kind, flags) = (header[3], header[4]);
        self.done = len > FRAME_BYTES_MAX;
        let whole = FRAME_HEADER_BYTES + len;
        if self.done || self.pending.len() < whole {
            return false;
        }
        if kind == HEADERS {
            self.done = true;
            if let Some(frame) = replaced(&self.pending[..whole], flags) {
                self.ready.extend_from_slice(&frame);
                self.pending.drain(..whole);
            }
            return false;
        }
        self.give(whole);
        true
    }
}

/// A frame of headers with another `:authority`, if it has one as a literal.
fn replaced(frame: &[u8], flags: u8) -> Option<Vec<u8>> {
    if flags & END_HEADERS == 0 {
        return None;
    }
    let mut begin = FRAME_HEADER_BYTES;
    let mut end = frame.len();
    if flags & PADDED != 0 {
        end = end.checked_sub((*frame.get(begin)?).into())?;
        begin += 1;
    }
    if flags & PRIORITY != 0 {
        begin += 5;
    }
    let (value, behind) = authority(frame.get(begin..end)?)?;
    let mut out = frame[..begin + value].to_vec();
    out.extend_from_slice(REPLACEMENT);
    out.extend_from_slice(&frame[begin + behind..]);
    let len = (out.len() - FRAME_HEADER_BYTES) as u32;
    out[..3].copy_from_slice(&len.to_be_bytes()[1..]);
    Some(out)
}

/// Where in a header block the value of `:authority` begins, with its length, and ends.
fn authority(block: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(first) = block.get(at) {
        let (bits, is_literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let (name, behind) = integer(block, at, bits)?;
        at = behind;
        if !is_literal {
            continue;
        }
        if name == 0 {
            at = string(block, at)?;
        }
        let value = at;
        at = string(block, at)?;
        if name == AUTHORITY {
            return (at - value <= VALUE_BYTES_MAX && at - value > 1).then_some((value, at));
        }
    }
    None
}

/// Where the string that begins at a place ends.
fn string(block: &[u8], at: usize) -> Option<usize> {
    let (len, begin) = integer(block, at, 7)?;
    begin.checked_add(len).filter(|end| *end <= block.len())
}

/// The integer with a prefix of so many bits (RFC 7541 §5.1), and where it ends.
fn integer(block: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let max = (1_usize << bits) - 1;
    let first = usize::from(*block.get(at)?) & max;
    if first < max {
        return Some((first, at + 1));
    }
    let mut value = max;
    // Nothing that fits into a frame needs more.
    for nth in 0..4 {
        let byte = *block.get(at + 1 + nth)?;
        value += usize::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return Some((value, at + 2 + nth));
        }
    }
    None
}

impl<S: Connected> Connected for AnyAuthority<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.inner.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AnyAuthority<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, filter } = self.get_mut();
        loop {
            if !filter.ready.is_empty() {
                let count = filter.ready.len().min(buffer.remaining());
                buffer.put_slice(&filter.ready[..count]);
                filter.ready.drain(..count);
                return Poll::Ready(Ok(()));
            }
            if filter.done {
                return Pin::new(inner).poll_read(context, buffer);
            }
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *inner).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                // The end: what is left is given on as it is.
                filter.done = true;
            }
            filter.push(read.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnyAuthority<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

    fn frame(flags: u8, block: &[u8]) -> Vec<u8> {
        let len = (block.len() as u32).to_be_bytes();
        [&len[1..], &[HEADERS, flags, 0, 0, 0, 1], block].concat()
    }

    /// `:method: POST`, a path and an authority as literals, one more header of a new name.
    fn block(authority: &[u8]) -> Vec<u8> {
        let value = [&[authority.len() as u8][..], authority].concat();
        [&[0x83, 0x44, 2][..], b"/x", &[0x41], &value, &[0x40, 1], b"a", &[1], b"b"].concat()
    }

    /// What comes out, whatever pieces the bytes come in.
    fn through(bytes: &[u8]) -> Vec<u8> {
        let mut filter = Filter::default();
        filter.push(bytes);
        let mut piecewise = Filter::default();
        bytes.iter().for_each(|byte| piecewise.push(&[*byte]));
        assert_eq!(filter.ready, piecewise.ready, "in one piece and byte by byte");
        filter.ready
    }

    fn connection(frames: &[&[u8]]) -> Vec<u8> {
        [PREFACE, SETTINGS, &frames.concat()].concat()
    }

    #[test]
    fn the_first_authority_is_replaced_and_nothing_else() {
        let asked = b"#initially=[http://127.0.0.1:2379]";
        let (given, short) = (block(asked), block(b"-"));
        for (flags, before, behind) in [
            (END_HEADERS, &[][..], &[][..]),
            (END_HEADERS | PRIORITY, &[0, 0, 0, 0, 7], &[]),
            (END_HEADERS | PADDED, &[2], &[0, 0]),
            (END_HEADERS | PADDED | PRIORITY, &[3, 0, 0, 0, 0, 7], &[0, 0, 0]),
        ] {
            let first = frame(flags, &[before, &given, behind].concat());
            let replaced = frame(flags, &[before, &short, behind].concat());
            let second = frame(END_HEADERS, &given);
            let out = through(&connection(&[&first, SETTINGS, &second, b"rest"]));
            assert_eq!(out, connection(&[&replaced, SETTINGS, &second, b"rest"]));
        }
    }

    #[test]
    fn what_cannot_be_understood_goes_through_as_it_is() {
        let long = [&[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff][..], b"x"].concat();
        for bytes in [
            b"GET /health HTTP/1.1\r\n\r\n".to_vec(),
            b"PRX".to_vec(),
            connection(&[&frame(0, &block(b"[")), b"rest"]),
            connection(&[&frame(END_HEADERS, &[0x83, 0x84]), b"rest"]),
            connection(&[&frame(END_HEADERS, &[]), b"rest"]),
            connection(&[&frame(END_HEADERS, &[0x41, 9, b'x']), b"rest"]),
            connection(&[&frame(END_HEADERS, &long), b"rest"]),
            connection(&[&frame(END_HEADERS | PADDED, &[200, 0x83]), b"rest"]),
            connection(&[&frame(END_HEADERS | PADDED, &[]), b"rest"]),
            connection(&[&frame(END_HEADERS | PRIORITY, &[1]), b"rest"]),
            connection(&[&[0xff, 0xff, 0xff, HEADERS, END_HEADERS, 0, 0, 0, 1], b"rest"]),
        ] {
            assert_eq!(through(&bytes), bytes);
        }
    }
}
