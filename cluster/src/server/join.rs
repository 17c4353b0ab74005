//! Who this member is: made from its flags, read from its data directory, or learned from the
//! cluster that it joins.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ServerError;
use super::config::{Config, Membership};
use super::peers::ask_members;
use super::tls::Tls;
use crate::log::Owner;
use crate::proto::etcdserverpb::Member;

/// How long a joining member looks for one that tells it of the cluster.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Who this member is, and whom it knows at first.
#[derive(Debug)]
pub(super) struct Identity {
    pub cluster_id: u64,
    pub id: u64,
    /// It has joined, or is about to: the members that the flags name stand for nothing.
    pub joins: bool,
    /// Those to talk to until the log tells who the members are.
    pub members: Vec<Member>,
}

/// Finds out.
///
/// # Errors
/// The flags are wrong, or the cluster to be joined does not answer or does not have this member.
pub(super) async fn identify(
    config: &Config,
    owner: Option<Owner>,
    tls: Option<&Tls>,
) -> Result<Identity, ServerError> {
    let flags = config.membership()?;
    match owner {
        Some(Owner { node_id, cluster_id, joined: true }) => {
            let members = flags.members;
            Ok(Identity { cluster_id, id: node_id, joins: true, members })
        }
        // After the membership has changed, the flags may name other members than at first.
        Some(Owner { cluster_id, .. }) if config.cluster_exists => {
            let Membership { id, members, .. } = flags;
            Ok(Identity { cluster_id, id, joins: false, members })
        }
        None if config.cluster_exists => join(config, flags, tls).await,
        _ => {
            let Membership { cluster_id, id, members } = flags;
            Ok(Identity { cluster_id, id, joins: false, members })
        }
    }
}

async fn join(
    config: &Config,
    flags: Membership,
    tls: Option<&Tls>,
) -> Result<Identity, ServerError> {
    let (own, others): (Vec<Member>, Vec<Member>) =
        flags.members.into_iter().partition(|member| member.id == flags.id);
    let own = own.into_iter().flat_map(|member| member.peer_ur_ls).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        for url in others.iter().flat_map(|member| &member.peer_ur_ls) {
            if let Ok((cluster_id, members)) = ask_members(url, tls).await {
                return check(config, own, others.len() + 1, cluster_id, members);
            }
        }
        if Instant::now() >= deadline {
            return Err(ServerError::NobodyToJoin);
        }
        sleep(PAUSE).await;
    }
}

/// The cluster must have as many members as the flags name, this one among them.
fn check(
    config: &Config,
    own: Vec<String>,
    named: usize,
    cluster_id: u64,
    members: Vec<Member>,
) -> Result<Identity, ServerError> {
    let is_own = |member: &&Member| {
        let mut urls = member.peer_ur_ls.clone();
        urls.sort();
        urls == own
    };
    let Some(id) = members.iter().find(is_own).map(|member| member.id) else {
        return Err(ServerError::NotAdded { name: config.name.clone(), urls: own.join(",") });
    };
    if members.len() != named {
        return Err(ServerError::MemberCount { named, found: members.len() });
    }
    Ok(Identity { cluster_id, id, joins: true, members })
}
