//! The stream of a saved snapshot: etcd's database in blobs, and the checksum of it all.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tonic::Status;

use crate::bolt::Backend;
use crate::log::snapshot::Image;
use crate::proto::etcdserverpb::SnapshotResponse;

/// Bytes of a snapshot in one message, as etcd sends them.
const BLOB_BYTES: usize = 32 << 10;

/// Messages that wait for a client before the writer does.
const MESSAGES_MAX: usize = 8;

/// What a client reads.
pub(super) type Messages = mpsc::Receiver<Result<SnapshotResponse, Status>>;

/// The client has gone.
struct Gone;

/// Begins to send the image as a file, from a thread of its own: it may take long.
pub(super) fn send(image: Image) -> Messages {
    let (messages, received) = mpsc::channel(MESSAGES_MAX);
    tokio::task::spawn_blocking(move || {
        let backend = Backend::new(&image);
        let (sum, left) = (Sha256::new(), backend.len_bytes());
        let mut sender = Sender { messages, blob: Vec::new(), sum, left };
        // Who has gone needs to be told nothing.
        let _ = backend.write(|bytes| sender.take(bytes)).and_then(|()| sender.finish());
    });
    received
}

struct Sender {
    messages: mpsc::Sender<Result<SnapshotResponse, Status>>,
    blob: Vec<u8>,
    sum: Sha256,
    /// Bytes of the file that are not sent yet.
    left: u64,
}

impl Sender {
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOB_BYTES - self.blob.len()));
            self.blob.extend_from_slice(now);
            bytes = later;
            if self.blob.len() == BLOB_BYTES {
                self.send_blob()?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Gone> {
        self.send_blob()?;
        let sum = self.sum.finalize_reset().to_vec();
        self.send(sum.into())
    }

    fn send_blob(&mut self) -> Result<(), Gone> {
        if self.blob.is_empty() {
            return Ok(());
        }
        let blob = std::mem::replace(&mut self.blob, Vec::with_capacity(BLOB_BYTES));
        self.sum.update(&blob);
        self.left -= blob.len() as u64;
        self.send(blob.into())
    }

    fn send(&self, blob: Bytes) -> Result<(), Gone> {
        let remaining_bytes = self.left;
        let message = SnapshotResponse { remaining_bytes, blob, ..SnapshotResponse::default() };
        self.messages.blocking_send(Ok(message)).map_err(|_| Gone)
    }
}
