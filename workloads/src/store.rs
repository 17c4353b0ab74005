//! The client's view of an etcd v3 store, in plain types.

use std::future::Future;

/// A key with its value and its place in the store's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Revision of the key's creation.
    pub create_revision: i64,
    /// Revision of its last change.
    pub mod_revision: i64,
    /// Changes since its creation, from 1.
    pub version: i64,
    /// The lease that it hangs on; 0 is none.
    pub lease: i64,
}

/// What a compare looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    /// The value.
    Value(Vec<u8>),
    /// The version; 0 means that the key is absent.
    Version(i64),
    /// The revision of creation.
    CreateRevision(i64),
    /// The revision of the last change.
    ModRevision(i64),
}

/// How a compare looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// =
    Equal,
    /// ≠
    NotEqual,
    /// >
    Greater,
    /// <
    Less,
}

/// One condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: Vec<u8>,
    /// The relation.
    pub op: CompareOp,
    /// The side that the store holds is on the left, this on the right.
    pub target: CompareTarget,
}

/// One request of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOp {
    /// Read one key.
    Get(Vec<u8>),
    /// Write one key.
    Put(Vec<u8>, Vec<u8>),
    /// Delete one key.
    Delete(Vec<u8>),
}

/// The result of one request of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnResult {
    /// What was there.
    Got(Option<KeyValue>),
    /// Written.
    Put,
    /// How many keys were deleted.
    Deleted(i64),
}

/// A request to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read one key.
    Get {
        /// The key.
        key: Vec<u8>,
        /// `true`: from the node's own state, perhaps stale.
        serializable: bool,
    },
    /// Write one key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// If all compares hold `then`, else `otherwise`.
    Txn {
        /// The conditions.
        compares: Vec<Compare>,
        /// Done when all hold.
        then: Vec<TxnOp>,
        /// Done when one does not.
        otherwise: Vec<TxnOp>,
    },
}

/// The store's answer, with the revision in its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a get.
    Got {
        /// Header revision.
        revision: i64,
        /// What was there.
        kv: Option<KeyValue>,
    },
    /// To a put.
    Put {
        /// Header revision.
        revision: i64,
    },
    /// To a transaction.
    Txn {
        /// Header revision.
        revision: i64,
        /// Whether the compares held.
        succeeded: bool,
        /// The branch's results.
        results: Vec<TxnResult>,
    },
}

/// An error, with the one thing that matters about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store defines it as "it did not happen", or it never left this machine.
    #[error("{0}")]
    DidNotHappen(String),
    /// Everything else: it may have happened, or may yet.
    #[error("{0}")]
    Indeterminate(String),
}

/// A connection of one process to one node. Never retries on its own.
pub trait Store {
    /// Sends one request and waits for its answer. The caller bounds the waiting.
    fn send(&mut self, request: Request) -> impl Future<Output = Result<Answer, StoreError>>;
}
