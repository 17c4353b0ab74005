//! A snapshot that is saved from an embedded node goes on in a real etcd.

use std::process::{Child, Command};

use tempfile::TempDir;

use super::console::Console;
use super::output::text;
use super::target::{Target, restored};
use super::{from_folder, is_required, name, programs};
use crate::cluster::free_ports;
use crate::differential::etcd::{Release, etcd, release};

/// A process that dies with this value.
struct Dies(Child);

impl Drop for Dies {
    fn drop(&mut self) {
        // Whatever comes of it, nobody is left to be told.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is put before: more keys than a page has room for, one that has pages of its own, history
/// that a compaction has cut, a deletion, leases, users, a role.
fn fill(folder: &TempDir) -> String {
    let mut script = String::new();
    for nth in 0..120 {
        script += &format!("put key-{nth} {}\n", "v".repeat(nth));
    }
    script += &format!("put large {}\n", "x".repeat(20_000));
    script += "del key-7\ncompaction 100\ndel key-8\nput key-9 9\n";
    script += "lease grant 4000\nput bound 1 --lease $LEASE\nlease grant 5000\n";
    script += "user add root:pw\nuser grant-role root root\nuser add alice:pw\nrole add r\n";
    script += "user grant-role alice r\nrole grant-permission r readwrite key-1 key-2\n";
    script += &format!("snapshot save {}/db\n", folder.path().display());
    script
}

/// What must be the same in the etcd that goes on.
const QUESTIONS: &str = "\
get '' --from-key
get key-9 --rev 100
get key-8 --rev 121
get key-9 --rev 99
get bound -w json
hold w 4: watch key --prefix --rev 122
kill w
user list
user get alice
role get r
auth enable
--user alice:pw get key-11
--user alice:pw get large
--user root:pw put key-1 on
--user root:pw get key-1 -w json
";

fn check_restored((etcdctl, release): (&str, Release), etcd: &str) {
    let folder = TempDir::new().expect("a directory");
    let mut embedded = Target::embedded(1, None);
    let filled = Console::new((etcdctl, release), &mut embedded, Vec::new()).play(&fill(&folder));
    assert!(!filled.contains("(status"), "{filled}");
    let saved = folder.path().join("db");
    let run = |arguments: &[&str]| {
        let output = Command::new(etcdctl).env("ETCDCTL_API", "3").args(arguments).output();
        let output = output.expect("it ran before");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let saved = saved.to_str().expect("text");
    let status = run(&["snapshot", "status", saved]);
    let cells: Vec<&str> = status.trim().split(", ").collect();
    assert_eq!(cells[1], "126", "the newest revision: {status}");
    let size = std::fs::metadata(saved).expect("a file").len() - 32;
    assert_eq!(size % 4096, 0, "pages and a checksum");

    let ports = free_ports(2);
    let urls = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect::<Vec<_>>();
    let data = folder.path().join("restored");
    let data_dir = data.to_str().expect("text");
    let cluster = format!("n0={}", urls[1]);
    run(&[
        "snapshot",
        "restore",
        saved,
        "--name",
        "n0",
        "--data-dir",
        data_dir,
        "--initial-cluster",
        &cluster,
        "--initial-advertise-peer-urls",
        &urls[1],
    ]);
    let urls = (urls[0].clone(), urls[1].clone());
    let _process = Dies(restored(etcd, &data, &urls));
    let leases = "sorted: lease list\n";
    let mut real = Target::Outside(vec![urls.clone(), urls]);
    let questions = format!("{leases}{QUESTIONS}");
    let answers = Console::new((etcdctl, release), &mut real, Vec::new()).play(&questions);
    let ours = Console::new((etcdctl, release), &mut embedded, Vec::new()).play(&questions);
    assert_eq!(
        super::differences(&ours, &answers),
        "",
        "after a restore by etcdctl {}",
        name(release)
    );
}

#[test]
fn a_saved_snapshot_is_restored_and_served_by_a_real_etcd() {
    for (etcdctl, version) in programs() {
        let Some(etcd) = from_folder("etcd", version).or_else(etcd) else {
            assert!(!is_required(), "there is no etcd on the path, nor in $ORDEAL_ETCD");
            eprintln!("skipped: there is no etcd on the path, nor in $ORDEAL_ETCD");
            continue;
        };
        eprintln!("etcdctl {} restores for etcd {:?}", name(version), release(&etcd));
        check_restored((&etcdctl, version), &etcd);
    }
}
