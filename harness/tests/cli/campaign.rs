//! Campaigns: run whole, in parts, and after a kill.

use crate::common::{ORDEAL, ordeal, sandbox_or_skip};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Simulations alone: they need no sandbox, and each is over at once.
const SIMULATED: &str = r#"
name = "simulated"

[[test]]
name = "healthy"
kind = "sim"
workload = ["register", "set", "append"]
nodes = [3, 5]
nemesis = "kill,partition"
time-limit = "2s"
seeds = [1, 2]

[[test]]
name = "stale"
kind = "sim"
expect = "invalid"
bug = "local-read"
nodes = 3
nemesis = "partition"
time-limit = "10s"
seeds = ["#;

fn write(folder: &Path, stale_seeds: &str) {
    let text = format!("{SIMULATED}{stale_seeds}]\n");
    std::fs::write(folder.join("simulated.toml"), text).expect("a file of the test's own");
}

/// What came of each test: its verdict by its id.
fn verdicts(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("tests.jsonl")).expect("tests.jsonl");
    let line = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        (entry["id"].as_str().expect("id").to_owned(), entry["verdict"].to_string())
    };
    text.lines().map(line).collect()
}

fn expect(folder: &Path, args: &[&str], status: i32) -> String {
    let output = ordeal(folder, args);
    let told = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert_eq!(output.status.code(), Some(status), "{args:?}: {told:?}");
    told.concat()
}

#[test]
fn four_shards_joined_are_what_one_campaign_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    write(folder, "1, 2, 3, 4, 5, 6, 7, 8");
    let found_by_one = ["campaign", "simulated.toml", "--out", "one"];
    expect(folder, &found_by_one, 0);
    for number in 1..=4 {
        let (part, out) = (format!("{number}/4"), format!("part{number}"));
        let args = ["campaign", "simulated.toml", "--shard", &part, "--out", &out];
        let output = ordeal(folder, &args);
        // Whether a shard by itself finds what must be found depends on the seeds that it has.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    }
    let told = expect(folder, &["merge", "part1", "part2", "part3", "part4", "--out", "joined"], 0);
    let (one, joined) = (verdicts(&folder.join("one")), verdicts(&folder.join("joined")));
    assert!(one.len() > 12, "{one:?}");
    // A shard goes on where another has found the bug already; what both ran is the same.
    for (id, verdict) in &one {
        assert_eq!(joined.get(id), Some(verdict), "{id}");
    }
    assert!(told.contains("tests passed"), "{told}");
    for file in ["index.html", "junit.xml", "summary.md"] {
        let text = std::fs::read_to_string(folder.join("joined").join(file)).expect(file);
        let names = if file == "index.html" { "report.html" } else { "healthy/append" };
        assert!(text.contains(names), "{file}: {text}");
    }
    let twice = expect(folder, &["merge", "part1", "part1", "--out", "twice"], 64);
    assert!(twice.contains("is in two of the shards"), "{twice}");
}

#[test]
fn a_campaign_that_was_killed_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    write(folder, "1, 2, 3, 4, 5, 6, 7, 8");
    let args = ["campaign", "simulated.toml", "--jobs", "1", "--out", "out"];
    let mut child = Command::new(ORDEAL)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let lines = folder.join("out").join("tests.jsonl");
    let so_far = || std::fs::read_to_string(&lines).map_or(0, |text| text.matches('\n').count());
    while so_far() < 2 {
        assert!(child.try_wait().expect("it is our child").is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    let before = so_far();
    let text = std::fs::read_to_string(&lines).expect("tests.jsonl");
    let kept: Vec<&str> = text.lines().take(before).collect();
    // As a kill in the middle of a line leaves it.
    std::fs::write(&lines, format!("{}\n{{\"id\":\"cut", kept.join("\n"))).expect("our own file");
    expect(folder, &args, 0);
    let text = std::fs::read_to_string(&lines).expect("tests.jsonl");
    assert!(kept.iter().all(|line| text.contains(line)), "what had ended is not done again");
    assert!(verdicts(&folder.join("out")).len() > 12);
    let other = folder.join("simulated.toml");
    let renamed = SIMULATED.replace("\"simulated\"", "\"other\"");
    std::fs::write(other, format!("{renamed}1]\n")).expect("a file of the test's own");
    let told = expect(folder, &args, 64);
    assert!(told.contains("holds the campaign simulated"), "{told}");
}

#[test]
fn a_campaign_in_the_sandbox_ends_with_its_budget_and_tells_what_was_not_run() {
    if !sandbox_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let text = "name = \"short\"\n[[test]]\nname = \"register\"\nnodes = 3\nnemesis = \"kill\"\n\
                time-limit = \"2s\"\nseeds = \"0..1000\"\n";
    std::fs::write(folder.join("short.toml"), text).expect("a file of the test's own");
    let told = expect(folder, &["campaign", "short.toml", "--budget", "30s", "--out", "out"], 0);
    assert!(told.contains("were not run"), "{told}");
    let run = verdicts(&folder.join("out"));
    assert!(!run.is_empty() && run.len() < 1_000, "{run:?}");
    let junit = std::fs::read_to_string(folder.join("out/junit.xml")).expect("junit.xml");
    assert!(junit.contains("<skipped") && junit.contains("register/kill/3-nodes"), "{junit}");
    let index = std::fs::read_to_string(folder.join("out/index.html")).expect("index.html");
    assert!(index.contains("report.html"), "the index leads to the runs");
}

#[test]
fn a_campaign_that_cannot_be_followed_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    std::fs::write(folder.join("wrong.toml"), "name = \"a\"\nbudgt = \"3s\"\n").expect("a file");
    let etcd = "name = \"a\"\ndb = { etcd = \"/nowhere/etcd\" }\n[[test]]\nname = \"t\"\n\
                db = \"etcd\"\nseeds = [1]\n";
    std::fs::write(folder.join("etcd.toml"), etcd).expect("a file");
    std::fs::create_dir(folder.join("full")).expect("a folder");
    std::fs::write(folder.join("full/something"), "").expect("a file");
    write(folder, "1");
    let rows: [(&[&str], i32, &str); 10] = [
        (&["campaign", "none.toml"], 64, "none.toml: No such file"),
        (&["campaign", "wrong.toml"], 64, "wrong.toml: line 2, column 1: unknown field"),
        (&["campaign", "etcd.toml"], 69, "there is no etcd at /nowhere/etcd"),
        (&["campaign", "etcd.toml", "--db", "etdc=/x"], 64, "did you mean etcd?"),
        (&["campaign", "simulated.toml", "--shard", "5/4"], 64, "expected a part such as 1/4"),
        (&["campaign", "simulated.toml", "--shard-index=4", "--shards=4"], 64, "the last one is 3"),
        (&["campaign", "simulated.toml", "--shard-index=0"], 64, "--shards"),
        (&["campaign", "simulated.toml", "--out", "full"], 64, "holds no campaign"),
        (&["campaign", "simulated.toml", "--resume"], 64, "there is no campaign in"),
        (&["merge", "full", "--out", "joined"], 64, "no campaign lies here"),
    ];
    for (args, status, message) in rows {
        let told = expect(folder, args, status);
        assert!(told.contains(message), "{args:?}: {told}");
    }
}
