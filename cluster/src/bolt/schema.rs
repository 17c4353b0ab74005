//! What etcd 3.5 keeps in which bucket, made of the replicated state.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message;
use serde::Serialize;

use super::tree::Rows;
use super::{Bucket, Database, Pairs};
use crate::log::snapshot::Image;
use crate::mvcc::{Version, revision_key};
use crate::proto::etcdserverpb::Member;
use crate::proto::leasepb;
use crate::state::State;

/// An image as etcd's database, ready to be written.
pub struct Backend<'a>(Database<'a>);

impl<'a> Backend<'a> {
    /// Lays the database out. Takes time and memory in proportion to the number of versions.
    pub fn new(image: &'a Image) -> Self {
        let state = &image.state;
        let versions = Versions(state.kv.records(i64::MAX));
        let rows = |name, rows| Bucket { name, pairs: Box::new(Rows::sorted(rows)) };
        // In the order of their names.
        Self(Database::new(vec![
            rows("alarm", alarms(state)),
            rows("auth", auth(state)),
            rows("authRoles", roles(state)),
            rows("authUsers", users(state)),
            rows(
                "cluster",
                vec![(b"clusterVersion".to_vec(), crate::cluster_version().into_bytes())],
            ),
            Bucket { name: "key", pairs: Box::new(versions) },
            rows("lease", leases(state)),
            rows("members", members(state)),
            rows("members_removed", removed(state)),
            rows("meta", meta(image)),
        ]))
    }

    /// The size of the file, in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.0.len_bytes()
    }

    /// Gives the file's bytes, some after others, until some are not taken.
    ///
    /// # Errors
    /// That of the bytes that were not taken.
    pub fn write<E>(&self, take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.0.write(take)
    }
}

/// The versions of all keys by revision.
struct Versions<'a>(Vec<(&'a Bytes, &'a Version)>);

impl Pairs for Versions<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, nth: usize) -> Cow<'_, [u8]> {
        self.0[nth].1.record_key().into()
    }

    fn value_len(&self, nth: usize) -> usize {
        let (key, version) = self.0[nth];
        version.record(key).encoded_len()
    }

    fn put_value(&self, nth: usize, out: &mut Vec<u8>) {
        let (key, version) = self.0[nth];
        version.record(key).encode_raw(out);
    }
}

type Table = Vec<(Vec<u8>, Vec<u8>)>;

fn alarms(state: &State) -> Table {
    state.alarms.to_wire().iter().map(|alarm| (alarm.encode_to_vec(), Vec::new())).collect()
}

fn auth(state: &State) -> Table {
    let mut table = vec![(b"authRevision".to_vec(), state.auth.revision().to_be_bytes().to_vec())];
    if state.auth.is_enabled() {
        table.push((b"authEnabled".to_vec(), vec![1]));
    }
    table
}

fn roles(state: &State) -> Table {
    let roles = state.auth.roles().iter();
    roles.map(|(name, role)| (name.clone().into_bytes(), role.encode_to_vec())).collect()
}

fn users(state: &State) -> Table {
    let users = state.auth.users().iter();
    users.map(|(name, user)| (name.clone().into_bytes(), user.encode_to_vec())).collect()
}

fn leases(state: &State) -> Table {
    let leases = state.kv.leases().iter();
    let leases = leases.map(|(id, lease)| {
        let granted = leasepb::Lease { id, ttl: lease.ttl, remaining_ttl: 0 };
        (id.to_be_bytes().to_vec(), granted.encode_to_vec())
    });
    leases.collect()
}

/// A member, by the names that etcd's JSON has.
#[derive(Serialize)]
struct MemberJson<'a> {
    id: u64,
    #[serde(rename = "peerURLs")]
    peer_urls: &'a [String],
    #[serde(rename = "isLearner", skip_serializing_if = "std::ops::Not::not")]
    is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "clientURLs", skip_serializing_if = "<[_]>::is_empty")]
    client_urls: &'a [String],
}

fn members(state: &State) -> Table {
    let members = state.members.values().map(|member| {
        let Member { id, name, peer_ur_ls, client_ur_ls, is_learner } = member;
        let json = MemberJson {
            id: *id,
            peer_urls: peer_ur_ls,
            is_learner: *is_learner,
            name,
            client_urls: client_ur_ls,
        };
        (member_key(*id), json_bytes(&json))
    });
    members.collect()
}

fn removed(state: &State) -> Table {
    state.removed.iter().map(|id| (member_key(*id), b"removed".to_vec())).collect()
}

fn member_key(id: u64) -> Vec<u8> {
    format!("{id:x}").into_bytes()
}

/// Who votes, by the names that etcd's JSON has.
#[derive(Serialize)]
struct ConfStateJson<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    voters: &'a [u64],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    learners: &'a [u64],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    voters_outgoing: &'a [u64],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    learners_next: &'a [u64],
    auto_leave: bool,
}

fn meta(image: &Image) -> Table {
    let position = image.position();
    let mut table = vec![
        (b"consistent_index".to_vec(), position.index.to_be_bytes().to_vec()),
        (b"term".to_vec(), position.term.to_be_bytes().to_vec()),
    ];
    if let Some(conf) = &image.metadata.conf_state {
        let json = ConfStateJson {
            voters: &conf.voters,
            learners: &conf.learners,
            voters_outgoing: &conf.voters_outgoing,
            learners_next: &conf.learners_next,
            auto_leave: conf.auto_leave,
        };
        table.push((b"confState".to_vec(), json_bytes(&json)));
    }
    let compacted = image.state.kv.compacted();
    if compacted > 0 {
        for name in [&b"scheduledCompactRev"[..], b"finishedCompactRev"] {
            table.push((name.to_vec(), revision_key(compacted, 0)));
        }
    }
    table
}

fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers, texts and lists of them are always JSON")
}
