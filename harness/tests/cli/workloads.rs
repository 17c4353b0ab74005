//! Every workload on a real cluster, with users and certificates, and what some of them are for.

use crate::common::{Run, etcd, ordeal, sandbox_or_skip};

/// What every run here has: a short one, on three members, with patience for a busy machine.
const SHORT: &[&str] =
    &["--nodes=3", "--time-limit=6s", "--rate=150", "--op-timeout=2s", "--seed=3"];

/// The names that `ordeal list workloads` tells. `lock-set` is left out: it may lose elements; and
/// `v2`, which has users of its own and no embedded cluster.
fn workloads() -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = ordeal(folder.path(), &["list", "workloads", "--json"]);
    let listed: Vec<serde_json::Value> =
        serde_json::from_slice(&output.stdout).expect("a list of objects");
    let names = listed.iter().map(|one| one["name"].as_str().expect("a name").to_owned());
    names.filter(|name| !["lock-set", "mixed", "v2"].contains(&name.as_str())).collect()
}

fn pass_all(db: &[&str], but: &[&str]) {
    let names = workloads();
    assert!(names.len() >= 17, "{names:?}");
    for name in names.into_iter().filter(|name| !but.contains(&name.as_str())) {
        let workload = format!("--workload={name}");
        let mut args = vec![workload.as_str(), "--auth", "--tls", "--nemesis=kill"];
        args.extend(SHORT.iter().chain(db));
        let run = Run::of(&args);
        eprintln!("{name}");
        run.expect_status(0);
        for line in ["members-equal", "leases-equal", "auth-equal", "membership-equal"] {
            assert!(run.stdout().contains(line), "{name}: {}", run.stdout());
        }
    }
}

#[test]
fn every_workload_passes_on_the_embedded_cluster_with_users_and_certificates() {
    if sandbox_or_skip() {
        pass_all(&[], &[]);
    }
}

#[test]
fn every_workload_passes_on_a_real_etcd_with_users_and_certificates() {
    let Some(etcd) = etcd() else { return };
    if sandbox_or_skip() {
        // What 3.4 truly gets wrong: #18089, #11456, and nested transactions (CVE-2026-33343).
        pass_all(&["--db", &etcd], &["watch", "lock", "auth"]);
    }
}

#[test]
fn the_v2_api_is_refused_where_there_is_none_and_users_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let etcd = etcd().map(|etcd| format!("--db={etcd}"));
    let mut rows = vec![(vec!["run", "--workload=v2"], "the embedded cluster does not have")];
    rows.push((vec!["sim", "--workload=v2", "--seed=1"], "the embedded cluster does not have"));
    if let Some(db) = &etcd {
        rows.push((vec!["run", "--workload=v2", "--auth", db], "--auth: `v2` asks"));
    }
    for (args, told) in rows {
        let output = ordeal(folder.path(), &args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(said.contains(told) && said.trim().lines().count() == 1, "{args:?}: {said}");
    }
}

#[test]
fn plain_reads_of_the_v2_api_are_found_stale_and_those_with_quorum_are_not() {
    let Some(etcd) = etcd() else { return };
    if !sandbox_or_skip() {
        return;
    }
    for (read, tls, status) in [("serializable", false, 1), ("linearizable", true, 0)] {
        let read = format!("--read={read}");
        let mut args = vec!["--workload=v2", "--db", &etcd, &read, "--nemesis=partition"];
        args.extend(tls.then_some("--tls"));
        args.extend(SHORT.iter().filter(|arg| !arg.starts_with("--time-limit")));
        args.push("--time-limit=15s");
        let run = Run::of(&args);
        run.expect_status(status);
        run.expect_activity(200, &["partition"]);
    }
}

#[test]
fn a_planted_bug_is_found_by_the_workload_that_is_for_it() {
    if !sandbox_or_skip() {
        return;
    }
    let rows = [
        ("apply-differs", "mixed", "members-equal"),
        ("watch-gap", "watch", "watch"),
        ("revision-skips", "kv", "etcd"),
    ];
    for (bug, workload, line) in rows {
        let (bug, workload) = (format!("--bug={bug}"), format!("--workload={workload}"));
        let mut args = vec![bug.as_str(), workload.as_str(), "--nemesis=none"];
        args.extend(SHORT);
        args.push("--time-limit=20s");
        let args: Vec<&str> = args.into_iter().filter(|arg| *arg != "--time-limit=6s").collect();
        let run = Run::of(&args);
        run.expect_status(1);
        let told = run.stdout();
        let marked = told.lines().any(|told| told.contains('✗') && told.contains(line));
        assert!(marked, "{bug}: {told}");
    }
}
