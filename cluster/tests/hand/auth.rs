//! Users and permissions in a cluster by hand: checked when applied, kept over restarts and
//! snapshots, and the bugs in it.

use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::{AuthAnswer, AuthQuery, Request, RequestId, Response};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::authpb::Permission;
use ordeal_cluster::proto::authpb::permission::Type;
use ordeal_cluster::proto::etcdserverpb::alarm_request::AlarmAction;
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Inner;
use ordeal_cluster::proto::etcdserverpb::{
    AlarmRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleGrantPermissionRequest,
    AuthUserAddRequest, AuthUserDeleteRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
};
use ordeal_cluster::proto::ordealpb::auth_change::Change;
use ordeal_cluster::proto::ordealpb::member_change::Kind;
use ordeal_cluster::proto::ordealpb::{ChangeMembers, Login, MemberChange};
use ordeal_cluster::state::Applied;

use crate::hand::{Options, World};
use crate::{SECOND, elected};

fn answered(world: &mut World, request: RequestId) -> Result<Response, ApiError> {
    world.until("an answer", 20 * SECOND, |world| world.answers.contains_key(&request));
    world.answers[&request].clone()
}

fn change(world: &mut World, id: u64, token: &str, change: Change) -> Result<Response, ApiError> {
    let request = world.ask_as(id, Request::AuthChange(change), token);
    answered(world, request)
}

fn put(key: &str) -> Request {
    let (key, value) = (key.to_owned().into(), "1".into());
    Request::Put(PutRequest { key, value, ..PutRequest::default() })
}

fn get(key: &str) -> Request {
    Request::Range(RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() })
}

fn grant(key: &'static str, range_end: &'static str) -> Change {
    let perm_type = Type::Readwrite.into();
    let perm = Permission { perm_type, key: key.into(), range_end: range_end.into() };
    Change::RoleGrantPermission(AuthRoleGrantPermissionRequest {
        name: "r".into(),
        perm: Some(perm),
    })
}

fn log_in(world: &mut World, id: u64, name: &str) -> String {
    let login = Login { name: name.into(), token_prefix: format!("{name}-of-{id}") };
    match change(world, id, "", Change::Login(login)) {
        Ok(Response::Auth(response)) => match response.answer {
            AuthAnswer::LoggedIn { token, .. } => token,
            other => panic!("a token was due, not {other:?}"),
        },
        other => panic!("a token was due, not {other:?}"),
    }
}

/// A cluster in which alice may use the keys from `a` to `c`; gives it with a leader and the tokens
/// of root and alice.
fn guarded(options: Options) -> (World, u64, String, String) {
    let (mut world, leader) = elected(options);
    let user = |name: &str| AuthUserAddRequest { name: name.into(), ..Default::default() };
    let role =
        |user: &str, role: &str| AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
    for step in [
        Change::UserAdd(user("root")),
        Change::UserGrantRole(role("root", "root")),
        Change::UserAdd(user("alice")),
        Change::RoleAdd(AuthRoleAddRequest { name: "r".into() }),
        grant("a", "c"),
        Change::UserGrantRole(role("alice", "r")),
        Change::Enable(AuthEnableRequest {}),
    ] {
        change(&mut world, leader, "", step).expect("nothing is checked yet");
    }
    let root = log_in(&mut world, leader, "root");
    let alice = log_in(&mut world, leader, "alice");
    (world, leader, root, alice)
}

#[test]
fn a_token_counts_on_every_member_and_for_what_its_user_may() {
    let (mut world, leader, root, alice) = guarded(Options::new(3, 1));
    for id in world.ids() {
        for (token, request, expected) in [
            (&root, put("z"), None),
            (&alice, put("b"), None),
            (&alice, get("a"), None),
            (&alice, put("c"), Some(ApiError::PermissionDenied)),
            (&alice, get("z"), Some(ApiError::PermissionDenied)),
            (&"alice.1".into(), get("a"), Some(ApiError::InvalidAuthToken)),
        ] {
            let asked = world.ask_as(id, request.clone(), token);
            let error = answered(&mut world, asked).err();
            assert_eq!(error, expected, "{request:?} of {token} at {id}");
        }
        let unnamed = world.get(id, "a");
        assert_eq!(answered(&mut world, unnamed), Err(ApiError::UserEmpty), "at {id}");
    }
    let query = Request::Auth(AuthQuery::UserGet("alice".into()));
    let own = world.ask_as(leader, query, &alice);
    match answered(&mut world, own) {
        Ok(Response::Auth(response)) => {
            assert_eq!(response.answer, AuthAnswer::Names(vec!["r".into()]));
        }
        other => panic!("alice's roles were due, not {other:?}"),
    }
}

#[test]
fn a_request_with_a_token_that_is_not_applied_yet_waits_for_it() {
    let (mut world, leader, root, _) = guarded(Options::new(3, 2));
    let behind = leader % 3 + 1;
    world.isolate(behind);
    let token = log_in(&mut world, leader, "alice");
    let local = RangeRequest { key: "a".into(), serializable: true, ..Default::default() };
    let early = world.ask_as(behind, Request::Range(local.clone()), &token);
    let bogus = world.ask_as(behind, Request::Range(local), "x.999999");
    world.run_us(SECOND);
    assert!(!world.answers.contains_key(&early), "the token is not known there");
    world.heal();
    answered(&mut world, early).expect("it is known by now");
    assert_eq!(answered(&mut world, bogus), Err(ApiError::InvalidAuthToken));
    change(
        &mut world,
        leader,
        &root,
        Change::UserDelete(AuthUserDeleteRequest { name: "alice".into() }),
    )
    .expect("root may");
    let late = world.ask_as(behind, get("a"), &token);
    assert_eq!(answered(&mut world, late), Err(ApiError::InvalidAuthToken));
}

/// Revokes alice's role while a member is cut off, at which alice has asked to put a key; gives the
/// put's answer after the heal.
fn put_across_a_revocation(bugs: Bugs) -> Result<Response, ApiError> {
    let (mut world, leader, root, alice) = guarded(Options { bugs, ..Options::new(3, 3) });
    let cut = leader % 3 + 1;
    let seen = world.status(leader).expect("it is up").applied;
    world.until("all have applied it", 10 * SECOND, |world| {
        world.status(cut).is_some_and(|status| status.applied >= seen)
    });
    world.isolate(cut);
    world.until("it knows no leader", 10 * SECOND, |world| {
        world.status(cut).is_some_and(|status| status.leader == 0)
    });
    let asked = world.ask_as(cut, put("a"), &alice);
    let revoke = AuthUserRevokeRoleRequest { name: "alice".into(), role: "r".into() };
    change(&mut world, leader, &root, Change::UserRevokeRole(revoke)).expect("root may");
    world.heal();
    answered(&mut world, asked)
}

#[test]
fn a_right_that_is_gone_when_the_write_is_applied_does_not_count() {
    assert_eq!(put_across_a_revocation(Bugs::default()), Err(ApiError::AuthOldRevision));
}

#[test]
fn auth_check_not_guarded_applies_a_write_after_its_right_is_gone() {
    let bugs = Bugs::default().with(Bug::AuthCheckNotGuarded);
    assert!(put_across_a_revocation(bugs).is_ok());
}

/// The auth revisions of the members after one has restarted.
fn revisions_after_a_restart(bugs: Bugs) -> Vec<u64> {
    let (mut world, leader, root, _) = guarded(Options { bugs, ..Options::new(3, 4) });
    for _ in 0..5 {
        change(&mut world, leader, &root, grant("a", "c")).expect("root may");
    }
    let restarted = leader % 3 + 1;
    let seen = world.status(leader).expect("it is up").applied;
    let caught_up =
        |world: &World, id| world.status(id).is_some_and(|status| status.applied >= seen);
    world.until("it has applied it", 10 * SECOND, |world| caught_up(world, restarted));
    // The commit index becomes durable with what is written next.
    world.run_us(SECOND);
    world.crash(restarted);
    world.start(restarted);
    world.until("it has applied it again", 20 * SECOND, |world| caught_up(world, restarted));
    world.ids().into_iter().map(|id| world.auth_revision(id)).collect()
}

#[test]
fn users_and_roles_are_the_same_on_a_restarted_member() {
    let revisions = revisions_after_a_restart(Bugs::default());
    assert!(revisions.iter().all(|revision| *revision == revisions[0]), "{revisions:?}");
    assert!(revisions[0] >= 12, "seven changes but one, and five: {revisions:?}");
}

#[test]
fn auth_index_not_saved_lets_a_restarted_members_auth_revision_run_ahead() {
    let mut revisions = revisions_after_a_restart(Bugs::default().with(Bug::AuthIndexNotSaved));
    revisions.sort();
    assert_eq!(revisions[0], revisions[1], "{revisions:?}");
    assert!(revisions[2] > revisions[1], "{revisions:?}");
}

/// The auth revisions of the members after one was caught up by a snapshot.
fn revisions_after_a_snapshot(bugs: Bugs) -> Vec<u64> {
    let options = Options { bugs, snapshot_count: 10, ..Options::new(3, 5) };
    let (mut world, leader, root, _) = guarded(options);
    let behind = leader % 3 + 1;
    world.isolate(behind);
    for _ in 0..60 {
        change(&mut world, leader, &root, grant("a", "d")).expect("root may");
    }
    let seen = world.status(leader).expect("it is up").applied;
    world.heal();
    world.until("it is caught up", 20 * SECOND, |world| {
        world.status(behind).is_some_and(|status| status.applied >= seen)
    });
    let installed = |note: &String| note.starts_with("installed the leader's snapshot");
    assert!(world.notes.iter().any(installed), "by a snapshot");
    world.ids().into_iter().map(|id| world.auth_revision(id)).collect()
}

#[test]
fn a_snapshot_brings_users_and_roles_along() {
    let revisions = revisions_after_a_snapshot(Bugs::default());
    assert!(revisions.iter().all(|revision| *revision == revisions[0]), "{revisions:?}");
}

#[test]
fn snapshot_omits_auth_leaves_a_member_with_the_permissions_of_before() {
    let mut revisions = revisions_after_a_snapshot(Bugs::default().with(Bug::SnapshotOmitsAuth));
    revisions.sort();
    assert!(revisions[0] < revisions[1], "{revisions:?}");
    assert_eq!(revisions[1], revisions[2], "{revisions:?}");
}

fn put_bound(key: &str, lease: i64) -> PutRequest {
    PutRequest { key: key.to_owned().into(), lease, ..PutRequest::default() }
}

/// What may be asked of a lease, by name.
fn of_lease(id: i64) -> Vec<(&'static str, Request)> {
    let op = RequestOp { request: Some(Inner::RequestPut(put_bound("b", id))) };
    let txn = TxnRequest { success: vec![op], ..TxnRequest::default() };
    vec![
        ("bind", Request::Put(put_bound("b", id))),
        ("bind in a transaction", Request::Txn(txn)),
        ("renew", Request::LeaseKeepAlive(LeaseKeepAliveRequest { id })),
        ("see the keys", Request::LeaseTimeToLive(LeaseTimeToLiveRequest { id, keys: true })),
        ("revoke", Request::LeaseRevoke(LeaseRevokeRequest { id })),
    ]
}

#[test]
fn a_lease_is_for_those_who_may_use_all_of_its_keys() {
    let (mut world, leader, root, alice) = guarded(Options::new(3, 6));
    for (lease, key) in [(7, "z"), (8, "a")] {
        for request in [
            Request::LeaseGrant(LeaseGrantRequest { id: lease, ttl: 100 }),
            Request::Put(put_bound(key, lease)),
        ] {
            let asked = world.ask_as(leader, request, &root);
            answered(&mut world, asked).expect("root may");
        }
    }
    let follower = leader % 3 + 1;
    for id in [leader, follower] {
        for (what, request) in of_lease(7) {
            let asked = world.ask_as(id, request, &alice);
            let error = answered(&mut world, asked).err();
            assert_eq!(error, Some(ApiError::PermissionDenied), "{what} at {id}");
        }
        let times = LeaseTimeToLiveRequest { id: 7, keys: false };
        let asked = world.ask_as(id, Request::LeaseTimeToLive(times), &alice);
        answered(&mut world, asked).expect("the time is every user's to see");
        let asked = world.ask_as(id, Request::LeaseLeases, &alice);
        assert_eq!(answered(&mut world, asked), Err(ApiError::PermissionDenied), "at {id}");
        let asked = world.ask_as(id, Request::LeaseLeases, "");
        assert_eq!(answered(&mut world, asked), Err(ApiError::UserEmpty), "at {id}");
    }
    for (what, request) in of_lease(8) {
        let asked = world.ask_as(follower, request, &alice);
        assert!(answered(&mut world, asked).is_ok(), "{what}");
    }
}

#[test]
fn an_expired_lease_is_revoked_where_users_are_checked() {
    let (mut world, leader, root, alice) = guarded(Options::new(3, 7));
    for request in
        [Request::LeaseGrant(LeaseGrantRequest { id: 7, ttl: 2 }), Request::Put(put_bound("a", 7))]
    {
        let asked = world.ask_as(leader, request, &alice);
        answered(&mut world, asked).expect("alice may");
    }
    world.run_us(20 * SECOND);
    let asked = world.ask_as(leader, Request::LeaseLeases, &root);
    match answered(&mut world, asked) {
        Ok(Response::LeaseLeases(response)) => assert_eq!(response.leases, []),
        other => panic!("the leases were due, not {other:?}"),
    }
    let asked = world.ask_as(leader, get("a"), &alice);
    match answered(&mut world, asked) {
        Ok(Response::Applied(Applied::Range(range))) => assert_eq!(range.kvs, []),
        other => panic!("a range was due, not {other:?}"),
    }
}

#[test]
fn a_watch_is_for_those_who_may_read_its_range() {
    let (mut world, leader, _, alice) = guarded(Options::new(3, 8));
    for (key, range_end, expected) in [
        ("a", "c", None),
        ("a", "d", Some(ApiError::PermissionDenied)),
        ("z", "", Some(ApiError::PermissionDenied)),
        ("", "\0", Some(ApiError::PermissionDenied)),
    ] {
        let watch = WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            ..WatchCreateRequest::default()
        };
        let asked = world.ask_as(leader, Request::MayWatch(watch), &alice);
        assert_eq!(answered(&mut world, asked).err(), expected, "{key:?} to {range_end:?}");
    }
}

#[test]
fn what_operators_ask_is_for_root_alone() {
    let (mut world, leader, root, alice) = guarded(Options::new(3, 9));
    let deactivate = AlarmRequest { action: AlarmAction::Deactivate.into(), ..Default::default() };
    let change = MemberChange { kind: Kind::Remove.into(), id: 99, peer_urls: Vec::new() };
    let (plain, bare) = (ApiError::PermissionDenied, ApiError::PermissionDeniedWithoutCode);
    for (request, refusal) in [
        (Request::Status, plain),
        (Request::MoveLeader { to: leader % 3 + 1 }, plain),
        (Request::ChangeMembers(ChangeMembers { changes: vec![change] }), plain),
        (Request::Alarm(deactivate), plain),
        (Request::Defragment, bare),
        (Request::Hash, bare),
        (Request::Snapshot, bare),
    ] {
        let asked = world.ask_as(leader, request.clone(), &alice);
        assert_eq!(answered(&mut world, asked).err(), Some(refusal), "{request:?}");
    }
    for (request, token) in
        [(Request::Alarm(AlarmRequest::default()), &alice), (Request::Hash, &root)]
    {
        let asked = world.ask_as(leader, request.clone(), token);
        assert!(answered(&mut world, asked).is_ok(), "{request:?}");
    }
}
