//! The store, row by row: what etcd's API says of ranges, revisions, transactions, compaction.

use std::collections::BTreeMap;

use bytes::Bytes;
use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::error::ApiError;
use ordeal_cluster::log::snapshot::Image;
use ordeal_cluster::mvcc::{ChunkedMap, check_txn, is_read_only, is_serializable};
use ordeal_cluster::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use ordeal_cluster::proto::etcdserverpb::request_op::Request;
use ordeal_cluster::proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse,
    RequestOp, TxnRequest, TxnResponse,
};
use ordeal_cluster::proto::ordealpb::command::Op;
use ordeal_cluster::state::{Applied, State};
use proptest::prelude::*;
use raft::eraftpb::SnapshotMetadata;

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() }
}

fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    DeleteRangeRequest { key, range_end, ..Default::default() }
}

fn range(key: &str, end: &str) -> RangeRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    RangeRequest { key, range_end, ..Default::default() }
}

fn ops<const N: usize>(ops: [Request; N]) -> Vec<RequestOp> {
    ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect()
}

fn apply(state: &mut State, op: Op) -> Result<Applied, ApiError> {
    state.apply(&op, Bugs::default(), true)
}

fn txn(state: &mut State, request: TxnRequest) -> Result<TxnResponse, ApiError> {
    check_txn(&request, 128)?;
    match apply(state, Op::Txn(request))? {
        Applied::Txn(response) => Ok(response),
        other => panic!("a transaction's answer was due, not {other:?}"),
    }
}

fn read(state: &State, request: &RangeRequest) -> Result<RangeResponse, ApiError> {
    match state.range(request)? {
        Applied::Range(response) => Ok(response),
        other => panic!("a range's answer was due, not {other:?}"),
    }
}

/// The keys and values found, as `a=1 b=2`.
fn shown(response: &RangeResponse) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = response.kvs.iter().map(|kv| format!("{}={}", text(&kv.key), text(&kv.value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// a=1 at revision 2, b=2 at 3, c=3 at 4, b=4 at 5, a deleted at 6.
fn filled() -> State {
    let mut state = State::default();
    for (key, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("b", "4")] {
        apply(&mut state, Op::Put(put(key, value))).expect("a put");
    }
    apply(&mut state, Op::DeleteRange(delete("a", ""))).expect("a deletion");
    state
}

#[test]
fn ranges_find_what_the_interval_and_the_revision_say() {
    let state = filled();
    let future = Err(ApiError::FutureRevision);
    for (key, end, revision, expected) in [
        ("b", "", 0, Ok("b=4")),
        ("a", "", 0, Ok("")),
        ("a", "", 5, Ok("a=1")),
        ("a", "c", 0, Ok("b=4")),
        ("a", "\0", 0, Ok("b=4 c=3")),
        ("\0", "\0", 3, Ok("a=1 b=2")),
        ("\0", "\0", 1, Ok("")),
        ("c", "a", 0, Ok("")),
        ("b", "c", 4, Ok("b=2")),
        ("b", "", 7, future),
    ] {
        let request = RangeRequest { revision, ..range(key, end) };
        let found = read(&state, &request);
        if let Ok(found) = &found {
            assert_eq!(found.header.as_ref().expect("a header").revision, 6);
            assert_eq!(found.count as usize, found.kvs.len());
        }
        let row = format!("{key:?} to {end:?} at {revision}");
        assert_eq!(found.map(|found| shown(&found)), expected.map(str::to_owned), "{row}");
    }
}

#[test]
fn limits_orders_and_filters_cut_what_is_shown_but_not_what_is_counted() {
    let state = filled();
    let all = range("\0", "\0");
    for (request, expected, count, more) in [
        (RangeRequest { limit: 1, ..all.clone() }, "b=4", 2, true),
        (RangeRequest { limit: 2, ..all.clone() }, "b=4 c=3", 2, false),
        (RangeRequest { sort_order: 2, ..all.clone() }, "c=3 b=4", 2, false),
        (RangeRequest { sort_order: 2, limit: 1, ..all.clone() }, "c=3", 2, true),
        (RangeRequest { sort_target: 4, ..all.clone() }, "c=3 b=4", 2, false),
        (RangeRequest { sort_target: 3, sort_order: 2, ..all.clone() }, "b=4 c=3", 2, false),
        (RangeRequest { min_mod_revision: 5, ..all.clone() }, "b=4", 2, false),
        (RangeRequest { max_create_revision: 3, ..all.clone() }, "b=4", 2, false),
        (RangeRequest { keys_only: true, ..all.clone() }, "b= c=", 2, false),
        (RangeRequest { count_only: true, ..all.clone() }, "", 2, false),
    ] {
        let found = read(&state, &request).expect("a range");
        let seen = (shown(&found), found.count, found.more);
        assert_eq!(seen, (expected.to_owned(), count, more), "{request:?}");
    }
}

#[test]
fn a_key_counts_its_versions_from_each_creation() {
    let mut state = filled();
    apply(&mut state, Op::Put(put("a", "5"))).expect("a put");
    for (key, create, modified, version) in [("a", 7, 7, 1), ("b", 3, 5, 2), ("c", 4, 4, 1)] {
        let found = read(&state, &range(key, "")).expect("a range");
        let kv = &found.kvs[0];
        let seen = (kv.create_revision, kv.mod_revision, kv.version);
        assert_eq!(seen, (create, modified, version), "{key}");
    }
}

#[test]
fn compaction_keeps_what_a_read_at_its_revision_sees() {
    let mut state = filled();
    let compact = |state: &mut State, revision| {
        apply(state, Op::Compact(CompactionRequest { revision, physical: false })).map(drop)
    };
    assert_eq!(compact(&mut state, 7), Err(ApiError::FutureRevision));
    assert_eq!(compact(&mut state, 5), Ok(()));
    assert_eq!(compact(&mut state, 5), Err(ApiError::Compacted));
    let at = |revision| RangeRequest { revision, ..range("\0", "\0") };
    assert_eq!(read(&state, &at(4)).map(drop), Err(ApiError::Compacted));
    assert_eq!(shown(&read(&state, &at(5)).expect("a range")), "a=1 b=4 c=3");
    let before = state.kv.size_bytes();
    assert_eq!(compact(&mut state, 6), Ok(()));
    assert!(state.kv.size_bytes() < before, "the deleted key's versions are gone");
    assert_eq!(state.kv.keys().count(), 3, "a watch from revision 6 is told of the deletion");
    apply(&mut state, Op::Put(put("b", "5"))).expect("a put");
    assert_eq!(compact(&mut state, 7), Ok(()));
    assert_eq!(state.kv.keys().count(), 2, "the deleted key is gone");
}

#[test]
fn compares_of_every_target_hold_as_in_etcd() {
    let compare = |key: &str, target, result, operand| Compare {
        key: key.to_owned().into(),
        target: target as i32,
        result: result as i32,
        target_union: operand,
        ..Default::default()
    };
    use CompareResult::{Equal, Greater, Less, NotEqual};
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    let value = |text: &str| Some(TargetUnion::Value(text.to_owned().into()));
    for (key, target, result, operand, expected) in [
        ("b", Value, Equal, value("4"), true),
        ("b", Value, Greater, value("3"), true),
        ("b", Value, NotEqual, value("4"), false),
        ("b", Version, Equal, Some(TargetUnion::Version(2)), true),
        ("b", Create, Less, Some(TargetUnion::CreateRevision(4)), true),
        ("b", Mod, Equal, Some(TargetUnion::ModRevision(5)), true),
        ("b", Lease, Equal, Some(TargetUnion::Lease(0)), true),
        ("gone", Version, Equal, Some(TargetUnion::Version(0)), true),
        ("gone", Create, Equal, Some(TargetUnion::CreateRevision(0)), true),
        ("gone", Mod, Greater, Some(TargetUnion::ModRevision(0)), false),
        ("gone", Value, Equal, value(""), false),
        ("gone", Value, NotEqual, value("x"), false),
    ] {
        let request = TxnRequest {
            compare: vec![compare(key, target, result, operand.clone())],
            ..Default::default()
        };
        let succeeded = txn(&mut filled(), request).expect("a transaction").succeeded;
        assert_eq!(succeeded, expected, "{key} {target:?} {result:?} {operand:?}");
    }
}

#[test]
fn a_transaction_has_one_revision_and_sees_its_own_changes() {
    let mut state = filled();
    let request = TxnRequest {
        success: ops([
            Request::RequestRange(range("\0", "\0")),
            Request::RequestPut(put("x", "1")),
            Request::RequestDeleteRange(delete("b", "d")),
            Request::RequestRange(range("\0", "\0")),
        ]),
        ..Default::default()
    };
    let response = txn(&mut state, request).expect("a transaction");
    assert_eq!(response.header.as_ref().expect("a header").revision, 7);
    let seen: Vec<String> = response
        .responses
        .iter()
        .map(|op| match &op.response {
            Some(ordeal_cluster::proto::etcdserverpb::response_op::Response::ResponseRange(r)) => {
                format!("{} at {}", shown(r), r.header.as_ref().expect("a header").revision)
            }
            _ => String::new(),
        })
        .collect();
    assert_eq!(seen, ["b=4 c=3 at 6", "", "", "x=1 at 7"]);
    let empty = txn(&mut state, TxnRequest::default()).expect("a transaction");
    assert_eq!(empty.header.expect("a header").revision, 7, "nothing changed");
}

#[test]
fn transactions_that_make_no_sense_are_refused() {
    let nested = |txn: TxnRequest| Request::RequestTxn(Box::new(txn));
    let success = |success| TxnRequest { success, ..Default::default() };
    let put_a = || Request::RequestPut(put("a", "1"));
    let many = vec![RequestOp { request: Some(put_a()) }; 129];
    for (request, expected) in [
        (success(ops([put_a(), put_a()])), Err(ApiError::DuplicateKey)),
        (
            success(ops([put_a(), Request::RequestDeleteRange(delete("a", "b"))])),
            Err(ApiError::DuplicateKey),
        ),
        (success(ops([Request::RequestDeleteRange(delete("b", "c")), put_a()])), Ok(())),
        (success(ops([put_a(), nested(success(ops([put_a()])))])), Err(ApiError::DuplicateKey)),
        (
            success(ops([nested(TxnRequest {
                success: ops([put_a()]),
                failure: ops([put_a()]),
                ..Default::default()
            })])),
            Ok(()),
        ),
        (success(many), Err(ApiError::TooManyOps)),
        (success(ops([Request::RequestRange(range("", ""))])), Err(ApiError::EmptyKey)),
        (success(vec![RequestOp::default()]), Err(ApiError::KeyNotFound)),
    ] {
        assert_eq!(check_txn(&request, 128), expected, "{request:?}");
    }
}

#[test]
fn a_transaction_of_reads_needs_no_log_entry_and_one_of_compares_alone_is_linearizable() {
    let serializable = RangeRequest { serializable: true, ..range("a", "") };
    let of = |op| TxnRequest { success: ops([op]), ..Default::default() };
    for (request, read_only, local) in [
        (of(Request::RequestRange(range("a", ""))), true, false),
        (of(Request::RequestRange(serializable)), true, true),
        (of(Request::RequestPut(put("a", ""))), false, false),
        (TxnRequest::default(), true, false),
    ] {
        let seen = (is_read_only(&request), is_serializable(&request));
        assert_eq!(seen, (read_only, local), "{request:?}");
    }
}

#[derive(Debug, Clone)]
enum Change {
    Put(u16, u8),
    Delete(u16, u16),
    Compact(u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        8 => (0..600_u16, any::<u8>()).prop_map(|(key, value)| Change::Put(key, value)),
        2 => (0..600_u16, 0..40_u16).prop_map(|(from, length)| Change::Delete(from, length)),
        1 => any::<u8>().prop_map(Change::Compact),
    ];
    prop::collection::vec(change, 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(40)
    })]

    #[test]
    fn reads_at_every_revision_are_those_of_a_naive_store_and_a_snapshot_is_the_state(
        changes in changes(),
    ) {
        let mut state = State::default();
        let mut naive = vec![std::collections::BTreeMap::<String, String>::new(); 2];
        let mut compacted = 0;
        for change in changes {
            let mut next = naive.last().expect("the first").clone();
            match change {
                Change::Put(key, value) => {
                    let (key, value) = (format!("{key:03}"), value.to_string());
                    apply(&mut state, Op::Put(put(&key, &value))).expect("a put");
                    next.insert(key, value);
                    naive.push(next);
                }
                Change::Delete(from, length) => {
                    let (from, to) = (format!("{from:03}"), format!("{:03}", from + length));
                    apply(&mut state, Op::DeleteRange(delete(&from, &to))).expect("a deletion");
                    let before = next.len();
                    // An empty interval of the same two ends means one key to nobody.
                    next.retain(|key, _| !(from <= *key && *key < to));
                    if next.len() < before {
                        naive.push(next);
                    }
                }
                Change::Compact(part) => {
                    let span = state.kv.revision() - compacted;
                    let revision = compacted + 1 + i64::from(part) * (span - 1) / 255;
                    if span > 0 {
                        let compact = CompactionRequest { revision, physical: false };
                        apply(&mut state, Op::Compact(compact)).expect("a compaction");
                        compacted = revision;
                    }
                }
            }
        }
        let metadata = SnapshotMetadata { index: 9, term: 3, ..Default::default() };
        let bytes = Image { metadata, state: state.clone() }.encode();
        let copy = Image::decode(&bytes).expect("a good snapshot").state;
        prop_assert_eq!(copy.kv.size_bytes(), state.kv.size_bytes());
        for state in [&state, &copy] {
            prop_assert_eq!(state.kv.revision() as usize, naive.len() - 1);
            for (revision, expected) in naive.iter().enumerate().skip(compacted.max(1) as usize) {
                let request = RangeRequest { revision: revision as i64, ..range("\0", "\0") };
                let found = shown(&read(state, &request).expect("a range"));
                let pairs = expected.iter().map(|(key, value)| format!("{key}={value}"));
                prop_assert_eq!(found, pairs.collect::<Vec<_>>().join(" "), "at {}", revision);
            }
        }
    }
}

#[test]
fn a_transaction_that_fails_half_way_changes_nothing() {
    let mut state = State::default();
    let put = |ignore_value| PutRequest { key: "k".into(), ignore_value, ..Default::default() };
    state.apply(&Op::Put(put(false)), Bugs::default(), true).expect("a put");
    let delete = DeleteRangeRequest { key: "k".into(), ..Default::default() };
    let ops = [Request::RequestDeleteRange(delete), Request::RequestPut(put(true))];
    let success = ops.map(|op| RequestOp { request: Some(op) }).to_vec();
    let txn = TxnRequest { success, ..Default::default() };
    let failed = state.apply(&Op::Txn(txn), Bugs::default(), true);
    assert_eq!(failed, Err(ApiError::KeyNotFound));
    let get = RangeRequest { key: "k".into(), ..Default::default() };
    let Ok(Applied::Range(got)) = state.range(&get) else { panic!("a range") };
    assert_eq!((got.count, got.header.map(|header| header.revision)), (1, Some(2)));
}

proptest! {
    #[test]
    fn a_chunked_map_is_a_sorted_map_and_a_clone_of_it_stays_as_it_was(
        changes in proptest::collection::vec((0..3_u8, 0..600_u16), 0..1_500),
    ) {
        let mut map = ChunkedMap::default();
        let mut model = BTreeMap::new();
        let mut kept = None;
        for (nth, (change, key)) in changes.into_iter().enumerate() {
            let key = Bytes::copy_from_slice(&key.to_be_bytes());
            if change == 0 {
                prop_assert_eq!(map.remove(&key), model.remove(&key));
            } else {
                map.insert(key.clone(), nth);
                model.insert(key, nth);
            }
            if nth == 500 {
                kept = Some((map.clone(), model.clone()));
            }
        }
        for (map, model) in kept.into_iter().chain([(map, model)]) {
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.iter()));
        }
    }
}
