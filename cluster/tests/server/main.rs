//! Three nodes on loopback, asked by a client that knows nothing of Ordeal.

mod auth;
mod cluster;
mod coordination;
mod differential;
mod etcdctl;
mod gateway;
mod hash;
mod http;
mod members;
mod tls;

use cluster::{Cluster, eventually};
use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn a_key_put_through_one_member_is_read_through_every_other() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        let mut first = cluster.client(0).await;
        let put = first.put("k", "v1", None).await.expect("a put");
        let revision = put.header().expect("a header").revision();
        assert_eq!(revision, 2, "the first change makes revision 2");
        for member in 0..3 {
            let mut client = cluster.client(member).await;
            let got = client.get("k", None).await.expect("a get");
            assert_eq!(got.kvs()[0].value(), b"v1");
            assert_eq!(got.kvs()[0].mod_revision(), 2);
            assert_eq!(got.kvs()[0].version(), 1);
        }
    });
}

#[test]
fn a_transaction_compares_and_swaps() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        let mut client = cluster.client(1).await;
        client.put("k", "1", None).await.expect("a put");
        let cas = |old: &str, new: &str| {
            Txn::new()
                .when([Compare::value("k", CompareOp::Equal, old)])
                .and_then([TxnOp::put("k", new, Some(PutOptions::new().with_prev_key()))])
                .or_else([TxnOp::get("k", None)])
        };
        let done = client.txn(cas("1", "2")).await.expect("a txn");
        assert!(done.succeeded());
        assert_eq!(done.header().expect("a header").revision(), 3);
        let lost = client.txn(cas("1", "3")).await.expect("a txn");
        assert!(!lost.succeeded());
        assert_eq!(lost.header().expect("a header").revision(), 3);
        match &lost.op_responses()[0] {
            TxnOpResponse::Get(got) => assert_eq!(got.kvs()[0].value(), b"2"),
            other => panic!("a get's answer was due, not {other:?}"),
        }
    });
}

#[test]
fn acknowledged_writes_survive_the_death_of_the_leader_and_of_all() {
    let mut cluster = Cluster::start(3);
    runtime().block_on(async {
        for n in 0..50 {
            let mut client = cluster.client(n % 3).await;
            client.put(format!("k{n:02}"), "v", None).await.expect("a put");
        }
        let leader = cluster.leader().await;
        cluster.stop(leader);
        let other = (leader + 1) % 3;
        eventually("the others elect a leader and take a write", async || {
            let mut client = cluster.client(other).await;
            client.put("after", "v", None).await.is_ok()
        })
        .await;
        cluster.restart(leader);
        for member in 0..3 {
            cluster.stop(member);
        }
        for member in 0..3 {
            cluster.restart(member);
        }
        eventually("every member has all the keys again", async || {
            let mut counts = Vec::new();
            for member in 0..3 {
                let mut client = cluster.client(member).await;
                let all = GetOptions::new().with_prefix().with_count_only();
                counts.push(client.get("", Some(all)).await.map_or(0, |got| got.count()));
            }
            counts == [51, 51, 51]
        })
        .await;
    });
}

#[test]
fn a_member_that_missed_more_than_the_log_keeps_is_caught_up_by_a_snapshot() {
    let mut cluster = Cluster::start_with(3, |config| config.snapshot_count = 20);
    runtime().block_on(async {
        let lagging = (cluster.leader().await + 1) % 3;
        cluster.stop(lagging);
        let other = cluster.leader_among(&[(lagging + 1) % 3, (lagging + 2) % 3]).await;
        let mut client = cluster.client(other).await;
        for n in 0..200 {
            client.put(format!("k{n:03}"), vec![b'v'; 100], None).await.expect("a put");
        }
        cluster.restart(lagging);
        eventually("the member that lagged has every key", async || {
            let mut client = cluster.client(lagging).await;
            let all = GetOptions::new().with_prefix().with_count_only().with_serializable();
            client.get("k", Some(all)).await.is_ok_and(|got| got.count() == 200)
        })
        .await;
    });
}

#[test]
fn errors_are_those_of_etcd_to_the_letter() {
    let cluster = Cluster::start(1);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        client.put("k", "1", None).await.expect("a put");
        client.put("k", "2", None).await.expect("a put");
        client.compact(3, None).await.expect("a compaction");
        let text = |error: etcd_client::Error| match error {
            etcd_client::Error::GRpcStatus(status) => {
                format!("{:?}: {}", status.code(), status.message())
            }
            other => panic!("a status was due, not {other:?}"),
        };
        let at = |revision| Some(GetOptions::new().with_revision(revision));
        for (got, expected) in [
            (
                client.get("k", at(2)).await.map(drop),
                "OutOfRange: etcdserver: mvcc: required revision has been compacted",
            ),
            (
                client.get("k", at(4)).await.map(drop),
                "OutOfRange: etcdserver: mvcc: required revision is a future revision",
            ),
            (
                client.put("", "v", None).await.map(drop),
                "InvalidArgument: etcdserver: key is not provided",
            ),
            (
                client.put("k", vec![0; 1_600_000], None).await.map(drop),
                "InvalidArgument: etcdserver: request is too large",
            ),
            (
                client
                    .txn(
                        Txn::new()
                            .and_then([TxnOp::put("a", "1", None), TxnOp::put("a", "2", None)]),
                    )
                    .await
                    .map(drop),
                "InvalidArgument: etcdserver: duplicate key given in txn request",
            ),
            (
                client.put("k", "v", Some(PutOptions::new().with_lease(7))).await.map(drop),
                "NotFound: etcdserver: requested lease not found",
            ),
        ] {
            assert_eq!(text(got.expect_err(expected)), expected);
        }
        assert_eq!(client.get("k", at(3)).await.expect("the compacted revision reads").count(), 1);
    });
}

#[test]
fn status_and_members_tell_who_leads_and_where_clients_go() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        let leader = cluster.leader().await;
        let mut client = cluster.client(leader).await;
        let status = client.status().await.expect("a status");
        assert_eq!(status.leader(), status.header().expect("a header").member_id());
        assert_eq!(status.version(), ordeal_cluster::SERVED_VERSION);
        eventually("all members have published where clients reach them", async || {
            let members = client.member_list().await.expect("a member list");
            let published = members.members().iter();
            published.filter(|member| member.client_urls().len() == 1).count() == 3
        })
        .await;
    });
}
