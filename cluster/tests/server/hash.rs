//! The hash by which members are compared, held against a real etcd's.

use etcd_client::{Client, CompactionOptions, DeleteOptions, Error};

use crate::cluster::Cluster;
use crate::differential::etcd::{Etcd, etcd_or_skip};
use crate::runtime;

/// Up to one beyond the newest revision.
const REVISIONS: i64 = 11;

/// The hash and what it covers, or the error, at each revision.
async fn hashes(client: &mut Client) -> Vec<Result<(u32, i64), String>> {
    let mut hashes = Vec::new();
    for revision in 0..=REVISIONS {
        hashes.push(match client.hash_kv(revision).await {
            Ok(hash) => Ok((hash.hash(), hash.compact_version())),
            Err(Error::GRpcStatus(status)) => {
                Err(format!("{:?} {}", status.code(), status.message()))
            }
            Err(other) => panic!("an answer was due, not {other}"),
        });
    }
    hashes
}

/// What a store says before a compaction and after it.
async fn seen(url: &str) -> [Vec<Result<(u32, i64), String>>; 2] {
    let mut client = Client::connect([url], None).await.expect("a client");
    for n in 0..7 {
        client.put(format!("k{}", n % 3), format!("v{n}"), None).await.expect("a put");
    }
    client.delete("k1", None).await.expect("a deletion");
    client.delete("k", Some(DeleteOptions::new().with_prefix())).await.expect("a deletion");
    let before = hashes(&mut client).await;
    let physical = CompactionOptions::new().with_physical();
    client.compact(5, Some(physical)).await.expect("a compaction");
    [before, hashes(&mut client).await]
}

#[test]
fn hashes_and_refusals_are_those_of_a_real_etcd_before_and_after_a_compaction() {
    let cluster = Cluster::start(1);
    let Some(program) = etcd_or_skip() else { return };
    let real = Etcd::start(&program);
    runtime().block_on(async {
        let [before, mut after] = seen(cluster.url(0)).await;
        let [etcd_before, mut etcd_after] = seen(&real.url).await;
        assert_eq!(before, etcd_before);
        // At the very revision of a compaction etcd 3.5.30 gives the hash from before it, which it
        // has kept for that, and older releases refuse.
        assert!(after[5].is_ok(), "{:?}", after[5]);
        (after[5], etcd_after[5]) = (Ok((0, 0)), Ok((0, 0)));
        assert_eq!(after, etcd_after);
    });
}
