//! Frames: a length of four bytes, most significant first, and a message.

use std::io;

use prost::Message;
use raft_prost::Message as RaftMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest frame that is taken, in bytes. Raft's appends hold a megabyte of entries, or one
/// entry that is larger.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Appends a raft message as a frame.
pub(super) fn put(out: &mut Vec<u8>, message: &raft::eraftpb::Message) {
    // Within the limit above, and so within 32 bits.
    out.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
    // Encoding fails only for want of room, and a Vec grows.
    message.encode(out).expect("a Vec has room");
}

/// Reads a raft message; none at the end of the stream.
pub(super) async fn take(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<raft::eraftpb::Message>> {
    match read_bytes(stream).await {
        Ok(bytes) => RaftMessage::decode(&bytes[..]).map(Some).map_err(invalid),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a message of ours.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Message,
) -> io::Result<()> {
    let body = message.encode_to_vec();
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).await
}

/// Reads a message of ours.
pub(super) async fn read<M: Message + Default>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<M> {
    M::decode(&read_bytes(stream).await?[..]).map_err(invalid)
}

async fn read_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await? as usize;
    if length > FRAME_BYTES_MAX {
        return Err(invalid(format!("a frame of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

pub(super) fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}
