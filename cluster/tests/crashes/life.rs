//! An eventful life of a cluster: everything that makes a node write something new to its disk.

use std::collections::BTreeMap;

use ordeal_cluster::core::{Request, RequestId};
use ordeal_cluster::proto::etcdserverpb::{
    CompactionRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RequestOp, TxnRequest,
    request_op,
};

use crate::SECOND;
use crate::hand::{Options, World};

/// A cluster, a member whose power may go at any time, and what the clients know.
pub struct Life {
    pub world: World,
    pub victim: u64,
    /// The puts that were asked for, each of a key of its own.
    puts: BTreeMap<RequestId, String>,
    /// How often the victim's power went.
    pub cuts: u64,
}

/// What happens in a life, in this order.
const DEEDS: [fn(&mut Life); 9] = [
    |life| life.put(6),
    Life::lease,
    |life| life.put(6),
    Life::shut_out,
    Life::compact,
    |life| life.put(15),
    Life::revoke,
    Life::shut_out,
    |life| life.put(4),
];

impl Life {
    /// A cluster of three that has begun; whether the victim leads is the seed's to say.
    pub fn new(seed: u64) -> Self {
        let options = Options { snapshot_count: 12, segment_bytes: 1_500, ..Options::new(3, seed) };
        let world = World::new(options);
        Self { world, victim: 1 + seed % 3, puts: BTreeMap::new(), cuts: 0 }
    }

    /// Lives it all; a victim that is down is started again before the next deed.
    pub fn live(&mut self) {
        self.world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
        for deed in DEEDS {
            self.revive();
            deed(self);
        }
        self.revive();
        self.world.disk(self.victim).power_stays();
    }

    fn revive(&mut self) {
        while !self.world.is_up(self.victim) {
            self.cuts += 1;
            // Now and then the power goes again while the node recovers.
            if self.cuts < 3 && self.world.draw.below(2) == 0 {
                let operations = self.world.draw.below(8);
                self.world.disk(self.victim).power_goes_after(operations);
            }
            self.world.start(self.victim);
        }
    }

    /// Every put that was acknowledged is there, and nothing that nobody asked for; all members
    /// agree, and go on.
    pub fn check(&mut self) {
        self.put(2);
        let victim = self.victim;
        self.world.until("the victim takes part again", 60 * SECOND, |world| {
            let applied = |id| world.status(id).map(|status| status.applied);
            world.ids().into_iter().all(|id| applied(id) == applied(victim))
        });
        for id in self.world.ids() {
            let state = self.world.state(id).expect("all are up");
            let keys: Vec<_> = state.kv.keys().map(|(key, _)| key.clone()).collect();
            for (request, key) in &self.puts {
                let there = keys.iter().any(|known| known == key.as_bytes());
                let acknowledged = self.world.acknowledged(*request);
                assert!(there || !acknowledged, "node {id} lost {key}");
            }
            for key in keys {
                let asked = self.puts.values().any(|known| known.as_bytes() == key);
                assert!(asked || key.starts_with(b"of "), "nobody asked for {key:?}");
            }
        }
        let last = self.puts.last_key_value().expect("puts");
        assert!(self.world.acknowledged(*last.0), "the cluster takes no writes any more");
    }

    /// Asks the members in turn, the victim among them.
    fn put(&mut self, count: u64) {
        for nth in 0..count {
            let key = format!("k{:03}", self.puts.len());
            let id = self.nth_up(nth);
            let request = self.world.put(id, &key, nth);
            self.puts.insert(request, key);
            self.settle(id, request);
        }
    }

    fn lease(&mut self) {
        self.ask(Request::LeaseGrant(LeaseGrantRequest { id: 7, ttl: 600 }));
        let put = |key: &str| PutRequest {
            key: key.to_owned().into(),
            lease: 7,
            value: vec![b'v'; 300].into(),
            ..PutRequest::default()
        };
        let op = |key: &str| RequestOp { request: Some(request_op::Request::RequestPut(put(key))) };
        let success = vec![op("of lease 7, a"), op("of lease 7, b")];
        self.ask(Request::Txn(TxnRequest { success, ..TxnRequest::default() }));
    }

    fn revoke(&mut self) {
        self.ask(Request::LeaseRevoke(LeaseRevokeRequest { id: 7 }));
    }

    fn compact(&mut self) {
        self.ask(Request::Compact(CompactionRequest { revision: 10, physical: false }));
    }

    /// The victim misses more than the others keep, so it is sent a snapshot.
    fn shut_out(&mut self) {
        let victim = self.victim;
        self.world.isolate(victim);
        self.world.until("the others have a leader", 60 * SECOND, |world| {
            world.ids().into_iter().any(|id| id != victim && world.leads(id))
        });
        for _ in 0..30 {
            let key = format!("k{:03}", self.puts.len());
            let id = self.leader_but_victim();
            let request = self.world.put(id, &key, 1);
            self.puts.insert(request, key);
            self.settle(id, request);
        }
        self.world.heal();
        self.world.run_us(2 * SECOND);
    }

    fn leader_but_victim(&self) -> u64 {
        let ids = self.world.ids().into_iter().filter(|id| *id != self.victim);
        let leads = |id: &u64| self.world.leads(*id);
        ids.clone().find(leads).or(ids.min()).expect("there are others")
    }

    fn ask(&mut self, request: Request) {
        let id = self.leader_but_victim();
        let request = self.world.ask(id, request);
        self.settle(id, request);
    }

    fn nth_up(&self, nth: u64) -> u64 {
        let up: Vec<u64> =
            self.world.ids().into_iter().filter(|id| self.world.is_up(*id)).collect();
        up[(nth % up.len() as u64) as usize]
    }

    /// Waits for an answer of any kind, or until there is nobody to give it.
    fn settle(&mut self, asked: u64, request: RequestId) {
        self.world.until("an answer, or the end of the one asked", 60 * SECOND, |world| {
            world.answers.contains_key(&request) || !world.is_up(asked)
        });
    }
}
