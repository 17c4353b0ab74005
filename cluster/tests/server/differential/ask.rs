//! The requests of a sequence.
//!
//! A revision in them is relative to the newest one at the time of sending, and a lease whose id
//! the store chooses has an alias, so that a request means the same when those before it are left
//! out: [`at`] and [`chosen`] make such numbers, [`Ask::resolved`] ends them.

use std::collections::BTreeMap;

use ordeal_cluster::proto::etcdserverpb::compare::TargetUnion;
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Op;
use ordeal_cluster::proto::etcdserverpb::{
    AuthenticateRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest,
    LeaseTimeToLiveRequest, PutRequest, RangeRequest, TxnRequest, WatchCreateRequest,
};

use super::auth::{AuthAsk, Who};

/// What a revision near this number stands for: its distance is that from the newest one.
const RELATIVE: i64 = 1 << 40;

/// The first alias of a lease.
const CHOSEN: i64 = 1 << 50;

/// Aliases of leases in one sequence.
const CHOSEN_MAX: i64 = 1 << 10;

/// The revision that is so far from the newest.
pub fn at(distance: i64) -> i64 {
    RELATIVE + distance
}

/// The alias of the lease that was granted without an id under this number.
pub const fn chosen(nth: i64) -> i64 {
    CHOSEN + nth
}

/// What stands for every lease whose id was chosen in an earlier sequence.
pub const FORMER: i64 = CHOSEN + CHOSEN_MAX;

/// Whether it is an alias, not the id of a lease.
pub fn is_alias(lease: i64) -> bool {
    (CHOSEN..CHOSEN + CHOSEN_MAX).contains(&lease)
}

/// One request of a client.
#[derive(Debug, Clone)]
pub enum Ask {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    /// With an alias for its id the store chooses one.
    Grant(LeaseGrantRequest),
    Revoke(i64),
    KeepAlive(i64),
    TimeToLive(LeaseTimeToLiveRequest),
    Leases,
    /// Opens a watch on the stream of that number.
    Watch(u8, WatchCreateRequest),
    Cancel(u8, i64),
    Progress(u8),
    /// About users and roles.
    Auth(AuthAsk),
    /// Asks for a token, by which requests on behalf of that one are sent from then on.
    Login(Who, AuthenticateRequest),
    /// On somebody's behalf; nobody's without this.
    As(Who, Box<Ask>),
    /// Both stores are stopped and started again.
    Restart,
}

/// The ids that a store chose, by their aliases.
pub type Chosen = BTreeMap<i64, i64>;

/// What the numbers of a request stand for.
struct Numbers<'a> {
    head: i64,
    chosen: &'a Chosen,
}

impl Ask {
    /// The same with every revision a number and every lease an id, given the newest revision and
    /// the ids. The alias of a lease that is yet to be granted stays.
    pub fn resolved(&self, head: i64, chosen: &Chosen) -> Ask {
        let mut ask = self.clone();
        let numbers = Numbers { head, chosen };
        match &mut ask {
            Ask::Range(range) => numbers.range(range),
            Ask::Put(put) => numbers.lease(&mut put.lease),
            Ask::Txn(txn) => numbers.txn(txn),
            Ask::Compact(compact) => numbers.revision(&mut compact.revision),
            Ask::Revoke(id) | Ask::KeepAlive(id) => numbers.lease(id),
            Ask::TimeToLive(request) => numbers.lease(&mut request.id),
            Ask::Watch(_, create) => numbers.revision(&mut create.start_revision),
            Ask::Delete(_) | Ask::Grant(_) | Ask::Leases => {}
            Ask::Cancel(..) | Ask::Progress(_) | Ask::Restart => {}
            Ask::Auth(_) | Ask::Login(..) => {}
            Ask::As(_, ask) => **ask = ask.resolved(head, chosen),
        }
        ask
    }

    /// What is asked, whoever asks.
    pub fn what(&self) -> &Ask {
        match self {
            Ask::As(_, ask) => ask.what(),
            ask => ask,
        }
    }
}

impl Numbers<'_> {
    fn revision(&self, revision: &mut i64) {
        if (RELATIVE / 2..CHOSEN / 2).contains(revision) {
            *revision = self.head + (*revision - RELATIVE);
        }
    }

    fn lease(&self, lease: &mut i64) {
        *lease = self.chosen.get(lease).copied().unwrap_or(*lease);
    }

    fn range(&self, range: &mut RangeRequest) {
        for revision in [
            &mut range.revision,
            &mut range.min_mod_revision,
            &mut range.max_mod_revision,
            &mut range.min_create_revision,
            &mut range.max_create_revision,
        ] {
            self.revision(revision);
        }
    }

    fn txn(&self, txn: &mut TxnRequest) {
        for compare in &mut txn.compare {
            match &mut compare.target_union {
                Some(TargetUnion::ModRevision(at) | TargetUnion::CreateRevision(at)) => {
                    self.revision(at);
                }
                Some(TargetUnion::Lease(lease)) => self.lease(lease),
                _ => {}
            }
        }
        for op in txn.success.iter_mut().chain(&mut txn.failure) {
            match &mut op.request {
                Some(Op::RequestRange(range)) => self.range(range),
                Some(Op::RequestPut(put)) => self.lease(&mut put.lease),
                Some(Op::RequestTxn(txn)) => self.txn(txn),
                _ => {}
            }
        }
    }
}
