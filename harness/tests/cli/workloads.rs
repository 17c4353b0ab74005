//! Every workload on a real cluster, with users and certificates, and what some of them are for.

use crate::common::{Run, etcd, ordeal, sandbox_or_skip};

/// What every run here has: a short one, on three members, with patience for a busy machine.
const SHORT: &[&str] =
    &["--nodes=3", "--time-limit=6s", "--rate=150", "--op-timeout=2s", "--seed=3"];

/// The names that `ordeal list workloads` tells. `lock-set` is left out: it may lose elements.
fn workloads() -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = ordeal(folder.path(), &["list", "workloads", "--json"]);
    let listed: Vec<serde_json::Value> =
        serde_json::from_slice(&output.stdout).expect("a list of objects");
    let names = listed.iter().map(|one| one["name"].as_str().expect("a name").to_owned());
    names.filter(|name| name != "lock-set" && name != "mixed").collect()
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
