//! What an operator asks of a member: who the members are, and what keeps the store going.
//!
//! Whoever calls bounds the waiting, as everywhere here.

use super::{EtcdOptions, classify, connect};
use crate::{Said, StoreError};
use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Client, GetOptions, Member, MemberAddOptions,
};
use std::future::Future;

/// A member, as the cluster lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMember {
    /// Its id.
    pub id: u64,
    /// Where the others reach it.
    pub peer_urls: Vec<String>,
    /// Whether it has no vote.
    pub learner: bool,
}

/// A connection to one member, for an operator.
pub struct EtcdOperator {
    client: Client,
}

impl EtcdOperator {
    /// Connects to the member at `endpoint`.
    ///
    /// # Errors
    ///
    /// When no connection is made; nothing was asked then.
    pub async fn connect(
        endpoint: &str,
        options: &EtcdOptions,
    ) -> Result<EtcdOperator, StoreError> {
        Ok(EtcdOperator { client: connect(endpoint, options).await? })
    }

    /// The members.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn members(&mut self) -> Result<Vec<ListedMember>, StoreError> {
        let answer = self.client.member_list().await.map_err(classify)?;
        Ok(answer.members().iter().map(listed).collect())
    }

    /// Announces a member. Its id, and all members with it.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn add(
        &mut self,
        peer_url: &str,
        learner: bool,
    ) -> Result<(u64, Vec<ListedMember>), StoreError> {
        let options = learner.then(|| MemberAddOptions::new().with_is_learner());
        let answer = self.client.member_add([peer_url], options).await.map_err(classify)?;
        let id = answer.member().map(Member::id).unwrap_or_default();
        Ok((id, answer.member_list().iter().map(listed).collect()))
    }

    /// Takes the member with this id out.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn remove(&mut self, id: u64) -> Result<(), StoreError> {
        self.client.member_remove(id).await.map(drop).map_err(classify)
    }

    /// Gives the learner with this id its vote.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses: a learner that is behind is not promoted.
    pub async fn promote(&mut self, id: u64) -> Result<(), StoreError> {
        self.client.member_promote(id).await.map(drop).map_err(classify)
    }

    /// Has this member, which must lead, hand over to the one with this id.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn move_leader(&mut self, to: u64) -> Result<(), StoreError> {
        self.client.move_leader(to).await.map(drop).map_err(classify)
    }

    /// Compacts up to the present revision, and tells which that is.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn compact(&mut self) -> Result<i64, StoreError> {
        let options = GetOptions::new().with_count_only();
        let answer = self.client.get("ordeal/now", Some(options)).await.map_err(classify)?;
        let said = Said::Done;
        let revision = super::convert::answer(answer.0.header.as_ref(), said)?.revision;
        self.client.compact(revision, None).await.map_err(classify)?;
        Ok(revision)
    }

    /// Gives free space in the member's file back. How large it was before, and is now, in bytes.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn defragment(&mut self) -> Result<(u64, u64), StoreError> {
        let before = self.db_bytes().await?;
        self.client.defragment().await.map_err(classify)?;
        Ok((before, self.db_bytes().await?))
    }

    async fn db_bytes(&mut self) -> Result<u64, StoreError> {
        let status = self.client.status().await.map_err(classify)?;
        Ok(u64::try_from(status.db_size()).unwrap_or_default())
    }

    /// Hands the member's state over piece by piece. How many bytes that were.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses, or `keep` fails.
    pub async fn snapshot<F: Future<Output = std::io::Result<()>>>(
        &mut self,
        mut keep: impl FnMut(Vec<u8>) -> F,
    ) -> Result<u64, StoreError> {
        let mut stream = self.client.snapshot().await.map_err(classify)?;
        let mut bytes = 0;
        while let Some(piece) = stream.message().await.map_err(classify)? {
            bytes += piece.blob().len() as u64;
            let kept = keep(piece.blob().to_vec()).await;
            kept.map_err(|error| StoreError::Indeterminate(error.to_string()))?;
        }
        Ok(bytes)
    }

    /// Raises the alarm that the member with this id has no space. How many alarms stand then.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn raise_no_space(&mut self, id: u64) -> Result<u64, StoreError> {
        let mut options = AlarmOptions::new();
        options.with_member(id);
        let raise = self.client.alarm(AlarmAction::Activate, AlarmType::Nospace, Some(options));
        raise.await.map_err(classify)?;
        self.alarms().await
    }

    /// Disarms every alarm. How many stand then.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn disarm(&mut self) -> Result<u64, StoreError> {
        let disarm = self.client.alarm(AlarmAction::Deactivate, AlarmType::None, None);
        disarm.await.map_err(classify)?;
        // etcd takes no type for "all" in some releases: what still stands is disarmed by name.
        let standing = self.client.alarm(AlarmAction::Get, AlarmType::None, None);
        for alarm in standing.await.map_err(classify)?.alarms() {
            let mut options = AlarmOptions::new();
            options.with_member(alarm.member_id());
            let disarm = self.client.alarm(AlarmAction::Deactivate, alarm.alarm(), Some(options));
            disarm.await.map_err(classify)?;
        }
        self.alarms().await
    }

    async fn alarms(&mut self) -> Result<u64, StoreError> {
        let get = self.client.alarm(AlarmAction::Get, AlarmType::None, None);
        Ok(get.await.map_err(classify)?.alarms().len() as u64)
    }

    /// Whether a key begins so, as far as the member knows.
    ///
    /// # Errors
    ///
    /// When the member does not answer, or refuses.
    pub async fn has_key(&mut self, prefix: &str) -> Result<bool, StoreError> {
        let options = GetOptions::new().with_prefix().with_count_only().with_serializable();
        let answer = self.client.get(prefix, Some(options)).await.map_err(classify)?;
        Ok(answer.count() > 0)
    }
}

fn listed(member: &Member) -> ListedMember {
    ListedMember {
        id: member.id(),
        peer_urls: member.peer_urls().to_vec(),
        learner: member.is_learner(),
    }
}
