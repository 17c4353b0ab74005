//! Watch, Lease, Lock and Election as a client sees them that knows nothing of Ordeal; where there
//! is a real etcd, it sees the same there.

use etcd_client::{
    Client, CompactionOptions, Error, LeaseGrantOptions, LeaseTimeToLiveOptions, LockOptions,
    ProclaimOptions, PutOptions, ResignOptions, WatchOptions, WatchResponse, WatchStream,
};
use ordeal_cluster::bugs::Bug;

use crate::cluster::{Cluster, eventually};
use crate::differential::etcd::{Etcd, etcd};
use crate::runtime;

/// Plays a scene against an embedded node, and where there is one against a real etcd.
fn like_etcd(scene: impl AsyncFn(Client) -> Vec<String>) -> Vec<String> {
    let cluster = Cluster::start(1);
    runtime().block_on(async {
        let embedded = scene(cluster.client(0).await).await;
        match etcd() {
            Some(program) => {
                let etcd = Etcd::start(&program);
                let client = Client::connect([&etcd.url], None).await.expect("a client");
                assert_eq!(embedded, scene(client).await, "the embedded node, then etcd");
            }
            None => {
                let required = std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|set| set == "1");
                assert!(!required, "there is no etcd to compare with");
                eprintln!("skipped: there is no etcd to compare with");
            }
        }
        embedded
    })
}

/// An error in one line.
fn text(error: Error) -> String {
    match error {
        Error::GRpcStatus(status) => format!("{:?}: {}", status.code(), status.message()),
        other => panic!("a status was due, not {other:?}"),
    }
}

/// An outcome in one line.
fn line<T>(outcome: Result<T, Error>, show: impl FnOnce(T) -> String) -> String {
    outcome.map_or_else(text, show)
}

fn show(response: &WatchResponse) -> String {
    let mut line = format!("watch {}", response.watch_id());
    if response.created() {
        line += " created";
    }
    if response.canceled() {
        line +=
            &format!(" canceled at {} ({})", response.compact_revision(), response.cancel_reason());
    }
    for event in response.events() {
        let kv = event.kv().expect("a pair");
        line += &format!(
            " {:?} {}={} {}/{}/{}",
            event.event_type(),
            kv.key_str().expect("text"),
            kv.value_str().expect("text"),
            kv.create_revision(),
            kv.mod_revision(),
            kv.version()
        );
        if let Some(before) = event.prev_kv() {
            line += &format!(" was {}", before.value_str().expect("text"));
        }
    }
    line
}

async fn next(stream: &mut WatchStream) -> WatchResponse {
    stream.message().await.expect("a response").expect("the stream goes on")
}

#[test]
fn watches_tell_what_etcds_tell() {
    let shown = like_etcd(async |mut client| {
        for (key, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
            client.put(key, value, None).await.expect("a put");
        }
        client.delete("a", None).await.expect("a deletion"); // 5
        client.put("a", "4", None).await.expect("a put"); // 6
        client.compact(4, None::<CompactionOptions>).await.expect("a compaction");
        let mut shown = Vec::new();
        let from = |revision| WatchOptions::new().with_start_revision(revision);
        let mut stream = client.watch("a", Some(from(4).with_prev_key())).await.expect("a watch");
        for _ in 0..2 {
            shown.push(show(&next(&mut stream).await));
        }
        // On a stream of its own: etcd's later releases tell no progress beside it.
        let mut gone = client.watch("b", Some(from(3))).await.expect("a watch");
        for _ in 0..2 {
            shown.push(show(&next(&mut gone).await));
        }
        stream.watch("b", Some(WatchOptions::new().with_watch_id(7))).await.expect("a watch");
        shown.push(show(&next(&mut stream).await));
        stream.watch("b", Some(WatchOptions::new().with_watch_id(7))).await.expect("a watch");
        shown.push(show(&next(&mut stream).await));
        stream.watch("b", Some(WatchOptions::new().with_range("a"))).await.expect("a watch");
        shown.push(show(&next(&mut stream).await));
        client.put("b", "5", None).await.expect("a put");
        shown.push(show(&next(&mut stream).await));
        stream.cancel(7).await.expect("a cancellation");
        shown.push(show(&next(&mut stream).await));
        stream.request_progress().await.expect("a request");
        let answer = next(&mut stream).await;
        let revision = answer.header().expect("a header").revision();
        shown.push(format!("{} at {revision}", show(&answer)));
        shown
    });
    assert_eq!(shown[1], "watch 0 Put a=3 2/4/2 Delete a= 0/5/0 was 3 Put a=4 6/6/1");
    assert_eq!(shown[3], "watch 0 canceled at 4 ()");
}

#[test]
fn leases_are_what_etcds_are() {
    let shown = like_etcd(async |mut client| {
        let mut shown = Vec::new();
        for (id, ttl) in [(77, 100), (77, 100), (-5, 100), (78, 9_000_000_001)] {
            let grant = client.lease_grant(ttl, Some(LeaseGrantOptions::new().with_id(id))).await;
            shown.push(line(grant, |granted| format!("{} {}", granted.id(), granted.ttl())));
        }
        for (key, lease) in [("a", 77), ("b", 77), ("c", -5), ("d", 99), ("b", 0)] {
            let put = client.put(key, "1", Some(PutOptions::new().with_lease(lease))).await;
            shown.push(line(put, |put| put.header().expect("a header").revision().to_string()));
        }
        for id in [77, -5, 99] {
            let keys = Some(LeaseTimeToLiveOptions::new().with_keys());
            let lives = client.lease_time_to_live(id, keys).await;
            shown.push(line(lives, |lives| {
                let there = if lives.ttl() > 90 { "there" } else { "gone" };
                format!("{there} of {} {:?}", lives.granted_ttl(), lives.keys())
            }));
        }
        let (mut keeper, mut kept) = client.lease_keep_alive(77).await.expect("a renewal");
        keeper.keep_alive().await.expect("a renewal");
        let renewed = kept.message().await.expect("an answer").expect("an answer");
        shown.push(format!("{} {}", renewed.id(), renewed.ttl()));
        for id in [77, 77] {
            let revoked = client.lease_revoke(id).await;
            shown.push(line(revoked, |done| {
                done.header().expect("a header").revision().to_string()
            }));
        }
        let leases = client.leases().await.expect("leases");
        shown.push(format!("{:?}", leases.leases().iter().map(|l| l.id()).collect::<Vec<_>>()));
        shown.push(client.get("a", None).await.expect("a get").count().to_string());
        shown
    });
    assert_eq!(shown[1], "FailedPrecondition: etcdserver: lease already exists");
}

#[test]
fn locks_and_elections_go_as_etcds_go() {
    let shown = like_etcd(async |mut client| {
        let mut shown = Vec::new();
        for id in [77, -5] {
            let options = LeaseGrantOptions::new().with_id(id);
            client.lease_grant(100, Some(options)).await.expect("a grant");
        }
        let lease = |id| Some(LockOptions::new().with_lease(id));
        let first = client.lock("l", lease(77)).await.expect("a lock");
        shown.push(String::from_utf8_lossy(first.key()).into_owned());
        let mut other = client.clone();
        let waiter = tokio::spawn(async move { other.lock("l", lease(-5)).await });
        eventually("the waiter stands in line", async || {
            client.get("l/-5", None).await.is_ok_and(|got| got.count() == 1)
        })
        .await;
        assert!(!waiter.is_finished(), "the lock is held");
        client.unlock(first.key()).await.expect("an unlock");
        let second = waiter.await.expect("a task").expect("a lock");
        shown.push(String::from_utf8_lossy(second.key()).into_owned());
        shown.push(line(client.lock("l", lease(99)).await, |_| "locked".into()));

        shown.push(line(client.leader("e").await, |_| "led".into()));
        let campaign = client.campaign("e", "v1", 77).await.expect("a campaign");
        let key = campaign.leader().expect("a key").clone();
        shown.push(format!("{} {}", String::from_utf8_lossy(key.key()), key.rev()));
        let mut observed = client.observe("e").await.expect("an observation");
        let value = |response: Option<etcd_client::LeaderResponse>| {
            let response = response.expect("the observation goes on");
            response.kv().expect("a pair").value_str().expect("text").to_owned()
        };
        shown.push(value(observed.message().await.expect("a leader")));
        let mut proclaim = async |value: &str| {
            let options = ProclaimOptions::new().with_leader(key.clone());
            line(client.proclaim(value, Some(options)).await, |_| "proclaimed".into())
        };
        shown.push(proclaim("v2").await);
        shown.push(value(observed.message().await.expect("a leader")));
        let resign = || Some(ResignOptions::new().with_leader(key.clone()));
        client.resign(resign()).await.expect("a resignation");
        client.campaign("e", "v3", -5).await.expect("a campaign");
        shown.push(value(observed.message().await.expect("a leader")));
        let options = ProclaimOptions::new().with_leader(key.clone());
        shown.push(line(client.proclaim("v4", Some(options)).await, |_| "proclaimed".into()));
        shown.push(line(client.resign(None).await, |_| "resigned".into()));
        shown
    });
    assert_eq!(shown[..2], ["l/4d", "l/-5"]);
    assert_eq!(shown[3], "Unknown: election: no leader");
}

#[test]
fn an_observation_that_is_not_permitted_ends_without_a_word() {
    let shown = like_etcd(async |mut client| {
        client.user_add("root", "pw", None).await.expect("a user");
        client.user_grant_role("root", "root").await.expect("a grant");
        client.auth_enable().await.expect("root is there");
        let mut observed = client.observe("e").await.expect("a stream");
        vec![line(observed.message().await, |response| format!("{:?}", response.is_some()))]
    });
    assert_eq!(shown, ["false"]);
}

/// Lets a waiter's lease end while it waits for a lock, then frees the lock.
fn lock_of_a_waiter_whose_lease_has_ended(bugs: &[Bug]) -> String {
    let cluster = Cluster::start_with(1, |config| config.bugs = bugs.iter().copied().collect());
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        for (id, ttl) in [(1, 100), (2, 1)] {
            let options = LeaseGrantOptions::new().with_id(id);
            client.lease_grant(ttl, Some(options)).await.expect("a grant");
        }
        let lease = |id| Some(LockOptions::new().with_lease(id));
        let held = client.lock("l", lease(1)).await.expect("a lock");
        let mut other = Client::connect([cluster.url(0)], None).await.expect("a client");
        let waiter = tokio::spawn(async move { other.lock("l", lease(2)).await });
        eventually("the waiter's lease has ended", async || {
            client.leases().await.is_ok_and(|leases| leases.leases().len() == 1)
        })
        .await;
        client.unlock(held.key()).await.expect("an unlock");
        line(waiter.await.expect("a task"), |_| "locked".into())
    })
}

#[test]
fn a_lock_is_not_granted_to_one_whose_lease_has_ended() {
    let outcome = lock_of_a_waiter_whose_lease_has_ended(&[]);
    // On a slow machine the lease may end before the waiter has come so far as to stand in line.
    let refused = ["Unknown: mutex: session is expired", LEASE_NOT_FOUND];
    assert!(refused.contains(&&outcome[..]), "{outcome}");
}

const LEASE_NOT_FOUND: &str = "Unknown: etcdserver: requested lease not found";

#[test]
fn lock_without_key_grants_it() {
    // A lease that ended before the waiter stood in line shows nothing: then once more.
    let outcome = (0..5)
        .map(|_| lock_of_a_waiter_whose_lease_has_ended(&[Bug::LockWithoutKey]))
        .find(|outcome| outcome != LEASE_NOT_FOUND);
    assert_eq!(outcome.as_deref(), Some("locked"));
}

#[test]
fn leases_are_kept_alive_through_a_follower_and_events_come_through_every_member() {
    let cluster = Cluster::start(3);
    runtime().block_on(async {
        let follower = (cluster.leader().await + 1) % 3;
        let mut client = cluster.client(follower).await;
        let granted = client.lease_grant(100, None).await.expect("a grant");
        let (mut keeper, mut kept) =
            client.lease_keep_alive(granted.id()).await.expect("a renewal");
        keeper.keep_alive().await.expect("a renewal");
        let renewed = kept.message().await.expect("an answer").expect("an answer");
        assert_eq!(renewed.ttl(), 100);
        let mut streams = Vec::new();
        for member in 0..3 {
            let mut client = cluster.client(member).await;
            let mut stream = client.watch("k", None).await.expect("a watch");
            assert!(next(&mut stream).await.created());
            streams.push(stream);
        }
        client.put("k", "v", None).await.expect("a put");
        for stream in &mut streams {
            assert_eq!(show(&next(stream).await), "watch 0 Put k=v 2/2/1");
        }
    });
}
