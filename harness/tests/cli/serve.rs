//! `ordeal serve`: what it shows, and to whom.

use crate::common::{ORDEAL, ordeal};
use crate::reports::store;
use ordeal::plan::{Plan, PlanOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that ends with the test.
struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn of(folder: &Path) -> Served {
        let mut child = Command::new(ORDEAL)
            .args(["serve", ".", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Served { child, address }
    }

    /// Status and body of what is answered at `path` to a request made to `host`.
    fn get_as(&self, host: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            .expect("it hears");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.expect("a status"), body.unwrap_or_default())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.get_as(&self.address, path)
    }
}

#[test]
fn stored_runs_are_shown_and_nothing_else_is_handed_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runs = folder.path().join("runs");
    store(&runs.join("register/a"));
    std::fs::write(folder.path().join("secret.json"), "secret").expect("a file");
    std::fs::create_dir_all(runs.join("register/a/nodes/n1/data")).expect("a folder");
    std::fs::write(runs.join("register/a/nodes/n1/data/db"), "data").expect("a file");
    let served = Served::of(&runs);
    let (status, index) = served.get("/");
    assert_eq!(status, 200);
    assert!(index.contains("href=\"./register/a/report.html\""), "{index}");
    assert_eq!(served.get("/register/a/history.jsonl").0, 200);
    for path in [
        "/../secret.json",
        "/%2e%2e/secret.json",
        "/register/a/nodes/n1/data/db",
        "/nothing",
        "/register",
    ] {
        assert_eq!(served.get(path).0, 404, "{path}");
    }
    assert_eq!(served.get_as("evil.example", "/").0, 403);
}

#[test]
fn a_run_under_way_is_told_of_as_its_history_grows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("register/now");
    std::fs::create_dir_all(&run).expect("a folder");
    let plan = Plan::derive(&PlanOptions::default()).expect("a plan");
    std::fs::write(run.join("plan.json"), plan.to_json()).expect("a file");
    let mut history = std::fs::File::create(run.join("history.jsonl")).expect("a file");
    let served = Served::of(folder.path());
    assert!(served.get("/").1.contains("href=\"./live/register/now\""));
    let (status, page) = served.get("/live/register/now");
    assert_eq!(status, 200);
    assert!(page.contains("/live.json/register/now"), "{page}");
    let state = || -> serde_json::Value {
        serde_json::from_str(&served.get("/live.json/register/now").1).expect("JSON")
    };
    let mut write = |index: u64, process: u64, kind: &str, f: &str, value: Option<u64>| {
        let time = index * 400_000_000;
        let event = serde_json::json!({ "index": index, "time": time, "process": process,
            "type": kind, "f": f, "key": "k", "value": value });
        writeln!(history, "{event}").expect("it can be written");
    };
    for (index, value) in [(0, Some(1)), (2, Some(2))] {
        write(index, 0, "invoke", "write", value);
        write(index + 1, 0, "ok", "write", value);
    }
    let before = state();
    assert_eq!((&before["ok"], &before["violation"]), (&2.into(), &serde_json::Value::Null));
    write(4, 1, "invoke", "read", None);
    write(5, 1, "ok", "read", Some(1));
    let after = state();
    assert_eq!((&after["ok"], &after["watched"]), (&3.into(), &true.into()));
    assert_eq!(after["violation"]["time_ms"], 2_000, "{after}");
    assert_eq!(after["seconds"], serde_json::json!([[1, 0, 0], [1, 0, 0], [1, 0, 0]]));
    assert_eq!(after["report"], serde_json::Value::Null);
}

#[test]
fn only_loopback_is_taken_and_only_a_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (args, words) in [
        (&["serve", ".", "--listen", "0.0.0.0:0"][..], "this is no loopback address"),
        (&["serve", ".", "--listen", "[::]:0"], "this is no loopback address"),
        (&["serve", "nowhere"], "name a folder that runs are stored in"),
    ] {
        let output = ordeal(folder.path(), args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {told}");
        assert!(told.contains(words), "{args:?}: {told}");
    }
}
