//! What a fault may wait for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A state of the cluster that starts a fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Trigger {
    /// Somebody is elected: another leader than the one of before, or the same in a later term.
    Election,
    /// A member sends another one a snapshot.
    Snapshot,
    /// A client holds a lock: an `acquire` of the workload has succeeded and no `release` has yet.
    Lock,
    /// There is a key that begins so.
    Key(String),
}

impl Trigger {
    /// What it waits for, for a person, after "no".
    pub(crate) fn awaited(&self) -> String {
        match self {
            Trigger::Election => "election was seen".to_owned(),
            Trigger::Snapshot => "snapshot was seen on its way".to_owned(),
            Trigger::Lock => "client held a lock".to_owned(),
            Trigger::Key(prefix) => format!("key began with {prefix}"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Election => f.write_str("election"),
            Trigger::Snapshot => f.write_str("snapshot"),
            Trigger::Lock => f.write_str("lock"),
            Trigger::Key(prefix) => write!(f, "key/{prefix}"),
        }
    }
}

impl TryFrom<String> for Trigger {
    type Error = String;

    fn try_from(text: String) -> Result<Trigger, String> {
        match text.as_str() {
            "election" => Ok(Trigger::Election),
            "snapshot" => Ok(Trigger::Snapshot),
            "lock" => Ok(Trigger::Lock),
            other => match other.strip_prefix("key/") {
                Some(prefix) if !prefix.is_empty() => Ok(Trigger::Key(prefix.to_owned())),
                _ => Err(format!(
                    "there is no trigger `{other}`; there are election, snapshot, lock, key/PREFIX"
                )),
            },
        }
    }
}

impl From<Trigger> for String {
    fn from(trigger: Trigger) -> String {
        trigger.to_string()
    }
}
