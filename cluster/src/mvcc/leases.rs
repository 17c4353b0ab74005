//! Which leases are granted, and which keys are bound to them.
//!
//! A lease is its id and its whole time to live; when it ends is the leader's account
//! (`core::leases`) and no part of the replicated state. A key's newest version names its lease, so
//! what is bound to what follows from the keys and is not stored besides.

use bytes::Bytes;

use super::ChunkedMap;

/// One lease.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lease {
    /// The time to live that was granted, in seconds.
    pub ttl: i64,
    keys: ChunkedMap<()>,
}

impl Lease {
    /// The keys bound to it, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.iter().map(|(key, ())| key)
    }
}

/// The leases by id. A clone is cheap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Leases {
    granted: ChunkedMap<Lease>,
}

impl Leases {
    /// The lease of an id.
    pub fn get(&self, id: i64) -> Option<&Lease> {
        self.granted.get(&name(id))
    }

    /// Whether a key may name the lease: 0 names none.
    pub fn may_bind(&self, id: i64) -> bool {
        id == 0 || self.get(id).is_some()
    }

    /// Every lease with its id, in the order of the ids' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Lease)> {
        self.granted.iter().map(|(name, lease)| (id_of(name), lease))
    }

    /// The number of leases.
    pub fn len(&self) -> usize {
        self.granted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.granted.is_empty()
    }

    pub(crate) fn grant(&mut self, id: i64, ttl: i64) {
        self.granted.insert(name(id), Lease { ttl, ..Lease::default() });
    }

    pub(crate) fn remove(&mut self, id: i64) {
        self.granted.remove(&name(id));
    }

    /// Binds a key, from `old` to `new`; 0 is no lease. A lease that is not there takes no key.
    pub(super) fn rebind(&mut self, key: &Bytes, old: i64, new: i64) {
        if old == new {
            return;
        }
        if let Some(lease) = self.granted.get_mut(&name(old)) {
            lease.keys.remove(key);
        }
        if let Some(lease) = self.granted.get_mut(&name(new)) {
            lease.keys.insert(key.clone(), ());
        }
    }
}

fn name(id: i64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn id_of(name: &Bytes) -> i64 {
    i64::from_be_bytes(name[..].try_into().expect("names are made of eight bytes"))
}
