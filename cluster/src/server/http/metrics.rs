//! The node's measures in Prometheus' text format, under etcd's names.

use std::fmt::Write;

use super::GrpcCounts;
use crate::core::Vitals;
use crate::server::peers::snapshot;
use crate::server::syncs::{BUCKETS_S, Syncs};

/// Methods whose calls are streams both ways, and those whose answer is one.
const BIDIRECTIONAL: [&str; 2] =
    ["/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"];
const SERVER_STREAMS: [&str; 2] =
    ["/etcdserverpb.Maintenance/Snapshot", "/v3electionpb.Election/Observe"];

pub(super) fn render(vitals: &Vitals, syncs: &Syncs, counts: &GrpcCounts) -> String {
    let mut out = String::new();
    server(&mut out, vitals);
    store(&mut out, vitals);
    wal(&mut out, syncs);
    network(&mut out);
    grpc(&mut out, counts);
    process(&mut out);
    out
}

fn one(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    head(out, name, kind, help);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{name} {value}");
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn server(out: &mut String, vitals: &Vitals) {
    let flag = u64::from;
    let mut gauge = |name: &str, help: &str, value: u64| one(out, name, "gauge", help, value);
    gauge(
        "etcd_server_has_leader",
        "Whether or not a leader exists. 1 is existence, 0 is not.",
        flag(vitals.has_leader),
    );
    gauge(
        "etcd_server_is_leader",
        "Whether or not this member is a leader. 1 if is, 0 otherwise.",
        flag(vitals.is_leader),
    );
    gauge(
        "etcd_server_is_learner",
        "Whether or not this member is a learner. 1 if is, 0 otherwise.",
        flag(vitals.is_learner),
    );
    gauge(
        "etcd_server_proposals_committed_total",
        "The total number of consensus proposals committed.",
        vitals.committed,
    );
    gauge(
        "etcd_server_proposals_applied_total",
        "The total number of consensus proposals applied.",
        vitals.applied,
    );
    gauge(
        "etcd_server_proposals_pending",
        "The current number of pending proposals to commit.",
        vitals.proposals_pending,
    );
    let mut counter = |name: &str, help: &str, value: u64| one(out, name, "counter", help, value);
    counter(
        "etcd_server_proposals_failed_total",
        "The total number of failed proposals seen.",
        vitals.proposals_failed,
    );
    counter(
        "etcd_server_leader_changes_seen_total",
        "The number of leader changes seen.",
        vitals.leader_changes,
    );
    head(out, "etcd_server_version", "gauge", "Which version is running. 1 for the version.");
    let _ = writeln!(out, "etcd_server_version{{server_version=\"{}\"}} 1", crate::SERVED_VERSION);
}

fn store(out: &mut String, vitals: &Vitals) {
    for (name, help, value) in [
        (
            "etcd_mvcc_db_total_size_in_bytes",
            "Total size of the store in bytes, with what it has taken and not given back.",
            vitals.db_bytes,
        ),
        (
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Size of the store in bytes.",
            vitals.db_bytes_in_use,
        ),
        ("etcd_debugging_mvcc_keys_total", "Total number of keys.", vitals.keys),
        (
            "etcd_debugging_mvcc_current_revision",
            "The current revision of store.",
            vitals.revision as u64,
        ),
        (
            "etcd_debugging_mvcc_compact_revision",
            "The revision of the last compaction in store.",
            vitals.compact_revision as u64,
        ),
    ] {
        one(out, name, "gauge", help, value);
    }
    for (name, help, value) in [
        ("etcd_mvcc_put_total", "Total number of puts seen by this member.", vitals.puts),
        ("etcd_mvcc_delete_total", "Total number of deletes seen by this member.", vitals.deletes),
        ("etcd_mvcc_txn_total", "Total number of txns seen by this member.", vitals.txns),
        ("etcd_mvcc_range_total", "Total number of ranges seen by this member.", vitals.ranges),
    ] {
        one(out, name, "counter", help, value);
    }
}

fn wal(out: &mut String, syncs: &Syncs) {
    let name = "etcd_disk_wal_fsync_duration_seconds";
    head(out, name, "histogram", "The latency distributions of fsync called by WAL.");
    let (buckets, count, sum_s) = syncs.read();
    for (bound, below) in BUCKETS_S.iter().zip(buckets) {
        let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {below}");
    }
    let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{name}_sum {sum_s}\n{name}_count {count}");
}

fn network(out: &mut String) {
    let (sending, sent) = snapshot::counts();
    let name = "etcd_network_snapshot_send_inflights_total";
    one(out, name, "gauge", "Total number of inflight snapshot sends.", sending);
    let name = "etcd_network_snapshot_send_total_duration_seconds_count";
    one(out, name, "counter", "Total number of snapshot sends, successful or not.", sent);
}

fn grpc(out: &mut String, counts: &GrpcCounts) {
    let calls = counts.snapshot();
    let labels = |path: &str| {
        let kind = if BIDIRECTIONAL.contains(&path) {
            "bidi_stream"
        } else if SERVER_STREAMS.contains(&path) {
            "server_stream"
        } else {
            "unary"
        };
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or(("", path));
        format!("grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{kind}\"")
    };
    let name = "grpc_server_started_total";
    head(out, name, "counter", "Total number of RPCs started on the server.");
    for (path, calls) in &calls {
        let _ = writeln!(out, "{name}{{{}}} {}", labels(path), calls.started);
    }
    let name = "grpc_server_handled_total";
    head(out, name, "counter", "Total number of RPCs completed on the server.");
    for (path, calls) in &calls {
        for (code, handled) in &calls.handled {
            let _ = writeln!(out, "{name}{{grpc_code=\"{code}\",{}}} {handled}", labels(path));
        }
    }
}

/// What the kernel tells of this process; nothing where it does not.
fn process(out: &mut String) {
    let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Vec<u64> = statm.split(' ').filter_map(|word| word.trim().parse().ok()).collect();
    if let (Ok(Some(page_bytes)), [virtual_pages, resident_pages, ..]) = (page_bytes, &pages[..]) {
        let page_bytes = page_bytes as u64;
        let name = "process_virtual_memory_bytes";
        one(out, name, "gauge", "Virtual memory size in bytes.", virtual_pages * page_bytes);
        let name = "process_resident_memory_bytes";
        one(out, name, "gauge", "Resident memory size in bytes.", resident_pages * page_bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let name = "process_open_fds";
        one(out, name, "gauge", "Number of open file descriptors.", open.count());
    }
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    if let Ok(usage) = usage {
        let seconds = [usage.user_time(), usage.system_time()]
            .iter()
            .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
            .sum::<f64>();
        let name = "process_cpu_seconds_total";
        one(out, name, "counter", "Total user and system CPU time spent in seconds.", seconds);
    }
}
