//! Members come and go, and what operators ask of them.

use etcd_client::{AlarmAction, AlarmType, Client, Error, GetOptions, MemberAddOptions};
use ordeal_cluster::server::{ServerError, start};

use crate::cluster::{Cluster, eventually};
use crate::runtime;

fn text(error: Error) -> String {
    match error {
        Error::GRpcStatus(status) => format!("{:?}: {}", status.code(), status.message()),
        other => panic!("a status was due, not {other:?}"),
    }
}

async fn add(client: &mut Client, url: &str, learner: bool) -> u64 {
    let mut id = 0;
    eventually("the members have been in reach for long enough to add one", async || {
        let options = learner.then(|| MemberAddOptions::new().with_is_learner());
        match client.member_add([url], options).await {
            Ok(added) => {
                id = added.member().expect("the new member").id();
                true
            }
            Err(error) => {
                assert_eq!(text(error), "Unavailable: etcdserver: unhealthy cluster");
                false
            }
        }
    })
    .await;
    id
}

async fn local_keys(client: &mut Client) -> i64 {
    let all = GetOptions::new().with_prefix().with_count_only().with_serializable();
    client.get("k", Some(all)).await.map_or(-1, |got| got.count())
}

#[test]
fn a_learner_joins_is_caught_up_is_promoted_votes_and_is_removed() {
    let mut cluster = Cluster::start_with(2, |config| config.snapshot_count = 20);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        for n in 0..100 {
            client.put(format!("k{n}"), "v", None).await.expect("a put");
        }
        let config = cluster.joining();
        let stranger = start(config.clone()).expect_err("nobody has added it");
        assert!(matches!(stranger, ServerError::NotAdded { .. }), "{stranger}");
        let id = add(&mut client, &config.listen_peer_urls[0], true).await;
        let early = client.member_promote(id).await.map(drop).expect_err("it has not started");
        assert!(
            text(early).ends_with("can only promote a learner member which is in sync with leader")
        );
        let again = client.member_add([config.listen_peer_urls[0].as_str()], None).await;
        assert_eq!(
            text(again.map(drop).expect_err("its URL is taken")),
            "FailedPrecondition: etcdserver: Peer URLs already exists"
        );
        let new = cluster.join(config);
        let mut learner = cluster.client(new).await;
        eventually("the learner has every key", async || local_keys(&mut learner).await == 100)
            .await;
        let learners = "Unavailable: etcdserver: rpc not supported for learner";
        for refused in [
            learner.put("k", "v", None).await.map(drop),
            learner.get("k", None).await.map(drop),
            learner.member_list().await.map(drop),
        ] {
            assert_eq!(text(refused.expect_err(learners)), learners);
        }
        assert!(learner.status().await.expect("a status").is_learner());
        client.member_promote(id).await.expect("it is in sync");
        assert_eq!(
            text(client.member_promote(id).await.map(drop).expect_err("it votes")),
            "FailedPrecondition: etcdserver: can only promote a learner member"
        );
        eventually("it takes writes as a voter", async || {
            learner.put("k", "v", None).await.is_ok()
        })
        .await;

        cluster.stop(new);
        cluster.restart(new);
        let mut back = cluster.client(new).await;
        eventually("it comes back from its own log", async || {
            back.get("k0", None).await.is_ok_and(|got| got.count() == 1)
        })
        .await;
        eventually("it is removed", async || match client.member_remove(id).await {
            Ok(_) => true,
            Err(error) => text(error).ends_with("member not found"),
        })
        .await;
        let removed = cluster.ended(new);
        assert!(matches!(removed, ServerError::Removed), "{removed}");
        let again = cluster.try_restart(new);
        assert!(matches!(again, ServerError::Removed), "{again}");
        client.put("k", "after", None).await.expect("the two go on");
        let unknown = client.member_remove(id).await.map(drop).expect_err("it is gone");
        assert_eq!(text(unknown), "NotFound: etcdserver: member not found");
    });
}

#[test]
fn a_cluster_of_one_grows_and_refuses_to_lose_its_majority() {
    let mut cluster = Cluster::start(1);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        eventually("it knows its own name", async || {
            client.member_list().await.is_ok_and(|list| list.members()[0].name() == "n0")
        })
        .await;
        let config = cluster.joining();
        add(&mut client, &config.listen_peer_urls[0], false).await;
        let third = client.member_add(["http://127.0.0.1:1"], None).await.map(drop);
        let refusal = "FailedPrecondition: etcdserver: re-configuration failed due to not enough \
                       started members";
        assert_eq!(text(third.expect_err(refusal)), refusal);
        let bad = client.member_add(["nowhere"], None).await.map(drop);
        assert_eq!(
            text(bad.expect_err("no URL")),
            "InvalidArgument: etcdserver: given member URLs are invalid"
        );
        let new = cluster.join(config);
        let mut second = cluster.client(new).await;
        eventually("both take writes", async || {
            client.put("a", "1", None).await.is_ok() && second.put("b", "2", None).await.is_ok()
        })
        .await;
    });
}

#[test]
fn the_leadership_moves_where_it_is_told() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        let leader = cluster.leader().await;
        let mut client = cluster.client(leader).await;
        let to = (leader + 1) % 3;
        let mut other = cluster.client(to).await;
        let id = |status: etcd_client::StatusResponse| status.header().expect("one").member_id();
        let target = id(other.status().await.expect("a status"));
        assert_eq!(
            text(other.move_leader(target).await.map(drop).expect_err("it follows")),
            "FailedPrecondition: etcdserver: not leader"
        );
        assert_eq!(
            text(client.move_leader(7).await.map(drop).expect_err("a stranger")),
            "FailedPrecondition: etcdserver: bad leader transferee"
        );
        let moved = client.move_leader(target).await.expect("a move");
        assert!(moved.header().is_none(), "etcd gives none");
        assert_eq!(client.status().await.expect("a status").leader(), target);
    });
}

#[test]
fn members_agree_on_the_hash_at_each_revision() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        for n in 0..20 {
            client.put(format!("k{}", n % 7), format!("{n}"), None).await.expect("a put");
        }
        client.delete("k3", None).await.expect("a delete");
        client.compact(9, None).await.expect("a compaction");
        for revision in [9, 15, 22] {
            let mut hashes = Vec::new();
            for member in 0..3 {
                let mut client = cluster.client(member).await;
                // A linearizable read first, so that the member has caught up.
                client.get("k", None).await.expect("a get");
                let hash = client.hash_kv(revision).await.expect("a hash");
                assert_eq!(hash.compact_version(), 9);
                hashes.push(hash.hash());
            }
            assert!(hashes[0] != 0 && hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        }
        let compacted = client.hash_kv(8).await.map(drop).expect_err("it is gone");
        assert!(text(compacted).contains("has been compacted"));
    });
}

#[test]
fn a_full_store_raises_the_alarm_and_takes_no_more_until_there_is_room() {
    let cluster = Cluster::start_with(3, |config| config.limits.quota_bytes = 20_000);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        let mut puts = 0;
        let full = loop {
            match client.put("k", vec![b'v'; 1_000], None).await {
                Ok(_) => puts += 1,
                Err(error) => break text(error),
            }
            assert!(puts < 20, "the quota is not kept");
        };
        let no_space = "ResourceExhausted: etcdserver: mvcc: database space exceeded";
        assert_eq!(full, no_space);
        eventually("every member refuses puts", async || {
            let mut refused = 0;
            for member in 0..3 {
                let mut client = cluster.client(member).await;
                let put = client.put("other", "v", None).await;
                refused += usize::from(put.is_err_and(|error| text(error) == no_space));
            }
            refused == 3
        })
        .await;
        let up = client.alarm(AlarmAction::Get, AlarmType::None, None).await.expect("a list");
        assert_eq!(up.alarms().len(), 1);
        let revision = client.get("k", None).await.expect("reads go on").kvs()[0].mod_revision();
        client.compact(revision, None).await.expect("a compaction passes");
        let done = client.defragment().await.expect("a defragmentation passes");
        assert!(done.header().is_none(), "etcd sends none: {done:?}");
        for alarm in up.alarms() {
            let mut options = etcd_client::AlarmOptions::new();
            options.with_member(alarm.member_id());
            client
                .alarm(AlarmAction::Deactivate, alarm.alarm(), Some(options))
                .await
                .expect("a disarm");
        }
        client.put("k", "small", None).await.expect("there is room again");
    });
}

#[test]
fn a_snapshot_is_whole_pages_with_their_checksum_behind() {
    let cluster = Cluster::start(1);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        for n in 0..2_000 {
            client.put(format!("k{n}"), vec![b'v'; 50], None).await.expect("a put");
        }
        let mut stream = client.snapshot().await.expect("a snapshot");
        let mut bytes = Vec::new();
        let mut left = u64::MAX;
        while let Some(part) = stream.message().await.expect("a part") {
            bytes.extend_from_slice(part.blob());
            left = part.remaining_bytes();
        }
        assert_eq!(left, 0);
        assert_eq!(bytes.len() % 512, 32);
        let (file, sum) = bytes.split_at(bytes.len() - 32);
        use sha2::Digest;
        assert_eq!(sha2::Sha256::digest(file).as_slice(), sum);
    });
}
