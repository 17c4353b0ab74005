//! What a store answers, without what differs between two clusters by right.

use std::time::Duration;

use ordeal_cluster::proto::etcdserverpb::response_op::Response as OpResponse;
use ordeal_cluster::proto::etcdserverpb::{
    CompactionResponse, DeleteRangeResponse, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseLeasesResponse, LeaseRevokeResponse, LeaseTimeToLiveResponse, PutResponse, RangeResponse,
    ResponseHeader, TxnResponse, WatchResponse,
};
use ordeal_cluster::proto::mvccpb::KeyValue;
use tonic::Status;

use super::ask::FORMER;
use super::store::Leases;

/// The answer to one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Range(RangeResponse),
    Put(PutResponse),
    Delete(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    Grant(LeaseGrantResponse),
    Revoke(LeaseRevokeResponse),
    KeepAlive(LeaseKeepAliveResponse),
    TimeToLive(LeaseTimeToLiveResponse),
    Leases(LeaseLeasesResponse),
    Watch(WatchResponse),
    /// Of the service Auth, without a token if there was one.
    Auth(Option<ResponseHeader>, String),
    Error(tonic::Code, String),
    /// The stream has ended, or says nothing though it should.
    Silent,
    /// None was due.
    Nothing,
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        Answer::Error(status.code(), status.message().to_owned())
    }
}

impl Answer {
    /// The revision in its header.
    pub fn revision(&mut self) -> Option<i64> {
        self.header().map(|header| header.revision)
    }

    fn header(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Answer::Range(response) => response.header.as_mut(),
            Answer::Put(response) => response.header.as_mut(),
            Answer::Delete(response) => response.header.as_mut(),
            Answer::Txn(response) => response.header.as_mut(),
            Answer::Compact(response) => response.header.as_mut(),
            Answer::Grant(response) => response.header.as_mut(),
            Answer::Revoke(response) => response.header.as_mut(),
            Answer::KeepAlive(response) => response.header.as_mut(),
            Answer::TimeToLive(response) => response.header.as_mut(),
            Answer::Leases(response) => response.header.as_mut(),
            Answer::Watch(response) => response.header.as_mut(),
            Answer::Auth(header, _) => header.as_mut(),
            Answer::Error(..) | Answer::Silent | Answer::Nothing => None,
        }
    }

    /// Without who answered and in which term, with leases by their aliases, and in order what a
    /// store may give in any order.
    pub fn compared(mut self, leases: &Leases) -> Answer {
        if let Some(header) = self.header() {
            *header = ResponseHeader { revision: header.revision, ..Default::default() };
        }
        let alias = |lease: &mut i64| {
            if let Some((alias, _)) = leases.chosen.iter().find(|(_, id)| *id == lease) {
                *lease = *alias;
            } else if leases.former.contains(lease) {
                *lease = FORMER;
            }
        };
        self.leases(&alias);
        match &mut self {
            // By the time when they end.
            Answer::Leases(response) => response.leases.sort_by_key(|lease| lease.id),
            // In the order of a map in memory.
            Answer::TimeToLive(response) => response.keys.sort(),
            _ => {}
        }
        self
    }

    fn leases(&mut self, each: &dyn Fn(&mut i64)) {
        match self {
            Answer::Range(response) => of_pairs(&mut response.kvs, each),
            Answer::Put(response) => of_pairs(&mut response.prev_kv, each),
            Answer::Delete(response) => of_pairs(&mut response.prev_kvs, each),
            Answer::Txn(response) => of_txn(response, each),
            Answer::Grant(response) => each(&mut response.id),
            Answer::KeepAlive(response) => each(&mut response.id),
            Answer::TimeToLive(response) => each(&mut response.id),
            Answer::Leases(response) => {
                response.leases.iter_mut().for_each(|lease| each(&mut lease.id));
            }
            Answer::Watch(response) => response.events.iter_mut().for_each(|event| {
                of_pairs(&mut event.kv, each);
                of_pairs(&mut event.prev_kv, each);
            }),
            _ => {}
        }
    }

    /// Whether the two say the same, given how long it is since both stores were asked the same:
    /// so far apart a lease's remaining time may be.
    pub fn agrees(&self, other: &Answer, elapsed: Duration) -> bool {
        match (self, other) {
            (Answer::TimeToLive(one), Answer::TimeToLive(two)) => {
                let slack = 1 + elapsed.as_secs() as i64;
                let without = |one: &LeaseTimeToLiveResponse| LeaseTimeToLiveResponse {
                    ttl: 0,
                    ..one.clone()
                };
                (one.ttl - two.ttl).abs() <= slack && without(one) == without(two)
            }
            _ => self == other,
        }
    }
}

fn of_pairs<'a>(pairs: impl IntoIterator<Item = &'a mut KeyValue>, each: &dyn Fn(&mut i64)) {
    pairs.into_iter().for_each(|pair| each(&mut pair.lease));
}

fn of_txn(txn: &mut TxnResponse, each: &dyn Fn(&mut i64)) {
    for op in &mut txn.responses {
        match &mut op.response {
            Some(OpResponse::ResponseRange(response)) => of_pairs(&mut response.kvs, each),
            Some(OpResponse::ResponsePut(response)) => of_pairs(&mut response.prev_kv, each),
            Some(OpResponse::ResponseDeleteRange(response)) => {
                of_pairs(&mut response.prev_kvs, each);
            }
            Some(OpResponse::ResponseTxn(response)) => of_txn(response, each),
            None => {}
        }
    }
}
