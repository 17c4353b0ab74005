//! A client's connection to a simulated node.
//!
//! Every request is a message on the simulated network. What etcd's own server does for a client
//! around its core is done here, at the client's end: comparing a password, and standing in line
//! for a lock or an office, by the code that the services of the real server run
//! ([`ordeal_cluster::concurrency`]).

use super::messages;
use super::sessions;
use super::watches::Watches;
use super::way::Way;
use super::wire::End;
use super::world::World;
use ordeal_cluster::core::{AuthAnswer, AuthResponse, Credentials, Request as Asked, Response};
use ordeal_cluster::proto::etcdserverpb as pb;
use ordeal_cluster::state::Applied;
use ordeal_nemesis::NodeId;
use ordeal_workloads::{Answer, Login, Request, Said, Store, StoreError, root};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A connection to the process that ran on a node when it was made.
pub struct SimStore {
    world: Rc<World>,
    end: End,
    process: u64,
    login: Option<Login>,
    /// The tokens of those who have asked on this connection.
    tokens: BTreeMap<Login, Credentials>,
    watches: Watches,
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
            Ok(Some(process)) => Ok(SimStore {
                world: world.clone(),
                end,
                process,
                login: None,
                tokens: BTreeMap::new(),
                watches: Watches::default(),
            }),
            _ => Err(refused()),
        }
    }

    /// The way to the node for whoever asks. The first time a user does, its password is checked;
    /// an error then means that the request itself was not sent.
    async fn way(&mut self, login: Option<&Login>) -> Result<Way, StoreError> {
        let (world, end, process) = (self.world.clone(), self.end, self.process);
        let nobody = Way { world, end, process, credentials: Credentials::None };
        let Some(login) = login else { return Ok(nobody) };
        if let Some(credentials) = self.tokens.get(login) {
            return Ok(Way { credentials: credentials.clone(), ..nobody });
        }
        let token = self.world.authenticate(end, process, login).await;
        let token =
            token.map_err(|error| StoreError::DidNotHappen(format!("no session: {error}")))?;
        let credentials = Credentials::SimpleToken(token);
        self.tokens.insert(login.clone(), credentials.clone());
        Ok(Way { credentials, ..nobody })
    }
}

impl Store for SimStore {
    async fn send(&mut self, request: Request) -> Result<Answer, StoreError> {
        let (login, request) = match request {
            Request::As(login, request) => (Some(login), *request),
            // Where there are users only root may compact.
            compaction @ Request::Compact(_) if self.login.is_some() => (Some(root()), compaction),
            request => (self.login.clone(), request),
        };
        let way = self.way(login.as_ref()).await?;
        match request {
            Request::Watch(watch) => self.watches.begin(&way, watch).await,
            Request::WatchNext(number) => self.watches.next(number).await,
            Request::WatchProgress => Ok(self.watches.ask_progress()),
            Request::WatchCancel(number) => Ok(self.watches.cancel(number)),
            Request::Lock { .. }
            | Request::Unlock(_)
            | Request::Campaign { .. }
            | Request::Proclaim { .. }
            | Request::Leads(_)
            | Request::Resign(_) => sessions::ask(&way, request).await,
            request => answer(way.ask(wanted(request)?).await?),
        }
    }

    fn log_in(&mut self, login: &Login) {
        self.login = Some(login.clone());
    }
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
        Request::Auth(change) => Asked::AuthChange(messages::auth_change(change)),
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
        Response::Auth(AuthResponse { answer: AuthAnswer::Changed { .. }, .. }) => {
            Ok(Answer { revision: 0, said: Said::Done })
        }
        other => Err(StoreError::Indeterminate(format!("an answer to another request: {other:?}"))),
    }
}
