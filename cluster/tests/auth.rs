//! Users, roles and permissions by themselves: what each change does, and what it does not.

use ordeal_cluster::auth::{AuthStore, Caller};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::mvcc::Leases;
use ordeal_cluster::proto::authpb::permission::Type;
use ordeal_cluster::proto::authpb::{Permission, UserAddOptions};
use ordeal_cluster::proto::etcdserverpb::request_op::Request;
use ordeal_cluster::proto::etcdserverpb::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest,
    AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGrantRoleRequest,
    AuthUserRevokeRoleRequest, Compare, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use ordeal_cluster::proto::ordealpb::auth_change::Change;
use ordeal_cluster::proto::ordealpb::command::Op;

fn user_add(name: &str) -> Change {
    Change::UserAdd(AuthUserAddRequest {
        name: name.into(),
        hashed_password: format!("hash of {name}"),
        ..AuthUserAddRequest::default()
    })
}

fn without_password(name: &str) -> Change {
    Change::UserAdd(AuthUserAddRequest {
        name: name.into(),
        hashed_password: "not to be kept".into(),
        options: Some(UserAddOptions { no_password: true }),
        ..AuthUserAddRequest::default()
    })
}

fn user_delete(name: &str) -> Change {
    Change::UserDelete(AuthUserDeleteRequest { name: name.into() })
}

fn password(name: &str) -> Change {
    let hashed_password = "another".into();
    let name = name.into();
    Change::UserChangePassword(AuthUserChangePasswordRequest {
        name,
        hashed_password,
        ..Default::default()
    })
}

fn grant_role(user: &str, role: &str) -> Change {
    let (user, role) = (user.into(), role.into());
    Change::UserGrantRole(AuthUserGrantRoleRequest { user, role })
}

fn revoke_role(name: &str, role: &str) -> Change {
    let (name, role) = (name.into(), role.into());
    Change::UserRevokeRole(AuthUserRevokeRoleRequest { name, role })
}

fn role_add(name: &str) -> Change {
    Change::RoleAdd(AuthRoleAddRequest { name: name.into() })
}

fn role_delete(role: &str) -> Change {
    Change::RoleDelete(AuthRoleDeleteRequest { role: role.into() })
}

fn grant(name: &str, kind: Type, key: &'static str, range_end: &'static str) -> Change {
    let (key, range_end) = (key.into(), range_end.into());
    let perm = Some(Permission { perm_type: kind.into(), key, range_end });
    Change::RoleGrantPermission(AuthRoleGrantPermissionRequest { name: name.into(), perm })
}

fn revoke(role: &str, key: &'static str, range_end: &'static str) -> Change {
    let (key, range_end) = (key.into(), range_end.into());
    let role = role.into();
    Change::RoleRevokePermission(AuthRoleRevokePermissionRequest { role, key, range_end })
}

fn enable() -> Change {
    Change::Enable(AuthEnableRequest {})
}

fn disable() -> Change {
    Change::Disable(AuthDisableRequest {})
}

#[test]
fn each_change_takes_a_revision_and_a_refused_one_changes_nothing() {
    use ApiError::*;
    let nothing = Change::RoleGrantPermission(AuthRoleGrantPermissionRequest {
        name: "r".into(),
        perm: None,
    });
    let mut store = AuthStore::default();
    for (change, error, revision) in [
        (enable(), Some(RootUserNotExist), 1),
        (disable(), None, 1),
        (user_add("root"), None, 2),
        (user_add("root"), Some(UserAlreadyExists), 2),
        (user_add(""), Some(UserEmpty), 2),
        (enable(), Some(RootRoleNotExist), 2),
        (grant_role("root", "root"), None, 3),
        (role_add(""), Some(RoleEmpty), 3),
        (role_add("r"), None, 4),
        (role_add("r"), Some(RoleAlreadyExists), 4),
        (user_add("alice"), None, 5),
        (grant_role("alice", "s"), Some(RoleNotFound), 5),
        (grant_role("bob", "s"), Some(UserNotFound), 5),
        (grant_role("alice", "r"), None, 6),
        (grant_role("alice", "r"), None, 6),
        (nothing, Some(PermissionNotGiven), 6),
        (grant("s", Type::Read, "b", "a"), Some(InvalidAuthManagement), 6),
        (grant("s", Type::Read, "a", "b"), Some(RoleNotFound), 6),
        (grant("r", Type::Read, "a", "b"), None, 7),
        (grant("r", Type::Write, "a", "b"), None, 8),
        (revoke("r", "a", ""), Some(PermissionNotGranted), 8),
        (revoke("r", "a", "b"), None, 9),
        (enable(), None, 9),
        (enable(), None, 9),
        (user_delete("root"), Some(InvalidAuthManagement), 9),
        (revoke_role("root", "root"), Some(InvalidAuthManagement), 9),
        (role_delete("root"), Some(InvalidAuthManagement), 9),
        (revoke_role("alice", "s"), Some(RoleNotGranted), 9),
        (password("alice"), None, 10),
        (password("bob"), Some(UserNotFound), 10),
        (role_delete("r"), None, 11),
        (revoke_role("alice", "r"), Some(RoleNotGranted), 11),
        (user_delete("alice"), None, 12),
        (user_delete("alice"), Some(UserNotFound), 12),
        (disable(), None, 13),
        (user_delete("root"), None, 14),
    ] {
        let before = store.clone();
        assert_eq!(store.apply(&change).err(), error, "{change:?}");
        assert_eq!(store.revision(), revision, "{change:?}");
        if error.is_some() {
            assert_eq!(store, before, "{change:?}");
        }
    }
}

fn guarded() -> AuthStore {
    let mut store = AuthStore::default();
    for change in [
        user_add("root"),
        grant_role("root", "root"),
        user_add("alice"),
        without_password("nobody"),
        role_add("r"),
        grant("r", Type::Read, "a", "c"),
        grant("r", Type::Write, "b", "d"),
        grant_role("alice", "r"),
        enable(),
    ] {
        store.apply(&change).expect("good changes");
    }
    store
}

#[test]
fn only_a_user_with_a_password_logs_in() {
    let store = guarded();
    assert_eq!(store.password_hash("alice"), Ok(&b"hash of alice"[..]));
    assert_eq!(store.password_hash("nobody"), Err(ApiError::PasswordOfNoPasswordUser));
    assert_eq!(store.password_hash("bob"), Err(ApiError::AuthFailed));
    assert_eq!(AuthStore::default().password_hash("alice"), Err(ApiError::AuthNotEnabled));
}

#[test]
fn a_snapshot_keeps_users_roles_and_what_follows_from_them() {
    let store = guarded();
    assert_eq!(AuthStore::from_wire(Some(store.to_wire())), Ok(store));
    assert_eq!(AuthStore::from_wire(None), Ok(AuthStore::default()));
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn put(key: &'static str, prev_kv: bool) -> RequestOp {
    op(Request::RequestPut(PutRequest { key: key.into(), prev_kv, ..Default::default() }))
}

fn get(key: &'static str) -> RequestOp {
    op(Request::RequestRange(RangeRequest { key: key.into(), ..Default::default() }))
}

fn then(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { success, ..TxnRequest::default() }
}

fn or_else(failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { failure, ..TxnRequest::default() }
}

#[test]
fn every_part_of_a_transaction_is_checked() {
    let store = guarded();
    let alice = Caller { user: "alice".into(), revision: store.revision() };
    let compare = |key: &'static str, range_end: &'static str| TxnRequest {
        compare: vec![Compare {
            key: key.into(),
            range_end: range_end.into(),
            ..Compare::default()
        }],
        ..TxnRequest::default()
    };
    let within = |txn| op(Request::RequestTxn(Box::new(txn)));
    let nested = |txn| then(vec![within(or_else(vec![within(txn)]))]);
    for (txn, permitted) in [
        (then(vec![get("a"), put("b", true)]), true),
        (then(vec![get("c")]), false),
        (then(vec![put("a", false)]), false),
        (then(vec![put("c", false)]), true),
        (then(vec![put("c", true)]), false),
        (or_else(vec![put("z", false)]), false),
        (compare("a", ""), true),
        (compare("a", "c"), true),
        (compare("a", "d"), false),
        (compare("c", ""), false),
        (nested(then(vec![put("b", false)])), true),
        (nested(then(vec![put("z", false)])), false),
        (nested(compare("z", "")), false),
    ] {
        let expected = if permitted { Ok(()) } else { Err(ApiError::PermissionDenied) };
        assert_eq!(store.permit_txn(&alice, &txn, &Leases::default()), expected, "{txn:?}");
        let root = Caller { user: "root".into(), revision: store.revision() };
        assert_eq!(store.permit(&root, &Op::Txn(txn), &Leases::default()), Ok(()));
    }
}

#[test]
fn who_asks_matters_and_as_of_when() {
    let mut store = guarded();
    let as_of = |user: &str, revision| Caller { user: user.into(), revision };
    let now = store.revision();
    let put = Op::Put(PutRequest { key: "b".into(), ..PutRequest::default() });
    let compact = Op::Compact(Default::default());
    for (caller, op, error) in [
        (Caller::default(), &put, Some(ApiError::UserEmpty)),
        (Caller::default(), &compact, Some(ApiError::UserEmpty)),
        (as_of("alice", now - 1), &put, Some(ApiError::AuthOldRevision)),
        (as_of("alice", now), &put, None),
        (as_of("alice", now), &compact, Some(ApiError::PermissionDenied)),
        (as_of("bob", now), &put, Some(ApiError::PermissionDenied)),
        (as_of("root", now), &compact, None),
        (as_of("root", now - 1), &put, Some(ApiError::AuthOldRevision)),
    ] {
        assert_eq!(store.permit(&caller, op, &Leases::default()).err(), error, "{caller:?} {op:?}");
    }
    store.apply(&disable()).expect("nothing forbids it");
    assert_eq!(store.permit(&Caller::default(), &compact, &Leases::default()), Ok(()));
}
