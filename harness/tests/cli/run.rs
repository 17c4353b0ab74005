//! `ordeal run` as its users meet it: the whole way from the command line to the exit status.

use crate::common::{Run, etcd, ordeal, sandbox_or_skip};
use std::path::Path;

#[test]
fn the_embedded_cluster_passes_under_kill_pause_and_partition() {
    if !sandbox_or_skip() {
        return;
    }
    let run = Run::of(&["--time-limit", "20s", "--seed", "1"]);
    run.expect_status(0);
    run.expect_activity(500, &["kill", "pause", "partition"]);
}

#[test]
fn a_real_etcd_passes_under_kill_pause_and_partition() {
    let Some(etcd) = etcd() else { return };
    if !sandbox_or_skip() {
        return;
    }
    let run = Run::of(&["--db", &etcd, "--time-limit", "20s", "--seed", "1"]);
    run.expect_status(0);
    run.expect_activity(500, &["kill", "pause", "partition"]);
}

#[test]
fn clock_faults_land_and_the_history_tells_what_the_nodes_read() {
    if !sandbox_or_skip() {
        return;
    }
    let kinds = ["clock-jump", "clock-drift", "clock-strobe"];
    let nemesis = kinds.join(",");
    let run = Run::of(&["--nemesis", &nemesis, "--time-limit", "10s", "--nodes", "3"]);
    run.expect_status(0);
    run.expect_activity(200, &kinds);
    let text = std::fs::read_to_string(run.file("history.jsonl")).expect("history.jsonl");
    let lines = text.lines().map(|l| serde_json::from_str(l).expect("a line of JSON"));
    for ended in lines.filter(|e: &serde_json::Value| e["value"]["phase"] == "end") {
        let clocks = ended["value"]["seen"]["clocks"].as_object().expect("clocks");
        for (node, read) in clocks {
            let wall_ahead_us = read["wall_ahead_us"].as_i64().expect("a reading");
            assert!(wall_ahead_us.abs() > 1_000, "{node}: {ended}");
        }
    }
}

#[test]
fn faults_of_links_land_and_the_history_tells_what_packets_went_through() {
    if !sandbox_or_skip() {
        return;
    }
    // The first six strike every packet; the others a share, which may be none of a few.
    let signs = [
        ("delay", "delayed"),
        ("rate", "throttled"),
        ("slow-clients", "delayed"),
        ("client-partition", "dropped"),
        ("flap", "dropped"),
        ("swizzle", "dropped"),
        ("loss", "lost"),
        ("duplicate", "duplicated"),
        ("reorder", "reordered"),
        ("packet-corrupt", "corrupted"),
        ("reset", "reset"),
    ];
    let kinds = signs.map(|(kind, _)| kind);
    let nemesis = kinds.join(",");
    let run =
        Run::of(&["--nemesis", &nemesis, "--time-limit", "20s", "--nodes", "3", "--seed", "1"]);
    run.expect_status(0);
    run.expect_activity(200, &kinds[..6]);
    let text = std::fs::read_to_string(run.file("history.jsonl")).expect("history.jsonl");
    let lines = text.lines().map(|l| serde_json::from_str(l).expect("a line of JSON"));
    for ended in lines.filter(|e: &serde_json::Value| e["value"]["landed"] == true) {
        let kind = ended["f"].as_str().expect("a kind");
        let (_, sign) = signs.iter().find(|(known, _)| *known == kind).expect("one of these");
        assert!(ended["value"]["seen"][sign].as_u64().expect("a number") > 0, "{ended}");
    }
}

#[test]
fn what_passes_on_a_link_is_written_down_on_request() {
    if !sandbox_or_skip() {
        return;
    }
    let links = ["--pcap", "n1-n2,n3-clients", "--nemesis", "none", "--nodes", "3"];
    let run = Run::of(&[&links[..], &["--time-limit", "2s"]].concat());
    run.expect_status(0);
    for (name, port) in [("n1-n2", 2380_u16), ("n3-clients", 2379)] {
        let bytes = std::fs::read(run.file(&format!("pcap/{name}.pcapng"))).expect("a capture");
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a word"));
        assert_eq!((word(0), word(8)), (0x0a0d_0d0a, 0x1a2b_3c4d), "{name}: pcapng's head");
        let (mut at, mut segments) = (0, 0);
        while at < bytes.len() {
            // A packet's block: interface, time, lengths, and then the packet, IPv4 with TCP in it.
            if word(at) == 6 && bytes[at + 28] == 0x45 && bytes[at + 28 + 9] == 6 {
                let port_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                let tcp = at + 28 + 20;
                segments += usize::from(port_at(tcp) == port || port_at(tcp + 2) == port);
            }
            at += word(at + 4) as usize;
        }
        println!("{name}: {segments} segments");
        assert!(segments > 100, "{name}: {segments} segments of port {port}");
    }
}

#[test]
fn what_a_lying_disk_has_acknowledged_is_found_to_be_lost() {
    if sandbox_or_skip() {
        expect_lost(&[]);
    }
}

#[test]
fn what_a_lying_disk_of_a_real_etcd_has_acknowledged_is_found_to_be_lost() {
    let Some(etcd) = etcd() else { return };
    if sandbox_or_skip() {
        expect_lost(&["--db", &etcd]);
    }
}

fn expect_lost(args: &[&str]) {
    let lying = ["--nemesis", "lying-disk", "--time-limit", "10s", "--nodes", "3", "--seed", "3"];
    let run = Run::of(&[&lying[..], args].concat());
    run.expect_status(1);
    run.expect_activity(200, &["lying-disk"]);
    let results = run.results();
    let told = results["tested"]["options"]["faults"].as_str().expect("the budget");
    assert!(told.starts_with("need not be survived: lying-disk"), "{told}");
    let text = std::fs::read_to_string(run.file("history.jsonl")).expect("history.jsonl");
    let lost = text.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        event["value"]["seen"]["disks"]["n1"]["bytes_lost"].as_u64()
    });
    let lost: u64 = lost.sum();
    println!("n1 lost {lost} bytes that it had acknowledged");
    assert!(lost > 0, "{text}");
}

#[test]
fn stale_reads_of_the_embedded_cluster_are_caught() {
    if sandbox_or_skip() {
        expect_stale(&["--read", "serializable", "--nemesis", "partition", "--seed", "7"]);
    }
}

#[test]
fn stale_reads_of_a_real_etcd_are_caught() {
    let Some(etcd) = etcd() else { return };
    if sandbox_or_skip() {
        let args = ["--db", &etcd, "--read", "serializable", "--nemesis", "partition"];
        expect_stale(&args);
    }
}

#[test]
fn a_leader_that_reads_locally_is_caught() {
    if sandbox_or_skip() {
        expect_stale(&["--bug", "local-read", "--nemesis", "partition", "--time-limit", "40s"]);
    }
}

fn expect_stale(args: &[&str]) {
    let run = Run::of(args);
    run.expect_status(1);
    let results = run.results();
    let line = &results["checkers"].as_array().expect("checkers")[0];
    assert_eq!(line["verdict"], "invalid", "{results:#}");
    let events = line["counterexample"]["events"].as_array().expect("events").len();
    assert!((2..=12).contains(&events), "{events} events: more than six operations");
    let text = std::fs::read_to_string(run.file("counterexample.jsonl")).expect("counterexample");
    assert!(text.lines().count() <= 12, "{text}");
    assert!(run.file("reproducer.json").exists());
    // What is left is wrong by itself: judged alone, renumbered or not, it stays invalid.
    let stdout = run.stdout();
    assert!(stdout.contains("invalid"), "{stdout}");
}

#[test]
fn a_plan_plays_the_same_faults_again() {
    if !sandbox_or_skip() {
        return;
    }
    let first = Run::of(&["--time-limit", "8s", "--seed", "3", "--nodes", "3"]);
    first.expect_status(0);
    let plan = first.file("plan.json");
    let second = Run::of(&["--plan", plan.to_str().expect("a path in UTF-8")]);
    second.expect_status(0);
    assert_eq!(schedule(&first.folder()), schedule(&second.folder()));
    // A fault aimed at the leader finds none while earlier faults hold a majority down, and is
    // noted as failed then: what is the same is what was tried.
    assert_eq!(first.tried(), second.tried());
    assert_eq!(first.tried().len(), schedule(&first.folder()).as_array().map_or(0, Vec::len));
}

fn schedule(folder: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("plan.json")).expect("plan.json");
    let plan: serde_json::Value = serde_json::from_str(&text).expect("plan.json is JSON");
    plan["schedule"].clone()
}

#[test]
fn wrong_input_ends_with_its_status_and_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let not_etcd = "/bin/true";
    let rows: &[(&[&str], i32, &str)] = &[
        (&["run", "--workload", "registre"], 64, "register"),
        (&["run", "--nemesis", "kil"], 64, "kill"),
        (&["run", "--nemesis", "kill@the-leader"], 64, "minority"),
        (&["run", "--nemesis", "kill@n9"], 64, "there is no node n9; the nodes are n1"),
        (&["run", "--nemesis", "kill:noon"], 64, "election"),
        (&["run", "--nemesis", "upgrade"], 64, "--upgrade-to PATH"),
        (&["run", "--upgrade-to", "/bin/true"], 69, "true: this is no etcd"),
        (&["run", "--pcap", "n1-n9"], 64, "--pcap: there is no link `n1-n9`"),
        (&["run", "--db", "/nowhere/etcd"], 69, "/nowhere/etcd"),
        (&["run", "--db", not_etcd], 69, "etcd"),
        (&["run", "--bug", "no-such-bug"], 64, "local-read"),
        (&["run", "--nodes", "0"], 64, "nodes"),
        (&["run", "--time-limit", "soon"], 64, "soon"),
        (&["run", "--plan", "/nowhere/plan.json"], 64, "/nowhere/plan.json"),
        (&["check", "/nowhere/history.jsonl"], 64, "/nowhere/history.jsonl"),
        (&["frobnicate"], 64, "frobnicate"),
    ];
    for (args, status, mentions) in rows {
        let output = ordeal(folder.path(), args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(*status), "{args:?}: {stderr}");
        assert!(stderr.contains(mentions), "{args:?} says: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?} says: {stderr}");
    }
}

#[test]
fn a_plan_with_a_mistake_is_refused_by_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("plan.json");
    std::fs::write(&path, "{\n  \"version\": 1,\n  \"seed\": \"seven\"\n}\n").expect("written");
    let output = ordeal(folder.path(), &["run", "--plan", path.to_str().expect("UTF-8")]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("line 3"), "{stderr}");
}
