//! A client's connection to a simulated node.
//!
//! Keys, transactions, compactions and leases. Deliberately absent so far: watches, locks,
//! elections and users, whose requests are refused as ones that did not happen.

use super::messages;
use super::wire::End;
use super::world::World;
use ordeal_cluster::core::{Request as Asked, Response};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::etcdserverpb as pb;
use ordeal_cluster::state::Applied;
use ordeal_nemesis::NodeId;
use ordeal_workloads::etcd::refuses;
use ordeal_workloads::{Answer, Request, Said, Store, StoreError};
use std::rc::Rc;

/// A connection to the process that ran on a node when it was made.
pub struct SimStore {
    world: Rc<World>,
    end: End,
    process: u64,
}

impl SimStore {
    /// Connects, as soon as the way there and back takes.
    ///
    /// # Errors
    /// Nothing was asked of the store yet.
    pub async fn connect(world: &Rc<World>, node: &NodeId) -> Result<SimStore, StoreError> {
        let refused = || StoreError::DidNotHappen(format!("{node} refused the connection"));
        let end = world.end(node).ok_or_else(refused)?;
        match world.knock(end).await {
            Ok(Some(process)) => Ok(SimStore { world: world.clone(), end, process }),
            _ => Err(refused()),
        }
    }
}

impl Store for SimStore {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        let asked = wanted(request)?;
        match self.world.ask(self.end, self.process, asked).await {
            Ok(Ok(response)) => answer(response),
            Ok(Err(error)) => Err(meaning(error)),
            Err(_) => Err(StoreError::Indeterminate("the connection broke".to_owned())),
        }
    }
}

/// What an error of the embedded cluster means, by its words, as those of any etcd.
fn meaning(error: ApiError) -> StoreError {
    let words = error.to_string();
    if refuses(&words) { StoreError::DidNotHappen(words) } else { StoreError::Indeterminate(words) }
}

fn wanted(request: Request) -> Result<Asked, StoreError> {
    Ok(match request {
        Request::Range(range) => Asked::Range(messages::range(range)),
        Request::Put(put) => Asked::Put(messages::put(put)),
        Request::Delete(delete) => Asked::DeleteRange(messages::delete(delete)),
        Request::Txn(txn) => Asked::Txn(messages::txn(txn)?),
        Request::Compact(revision) => {
            Asked::Compact(pb::CompactionRequest { revision, ..Default::default() })
        }
        Request::LeaseGrant { id, ttl_s } => {
            Asked::LeaseGrant(pb::LeaseGrantRequest { id, ttl: ttl_s })
        }
        Request::LeaseRevoke(id) => Asked::LeaseRevoke(pb::LeaseRevokeRequest { id }),
        Request::LeaseKeepAlive(id) => Asked::LeaseKeepAlive(pb::LeaseKeepAliveRequest { id }),
        Request::LeaseTimeToLive(id) => {
            Asked::LeaseTimeToLive(pb::LeaseTimeToLiveRequest { id, ..Default::default() })
        }
        other => return Err(messages::absent(&other)),
    })
}

fn answer(response: Response) -> Result<Answer, StoreError> {
    let of = |header: Option<pb::ResponseHeader>, said: Said| {
        Ok(Answer { revision: header.map_or(0, |header| header.revision), said })
    };
    match response {
        Response::Applied(Applied::Range(got)) => of(got.header, messages::ranged(got)),
        Response::Applied(Applied::Put(put)) => of(put.header, messages::was_put(put)),
        Response::Applied(Applied::DeleteRange(gone)) => of(gone.header, messages::deleted(gone)),
        Response::Applied(Applied::Txn(txn)) => of(txn.header, messages::txn_said(txn)),
        Response::Applied(Applied::Compact(done)) => of(done.header, Said::Done),
        Response::Applied(Applied::LeaseRevoke(done)) => of(done.header, Said::Done),
        Response::Applied(Applied::LeaseGrant(lease)) => {
            let said = Said::Lease { id: lease.id, ttl_s: lease.ttl, granted_s: lease.ttl };
            of(lease.header, said)
        }
        Response::LeaseKeepAlive(lease) => {
            let said = Said::Lease { id: lease.id, ttl_s: lease.ttl, granted_s: lease.ttl };
            of(lease.header, said)
        }
        Response::LeaseTimeToLive(lease) => {
            let (id, ttl_s, granted_s) = (lease.id, lease.ttl, lease.granted_ttl);
            of(lease.header, Said::Lease { id, ttl_s, granted_s })
        }
        other => Err(StoreError::Indeterminate(format!("an answer to another request: {other:?}"))),
    }
}
