//! Requests and answers of etcd's first keys API, v2: HTTP, JSON, and an index in place of the
//! revision.

/// A request about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V2 {
    /// Read it.
    Get {
        /// The key's path, without a slash at its beginning: `a/b`.
        key: String,
        /// Through consensus; else from the node's own state, perhaps stale.
        quorum: bool,
    },
    /// Write it.
    Set {
        /// The key's path.
        key: String,
        /// The value.
        value: String,
        /// Only if.
        condition: Option<V2Condition>,
    },
}

/// What must hold for a key to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V2Condition {
    /// It holds this value.
    PrevValue(String),
    /// It was last changed at this index.
    PrevIndex(u64),
    /// It is there, or is not.
    PrevExist(bool),
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V2Said {
    /// What the key holds, or holds from now on.
    Node {
        /// The value.
        value: String,
        /// The index of its last change.
        modified: u64,
    },
    /// Code 100: there is no such key, and nothing was written.
    Missing,
    /// Code 101: the condition did not hold, and nothing was written.
    Differs {
        /// What the store says of it, such as `[1 != 2]`: what was expected, and what is there.
        cause: String,
    },
    /// Code 105: the key is there already, and nothing was written.
    Exists,
}

impl V2Said {
    /// What was there where one thing was expected, of an answer by code 101.
    pub fn actual(&self) -> Option<&str> {
        let V2Said::Differs { cause } = self else { return None };
        let (_, actual) = cause.strip_prefix('[')?.strip_suffix(']')?.split_once(" != ")?;
        Some(actual)
    }
}
