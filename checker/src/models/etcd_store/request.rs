//! What may be asked of the store, what it may answer, and why it may refuse: etcd's `KV` API.

use ordeal_history::Value;
use std::sync::Arc;

/// A key; keys are ordered by their bytes.
pub type Key = Arc<str>;

/// One key, or those from `key` up to `end`, as `range_end` has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub key: Key,
    /// Empty: `key` alone. A zero byte: every key from `key` on. Else the first key beyond.
    pub end: Key,
}

impl Span {
    /// Whether `key` lies within.
    pub fn contains(&self, key: &str) -> bool {
        match &*self.end {
            "" => key == &*self.key,
            "\0" => key >= &*self.key,
            end => key >= &*self.key && key < end,
        }
    }

    /// Whether it is one key.
    pub fn is_one(&self) -> bool {
        self.end.is_empty()
    }
}

/// What a range is sorted by, and what a transaction compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Key,
    Version,
    Create,
    Mod,
    Value,
    Lease,
}

/// The order of a range's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    None,
    Ascend,
    Descend,
}

/// A `RangeRequest`; numbers that are 0 ask for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    pub span: Span,
    pub revision: i64,
    pub limit: i64,
    pub sort: Sort,
    pub target: Field,
    pub serializable: bool,
    pub keys_only: bool,
    pub count_only: bool,
    /// Least and greatest mod revision.
    pub modified: (i64, i64),
    /// Least and greatest create revision.
    pub created: (i64, i64),
}

/// A `PutRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Put {
    pub key: Key,
    pub value: Value,
    pub lease: i64,
    pub prev_kv: bool,
    pub ignore_value: bool,
    pub ignore_lease: bool,
}

/// A `DeleteRangeRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delete {
    pub span: Span,
    pub prev_kv: bool,
}

/// How a comparison must turn out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    Equal,
    NotEqual,
    Greater,
    Less,
}

/// One condition of a transaction: each key in the span against a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compare {
    pub span: Span,
    pub field: Field,
    pub relation: Relation,
    /// A number, but for the field `Value`.
    pub against: Value,
}

/// A `TxnRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Txn {
    pub compares: Vec<Compare>,
    pub success: Vec<Request>,
    pub failure: Vec<Request>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Reads keys, now or as of a revision.
    Range(Range),
    /// Sets a key.
    Put(Put),
    /// Deletes keys.
    Delete(Delete),
    /// Does the one or the other list of requests, at one revision.
    Txn(Txn),
    /// Up to this revision. Never within a transaction.
    Compact(i64),
}

impl Request {
    /// Whether it changes anything in any state.
    pub fn may_change(&self) -> bool {
        match self {
            Request::Range(_) => false,
            Request::Put(_) | Request::Delete(_) | Request::Compact(_) => true,
            Request::Txn(txn) => txn.success.iter().chain(&txn.failure).any(Request::may_change),
        }
    }
}

/// A key and what it holds, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyValue {
    pub key: Key,
    pub value: Value,
    pub create: i64,
    pub modified: i64,
    pub version: i64,
    pub lease: i64,
}

/// The same as an answer shows it; what is `None` was not recorded and is not judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenKv {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Option<Value>,
    /// The revision at which it was created.
    pub create: Option<i64>,
    /// The revision of its last change.
    pub modified: Option<i64>,
    /// How often it was put since it was created.
    pub version: Option<i64>,
    /// The lease that it hangs on; 0 is none.
    pub lease: Option<i64>,
}

impl SeenKv {
    /// Whether this shows `kv`.
    pub fn shows(&self, kv: &KeyValue) -> bool {
        let is = |seen: Option<i64>, there: i64| seen.is_none_or(|seen| seen == there);
        self.key == kv.key
            && self.value.as_ref().is_none_or(|seen| *seen == kv.value)
            && is(self.create, kv.create)
            && is(self.modified, kv.modified)
            && is(self.version, kv.version)
            && is(self.lease, kv.lease)
    }
}

/// What an answer says; what is `None` was not recorded and is not judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Of a range.
    Range {
        /// The keys, in order.
        kvs: Option<Vec<SeenKv>>,
        /// How many there are in the span.
        count: Option<i64>,
        /// Whether the limit cut some off.
        more: Option<bool>,
    },
    /// Of a put.
    Put {
        /// What the key held, if that was asked for.
        prev_kv: Option<SeenKv>,
    },
    /// Of a deletion.
    Delete {
        /// How many keys.
        deleted: i64,
        /// What they held, if that was asked for.
        prev_kvs: Option<Vec<SeenKv>>,
    },
    /// Of a transaction.
    Txn {
        /// Which of the two lists was done.
        succeeded: bool,
        /// An answer for each request in it.
        responses: Vec<Seen>,
    },
    /// Of a compaction.
    Compact,
}

impl Seen {
    /// Whether the request changed keys, going by its answer.
    pub fn changed(&self) -> bool {
        match self {
            Seen::Range { .. } | Seen::Compact => false,
            Seen::Put { .. } => true,
            Seen::Delete { deleted, .. } => *deleted > 0,
            Seen::Txn { responses, .. } => responses.iter().any(Seen::changed),
        }
    }
}

/// Why the store refuses a request: errors after which nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A revision before the last compaction.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// A revision that is not there yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    Future,
    /// A transaction that changes a key twice.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// Nothing there whose value or lease could be kept.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A request without a key.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// A value, and the wish to keep the one that is there.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// A lease, and the wish to keep the one that is there.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// A transaction of more than 128 operations.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
}

impl Refusal {
    const ALL: [Refusal; 8] = [
        Refusal::Compacted,
        Refusal::Future,
        Refusal::DuplicateKey,
        Refusal::KeyNotFound,
        Refusal::EmptyKey,
        Refusal::ValueProvided,
        Refusal::LeaseProvided,
        Refusal::TooManyOps,
    ];

    /// The refusal that an error's text names; clients put words of their own around it.
    pub fn named_in(text: &str) -> Option<Refusal> {
        Refusal::ALL.into_iter().find(|refusal| text.contains(&refusal.to_string()))
    }
}
