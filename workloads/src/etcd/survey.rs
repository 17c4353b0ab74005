//! What a member holds, by its own state: for comparing members when all is over.

use super::{EtcdOptions, classify, connect};
use crate::StoreError;
use etcd_client::Client;
use std::collections::BTreeSet;

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
        return Ok(Inspected { revision, ..Inspected::default() });
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
    Ok(Inspected { revision, hash, contents })
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
