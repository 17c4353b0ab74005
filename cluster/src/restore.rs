//! A cluster that begins with what a saved snapshot holds, as `etcdctl snapshot restore` makes it:
//! keys with their history, leases, users and roles are the snapshot's, and the members are new.
//!
//! The snapshot may come from an etcd or from an embedded node ([`crate::bolt`] writes etcd's
//! format). Each member is restored by itself from the same file, and all go on as one cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::auth::AuthStore;
use crate::bolt::read::{File, Pair};
use crate::bugs::Bugs;
use crate::core::bootstrap_image;
use crate::disk::Disk;
use crate::log::{self, LogConfig, LogError, SEGMENT_BYTES, Write, snapshot};
use crate::mvcc::{History, Mvcc, Version};
use crate::proto::authpb::{Role, User};
use crate::proto::etcdserverpb::AlarmMember;
use crate::proto::leasepb::Lease;
use crate::proto::mvccpb::KeyValue;
use crate::proto::ordealpb::AuthState;
use crate::server::{ConfigError, founders};
use crate::state::Alarms;

/// The checksum at the end of a snapshot that a client has saved, in bytes.
const SUM_BYTES: usize = 32;

/// Why a snapshot could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The words about the members make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name is not among the members.
    #[error("--initial-cluster does not name {0}")]
    Stranger(String),
    /// The snapshot cannot be used.
    #[error("the snapshot cannot be restored: {0}")]
    Snapshot(String),
    /// There is a member's data already.
    #[error("the data directory is not empty: a snapshot is restored into a new one")]
    NotEmpty,
    /// The disk refuses.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Makes a new member's data of a snapshot's bytes, durable when this returns. `cluster` and
/// `token` are as in `--initial-cluster` and `--initial-cluster-token`; the member must be started
/// with the same. Gives the revision that it goes on from.
///
/// # Errors
/// [`RestoreError`]; the disk is to be emptied then.
pub fn restore(
    bytes: &[u8],
    disk: Arc<dyn Disk>,
    name: &str,
    cluster: &str,
    token: &str,
) -> Result<i64, RestoreError> {
    let (cluster_id, named) = founders(cluster, token)?;
    let own = named.iter().find(|(known, _)| known == name);
    let node_id = own.ok_or_else(|| RestoreError::Stranger(name.to_owned()))?.1.id;
    if log::owner(&*disk)?.is_some() {
        return Err(RestoreError::NotEmpty);
    }
    let members: Vec<_> = named.into_iter().map(|(_, member)| member).collect();
    let mut image = bootstrap_image(&members);
    let file = File::open(checked(bytes).map_err(RestoreError::Snapshot)?);
    let content = file.and_then(|file| Content::read(&file)).map_err(RestoreError::Snapshot)?;
    let revision = content.kv.revision();
    image.state.kv = content.kv;
    image.state.auth = Arc::new(content.auth);
    image.state.alarms = content.alarms;
    let config = LogConfig {
        node_id,
        cluster_id,
        segment_bytes: SEGMENT_BYTES,
        joined: false,
        bugs: Bugs::default(),
    };
    let (mut log, _) = log::open(disk.clone(), config)?;
    snapshot::save(&*disk, &image)?;
    log.append(&Write { release: Some(image.position()), ..Write::default() })?;
    log.sync()?;
    Ok(revision)
}

/// The database in what was saved: without the checksum behind it, which must be right.
fn checked(bytes: &[u8]) -> Result<&[u8], String> {
    // Pages are of so many bytes that what is over can only be a checksum.
    if bytes.len() % 512 != SUM_BYTES {
        return Err("it does not end in a checksum: it was not saved whole".to_owned());
    }
    let (database, sum) = bytes.split_at(bytes.len() - SUM_BYTES);
    if Sha256::digest(database)[..] != *sum {
        return Err("its checksum is wrong: it is damaged".to_owned());
    }
    Ok(database)
}

/// What a snapshot holds that is the cluster's and no member's own.
struct Content {
    kv: Mvcc,
    auth: AuthStore,
    alarms: Alarms,
}

impl Content {
    fn read(file: &File<'_>) -> Result<Content, String> {
        let kv = keys(file)?;
        let auth = AuthStore::from_wire(Some(auth(file)?))?;
        let alarms = file.bucket("alarm")?;
        let alarms: Vec<AlarmMember> =
            alarms.iter().map(|(key, _)| decoded("alarm", key)).collect::<Result<_, _>>()?;
        Ok(Content { kv, auth, alarms: Alarms::from_wire(&alarms) })
    }
}

fn keys(file: &File<'_>) -> Result<Mvcc, String> {
    let compacted = file.bucket("meta")?;
    let compacted = compacted.iter().find(|(name, _)| name == b"finishedCompactRev");
    let compacted = match compacted {
        Some((_, revision)) => revision_of(revision).ok_or("the compacted revision is damaged")?.0,
        None => Mvcc::default().compacted(),
    };
    let mut histories: BTreeMap<Bytes, History> = BTreeMap::new();
    let mut newest = Mvcc::default().revision().max(compacted);
    for (key, value) in file.bucket("key")? {
        let (main, sub) = revision_of(&key).ok_or("a revision is damaged")?;
        let is_tombstone = key.last() == Some(&b't') && key.len() == 18;
        let kv: KeyValue = decoded("key", &value)?;
        let version = if is_tombstone { 0 } else { kv.version };
        let KeyValue { create_revision: create, value, lease, .. } = kv;
        let made = Version { main, sub, create, version, value, lease };
        newest = newest.max(main);
        histories.entry(kv.key).or_default().push(made);
    }
    let mut store = Mvcc::restored(newest, compacted);
    for (_, lease) in file.bucket("lease")? {
        let Lease { id, ttl, .. } = decoded("lease", &lease)?;
        store.leases_mut().grant(id, ttl);
    }
    for (key, history) in histories {
        store.restore_key(key, history);
    }
    Ok(store)
}

/// The revision that a record's key names: the change, and its place in it.
fn revision_of(key: &[u8]) -> Option<(i64, i64)> {
    let number = |at: usize| Some(i64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?));
    (key.get(8) == Some(&b'_')).then_some((number(0)?, number(9)?))
}

fn auth(file: &File<'_>) -> Result<AuthState, String> {
    let about = file.bucket("auth")?;
    let named = |name: &[u8]| about.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let revision = named(b"authRevision").and_then(|bytes| bytes.as_slice().try_into().ok());
    let users = file.bucket("authUsers")?;
    let roles = file.bucket("authRoles")?;
    let value = |(_, value): &Pair| value.clone();
    let users: Result<Vec<User>, String> =
        users.iter().map(value).map(|user| decoded("user", &user)).collect();
    let roles: Result<Vec<Role>, String> =
        roles.iter().map(value).map(|role| decoded("role", &role)).collect();
    Ok(AuthState {
        enabled: named(b"authEnabled").is_some_and(|bytes| bytes == &[1]),
        revision: revision.map_or(0, u64::from_be_bytes),
        users: users?,
        roles: roles?,
    })
}

fn decoded<T: Message + Default>(what: &str, bytes: &[u8]) -> Result<T, String> {
    T::decode(bytes).map_err(|error| format!("a {what} is damaged: {error}"))
}
