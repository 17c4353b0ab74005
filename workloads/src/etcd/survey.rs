//! What a member holds, by its own state: for comparing members when all is over.

use super::{EtcdOptions, classify, connect};
use crate::StoreError;
use etcd_client::{Client, GetOptions};
use std::collections::{BTreeMap, BTreeSet};

/// A member's answer to `Maintenance.HashKV`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash {
    /// The hash of all keys and their history since the last compaction.
    pub hash: u32,
    /// The revision of that compaction: hashes are comparable where it is the same.
    pub compact_revision: i64,
}

/// What a member holds beside keys, in words that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The leases that it knows.
    pub leases: BTreeSet<i64>,
    /// The members that it knows: name, id and peer URLs.
    pub members: BTreeSet<String>,
    /// Users with their roles, and roles with their rights.
    pub auth: BTreeSet<String>,
}

/// What a member holds, by its own state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Its revision.
    pub revision: i64,
    /// The hash of its keys up to the revision that was asked for.
    pub hash: Hash,
    /// What it holds beside keys.
    pub contents: Contents,
    /// Its version, where it was asked for its revision alone: members may have several.
    pub version: String,
}

/// Asks the member at `endpoint` for all that it holds, its keys as of the revision `at`; without
/// one, for its own revision alone.
pub async fn inspect(
    endpoint: &str,
    options: &EtcdOptions,
    at: Option<i64>,
) -> Result<Inspected, StoreError> {
    let mut client = connect(endpoint, options).await?;
    let status = client.status().await.map_err(classify)?;
    let revision = status.header().map_or(0, etcd_client::ResponseHeader::revision);
    let Some(at) = at else {
        let version = status.version().to_owned();
        return Ok(Inspected { revision, version, ..Inspected::default() });
    };
    let hash = client.hash_kv(at).await.map_err(classify)?;
    let hash = Hash { hash: hash.hash(), compact_revision: hash.compact_version() };
    let leases = client.leases().await.map_err(classify)?;
    let members = client.member_list().await.map_err(classify)?;
    let member = |member: &etcd_client::Member| {
        format!("{} {:x} {}", member.name(), member.id(), member.peer_urls().join(","))
    };
    let contents = Contents {
        leases: leases.leases().iter().map(etcd_client::LeaseStatus::id).collect(),
        members: members.members().iter().map(member).collect(),
        auth: auth(&mut client).await?,
    };
    Ok(Inspected { revision, hash, contents, version: String::new() })
}

/// More keys than these of a member are not asked for.
pub const HELD_MAX: usize = 10_000;
/// So many keys at once: an answer has at most 4 MiB.
const PAGE: i64 = 64;
/// Values are told up to so many characters.
const TOLD_MAX: usize = 48;

/// The keys that the member at `endpoint` holds now, by its own state, at most [`HELD_MAX`]; with
/// each what it says of it, in words.
///
/// # Errors
///
/// When it does not answer.
pub async fn keys(
    endpoint: &str,
    options: &EtcdOptions,
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut client = connect(endpoint, options).await?;
    let mut held = BTreeMap::new();
    let mut from = vec![0];
    while held.len() < HELD_MAX {
        let range = GetOptions::new().with_range(vec![0]).with_serializable().with_limit(PAGE);
        let answer = client.get(from, Some(range)).await.map_err(classify)?;
        held.extend(answer.kvs().iter().map(|kv| {
            let revisions = (kv.mod_revision(), kv.version(), kv.create_revision());
            (named(kv.key()), told(kv.value(), revisions, kv.lease()))
        }));
        match answer.kvs().last().filter(|_| answer.more()) {
            Some(last) => from = [last.key(), &[0]].concat(),
            None => break,
        }
    }
    Ok(held)
}

/// A key as text; bytes that are none are written out.
pub fn named(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => key.escape_ascii().to_string(),
    }
}

/// What is said of a key: its value, then the revision of its last change, its version, and the
/// revision of its creation. A long value is cut, and told apart by its length and a checksum.
pub fn told(value: &[u8], (changed, version, created): (i64, i64, i64), lease: i64) -> String {
    let text = named(value);
    let mut words: String = text.chars().take(TOLD_MAX).collect();
    if words.len() < text.len() {
        // FNV-1a: what is wanted is another word for another value.
        let sum = value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        words.push_str(&format!("… of {} bytes, sum {:08x}", value.len(), sum >> 32));
    }
    words.push_str(&format!(" · revision {changed}, version {version}, created {created}"));
    if lease != 0 {
        words.push_str(&format!(", lease {lease:x}"));
    }
    words
}

async fn auth(client: &mut Client) -> Result<BTreeSet<String>, StoreError> {
    let mut words = BTreeSet::new();
    for user in client.user_list().await.map_err(classify)?.users() {
        let said = client.user_get(user.as_str()).await.map_err(classify)?;
        let mut roles = said.roles().to_vec();
        roles.sort();
        words.insert(format!("user {user}: {}", roles.join(", ")));
    }
    for role in client.role_list().await.map_err(classify)?.roles() {
        let said = client.role_get(role.as_str()).await.map_err(classify)?;
        let mut rights: Vec<String> = said.permissions().iter().map(right).collect();
        rights.sort();
        words.insert(format!("role {role}: {}", rights.join(", ")));
    }
    Ok(words)
}

fn right(permission: &etcd_client::Permission) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let (key, end) = (text(permission.key()), text(permission.range_end()));
    format!("{} [{key}, {end})", permission.get_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_key_tells_values_apart_that_begin_alike() {
        assert_eq!(told(b"428", (9, 2, 7), 0), "428 · revision 9, version 2, created 7");
        let long = |end: &str| told(format!("{}{end}", "x".repeat(80)).as_bytes(), (1, 1, 1), 255);
        let (one, other) = (long("a"), long("b"));
        assert!(one.contains("x… of 81 bytes, sum ") && one.ends_with("lease ff"), "{one}");
        assert_ne!(one, other);
        assert_eq!((named("k\u{fc}".as_bytes()), named(b"k\xff")), ("kü".into(), "k\\xff".into()));
    }
}
