//! Who may come in: the members as this node knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::FORMAT;
use crate::proto::etcdserverpb::Member;
use crate::proto::ordealpb::{Hello, Welcome};

/// The members, shared between the driver, which learns of changes, and those who accept peers.
#[derive(Debug, Clone)]
pub(super) struct Roster {
    pub cluster_id: u64,
    pub own: u64,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
}

impl Roster {
    pub fn new(cluster_id: u64, own: u64) -> Self {
        Self { cluster_id, own, known: Arc::default() }
    }

    pub fn set(&self, members: &[Member], removed: &[u64]) {
        let mut known = self.known();
        known.members = members.iter().map(|member| (member.id, member.clone())).collect();
        known.removed = removed.iter().copied().collect();
    }

    /// The answer to whoever calls. A caller that is not known may be a member that this node has
    /// not heard of yet, and even its leader; one that was removed is sent away.
    pub fn answer(&self, hello: &Hello) -> Welcome {
        let Hello { format, cluster_id, from, to, .. } = *hello;
        let known = self.known();
        if format == FORMAT && hello.asks_members {
            let members = known.members.values().cloned().collect();
            return Welcome { cluster_id: self.cluster_id, members, ..Welcome::default() };
        }
        let removed = known.removed.contains(&from);
        let refused = if format != FORMAT {
            format!("the peers' format here is {FORMAT}, not {format}")
        } else if cluster_id != self.cluster_id {
            format!("the cluster here is {:x}, not {cluster_id:x}", self.cluster_id)
        } else if to != self.own {
            format!("the member here is {:x}, not {to:x}", self.own)
        } else if removed {
            format!("{from:x} has been removed from the cluster")
        } else {
            String::new()
        };
        Welcome { refused, removed, ..Welcome::default() }
    }

    /// Whether this node has applied that the member was removed.
    pub fn has_removed(&self, member: u64) -> bool {
        self.known().removed.contains(&member)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing that holds it can leave it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
