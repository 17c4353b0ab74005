//! The state as bytes: a header, runs of keys in order, a footer that counts them.

use std::sync::Arc;

use prost::Message;

use super::{Alarms, State};
use crate::auth::AuthStore;
use crate::mvcc::{Mvcc, Version};
use crate::proto::ordealpb::{
    GrantedLease, KeyBatch, KeyVersion, KeyVersions, StateFooter, StateHeader,
};

/// Roughly how many bytes a chunk of keys holds: enough that framing costs nothing, and little
/// enough that nobody needs much memory for one.
const CHUNK_BYTES: usize = 256 << 10;

impl State {
    /// Gives the state, chunk after chunk, until one is not taken. Linear in its size.
    ///
    /// # Errors
    /// That of the chunk that was not taken.
    pub fn encode_chunks<E>(&self, mut give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let header = StateHeader {
            revision: self.kv.revision(),
            compact_revision: self.kv.compacted(),
            members: self.members.values().cloned().collect(),
            leases: self.granted_leases(),
            auth: Some(self.auth.to_wire()),
            removed: self.removed.iter().copied().collect(),
            alarms: self.alarms.to_wire(),
        };
        give(&header.encode_to_vec())?;
        let mut batch = KeyBatch::default();
        let mut bytes = 0;
        let mut keys = 0;
        for (key, history) in self.kv.keys() {
            let versions: Vec<KeyVersion> = history.iter().map(to_wire).collect();
            bytes += key.len() + versions.iter().map(|v| v.value.len() + 32).sum::<usize>();
            batch.keys.push(KeyVersions { key: key.clone(), versions });
            keys += 1;
            if bytes >= CHUNK_BYTES {
                give(&batch.encode_to_vec())?;
                batch.keys.clear();
                bytes = 0;
            }
        }
        if !batch.keys.is_empty() {
            give(&batch.encode_to_vec())?;
        }
        give(&StateFooter { keys }.encode_to_vec())
    }
}

impl State {
    fn granted_leases(&self) -> Vec<GrantedLease> {
        let leases = self.kv.leases();
        leases.iter().map(|(id, lease)| GrantedLease { id, ttl: lease.ttl }).collect()
    }
}

fn to_wire(version: &Version) -> KeyVersion {
    KeyVersion {
        main: version.main,
        sub: version.sub,
        create_revision: version.create,
        version: version.version,
        value: version.value.clone(),
        lease: version.lease,
    }
}

/// Puts a state together again from its chunks, in their order.
#[derive(Debug, Default)]
pub struct StateDecoder {
    state: Option<State>,
    /// The newest chunk: whether it is the footer shows only when nothing follows.
    last: Option<Vec<u8>>,
    keys: u64,
}

impl StateDecoder {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), String> {
        let before = self.last.replace(bytes.to_vec());
        match (before, &mut self.state) {
            (None, _) => Ok(()),
            (Some(header), state @ None) => {
                let header = StateHeader::decode(&header[..]).map_err(|e| e.to_string())?;
                let mut kv = Mvcc::restored(header.revision, header.compact_revision);
                for lease in header.leases {
                    kv.leases_mut().grant(lease.id, lease.ttl);
                }
                let members = header.members.into_iter().map(|m| (m.id, m)).collect();
                let auth = Arc::new(AuthStore::from_wire(header.auth)?);
                let removed = header.removed.into_iter().collect();
                let alarms = Alarms::from_wire(&header.alarms);
                *state = Some(State { kv, members, auth, removed, alarms });
                Ok(())
            }
            (Some(batch), Some(state)) => {
                let batch = KeyBatch::decode(&batch[..]).map_err(|e| e.to_string())?;
                self.keys += batch.keys.len() as u64;
                batch.keys.into_iter().try_for_each(|key| restore(&mut state.kv, key))
            }
        }
    }

    /// The state, when its last chunk has been taken.
    ///
    /// # Errors
    /// If chunks are missing.
    pub fn finish(self) -> Result<State, String> {
        let (Some(state), Some(footer)) = (self.state, self.last) else {
            return Err("the state has neither header nor footer".into());
        };
        let footer = StateFooter::decode(&footer[..]).map_err(|e| e.to_string())?;
        if footer.keys != self.keys {
            return Err(format!("the state has {} keys of {}", self.keys, footer.keys));
        }
        Ok(state)
    }
}

fn restore(kv: &mut Mvcc, key: KeyVersions) -> Result<(), String> {
    if key.versions.is_empty() {
        return Err("a key without a version".into());
    }
    // Each on its own bytes: a slice would keep the whole chunk alive.
    let own = |bytes: &bytes::Bytes| bytes::Bytes::copy_from_slice(bytes);
    let history = key.versions.iter().map(|version| Version {
        main: version.main,
        sub: version.sub,
        create: version.create_revision,
        version: version.version,
        value: own(&version.value),
        lease: version.lease,
    });
    let history = history.collect();
    kv.restore_key(own(&key.key), history);
    Ok(())
}
