//! Locks and elections of a simulation's clients.

use super::messages::key_value;
use super::way::{Way, meaning};
use ordeal_cluster::concurrency::{Failure, campaign, leader, lock, proclaim, resign, unlock};
use ordeal_cluster::proto::etcdserverpb::ResponseHeader;
use ordeal_cluster::proto::v3electionpb::{
    CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest,
};
use ordeal_cluster::proto::v3lockpb::{LockRequest, UnlockRequest};
use ordeal_workloads::{Answer, Leader, Request, Said, StoreError};

/// Asks for a lock or an office.
///
/// # Errors
/// The node's, or the connection broke.
pub async fn ask(way: &Way, request: Request) -> Result<Answer, StoreError> {
    let answered = match request {
        Request::Lock { name, lease } => {
            let request = LockRequest { name: name.into(), lease };
            let locked = lock(way, way.world.bugs(), request).await;
            locked.map(|had| answer(had.header, Said::Locked { key: had.key.to_vec() }))
        }
        Request::Unlock(key) => {
            let request = UnlockRequest { key: key.into() };
            unlock(way, request).await.map(|done| answer(done.header, Said::Done))
        }
        Request::Campaign { name, lease, value } => {
            let request = CampaignRequest { name: name.into(), lease, value: value.into() };
            match campaign(way, request).await {
                Ok(won) => return elected(won.header, won.leader),
                Err(failure) => Err(failure),
            }
        }
        Request::Proclaim { leader, value } => {
            let request = ProclaimRequest { leader: Some(theirs(leader)), value: value.into() };
            proclaim(way, request).await.map(|done| answer(done.header, Said::Done))
        }
        Request::Leads(name) => match leader(way, LeaderRequest { name: name.into() }).await {
            Err(Failure::Said(words)) if words == "election: no leader" => {
                Ok(answer(None, Said::Leader(None)))
            }
            said => said.map(|it| answer(it.header, Said::Leader(it.kv.map(key_value)))),
        },
        Request::Resign(leader) => {
            let request = ResignRequest { leader: Some(theirs(leader)) };
            resign(way, request).await.map(|done| answer(done.header, Said::Done))
        }
        other => return Err(super::messages::absent(&other)),
    };
    answered.map_err(|failure| meaning(failure.to_string()))
}

fn answer(header: Option<ResponseHeader>, said: Said) -> Answer {
    Answer { revision: header.map_or(0, |header| header.revision), said }
}

fn elected(
    header: Option<ResponseHeader>,
    leader: Option<LeaderKey>,
) -> Result<Answer, StoreError> {
    let Some(won) = leader else {
        return Err(StoreError::Indeterminate("the campaign's answer names no leader".to_owned()));
    };
    let leader = Leader {
        name: won.name.to_vec(),
        key: won.key.to_vec(),
        revision: won.rev,
        lease: won.lease,
    };
    Ok(answer(header, Said::Elected(leader)))
}

fn theirs(leader: Leader) -> LeaderKey {
    LeaderKey {
        name: leader.name.into(),
        key: leader.key.into(),
        rev: leader.revision,
        lease: leader.lease,
    }
}
