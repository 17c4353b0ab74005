//! What a member says of itself.

use super::{EtcdOptions, classify, connect};
use crate::StoreError;

/// A member's answer to `Maintenance.Status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its own id.
    pub member_id: u64,
    /// The id of the member that it takes for the leader; 0 when it knows of none.
    pub leader_id: u64,
    /// Its Raft term.
    pub term: u64,
    /// The revision of its store.
    pub revision: i64,
    /// The server's version, such as `3.5.30`.
    pub version: String,
    /// Whether it has no vote.
    pub learner: bool,
    /// How large its file is, in bytes.
    pub db_bytes: u64,
}

impl Status {
    /// Whether it takes itself for the leader.
    pub fn leads(&self) -> bool {
        self.leader_id != 0 && self.leader_id == self.member_id
    }
}

/// Asks the member at `endpoint`. It answers from its own state, so also without a majority; the
/// caller bounds the waiting.
pub async fn status(endpoint: &str, options: &EtcdOptions) -> Result<Status, StoreError> {
    let mut client = connect(endpoint, options).await?;
    let answer = client.status().await.map_err(classify)?;
    Ok(Status {
        member_id: answer.header().map(etcd_client::ResponseHeader::member_id).unwrap_or_default(),
        leader_id: answer.leader(),
        term: answer.raft_term(),
        revision: answer.header().map(etcd_client::ResponseHeader::revision).unwrap_or_default(),
        version: answer.version().to_owned(),
        learner: answer.is_learner(),
        db_bytes: u64::try_from(answer.db_size()).unwrap_or_default(),
    })
}
