//! Requests about users and roles, and the users who ask.

use bytes::Bytes;
use ordeal_cluster::proto::authpb::{Permission, UserAddOptions};
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Op;
use ordeal_cluster::proto::etcdserverpb::*;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::kv;
use crate::differential::ask::Ask;
use crate::differential::auth::{AuthAsk, Who};

const USERS: &[&str] = &["root", "alice", "bob"];

const ROLES: &[&str] = &["root", "readers", "writers"];

/// Passwords that users have; every other is refused.
pub const PASSWORDS: &[&str] = &["one", "two"];

/// Tokens that nobody has; the second has the form of a simple one.
const STRANGERS: &[&str] = &["stranger", "abcdefghijklmnop.1", ""];

/// Longer than bcrypt takes.
const LONG: &str =
    "a password of more than the seventy-two bytes that the hash makes use of, really";

/// What most sequences begin with: somebody to ask, something to permit, and checks.
pub fn prologue(rng: &mut ChaCha8Rng) -> Vec<Ask> {
    let mut asks = vec![user_add("root", "one"), grant_role("root", "root")];
    for (user, role) in [("alice", "readers"), ("bob", "writers")] {
        asks.push(user_add(user, PASSWORDS.choose(rng).expect("some")));
        asks.push(Ask::Auth(AuthAsk::RoleAdd(AuthRoleAddRequest { name: role.into() })));
        for _ in 0..rng.random_range(0..4) {
            asks.push(Ask::Auth(AuthAsk::RoleGrantPermission(permission(rng, role))));
        }
        asks.push(grant_role(user, role));
    }
    asks.push(Ask::Auth(AuthAsk::AuthEnable(AuthEnableRequest {})));
    for user in USERS {
        asks.extend(PASSWORDS.iter().map(|password| log_in(user, password)));
    }
    asks
}

/// Somebody: root, who may do everything, and alice and bob, who may not, most of all.
pub fn who(rng: &mut ChaCha8Rng) -> Who {
    match rng.random_range(0..100) {
        0..40 => Who::User("root"),
        40..65 => Who::User("alice"),
        65..90 => Who::User("bob"),
        90..96 => Who::Nobody,
        _ => Who::Stranger(STRANGERS.choose(rng).expect("some")),
    }
}

pub fn ask(rng: &mut ChaCha8Rng) -> Ask {
    let user = |rng: &mut ChaCha8Rng| name(rng, USERS);
    let role = |rng: &mut ChaCha8Rng| name(rng, ROLES);
    let ask = match rng.random_range(0..100) {
        0..20 => return log_in(USERS.choose(rng).expect("some"), password(rng)),
        20..25 => AuthAsk::AuthEnable(AuthEnableRequest {}),
        25..28 => AuthAsk::AuthDisable(AuthDisableRequest {}),
        28..31 => AuthAsk::AuthStatus(AuthStatusRequest {}),
        31..39 => AuthAsk::UserAdd(AuthUserAddRequest {
            name: user(rng),
            password: password(rng).into(),
            options: rng
                .random::<bool>()
                .then(|| UserAddOptions { no_password: rng.random_ratio(1, 3) }),
            ..Default::default()
        }),
        39..45 => AuthAsk::UserGet(AuthUserGetRequest { name: user(rng) }),
        45..48 => AuthAsk::UserList(AuthUserListRequest {}),
        48..51 => AuthAsk::UserDelete(AuthUserDeleteRequest { name: user(rng) }),
        51..55 => AuthAsk::UserChangePassword(AuthUserChangePasswordRequest {
            name: user(rng),
            password: password(rng).into(),
            ..Default::default()
        }),
        55..64 => {
            let (user, role) = (user(rng), role(rng));
            AuthAsk::UserGrantRole(AuthUserGrantRoleRequest { user, role })
        }
        64..68 => {
            let (name, role) = (user(rng), role(rng));
            AuthAsk::UserRevokeRole(AuthUserRevokeRoleRequest { name, role })
        }
        68..73 => AuthAsk::RoleAdd(AuthRoleAddRequest { name: role(rng) }),
        73..79 => AuthAsk::RoleGet(AuthRoleGetRequest { role: role(rng) }),
        79..81 => AuthAsk::RoleList(AuthRoleListRequest {}),
        81..84 => AuthAsk::RoleDelete(AuthRoleDeleteRequest { role: role(rng) }),
        84..94 => {
            let role = role(rng);
            AuthAsk::RoleGrantPermission(permission(rng, &role))
        }
        _ => {
            let (role, key) = (role(rng), kv::key(rng));
            let range_end = kv::range_end(rng, &key);
            let gone = AuthRoleRevokePermissionRequest { role, key, range_end };
            AuthAsk::RoleRevokePermission(gone)
        }
    };
    Ask::Auth(ask)
}

/// Makes one key of each interval that ends before it begins: whether a user may ask for such a one
/// depends in etcd on the shape of a tree in memory, in which the permissions lie.
pub fn turn_round(ask: &mut Ask) {
    match ask {
        Ask::Range(range) => forwards(&range.key, &mut range.range_end),
        Ask::Delete(delete) => forwards(&delete.key, &mut delete.range_end),
        Ask::Watch(_, create) => {
            // etcd lets whoever may read the first key watch every key behind it too
            // (GHSA-xg4h): the embedded node does not.
            if create.range_end[..] == b"\0"[..] {
                create.range_end.clear();
            }
            forwards(&create.key, &mut create.range_end);
        }
        Ask::Txn(txn) => turn_txn_round(txn),
        _ => {}
    }
}

fn turn_txn_round(txn: &mut TxnRequest) {
    for compare in &mut txn.compare {
        forwards(&compare.key, &mut compare.range_end);
    }
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(Op::RequestRange(range)) => forwards(&range.key, &mut range.range_end),
            Some(Op::RequestDeleteRange(delete)) => forwards(&delete.key, &mut delete.range_end),
            Some(Op::RequestTxn(txn)) => turn_txn_round(txn),
            Some(Op::RequestPut(_)) | None => {}
        }
    }
}

fn forwards(key: &Bytes, range_end: &mut Bytes) {
    if range_end[..] != b"\0"[..] && *range_end <= *key {
        range_end.clear();
    }
}

/// Logs a user in, whose token it is from then on.
pub fn log_in(user: &'static str, password: &str) -> Ask {
    let request = AuthenticateRequest { name: user.into(), password: password.into() };
    Ask::Login(Who::User(user), request)
}

fn user_add(name: &str, password: &str) -> Ask {
    let (name, password) = (name.into(), password.into());
    let request = AuthUserAddRequest { name, password, ..Default::default() };
    Ask::Auth(AuthAsk::UserAdd(request))
}

fn grant_role(user: &str, role: &str) -> Ask {
    let request = AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
    Ask::Auth(AuthAsk::UserGrantRole(request))
}

/// One of those, and now and then none, or one that is never there.
fn name(rng: &mut ChaCha8Rng, from: &[&str]) -> String {
    match rng.random_range(0..30) {
        0 => String::new(),
        1 => "nobody".into(),
        _ => (*from.choose(rng).expect("some")).into(),
    }
}

fn password(rng: &mut ChaCha8Rng) -> &'static str {
    match rng.random_range(0..30) {
        0 => "",
        1 => "wrong",
        2 => LONG,
        _ => PASSWORDS.choose(rng).expect("some"),
    }
}

fn permission(rng: &mut ChaCha8Rng, role: &str) -> AuthRoleGrantPermissionRequest {
    let key = if rng.random_ratio(1, 10) { Bytes::from_static(b"\0") } else { kv::key(rng) };
    let range_end = kv::range_end(rng, &key);
    // Reading, writing, both, and a kind that there is not.
    let perm_type = *[0, 0, 0, 1, 1, 1, 2, 2, 2, 7].choose(rng).expect("some");
    let perm = Permission { perm_type, key, range_end };
    let given = rng.random_ratio(19, 20);
    AuthRoleGrantPermissionRequest { name: role.into(), perm: given.then_some(perm) }
}
