//! Users, roles and tokens, as a client sees them.

use std::time::Duration;

use etcd_client::{
    Client, ConnectOptions, Error, GetOptions, Permission, PermissionType, PutOptions, Txn, TxnOp,
};
use ordeal_cluster::server::AuthConfig;

use crate::cluster::{Cluster, eventually};
use crate::runtime;

fn words<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.expect_err("it is to be refused") {
        Error::GRpcStatus(status) => format!("{:?}: {}", status.code(), status.message()),
        other => panic!("an answer of the server was due, not {other}"),
    }
}

async fn log_in(cluster: &Cluster, member: usize, user: &str) -> Result<Client, Error> {
    let options = ConnectOptions::new()
        .with_user(user, format!("{user}'s password"))
        .with_timeout(Duration::from_secs(20));
    Client::connect([cluster.url(member)], Some(options)).await
}

/// Makes root, and alice who may read and write from `a` to `c` and read `r`, and begins to check.
async fn guard(cluster: &Cluster) {
    let mut client = cluster.client(0).await;
    let client = &mut client;
    client.role_add("root").await.expect("a role");
    client.role_add("alice's").await.expect("a role");
    for permission in [Permission::read_write("a").with_range_end("c"), Permission::read("r")] {
        client.role_grant_permission("alice's", permission).await.expect("a permission");
    }
    for (user, role) in [("root", "root"), ("alice", "alice's")] {
        client.user_add(user, format!("{user}'s password"), None).await.expect("a user");
        client.user_grant_role(user, role).await.expect("a role's grant");
    }
    client.auth_enable().await.expect("root is there");
}

#[test]
fn a_user_does_what_the_roles_permit_and_nothing_else() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        guard(&cluster).await;
        let mut root = log_in(&cluster, 1, "root").await.expect("root");
        root.put("z", "1", None).await.expect("root may");
        let mut alice = log_in(&cluster, 2, "alice").await.expect("alice");
        alice.put("b", "1", None).await.expect("alice may");
        let range = GetOptions::new().with_range("c");
        assert_eq!(alice.get("a", Some(range)).await.expect("alice may").count(), 1);
        alice.get("r", None).await.expect("alice may");
        let denied = "PermissionDenied: etcdserver: permission denied";
        assert_eq!(words(alice.put("c", "1", None).await), denied);
        assert_eq!(words(alice.put("r", "1", None).await), denied);
        assert_eq!(words(alice.get("z", None).await), denied);
        assert_eq!(words(alice.delete("z", None).await), denied);
        let nested = Txn::new().and_then([TxnOp::put("z", "2", None)]);
        let txn = Txn::new().and_then([TxnOp::put("a", "2", None), TxnOp::txn(nested)]);
        assert_eq!(words(alice.txn(txn).await), denied, "nested transactions too");
        let back = PutOptions::new().with_prev_key();
        alice.put("a", "3", Some(back)).await.expect("alice may read it as well");
        assert_eq!(words(alice.user_list().await), denied);
        assert_eq!(words(alice.compact(2, None).await), denied);
        let own = alice.role_get("alice's").await.expect("alice may read of her own");
        let kinds: Vec<_> =
            own.permissions().iter().map(|permission| permission.get_type()).collect();
        assert_eq!(kinds, [PermissionType::Readwrite as i32, PermissionType::Read as i32]);
        let mut nobody = cluster.client(0).await;
        let unnamed = "InvalidArgument: etcdserver: user name is empty";
        assert_eq!(words(nobody.put("a", "1", None).await), unnamed);
        assert_eq!(words(nobody.get("a", None).await), unnamed);
        assert_eq!(words(nobody.member_list().await), unnamed);
    });
}

#[test]
fn a_right_is_gone_once_it_is_revoked_and_a_token_once_its_password_is_changed() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        guard(&cluster).await;
        let mut root = log_in(&cluster, 0, "root").await.expect("root");
        let mut alice = log_in(&cluster, 1, "alice").await.expect("alice");
        alice.put("a", "1", None).await.expect("alice may");
        root.user_revoke_role("alice", "alice's").await.expect("root may");
        let late = words(alice.put("a", "2", None).await);
        // Which of the two depends on whether the member that is asked knows of it already.
        let denied = "PermissionDenied: etcdserver: permission denied";
        let old = "InvalidArgument: etcdserver: revision of auth store is old";
        assert!(late == denied || late == old, "{late}");
        root.user_change_password("alice", "another").await.expect("root may");
        eventually("the token is void", async || {
            words(alice.get("a", None).await) == "Unauthenticated: etcdserver: invalid auth token"
        })
        .await;
        let refused = "etcdserver: authentication failed, invalid user ID or password";
        let again = words(log_in(&cluster, 2, "alice").await.map(drop));
        assert_eq!(again, format!("InvalidArgument: {refused}"));
        root.auth_disable().await.expect("root may");
        eventually("nobody is checked any more", async || {
            cluster.client(2).await.put("z", "1", None).await.is_ok()
        })
        .await;
    });
}

#[test]
fn a_simple_token_that_is_not_used_expires() {
    let cluster = Cluster::start_with(1, |config| {
        config.auth = AuthConfig {
            bcrypt_cost: 4,
            token_ttl: Duration::from_millis(300),
            ..AuthConfig::default()
        };
    });
    runtime().block_on(async {
        guard(&cluster).await;
        let mut alice = log_in(&cluster, 0, "alice").await.expect("alice");
        // Each use lets it live on, so no more than one is asked within its time.
        let mut pause = Duration::from_millis(400);
        eventually("the token expires", async || {
            tokio::time::sleep(pause).await;
            pause *= 2;
            let got = alice.get("a", None).await;
            got.is_err() && words(got) == "Unauthenticated: etcdserver: invalid auth token"
        })
        .await;
    });
}

#[test]
fn signed_tokens_are_void_after_any_change_of_rights() {
    let cluster = Cluster::start_with(3, |config| {
        let secret = config.data_dir.with_extension("secret");
        std::fs::write(&secret, "one secret for all").expect("a file");
        let token = format!("jwt,sign-method=HS256,ttl=1h,priv-key={}", secret.display());
        config.auth = AuthConfig { bcrypt_cost: 4, token, ..AuthConfig::default() };
    });
    runtime().block_on(async {
        guard(&cluster).await;
        let mut root = log_in(&cluster, 0, "root").await.expect("root");
        let mut alice = log_in(&cluster, 1, "alice").await.expect("alice");
        alice.put("a", "1", None).await.expect("alice may");
        root.role_add("another").await.expect("root may");
        assert_eq!(
            words(alice.put("a", "2", None).await),
            "InvalidArgument: etcdserver: revision of auth store is old"
        );
        let mut alice = log_in(&cluster, 2, "alice").await.expect("alice again");
        alice.put("a", "3", None).await.expect("alice may");
    });
}
