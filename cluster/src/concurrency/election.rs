//! Elections: the key that is oldest under the election's name leads, and its value is what the
//! leader proclaims.

use super::{
    Behind, Failure, Session, created_at, delete_if_still_there, first_created, op, prefix_of,
};
use crate::proto::etcdserverpb::request_op::Request as Op;
use crate::proto::etcdserverpb::{PutRequest, TxnRequest, TxnResponse};
use crate::proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};

/// Waits to be elected.
///
/// # Errors
/// It was not; the candidacy is given up then.
pub async fn campaign<B: Behind>(
    behind: &B,
    request: CampaignRequest,
) -> Result<CampaignResponse, Failure> {
    let session = Session { behind };
    let prefix = prefix_of(&request.name);
    let place = session.stand(&prefix, request.lease, request.value.clone()).await?;
    let guard = session.guard(&place);
    let leader =
        LeaderKey { name: request.name, key: place.key, rev: place.revision, lease: place.lease };
    let mut header = Some(place.header);
    if place.found.is_some_and(|found| found.value != request.value) {
        header = say(&session, &leader, request.value).await?.header;
    }
    session.wait_for_older(&prefix, leader.rev).await?;
    guard.keep();
    Ok(CampaignResponse { header, leader: Some(leader) })
}

/// Proclaims another value, as the leader.
///
/// # Errors
/// It is none, or the request does not say who asks.
pub async fn proclaim<B: Behind>(
    behind: &B,
    request: ProclaimRequest,
) -> Result<ProclaimResponse, Failure> {
    let leader = request.leader.ok_or_else(no_leader_key)?;
    let header = say(&Session { behind }, &leader, request.value).await?.header;
    Ok(ProclaimResponse { header })
}

/// Who leads.
///
/// # Errors
/// Nobody does: in etcd that is an error.
pub async fn leader<B: Behind>(
    behind: &B,
    request: LeaderRequest,
) -> Result<LeaderResponse, Failure> {
    let response = Session { behind }.range(first_created(&prefix_of(&request.name))).await?;
    match response.kvs.into_iter().next() {
        Some(kv) => Ok(LeaderResponse { header: response.header, kv: Some(kv) }),
        None => Err(Failure::Said("election: no leader".to_owned())),
    }
}

/// Gives up leading; one that no longer leads has nothing to do.
///
/// # Errors
/// The request does not say who asks.
pub async fn resign<B: Behind>(
    behind: &B,
    request: ResignRequest,
) -> Result<ResignResponse, Failure> {
    let leader = request.leader.ok_or_else(no_leader_key)?;
    let txn = delete_if_still_there(leader.key, leader.rev);
    let header = Session { behind }.txn(txn).await?.header;
    Ok(ResignResponse { header })
}

fn no_leader_key() -> Failure {
    Failure::Said("\"leader\" field must be provided".to_owned())
}

async fn say<B: Behind>(
    session: &Session<'_, B>,
    leader: &LeaderKey,
    value: bytes::Bytes,
) -> Result<TxnResponse, Failure> {
    let LeaderKey { key, lease, rev, .. } = leader.clone();
    let compare = vec![created_at(key.clone(), rev)];
    let put = PutRequest { key, value, lease, ..Default::default() };
    let success = vec![op(Op::RequestPut(put))];
    let response = session.txn(TxnRequest { compare, success, failure: Vec::new() }).await?;
    if response.succeeded {
        Ok(response)
    } else {
        Err(Failure::Said("election: not leader".to_owned()))
    }
}
