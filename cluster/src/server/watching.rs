//! A stream of watches between its client and the node.
//!
//! The node sends what it likes within its own bound ([`crate::core::WatchInput::Taken`] tells it
//! what has gone out); here requests wait while too many responses have not been taken, so that a
//! client that asks and does not read costs no memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use prost::Message as _;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

use super::driver::Input;
use crate::core::{StreamId, WatchInput};
use crate::error::ApiError;
use crate::proto::etcdserverpb::WatchResponse;

/// Responses that may wait for the client before its requests do.
const QUEUED_MAX: usize = 1_024;

/// What comes to a client, or why its stream ends.
pub(super) type Item = Result<WatchResponse, Status>;

/// The node's end of a stream.
pub(super) struct Outlet {
    items: mpsc::UnboundedSender<Item>,
    flow: Arc<Flow>,
}

#[derive(Default)]
struct Flow {
    queued: AtomicUsize,
    taken: Notify,
}

/// The way of a client's requests to the node.
pub(super) struct Requests {
    id: StreamId,
    inputs: mpsc::Sender<Input>,
    items: mpsc::UnboundedSender<Item>,
    flow: Arc<Flow>,
}

/// The client's end; when it is dropped the node forgets the stream.
pub(super) struct Responses {
    id: StreamId,
    inputs: mpsc::Sender<Input>,
    items: mpsc::UnboundedReceiver<Item>,
    flow: Arc<Flow>,
    /// Taken, and not yet told.
    bytes: usize,
}

/// What is taken is told to the node in portions.
const TOLD_BYTES: usize = 64 << 10;

/// Makes the three ends of a stream.
pub(super) fn stream(id: StreamId, inputs: mpsc::Sender<Input>) -> (Outlet, Requests, Responses) {
    let (items, received) = mpsc::unbounded_channel();
    let flow = Arc::new(Flow::default());
    let outlet = Outlet { items: items.clone(), flow: flow.clone() };
    let requests = Requests { id, inputs: inputs.clone(), items, flow: flow.clone() };
    let responses = Responses { id, inputs, items: received, flow, bytes: 0 };
    (outlet, requests, responses)
}

impl Outlet {
    /// Sends; a client that is gone gets nothing.
    pub fn send(&self, response: WatchResponse) {
        self.flow.queued.fetch_add(1, Ordering::Relaxed);
        let _ = self.items.send(Ok(response));
    }

    pub fn end(&self, error: ApiError) {
        let _ = self.items.send(Err(super::grpc::status(error)));
    }
}

impl Requests {
    /// Hands something to the node, when the client has taken enough of what it was sent.
    ///
    /// # Errors
    /// The node is gone.
    pub async fn send(&self, input: WatchInput) -> Result<(), ApiError> {
        while self.flow.queued.load(Ordering::Relaxed) > QUEUED_MAX {
            self.flow.taken.notified().await;
        }
        let sent = self.inputs.send(Input::Watch(self.id, input)).await;
        sent.map_err(|_| ApiError::Stopped)
    }

    /// Ends the client's stream.
    pub fn end(&self, status: Status) {
        let _ = self.items.send(Err(status));
    }

    /// Whether the client is gone.
    pub fn is_closed(&self) -> bool {
        self.items.is_closed()
    }
}

impl Responses {
    /// The next response; nothing when the stream has ended.
    pub async fn next(&mut self) -> Option<Item> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn took(&mut self, response: &WatchResponse) {
        self.flow.queued.fetch_sub(1, Ordering::Relaxed);
        self.flow.taken.notify_one();
        self.bytes += response.encoded_len();
        // Often enough that the node never waits for what has gone out: its bound is far higher,
        // and when nothing is left to take, all that was taken is told.
        if self.bytes >= TOLD_BYTES || self.items.is_empty() {
            let taken = Input::Watch(self.id, WatchInput::Taken(std::mem::take(&mut self.bytes)));
            if let Err(TrySendError::Full(taken)) = self.inputs.try_send(taken) {
                let inputs = self.inputs.clone();
                tokio::spawn(async move { inputs.send(taken).await });
            }
        }
    }
}

impl Stream for Responses {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let item = std::task::ready!(self.items.poll_recv(context));
        if let Some(Ok(response)) = &item {
            let this = &mut *self;
            this.took(response);
        }
        Poll::Ready(item)
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        // Requests that still wait for this client to take something need not wait any longer.
        self.flow.queued.store(0, Ordering::Relaxed);
        self.flow.taken.notify_one();
        let (id, inputs) = (self.id, self.inputs.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // If the node is gone it has forgotten.
                let _ = inputs.send(Input::Watch(id, WatchInput::Close)).await;
            });
        }
    }
}
