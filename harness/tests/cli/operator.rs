//! What an operator does to a cluster, as clients and the history see it.

use crate::common::{Run, etcd, sandbox_or_skip};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

const KINDS: [&str; 11] = [
    "member-add",
    "member-remove",
    "member-replace",
    "wipe",
    "learner",
    "move-leader",
    "compact",
    "defrag",
    "snapshot",
    "alarm",
    "rolling-restart",
];

#[test]
fn members_of_the_embedded_cluster_change_under_load() {
    if sandbox_or_skip() {
        expect_everything_lands(&["--seed", "2"]);
    }
}

#[test]
fn members_of_a_real_etcd_change_under_load() {
    let Some(etcd) = etcd() else { return };
    if sandbox_or_skip() {
        expect_everything_lands(&["--db", &etcd, "--seed", "1"]);
    }
}

fn expect_everything_lands(args: &[&str]) {
    let nemesis = KINDS.join(",");
    let mut all = vec!["--nodes", "3", "--nemesis", &nemesis, "--time-limit", "45s"];
    all.extend(args);
    let run = Run::of(&all);
    run.expect_status(0);
    run.expect_activity(200, &KINDS);
    let history = history(&run);
    for ended in history.iter().filter(|event| event["value"]["phase"] == "end") {
        check(ended, &history, &run);
    }
}

fn history(run: &Run) -> Vec<Value> {
    let text = std::fs::read_to_string(run.file("history.jsonl")).expect("history.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// What was seen of one fault, by its kind.
fn check(ended: &Value, history: &[Value], run: &Run) {
    let seen = &ended["value"]["seen"];
    let steps = seen["steps"].as_array().expect("steps");
    let did = |what: &str| steps.iter().find(|step| step["did"] == what);
    let listed = |when: &str| {
        let members = seen[when].as_array().unwrap_or_else(|| panic!("{when}: {ended}"));
        members.iter().map(|m| (m["node"].clone(), m["id"].clone())).collect::<Vec<_>>()
    };
    match ended["f"].as_str().expect("a kind") {
        "member-add" => {
            let id = &did("add").expect("it joined")["id"];
            assert_eq!(did("remove").expect("it left")["id"], *id, "{ended}");
            assert_eq!(listed("members_before").len(), 3, "{ended}");
            assert_eq!(listed("members_after").len(), 3, "{ended}");
            let served = operations(history, ended, "n4").filter(|event| event["type"] == "ok");
            assert!(served.count() > 0, "no client was served by the new member: {ended}");
        }
        "member-remove" | "member-replace" | "wipe" | "learner" => {
            let (before, after) = (listed("members_before"), listed("members_after"));
            assert_eq!((before.len(), after.len()), (3, 3), "{ended}");
            let node = &did("wipe").expect("its data went")["node"];
            let id = |listed: &[(Value, Value)]| {
                listed.iter().find(|(name, _)| name == node).map(|(_, id)| id.clone())
            };
            assert!(id(&before).is_some() && id(&after).is_some(), "{ended}");
            assert_ne!(id(&before), id(&after), "it is another member now: {ended}");
            assert!(did("wipe").is_some_and(|step| step["bytes"].as_u64() > Some(0)), "{ended}");
            if ended["f"] == "learner" {
                assert!(did("add learner").is_some() && did("promote").is_some(), "{ended}");
            }
        }
        "move-leader" => {
            let moved = did("move-leader").expect("it was asked to");
            assert_ne!(moved["from"], moved["leader"], "{ended}");
        }
        "compact" => {
            let revision = did("compact").expect("it was done")["revision"].as_u64();
            assert!(revision > Some(1), "{ended}");
        }
        "defrag" => {
            let bytes = did("defragment").expect("it was done")["bytes_after"].as_u64();
            assert!(bytes > Some(0), "{ended}");
        }
        "snapshot" => {
            let saved = did("snapshot").expect("it was saved");
            let node = saved["node"].as_str().expect("a node");
            let name = format!("nodes/{node}/snapshot-{}.db", ended["value"]["id"]);
            let length = std::fs::metadata(run.file(&name)).expect("the file").len();
            assert_eq!(saved["bytes"].as_u64(), Some(length), "{ended}");
        }
        "alarm" => {
            assert_eq!(did("raise").expect("it was raised")["alarms"], 1, "{ended}");
            assert_eq!(did("disarm").expect("it was disarmed")["alarms"], 0, "{ended}");
            let refused = |event: &&Value| {
                let error = event["error"].as_str().unwrap_or_default();
                event["type"] == "fail" && error.contains("database space exceeded")
            };
            let count = during(history, ended).filter(refused).count();
            assert!(count > 0, "no write was refused: {ended}");
        }
        "rolling-restart" => {
            let started: Vec<&Value> = steps.iter().filter(|step| step["did"] == "start").collect();
            assert!(!started.is_empty(), "{ended}");
        }
        other => panic!("{other} was not asked for"),
    }
}

/// What happened between a fault's beginning and its end.
fn during<'a>(history: &'a [Value], ended: &'a Value) -> impl Iterator<Item = &'a Value> {
    let id = &ended["value"]["id"];
    let begun = history
        .iter()
        .position(|event| event["value"]["phase"] == "start" && event["value"]["id"] == *id)
        .expect("what ended had begun");
    history[begun..].iter().take_while(move |event| *event != ended)
}

fn operations<'a>(
    history: &'a [Value],
    ended: &'a Value,
    node: &'a str,
) -> impl Iterator<Item = &'a Value> {
    during(history, ended).filter(move |event| event["node"] == node)
}

#[test]
fn clients_leave_a_member_that_was_taken_out() {
    if !sandbox_or_skip() {
        return;
    }
    let nemesis = ["--nemesis", "member-remove@n2", "--time-limit", "8s", "--nodes", "3"];
    let run = Run::of(&nemesis);
    run.expect_status(0);
    run.expect_activity(200, &["member-remove"]);
    let history = history(&run);
    let ended = history.iter().find(|event| event["value"]["phase"] == "end").expect("an end");
    // The fault lasts for more than a second before the node joins again.
    let begun_ns = during(&history, ended).next().and_then(|it| it["time"].as_u64()).expect("time");
    let out = during(&history, ended)
        .filter(|event| event["type"] == "invoke")
        .filter(|event| event["time"].as_u64() < Some(begun_ns + 1_000_000_000));
    let (mut on_it, mut elsewhere) = (0, 0);
    for event in out {
        *(if event["node"] == "n2" { &mut on_it } else { &mut elsewhere }) += 1;
    }
    println!("{on_it} operations through the node that is out, {elsewhere} through others");
    assert!(on_it == 0 && elsewhere > 0, "{on_it} and {elsewhere}: {ended}");
}

/// The leader that is asked to take a member out is cut off before it can tell that it did.
#[test]
fn a_removal_that_was_not_heard_of_is_not_waited_for() {
    if !sandbox_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fault = |id: u32, at_ms: u32, for_ms: u32, fault: Value| {
        let mut one = serde_json::json!({"id": id, "at_ms": at_ms, "for_ms": for_ms});
        one["fault"] = fault;
        one
    };
    let cut = serde_json::json!({"isolate": "leader"});
    let schedule = [
        fault(0, 300, 1200, serde_json::json!({"kind": "wipe", "nodes": "leader"})),
        fault(1, 1490, 400, serde_json::json!({"kind": "partition", "cut": cut.clone()})),
        fault(2, 2000, 400, serde_json::json!({"kind": "partition", "cut": cut})),
    ];
    let first = Run::of(&["--nemesis", "none", "--nodes", "3", "--time-limit", "3s"]);
    let text = std::fs::read_to_string(first.file("plan.json")).expect("plan.json");
    let mut plan: Value = serde_json::from_str(&text).expect("plan.json is JSON");
    plan["schedule"] = Value::from(schedule.to_vec());
    let path = folder.path().join("plan.json");
    std::fs::write(&path, plan.to_string()).expect("a file of the test's own");
    let run = Run::of(&["--plan", path.to_str().expect("a path in UTF-8")]);
    run.expect_status(0);
    run.expect_activity(50, &["wipe", "partition"]);
}

#[test]
fn members_are_upgraded_one_by_one_and_serve_meanwhile() {
    let Some(etcd) = etcd() else { return };
    if !sandbox_or_skip() {
        return;
    }
    // The same version by another name: that it is another binary is seen by its log.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let newer = folder.path().join("newer");
    let script = format!("#!/bin/sh\necho upgraded >&2\nexec {etcd} \"$@\"\n");
    std::fs::write(&newer, script).expect("written");
    std::fs::set_permissions(&newer, PermissionsExt::from_mode(0o755)).expect("executable");
    let newer = newer.to_str().expect("a path in UTF-8");
    let args = ["--nemesis", "none", "--nodes", "3", "--time-limit", "12s", "--seed", "4"];
    let run = Run::of(&[&["--db", &etcd, "--upgrade-to", newer], &args[..]].concat());
    run.expect_status(0);
    run.expect_activity(200, &["upgrade"]);
    for node in ["n1", "n2", "n3"] {
        let log = std::fs::read_to_string(run.file(&format!("nodes/{node}/log"))).expect("a log");
        assert_eq!(log.matches("upgraded\n").count(), 1, "{node}");
    }
    let history = history(&run);
    let ended = history.iter().find(|event| event["value"]["phase"] == "end").expect("an end");
    let steps = ended["value"]["seen"]["steps"].as_array().expect("steps");
    let order: Vec<&str> = steps.iter().filter_map(|step| step["did"].as_str()).collect();
    assert_eq!(order, ["end", "start", "serve"].repeat(3), "{ended}");
    let served = during(&history, ended).filter(|event| event["type"] == "ok").count();
    println!("{served} operations succeeded while members were upgraded");
    assert!(served > 0);
}

#[test]
fn a_fault_waits_for_an_election_that_another_one_brings_about() {
    if !sandbox_or_skip() {
        return;
    }
    let run = Run::of(&[
        "--nemesis",
        "kill@leader,pause@leader:election",
        "--nodes",
        "3",
        "--time-limit",
        "15s",
        "--seed",
        "5",
    ]);
    run.expect_status(0);
    run.expect_activity(200, &["kill", "pause"]);
    let history = history(&run);
    let at = |f: &str| {
        let begun = |e: &&Value| e["f"] == f && e["value"]["phase"] == "start";
        history.iter().find(begun).and_then(|e| e["time"].as_u64()).expect("it began")
    };
    assert!(at("kill") < at("pause"), "without a killed leader nobody is elected");
}

#[test]
fn a_fault_strikes_while_a_member_that_joins_is_sent_a_snapshot() {
    if sandbox_or_skip() {
        expect_struck_at_a_snapshot(&[], 200);
    }
}

#[test]
fn a_fault_strikes_while_a_snapshot_is_sent_that_only_encrypted_metrics_tell_of() {
    if sandbox_or_skip() {
        expect_struck_at_a_snapshot(&["--tls"], 20);
    }
}

fn expect_struck_at_a_snapshot(args: &[&str], operations_min: u64) {
    let nemesis = ["--nemesis", "wipe,pause@leader:snapshot", "--snapshot-count", "100"];
    // With this seed the pause begins to wait before the wipe comes.
    let time = ["--nodes", "3", "--time-limit", "15s", "--seed", "1"];
    let run = Run::of(&[&nemesis[..], &time, args].concat());
    run.expect_status(0);
    run.expect_activity(operations_min, &["wipe", "pause"]);
    let history = history(&run);
    let paused = history.iter().position(|e| e["f"] == "pause" && e["value"]["phase"] == "start");
    let wiped = history.iter().position(|e| e["f"] == "wipe" && e["value"]["phase"] == "start");
    assert!(wiped < paused, "before a member joins no snapshot is sent");
}

#[test]
fn a_swarm_stands_in_the_plan_and_is_of_the_seed() {
    if !sandbox_or_skip() {
        return;
    }
    let plan = |seed: &str| -> Value {
        let args = ["--nemesis", "all", "--swarm", "--time-limit", "2s", "--nodes", "3"];
        let run = Run::of(&[&args[..], &["--seed", seed]].concat());
        let text = std::fs::read_to_string(run.file("plan.json")).expect("plan.json");
        serde_json::from_str(&text).expect("plan.json is JSON")
    };
    let (one, again, other) = (plan("1"), plan("1"), plan("2"));
    assert_eq!(one, again);
    assert_ne!(one["nemesis"], other["nemesis"]);
    let count = |field: &str| one[field].as_array().map_or(0, Vec::len);
    assert!(count("switched_off") > 5 && count("nemesis") > 5, "{one:#}");
}

#[test]
fn what_came_after_a_snapshot_is_found_to_be_lost_when_the_cluster_is_restored() {
    if sandbox_or_skip() {
        expect_taken_back(&[]);
    }
}

#[test]
fn what_came_after_a_snapshot_of_a_real_etcd_is_found_to_be_lost_when_it_is_restored() {
    let Some(etcd) = etcd() else { return };
    if sandbox_or_skip() {
        expect_taken_back(&["--db", &etcd]);
    }
}

/// The cluster serves again, all of it from the snapshot; what it has forgotten is found.
fn expect_taken_back(args: &[&str]) {
    let restore = ["--nemesis", "restore@n1", "--time-limit", "15s", "--nodes", "3"];
    let run = Run::of(&[&restore[..], &["--seed", "3"], args].concat());
    run.expect_status(1);
    run.expect_activity(20, &["restore"]);
    let results = run.results();
    let told = results["tested"]["options"]["faults"].as_str().expect("the budget");
    assert!(told.starts_with("need not be survived: restore"), "{told}");
    let verdict = |name: &str| {
        let checkers = results["checkers"].as_array().expect("checkers");
        let one = checkers.iter().find(|one| one["name"] == name);
        one.unwrap_or_else(|| panic!("no {name}: {results:#}"))["verdict"].clone()
    };
    assert_eq!(verdict("revisions"), "invalid");
    // It is one cluster again, and none of its members died of that.
    assert_eq!(verdict("members-equal"), "valid");
    assert_eq!(verdict("nodes"), "valid");
    let history = history(&run);
    let is_end = |event: &&Value| event["f"] == "restore" && event["value"]["phase"] == "end";
    for ended in history.iter().filter(is_end) {
        let steps = ended["value"]["seen"]["steps"].as_array().expect("steps");
        let did = |what: &'static str| steps.iter().filter(move |step| step["did"] == what);
        assert_eq!(did("restore").count(), 3, "{ended}");
        let revision = |what| did(what).next().and_then(|step| step["revision"].as_i64());
        // On a busy machine nobody says so in time.
        println!("from revision {:?} to {:?}", revision("halt"), revision("serve"));
        assert!(did("start").count() <= 3 && did("snapshot").count() == 1, "{ended}");
    }
}

#[test]
fn a_fault_strikes_while_a_client_holds_a_lock() {
    if !sandbox_or_skip() {
        return;
    }
    let lock = ["--workload", "lock", "--nemesis", "pause@leader:lock", "--nodes", "3"];
    let run = Run::of(&[&lock[..], &["--time-limit", "10s", "--seed", "5"]].concat());
    run.expect_status(0);
    run.expect_activity(1, &["pause"]);
    let history = history(&run);
    let is_start = |event: &Value| event["f"] == "pause" && event["value"]["phase"] == "start";
    let paused = history.iter().position(is_start).expect("it began");
    let done = |f: &str| {
        let ok = |event: &&Value| event["f"] == f && event["type"] == "ok";
        history[..paused].iter().filter(ok).count()
    };
    println!("{} acquired and {} released before", done("acquire"), done("release"));
    assert!(done("acquire") > done("release"), "nobody held the lock");
}
