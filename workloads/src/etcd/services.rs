//! Leases, locks and elections, over the crate's client.

use super::convert::{answer, key_value};
use super::error::classify;
use crate::store::{Answer, Leader, Said, StoreError};
use etcd_client::{
    Client, Error, LeaderKey, LeaseGrantOptions, LockOptions, ProclaimOptions, ResignOptions,
};

/// The answer of a response of the crate's.
macro_rules! answer_to {
    ($response:expr, $said:expr) => {
        answer($response.0.header.as_ref(), $said)
    };
}

pub(super) async fn grant(client: &mut Client, id: i64, ttl_s: i64) -> Result<Answer, StoreError> {
    let options = LeaseGrantOptions::new().with_id(id);
    let response = client.lease_grant(ttl_s, Some(options)).await.map_err(classify)?;
    let (id, ttl_s) = (response.id(), response.ttl());
    answer_to!(response, Said::Lease { id, ttl_s, granted_s: ttl_s })
}

/// The crate sends a first keepalive when it opens the stream, but tells of the second alone.
pub(super) async fn keep_alive(client: &mut Client, id: i64) -> Result<Answer, StoreError> {
    let said = |ttl_s| Said::Lease { id, ttl_s, granted_s: 0 };
    let opened = client.lease_keep_alive(id).await;
    let (mut keeper, mut stream) = match opened {
        Err(Error::LeaseKeepAliveError(why)) if why == "lease not found" => {
            return Ok(Answer { revision: 0, said: said(0) });
        }
        opened => opened.map_err(classify)?,
    };
    keeper.keep_alive().await.map_err(classify)?;
    match stream.message().await.map_err(classify)? {
        Some(response) => {
            let ttl_s = response.ttl();
            answer_to!(response, said(ttl_s))
        }
        None => Err(StoreError::Indeterminate("the stream of keepalives has ended".to_owned())),
    }
}

pub(super) async fn revoke(client: &mut Client, id: i64) -> Result<Answer, StoreError> {
    let response = client.lease_revoke(id).await.map_err(classify)?;
    answer_to!(response, Said::Done)
}

pub(super) async fn time_to_live(client: &mut Client, id: i64) -> Result<Answer, StoreError> {
    let response = client.lease_time_to_live(id, None).await.map_err(classify)?;
    let (id, ttl_s, granted_s) = (response.id(), response.ttl(), response.granted_ttl());
    answer_to!(response, Said::Lease { id, ttl_s, granted_s })
}

pub(super) async fn lock(
    client: &mut Client,
    name: Vec<u8>,
    lease: i64,
) -> Result<Answer, StoreError> {
    let options = LockOptions::new().with_lease(lease);
    let response = client.lock(name, Some(options)).await.map_err(classify)?;
    let key = response.key().to_vec();
    answer_to!(response, Said::Locked { key })
}

pub(super) async fn unlock(client: &mut Client, key: Vec<u8>) -> Result<Answer, StoreError> {
    let response = client.unlock(key).await.map_err(classify)?;
    answer_to!(response, Said::Done)
}

pub(super) async fn campaign(
    client: &mut Client,
    name: Vec<u8>,
    lease: i64,
    value: Vec<u8>,
) -> Result<Answer, StoreError> {
    let response = client.campaign(name, value, lease).await.map_err(classify)?;
    let Some(won) = response.leader() else {
        return Err(StoreError::Indeterminate("the campaign's answer names no leader".to_owned()));
    };
    let leader = Leader {
        name: won.name().to_vec(),
        key: won.key().to_vec(),
        revision: won.rev(),
        lease: won.lease(),
    };
    answer_to!(response, Said::Elected(leader))
}

pub(super) async fn proclaim(
    client: &mut Client,
    leader: Leader,
    value: Vec<u8>,
) -> Result<Answer, StoreError> {
    let options = ProclaimOptions::new().with_leader(theirs(leader));
    let response = client.proclaim(value, Some(options)).await.map_err(classify)?;
    answer_to!(response, Said::Done)
}

/// Nobody leads: that is an error of etcd's, and an answer.
pub(super) async fn leads(client: &mut Client, name: Vec<u8>) -> Result<Answer, StoreError> {
    match client.leader(name).await {
        Err(Error::GRpcStatus(status)) if status.message().contains("no leader") => {
            let nobody = status.message() == "election: no leader";
            let answer = Answer { revision: 0, said: Said::Leader(None) };
            if nobody { Ok(answer) } else { Err(classify(Error::GRpcStatus(status))) }
        }
        response => {
            let response = response.map_err(classify)?;
            let kv = response.0.kv.clone().map(key_value);
            answer_to!(response, Said::Leader(kv))
        }
    }
}

pub(super) async fn resign(client: &mut Client, leader: Leader) -> Result<Answer, StoreError> {
    let options = ResignOptions::new().with_leader(theirs(leader));
    let response = client.resign(Some(options)).await.map_err(classify)?;
    answer_to!(response, Said::Done)
}

fn theirs(leader: Leader) -> LeaderKey {
    LeaderKey::new()
        .with_name(leader.name)
        .with_key(leader.key)
        .with_rev(leader.revision)
        .with_lease(leader.lease)
}
