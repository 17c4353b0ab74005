//! What watches are told from the store: all changes once, in order, in slices of any size.

use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::proto::etcdserverpb::request_op::Request;
use ordeal_cluster::proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RequestOp, TxnRequest};
use ordeal_cluster::proto::ordealpb::command::Op;
use ordeal_cluster::state::State;
use proptest::prelude::*;

/// Each transaction puts, or deletes, some of twenty keys, each with a value of this length.
fn transactions() -> impl Strategy<Value = Vec<(bool, std::collections::BTreeSet<u8>, usize)>> {
    let keys = prop::collection::btree_set(0..20_u8, 1..8);
    prop::collection::vec((prop::bool::weighted(0.2), keys, 0..200_usize), 1..60)
}

fn name(key: u8) -> bytes::Bytes {
    format!("k{key:02}").into()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_of_any_size_tell_of_every_change_once_in_order_and_of_whole_revisions(
        transactions in transactions(),
        bytes_max in prop_oneof![Just(0_usize), 1..2_000_usize, Just(1 << 20)],
        from in 1..40_i64,
    ) {
        let mut state = State::default();
        let mut expected = Vec::new();
        for (deletes, keys, length) in transactions {
            let revision = state.kv.revision() + 1;
            let mut ops = Vec::new();
            for key in keys {
                let request = if deletes {
                    let key = name(key);
                    Request::RequestDeleteRange(DeleteRangeRequest { key, ..Default::default() })
                } else {
                    let (key, value) = (name(key), vec![b'v'; length].into());
                    Request::RequestPut(PutRequest { key, value, ..Default::default() })
                };
                let there = state.kv.keys().any(|(known, history)| {
                    *known == name(key) && history.last().is_some_and(|v| !v.is_tombstone())
                });
                if revision >= from && (there || !deletes) {
                    expected.push((revision, name(key), deletes));
                }
                ops.push(RequestOp { request: Some(request) });
            }
            let op = Op::Txn(TxnRequest { success: ops, ..Default::default() });
            state.apply(&op, Bugs::default(), true).expect("it makes sense");
        }
        let mut told = Vec::new();
        let mut next = from;
        while next <= state.kv.revision() {
            let found = state.kv.changes(b"k", b"l", next, bytes_max);
            prop_assert!(found.next > next, "it goes on");
            let within = next..found.next;
            for change in found.changes {
                prop_assert!(within.contains(&change.version.main), "whole revisions");
                told.push((change.version.main, change.key, change.version.is_tombstone()));
            }
            next = found.next;
        }
        prop_assert_eq!(told, expected);
    }
}
