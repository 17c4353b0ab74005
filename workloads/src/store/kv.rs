//! Requests and answers of etcd's `KV` API.

use super::Request;

/// A key with its value and its place in the store's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// The end of the range of all keys that begin with `prefix`.
pub fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    // All keys from the prefix on.
    vec![0]
}

/// What a range is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The key.
    #[default]
    Key,
    /// Changes since its creation.
    Version,
    /// The revision of its creation.
    Create,
    /// The revision of its last change.
    Mod,
    /// The value.
    Value,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the store likes.
    #[default]
    None,
    /// The least first.
    Ascend,
    /// The greatest first.
    Descend,
}

/// A read. Numbers that are 0 ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first key.
    pub key: Vec<u8>,
    /// Empty: this key alone. A zero byte: every key from it on. Else the first key beyond.
    pub range_end: Vec<u8>,
    /// As of this revision.
    pub revision: i64,
    /// So many keys at most.
    pub limit: i64,
    /// In this order.
    pub order: Order,
    /// By this.
    pub sort_by: SortBy,
    /// `true`: from the node's own state, perhaps stale.
    pub serializable: bool,
    /// Without values.
    pub keys_only: bool,
    /// Without keys.
    pub count_only: bool,
    /// Least and greatest revision of the last change.
    pub modified: (i64, i64),
    /// Least and greatest revision of the creation.
    pub created: (i64, i64),
}

impl Range {
    /// One key, now.
    pub fn of(key: impl Into<Vec<u8>>) -> Range {
        Range { key: key.into(), ..Range::default() }
    }

    /// All keys that begin with `prefix`, now.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Range {
        let key = prefix.into();
        Range { range_end: after(&key), key, ..Range::default() }
    }
}

/// A write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The lease that the key is to hang on; 0 is none.
    pub lease: i64,
    /// Tell what was there.
    pub prev_kv: bool,
    /// Keep the value that is there.
    pub ignore_value: bool,
    /// Keep the lease that is there.
    pub ignore_lease: bool,
}

impl Put {
    /// A plain one.
    pub fn of(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Put {
        Put { key: key.into(), value: value.into(), ..Put::default() }
    }
}

/// A deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// The first key.
    pub key: Vec<u8>,
    /// As in a [`Range`].
    pub range_end: Vec<u8>,
    /// Tell what was there.
    pub prev_kv: bool,
}

impl Delete {
    /// One key.
    pub fn of(key: impl Into<Vec<u8>>) -> Delete {
        Delete { key: key.into(), ..Delete::default() }
    }
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
    /// The lease.
    Lease(i64),
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

/// One condition of a transaction: what the store holds on the left, this on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: Vec<u8>,
    /// As in a [`Range`]: the condition must hold for each key.
    pub range_end: Vec<u8>,
    /// The relation.
    pub op: CompareOp,
    /// The right side.
    pub target: CompareTarget,
}

impl Compare {
    /// That one key has exactly this.
    pub fn equal(key: impl Into<Vec<u8>>, target: CompareTarget) -> Compare {
        Compare { key: key.into(), range_end: Vec::new(), op: CompareOp::Equal, target }
    }
}

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// The conditions.
    pub compares: Vec<Compare>,
    /// Done when all hold: ranges, puts, deletions and transactions.
    pub then: Vec<Request>,
    /// Done when one does not.
    pub otherwise: Vec<Request>,
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn the_end_of_a_prefix_is_the_first_key_without_it() {
        let rows: [(&[u8], &[u8]); 4] =
            [(b"ab", b"ac"), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")];
        for (prefix, end) in rows {
            assert_eq!(after(prefix), end);
        }
    }
}
