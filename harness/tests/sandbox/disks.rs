//! What a node sees of its disk.

use crate::probe::{Bench, node};
use ordeal::sandbox::SandboxError;
use ordeal_nemesis::Capability;
use ordeal_nemesis::disk::{Access, Corruption, Effect, Files, Rule, Survivors};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(300);

/// Nodes 1 and 2 have disks of their own, in `d1` and `d2`; node 3 has none.
pub fn probe(bench: &Bench) {
    let sandbox = &bench.sandbox;
    if !sandbox.offers().contains(&Capability::Disk) {
        println!("skipped: there is no FUSE device");
        let required = std::env::var_os("ORDEAL_REQUIRE_ETCD").is_some_and(|value| value == "1");
        assert!(!required, "and here it must be there");
        return;
    }
    for number in 1..=2 {
        let at = bench.folder.join(format!("d{number}"));
        std::fs::create_dir(&at).unwrap();
        sandbox.mount_disk(&node(number), &at).unwrap();
        bench.start(number);
    }
    power_loss(bench);
    trouble(bench);
    corruption(bench);
    let none = sandbox.lose_power(&node(3), Survivors::Nothing, 0);
    assert!(matches!(none, Err(SandboxError::NoDisk(_))), "{none:?}");
    for number in 1..=2 {
        sandbox.kill(&node(number)).unwrap();
        sandbox.unmount_disk(&node(number)).unwrap();
    }
    let kept = std::fs::read_to_string(bench.folder.join("d1/kept")).unwrap();
    assert_eq!(kept, "twice", "the files are written out in the end");
}

fn power_loss(bench: &Bench) {
    assert_eq!(bench.ask(1, "keep d1/kept once"), "written");
    assert_eq!(bench.ask(1, "write d1/lost gone"), "written");
    assert_eq!(bench.ask(2, "write d2/other stays"), "written");
    assert_eq!(bench.ask(1, "read d1/lost"), "gone");
    let loss = bench.sandbox.lose_power(&node(1), Survivors::Nothing, 0).unwrap();
    assert_eq!((loss.bytes_lost, loss.changes_lost), (4, 1));
    assert_eq!(bench.sandbox.pid(&node(1)).unwrap(), None);
    assert_eq!(bench.sandbox.exited(&node(1)).unwrap(), None, "it was our doing");
    bench.start(1);
    assert_eq!(bench.ask(1, "read d1/kept"), "once");
    assert_eq!(bench.ask(1, "read d1/lost"), "NotFound");
    assert_eq!(bench.ask(2, "read d2/other"), "stays", "it is another disk");
    bench.sandbox.kill(&node(1)).unwrap();
    assert_eq!(bench.sandbox.lose_power(&node(1), Survivors::Nothing, 0).unwrap().bytes_lost, 0);
    bench.start(1);
}

fn trouble(bench: &Bench) {
    let sandbox = &bench.sandbox;
    let stand =
        |effect| sandbox.break_disk(&node(1), &Rule { files: Files::any(), effect }).unwrap();
    let failing = stand(Effect::Fail(Access::Fsync));
    assert_eq!(bench.ask(1, "keep d1/kept twice"), "Uncategorized", "EIO has no name in Rust");
    assert_eq!(sandbox.mend_disk(&node(1), failing).unwrap(), 1);
    assert_eq!(bench.ask(1, "keep d1/kept twice"), "written");
    let full = stand(Effect::Full { bytes_free: 4 });
    assert_eq!(bench.ask(1, "keep d1/full more-than-that"), "StorageFull");
    assert!(sandbox.mend_disk(&node(1), full).unwrap() >= 1);
    assert_eq!(bench.ask(1, "keep d1/full more-than-that"), "written");
    let slow = stand(Effect::Delay { access: Access::Fsync, delay_ms: 3_600_000 });
    assert_eq!(bench.answer(1, "keep d1/slow x", SOON), None);
    let start = Instant::now();
    sandbox.kill(&node(1)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "an hour's delay holds no killed process");
    assert_eq!(sandbox.mend_disk(&node(1), slow).unwrap(), 1);
    bench.start(1);
    let lying = stand(Effect::LieAboutFsync);
    assert_eq!(bench.ask(1, "keep d1/lie x"), "written");
    sandbox.lose_power(&node(1), Survivors::Nothing, 0).unwrap();
    assert_eq!(sandbox.mend_disk(&node(1), lying).unwrap(), 1);
    bench.start(1);
    assert_eq!(bench.ask(1, "read d1/lie"), "NotFound");
}

fn corruption(bench: &Bench) {
    let files = Files("kept".to_owned());
    bench.sandbox.kill(&node(1)).unwrap();
    let cut = Corruption::TruncateTail { bytes_max: 1 };
    let damage = bench.sandbox.corrupt(&node(1), cut, &files, 0).unwrap();
    assert_eq!((damage.path.as_str(), damage.offset, damage.bytes), ("kept", 4, 1));
    bench.start(1);
    assert_eq!(bench.ask(1, "read d1/kept"), "twic");
    assert_eq!(bench.ask(1, "keep d1/kept twice"), "written");
}
