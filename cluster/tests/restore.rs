//! A saved snapshot, restored into new members' disks: what is the cluster's is there again, the
//! members are new, and nothing but a whole snapshot is taken.

use std::sync::Arc;

use ordeal_cluster::bolt::Backend;
use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::core::bootstrap_image;
use ordeal_cluster::disk::{Disk, MemDisk};
use ordeal_cluster::log::snapshot::Image;
use ordeal_cluster::log::{self, LogConfig, SEGMENT_BYTES};
use ordeal_cluster::proto::etcdserverpb::{CompactionRequest, DeleteRangeRequest, PutRequest};
use ordeal_cluster::proto::ordealpb::command::Op;
use ordeal_cluster::restore::{RestoreError, restore};
use sha2::{Digest, Sha256};

const CLUSTER: &str = "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380";

/// A state with history, deletions, a compaction, and keys of many pages.
fn image() -> Image {
    let mut image = bootstrap_image(&[]);
    let mut apply = |op: Op| {
        image.state.apply(&op, Bugs::default(), false).expect("applied");
    };
    for round in 0..3 {
        for nth in 0..120 {
            let key = format!("key-{nth:03}").into();
            let value = vec![b'a' + round; nth * 5].into();
            apply(Op::Put(PutRequest { key, value, ..PutRequest::default() }));
        }
    }
    let key = "key-007".into();
    apply(Op::DeleteRange(DeleteRangeRequest { key, ..DeleteRangeRequest::default() }));
    apply(Op::Compact(CompactionRequest { revision: 200, physical: false }));
    // As it is read: a live one remembers besides what it has changed last.
    Image::decode(&image.encode()).expect("a good image")
}

fn saved(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(()) = Backend::new(image).write(|part| {
        bytes.extend_from_slice(part);
        Ok::<_, std::convert::Infallible>(())
    });
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

#[test]
fn each_member_goes_on_from_the_same_state_as_a_member_of_one_new_cluster() {
    let image = image();
    let bytes = saved(&image);
    let mut clusters = Vec::new();
    for name in ["n1", "n2"] {
        let disk: Arc<dyn Disk> = Arc::new(MemDisk::default());
        let revision = restore(&bytes, disk.clone(), name, CLUSTER, "t").expect("restored");
        assert_eq!(revision, image.state.kv.revision());
        let owner = log::owner(&*disk).expect("read").expect("an owner");
        assert!(!owner.joined);
        clusters.push(owner.cluster_id);
        let config = LogConfig {
            node_id: owner.node_id,
            cluster_id: owner.cluster_id,
            segment_bytes: SEGMENT_BYTES,
            joined: false,
            bugs: Bugs::default(),
        };
        let (_, recovered) = log::open(disk.clone(), config).expect("opened");
        let found = recovered.snapshot.expect("a snapshot");
        assert_eq!(found.state.kv, image.state.kv);
        assert_eq!(found.state.members.len(), 2);
        assert!(found.state.members.contains_key(&owner.node_id), "{:?}", found.state.members);
        let again = restore(&bytes, disk, name, CLUSTER, "t");
        assert!(matches!(again, Err(RestoreError::NotEmpty)), "{again:?}");
    }
    assert_eq!(clusters[0], clusters[1]);
}

#[test]
fn what_is_not_a_whole_snapshot_is_refused_wherever_it_is_cut_or_damaged() {
    let bytes = saved(&image());
    let tried = |bytes: &[u8]| {
        let error = restore(bytes, Arc::new(MemDisk::default()), "n1", CLUSTER, "t");
        error.expect_err("it is not whole").to_string()
    };
    assert!(tried(&[]).contains("was not saved whole"), "{}", tried(&[]));
    assert!(tried(&bytes[..bytes.len() - 32]).contains("was not saved whole"));
    for at in (0..bytes.len()).step_by(9_973) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(tried(&damaged).contains("checksum is wrong"), "{at}");
        // With the checksum made right again, what is inside is looked at, and nothing panics.
        let database = damaged.len() - 32;
        let sum = Sha256::digest(&damaged[..database]);
        damaged[database..].copy_from_slice(&sum);
        let _ = restore(&damaged, Arc::new(MemDisk::default()), "n1", CLUSTER, "t");
    }
    let stranger = restore(&bytes, Arc::new(MemDisk::default()), "n9", CLUSTER, "t");
    assert!(matches!(stranger, Err(RestoreError::Stranger(_))), "{stranger:?}");
}
