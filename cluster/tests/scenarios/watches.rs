//! Watches: each change once, whole and in order, whatever happens to the member.

use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::{Request, StreamId, WatchInput};
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Op;
use ordeal_cluster::proto::etcdserverpb::watch_create_request::FilterType;
use ordeal_cluster::proto::etcdserverpb::watch_request::RequestUnion;
use ordeal_cluster::proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RequestOp, TxnRequest, WatchCancelRequest,
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};

use super::asked;
use crate::hand::{Options, World};
use crate::{SECOND, elected, first_seed_that_fails, put_acknowledged};

fn open(world: &mut World, id: u64, stream: StreamId) {
    world.watch(id, stream, WatchInput::Open);
    world.told.entry(stream).or_default();
}

fn request(world: &mut World, id: u64, stream: StreamId, union: RequestUnion) {
    let request = WatchRequest { request_union: Some(union) };
    world.watch(id, stream, WatchInput::Request(request));
}

fn create(world: &mut World, id: u64, stream: StreamId, create: WatchCreateRequest) {
    request(world, id, stream, RequestUnion::CreateRequest(create));
}

fn progress(world: &mut World, id: u64, stream: StreamId) {
    request(world, id, stream, RequestUnion::ProgressRequest(WatchProgressRequest {}));
}

/// A watch of every key from a revision on.
fn all_from(start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        start_revision,
        ..Default::default()
    }
}

fn delete(world: &mut World, id: u64, key: &str) {
    let key = key.to_owned().into();
    let delete = DeleteRangeRequest { key, ..Default::default() };
    asked(world, id, Request::DeleteRange(delete)).expect("a deletion");
}

/// Changes a key twice at one revision.
fn put_and_delete(key: &str) -> TxnRequest {
    let key = bytes::Bytes::from(key.to_owned());
    let put = PutRequest { key: key.clone(), ..Default::default() };
    let everything_from =
        DeleteRangeRequest { key, range_end: vec![0].into(), ..Default::default() };
    let ops = [Op::RequestPut(put), Op::RequestDeleteRange(everything_from)];
    let success = ops.map(|op| RequestOp { request: Some(op) }).to_vec();
    TxnRequest { success, ..Default::default() }
}

fn compact(world: &mut World, id: u64, revision: i64) {
    let compact = CompactionRequest { revision, physical: false };
    asked(world, id, Request::Compact(compact)).expect("a compaction");
}

/// What a watch was told: `+key@revision` for a put, `-key@revision` for a deletion.
fn events(responses: &[WatchResponse], watch: i64) -> Vec<String> {
    let of_watch = responses.iter().filter(|response| response.watch_id == watch);
    of_watch
        .flat_map(|response| &response.events)
        .map(|event| {
            let kv = event.kv.clone().unwrap_or_default();
            let sign = if event.r#type == 0 { '+' } else { '-' };
            format!("{sign}{}@{}", String::from_utf8_lossy(&kv.key), kv.mod_revision)
        })
        .collect()
}

fn range(key: &str, end: &str) -> WatchCreateRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    WatchCreateRequest { key, range_end, ..Default::default() }
}

#[test]
fn a_watch_tells_of_its_range_from_its_start_through_its_filters() {
    let (mut world, leader) = elected(Options::new(3, 1));
    put_acknowledged(&mut world, leader, "a", 1); // 2
    put_acknowledged(&mut world, leader, "b", 2); // 3
    open(&mut world, leader, 1);
    let put = FilterType::Noput.into();
    let deletion = FilterType::Nodelete.into();
    let rows = [
        (range("a", ""), vec!["+a@4", "-a@6"]),
        (WatchCreateRequest { start_revision: 2, ..range("a", "") }, vec!["+a@2", "+a@4", "-a@6"]),
        (WatchCreateRequest { start_revision: 5, ..range("a", "z") }, vec!["+b@5", "-a@6"]),
        (WatchCreateRequest { start_revision: 3, ..range("b", "\0") }, vec!["+b@3", "+b@5"]),
        (WatchCreateRequest { filters: vec![put], ..range("a", "z") }, vec!["-a@6"]),
        (WatchCreateRequest { filters: vec![deletion], ..range("a", "b") }, vec!["+a@4"]),
        (WatchCreateRequest { filters: vec![put, deletion], ..range("a", "b") }, vec![]),
        (range("", "\0"), vec!["+a@4", "+b@5", "-a@6"]),
    ];
    for (row, _) in &rows {
        create(&mut world, leader, 1, row.clone());
    }
    put_acknowledged(&mut world, leader, "a", 3); // 4
    put_acknowledged(&mut world, leader, "b", 4); // 5
    delete(&mut world, leader, "a"); // 6
    world.run_us(SECOND);
    for (nth, (row, expected)) in rows.iter().enumerate() {
        assert_eq!(events(&world.told[&1], nth as i64), *expected, "{row:?}");
    }
}

#[test]
fn ids_are_chosen_or_given_and_what_is_wrong_is_refused_with_etcds_reasons() {
    let (mut world, leader) = elected(Options::new(1, 1));
    open(&mut world, leader, 1);
    let given = |watch_id| WatchCreateRequest { watch_id, ..range("a", "") };
    for (row, id, reason) in [
        (given(0), 0, ""),
        (given(1), 1, ""),
        (given(0), 2, ""),
        (given(7), 7, ""),
        (given(7), -1, "mvcc: duplicate watch ID provided on the WatchStream"),
        (range("b", "a"), -1, "mvcc: watcher range is empty"),
        (all_from(-1), -1, "etcdserver: mvcc: required revision has been compacted"),
    ] {
        create(&mut world, leader, 1, row.clone());
        let last = world.told[&1].last().expect("an answer");
        assert!(last.created, "{row:?}");
        assert_eq!((last.watch_id, &last.cancel_reason[..]), (id, reason), "{row:?}");
        assert_eq!(last.canceled, !reason.is_empty(), "{row:?}");
    }
    let before = world.told[&1].len();
    let cancel = |watch_id| RequestUnion::CancelRequest(WatchCancelRequest { watch_id });
    request(&mut world, leader, 1, cancel(99));
    assert_eq!(world.told[&1].len(), before, "no such watch");
    request(&mut world, leader, 1, cancel(7));
    let last = world.told[&1].last().expect("an answer");
    assert!(last.canceled && last.watch_id == 7 && last.cancel_reason.is_empty());
    put_acknowledged(&mut world, leader, "a", 1);
    assert_eq!(events(&world.told[&1], 7), [""; 0]);
    assert_eq!(events(&world.told[&1], 0), ["+a@2"]);
}

#[test]
fn the_pair_before_a_change_is_told_on_request() {
    let (mut world, leader) = elected(Options::new(1, 1));
    put_acknowledged(&mut world, leader, "a", 1);
    open(&mut world, leader, 1);
    create(&mut world, leader, 1, WatchCreateRequest { prev_kv: true, ..all_from(2) });
    put_acknowledged(&mut world, leader, "a", 2);
    delete(&mut world, leader, "a");
    put_acknowledged(&mut world, leader, "a", 3);
    asked(&mut world, leader, Request::Txn(put_and_delete("a"))).expect("a transaction");
    asked(&mut world, leader, Request::Txn(put_and_delete("b"))).expect("a transaction");
    world.run_us(SECOND);
    let told = world.told[&1].iter().flat_map(|response| &response.events);
    let before: Vec<Option<i64>> =
        told.map(|event| event.prev_kv.as_ref().map(|kv| kv.mod_revision)).collect();
    let twice = [Some(5), Some(5), None, None];
    assert_eq!(before[..3], [None, Some(2), Some(3)]);
    assert_eq!(before[3], None);
    assert_eq!(before[4..], twice, "before the transaction, not within it");
}

#[test]
fn a_watch_that_begins_below_the_compacted_revision_is_cancelled() {
    let (mut world, leader) = elected(Options::new(3, 1));
    for value in 1..=5 {
        put_acknowledged(&mut world, leader, "a", value);
    }
    compact(&mut world, leader, 4);
    open(&mut world, leader, 1);
    create(&mut world, leader, 1, all_from(3));
    create(&mut world, leader, 1, all_from(4));
    world.run_us(SECOND);
    let end = world.told[&1].iter().find(|response| response.canceled).expect("a cancellation");
    assert_eq!((end.watch_id, end.compact_revision), (0, 4));
    assert_eq!(end.header.expect("a header").revision, 0, "as etcd sends it");
    assert_eq!(events(&world.told[&1], 1), ["+a@4", "+a@5", "+a@6"]);
}

/// What is told in answer to a request, or nothing.
fn answer(world: &mut World, id: u64, union: RequestUnion) -> Option<WatchResponse> {
    let before = world.told[&1].len();
    request(world, id, 1, union);
    world.run_us(SECOND);
    world.told[&1].get(before).cloned()
}

#[test]
fn a_watch_that_compaction_has_ended_keeps_its_id_until_it_is_cancelled() {
    let (mut world, leader) = elected(Options::new(1, 1));
    for value in 1..=5 {
        put_acknowledged(&mut world, leader, "a", value);
    }
    compact(&mut world, leader, 4);
    open(&mut world, leader, 1);
    create(&mut world, leader, 1, WatchCreateRequest { watch_id: 3, ..all_from(2) });
    create(&mut world, leader, 1, all_from(0));
    world.run_us(SECOND);
    let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
    let again = WatchCreateRequest { watch_id: 3, ..all_from(0) };
    let refused = answer(&mut world, leader, RequestUnion::CreateRequest(again.clone()));
    let reason = "mvcc: duplicate watch ID provided on the WatchStream";
    assert_eq!(refused.expect("an answer").cancel_reason, reason);
    assert_eq!(answer(&mut world, leader, progress.clone()), None);
    let cancel = RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 3 });
    assert!(answer(&mut world, leader, cancel).expect("an answer").canceled);
    assert_eq!(answer(&mut world, leader, progress).expect("an answer").watch_id, -1);
    let created = answer(&mut world, leader, RequestUnion::CreateRequest(again));
    assert_eq!(created.expect("an answer").watch_id, 3);
}

#[test]
fn no_progress_is_told_beside_a_watch_that_is_yet_to_start() {
    let (mut world, leader) = elected(Options::new(1, 1));
    open(&mut world, leader, 1);
    create(&mut world, leader, 1, all_from(3));
    let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
    assert_eq!(answer(&mut world, leader, progress.clone()), None);
    for value in 1..=2 {
        put_acknowledged(&mut world, leader, "a", value);
    }
    assert_eq!(events(&world.told[&1], 0), ["+a@3"]);
    assert_eq!(answer(&mut world, leader, progress).expect("an answer").watch_id, -1);
}

/// Deletes a key, compacts at the deletion, and watches from there.
fn watch_from_a_compacted_deletion(bugs: Bugs) -> Vec<String> {
    let mut options = Options::new(3, 1);
    options.bugs = bugs;
    let (mut world, leader) = elected(options);
    put_acknowledged(&mut world, leader, "a", 1);
    delete(&mut world, leader, "a"); // 3
    put_acknowledged(&mut world, leader, "b", 1);
    compact(&mut world, leader, 3);
    open(&mut world, leader, 1);
    // One that is beyond what is kept in memory, and has to look into the history.
    world.crash(leader);
    world.start(leader);
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let asked = world.leader().expect("there is one");
    put_acknowledged(&mut world, asked, "c", 1);
    open(&mut world, leader, 2);
    create(&mut world, leader, 2, all_from(3));
    world.run_us(SECOND);
    events(&world.told[&2], 0)
}

#[test]
fn a_deletion_at_the_compacted_revision_is_told() {
    let told = watch_from_a_compacted_deletion(Bugs::default());
    assert_eq!(told, ["-a@3", "+b@4", "+c@5"]);
}

#[test]
fn watch_gap_misses_the_deletion() {
    let told = watch_from_a_compacted_deletion(Bugs::default().with(Bug::WatchGap));
    assert_eq!(told, ["+b@4", "+c@5"]);
}

/// Cuts a follower off until it needs a snapshot, and gives what its watch was told.
fn watch_across_a_snapshot(seed: u64, bugs: Bugs) -> Vec<String> {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    options.snapshot_count = 10;
    options.segment_bytes = 1_000;
    let (mut world, leader) = elected(options);
    let lagging = leader % 3 + 1;
    open(&mut world, lagging, 1);
    create(&mut world, lagging, 1, all_from(2));
    for value in 1..=5 {
        put_acknowledged(&mut world, leader, "k", value);
    }
    world.run_us(SECOND);
    world.isolate(lagging);
    for value in 6..=60 {
        let put = world.put(leader, "k", value);
        world.until("an answer", 20 * SECOND, |world| world.answers.contains_key(&put));
    }
    world.heal();
    world.until("a snapshot to be installed", 60 * SECOND, |world| {
        world.notes.iter().any(|note| note.starts_with("installed"))
    });
    world.run_us(5 * SECOND);
    put_acknowledged(&mut world, lagging, "k", 61);
    world.run_us(SECOND);
    events(&world.told[&1], 0)
}

#[test]
fn an_installed_snapshot_makes_neither_gap_nor_repetition() {
    let expected: Vec<String> = (2..=62).map(|revision| format!("+k@{revision}")).collect();
    for seed in 0..10 {
        assert_eq!(watch_across_a_snapshot(seed, Bugs::default()), expected, "seed {seed}");
    }
}

#[test]
fn watch_replays_tells_again_after_a_snapshot() {
    let bugs = Bugs::default().with(Bug::WatchReplays);
    let told = watch_across_a_snapshot(1, bugs);
    assert_eq!(told.iter().filter(|event| *event == "+k@2").count(), 2, "{told:?}");
}

/// Asks for progress before the watch has been told everything; gives whether the answer came
/// before an event that it covers.
fn progress_overtakes(seed: u64, bugs: Bugs) -> bool {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let (mut world, leader) = elected(options);
    let large = || {
        Request::Put(PutRequest {
            key: "k".into(),
            value: vec![b'v'; 1_000_000].into(),
            ..Default::default()
        })
    };
    for _ in 0..10 {
        asked(&mut world, leader, large()).expect("a put");
    }
    open(&mut world, leader, 1);
    // The client takes nothing yet, so not everything can be on its way.
    world.idle.insert(1);
    create(&mut world, leader, 1, all_from(2));
    progress(&mut world, leader, 1);
    let bytes: usize = world.told[&1].iter().map(prost::Message::encoded_len).sum();
    assert!(bytes < 8_000_000, "{bytes} bytes are on their way");
    world.idle.remove(&1);
    world.watch(leader, 1, WatchInput::Taken(bytes));
    world.until("all events", 20 * SECOND, |world| events(&world.told[&1], 0).len() == 10);
    world.run_us(SECOND);
    let told = &world.told[&1];
    let answer = told.iter().position(|response| response.watch_id == -1).expect("an answer");
    let covered = told[answer].header.unwrap_or_default().revision;
    let late = told[answer..].iter().flat_map(|response| &response.events);
    late.filter_map(|event| event.kv.as_ref()).any(|kv| kv.mod_revision <= covered)
}

#[test]
fn progress_is_told_when_all_before_it_has_been_told() {
    assert!(!progress_overtakes(1, Bugs::default()));
}

#[test]
fn progress_early_overtakes_events() {
    let bugs = Bugs::default().with(Bug::ProgressEarly);
    assert_eq!(first_seed_that_fails(1, |seed| progress_overtakes(seed, bugs)), Some(0));
}

#[test]
fn a_stream_without_watches_is_told_no_progress_and_an_idle_watch_from_time_to_time() {
    let (mut world, leader) = elected(Options::new(1, 1));
    open(&mut world, leader, 1);
    progress(&mut world, leader, 1);
    world.run_us(SECOND);
    assert!(world.told[&1].is_empty());
    create(&mut world, leader, 1, WatchCreateRequest { progress_notify: true, ..all_from(0) });
    progress(&mut world, leader, 1);
    world.run_us(601 * SECOND);
    let ids: Vec<i64> = world.told[&1].iter().map(|response| response.watch_id).collect();
    assert_eq!(ids, [0, -1, 0], "created, on request, after ten minutes");
}

#[test]
fn a_revision_is_whole_unless_fragments_were_asked_for() {
    let (mut world, leader) = elected(Options::new(1, 1));
    for nth in 0..6 {
        let put = PutRequest {
            key: format!("k{nth}").into(),
            value: vec![b'v'; 1_000_000].into(),
            ..Default::default()
        };
        asked(&mut world, leader, Request::Put(put)).expect("a put");
    }
    open(&mut world, leader, 1);
    // With the pairs before them, deletions are large enough to need splitting.
    create(&mut world, leader, 1, WatchCreateRequest { prev_kv: true, ..all_from(0) });
    let fragment = WatchCreateRequest { prev_kv: true, fragment: true, ..all_from(0) };
    open(&mut world, leader, 2);
    create(&mut world, leader, 2, fragment);
    let all =
        DeleteRangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
    asked(&mut world, leader, Request::DeleteRange(all)).expect("a deletion");
    world.run_us(SECOND);
    let shape = |stream: u64| -> Vec<(usize, bool)> {
        let told = world.told[&stream].iter().filter(|response| !response.events.is_empty());
        told.map(|response| (response.events.len(), response.fragment)).collect()
    };
    assert_eq!(shape(1), [(6, false)]);
    assert_eq!(shape(2), [(2, true), (2, true), (2, false)]);
}

#[test]
fn a_client_that_takes_nothing_costs_a_bound_and_gets_everything_later() {
    let (mut world, leader) = elected(Options::new(1, 1));
    open(&mut world, leader, 1);
    world.idle.insert(1);
    create(&mut world, leader, 1, all_from(0));
    for _ in 0..40 {
        let (key, value) = ("k".into(), vec![b'v'; 500_000].into());
        asked(&mut world, leader, Request::Put(PutRequest { key, value, ..Default::default() }))
            .expect("a put");
    }
    let bytes: usize = world.told[&1].iter().map(prost::Message::encoded_len).sum();
    assert!(bytes < 6 << 20, "{bytes} bytes are on their way");
    world.idle.remove(&1);
    world.watch(leader, 1, WatchInput::Taken(bytes));
    world.run_us(SECOND);
    let expected: Vec<String> = (2..=41).map(|revision| format!("+k@{revision}")).collect();
    assert_eq!(events(&world.told[&1], 0), expected);
}

#[test]
fn many_watchers_that_are_behind_search_the_store_in_turn_and_all_are_told_everything() {
    let (mut world, leader) = elected(Options::new(1, 1));
    let puts: Vec<_> = (0..600).map(|n| world.put(leader, &format!("k{n:03}"), n)).collect();
    world.until("the puts", 60 * SECOND, |world| puts.iter().all(|put| world.acknowledged(*put)));
    // What was recent is forgotten, so they are told from the store.
    world.crash(leader);
    world.start(leader);
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    open(&mut world, leader, 1);
    for _ in 0..100 {
        create(&mut world, leader, 1, all_from(2));
    }
    let told = |world: &World| {
        let with_events = world.told[&1].iter().filter(|response| !response.events.is_empty());
        with_events
            .map(|response| response.watch_id)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    progress(&mut world, leader, 1);
    world.until("the first are told", SECOND, |world| told(world) > 0);
    world.until("all are told", 60 * SECOND, |world| told(world) == 100);
    let expected: Vec<String> = (0..600).map(|n| format!("+k{n:03}@{}", n + 2)).collect();
    for watch in 0..100 {
        assert_eq!(events(&world.told[&1], watch), expected, "watch {watch}");
    }
}
