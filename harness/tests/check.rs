//! `ordeal check`, by its own binary: what it prints, and its exit status.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const STALE: &str = r#"
{"index":0,"time":0,"process":1,"type":"invoke","f":"write","key":"k3","value":17}
{"index":1,"time":1000,"process":1,"type":"ok","f":"write","key":"k3","value":17}
{"index":2,"time":2000,"process":1,"type":"invoke","f":"write","key":"k3","value":21}
{"index":3,"time":3000,"process":2,"type":"invoke","f":"read","key":"k3","value":null}
{"index":4,"time":4000,"process":2,"type":"ok","f":"read","key":"k3","value":21}
{"index":5,"time":5000,"process":4,"type":"invoke","f":"read","key":"k3","value":null}
{"index":6,"time":6000,"process":4,"type":"ok","f":"read","key":"k3","value":17}
{"index":7,"time":7000,"process":1,"type":"ok","f":"write","key":"k3","value":21}
"#;

struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn check(arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ordeal"))
        .arg("check")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The lines without how long it took.
fn untimed(out: &str) -> String {
    let line = |line: &str| match line.find(" operation").and(line.rfind(", ")) {
        Some(at) if line.ends_with(" ms)") => format!("{}, _ ms)", &line[..at]),
        _ => line.to_owned(),
    };
    out.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_stale_read_is_printed_with_its_story() {
    let ran = check(&["-"], STALE);
    assert_eq!(ran.status, 1);
    assert_eq!(
        untimed(&ran.out),
        "\
-: invalid (4 operations, _ ms)
  k3: process 4 read 17 after process 2 had read 21, which was written later
    Process 1 wrote 17, from 0.000 ms (event 0) to 0.001 ms (event 1).
    Process 1 wrote 21, from 0.002 ms (event 2) to 0.007 ms (event 7).
    Process 2 read 21, from 0.003 ms (event 3) to 0.004 ms (event 4).
    Process 4 read 17, from 0.005 ms (event 5) to 0.006 ms (event 6).
    Process 4 read 17 after process 2 had read 21, which was written later.
    What came before event 6 was still right."
    );
}

#[test]
fn the_json_has_what_scripts_rely_on() {
    let ran = check(&["--json", "-"], STALE);
    let object: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(object["file"], "-");
    assert_eq!(object["verdict"], "invalid");
    assert_eq!(object["operations"], 4);
    assert_eq!(object["algorithm"], "blocks");
    assert_eq!(object["counterexample"], serde_json::json!([0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(object["anomalies"], serde_json::json!([]));
    assert!(object["reason"].as_str().unwrap().starts_with("k3: process 4"));
    for name in ["ms", "read_ms", "check_ms"] {
        assert!(object[name].is_u64(), "{name}");
    }
}

#[test]
fn the_exit_status_is_the_worst_and_wrong_input_is_64_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let valid = write("valid.jsonl", STALE.trim().lines().next().unwrap());
    let invalid = write("invalid.jsonl", STALE);
    let twice = write("twice.jsonl", &STALE.replace("\"value\":21", "\"value\":17"));
    let cut = write("cut.jsonl", &STALE.trim_start()[..200]);
    let misfit = write("misfit.jsonl", &STALE.replace("\"write\"", "\"cas\""));
    let generated = |index: u64, kind: &str| {
        format!(
            "{{\"index\":{index},\"time\":0,\"process\":1,\"type\":\"{kind}\",\"f\":\"generate\",\
             \"value\":7}}\n"
        )
    };
    let ids: Vec<String> =
        (0..4).map(|index| generated(index, ["invoke", "ok"][index as usize % 2])).collect();
    let ids = write("ids.jsonl", &ids.concat());
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (arguments, status, said) in [
        (vec![valid.as_str()], 0, "valid.jsonl: valid (1 operation, "),
        (vec![&valid, &invalid], 1, "invalid.jsonl: invalid (4 operations, "),
        (vec!["--algorithm", "blocks", &twice, &valid], 2, "blocks needs a register"),
        (vec!["--algorithm", "blocks", &twice, &invalid], 1, "unknown"),
        (vec![&cut], 64, "cut.jsonl: line 3, column 36: "),
        (vec!["--partial", &cut], 0, "cut.jsonl: valid (1 operation, "),
        (vec![&misfit], 64, "misfit.jsonl: line 2, column 78 (event 0): the value of a `cas`"),
        (vec![empty.to_str().unwrap()], 64, "there is no history in this folder"),
        (vec!["/no/such/file"], 64, "/no/such/file: "),
        (vec!["--model", "regster", &valid], 64, "did you mean register?"),
        (vec!["--format", "xml", &valid], 64, "there is no format `xml`"),
        (vec!["--model", "kv-append", &valid], 64, "has no operation `write`"),
        (vec!["--model", "linearizable-register", &invalid], 1, "which was written later"),
        (vec!["--model", "unique-ids", &ids], 1, "ids.jsonl: invalid (2 operations, "),
        (vec!["--model", "unique-ids", &valid], 64, "line 1, column 80 (event 0): the checker uni"),
        (vec!["--model", "stats", &invalid], 0, "invalid.jsonl: valid (4 operations, "),
        (vec!["--model", "log-patterns", &valid], 2, "no log was read"),
    ] {
        let ran = check(&arguments, "");
        assert_eq!(ran.status, status, "{arguments:?}: {} {}", ran.out, ran.err);
        let all = format!("{}{}", ran.out, ran.err);
        assert!(all.contains(said), "{arguments:?}: {all}");
    }
}

/// A mistake in each format, and where it must be said to be.
const WRONG: &[(&str, &str, &str)] = &[
    // What no history is, whatever the operations mean.
    ("", "\u{feff}{\"index\":0}", "line 1, column 4: the event has no `process`"),
    ("", "{:process 0, :type :invoke, :f :read}\n{:x", "line 2, column 1: this bracket is never"),
    (
        "",
        "[{\"process\":0,\n\"type\":\"ok\",\"f\":\"r\"}]",
        "line 1, column 2: `process`: process 0",
    ),
    (
        "",
        "INFO  jepsen.util - 0\t:ok\t:read\tnil",
        "line 1, column 1: `process`: process 0 completes",
    ),
    ("", "{:process 1, :type :ok, :f :get, :key 0, :value 1}", "line 1, column 1: `process`: "),
    ("--format=jepsen-json", "[{}]", "line 1, column 2: this operation has no :process"),
    ("--format=kv-log", "\n{:process 1}", "line 2, column 1: a kv log has only :get, :put and"),
    // What no operation of the model is.
    (
        "",
        "\r\n{\"index\":0,\"time\":0,\"process\":1,\"type\":\"invoke\",\"f\":\"cas\",\
         \"value\":\"value\"}",
        "line 2, column 67 (event 0): the value of a `cas`",
    ),
    (
        "",
        "{:process 1, :type :invoke, :f :read}\n  {:process 2, :type :invoke, :f :cas, :value 3}",
        "line 2, column 3 (event 1): the value of a `cas`",
    ),
    (
        "",
        "[{\"process\":1,\"type\":\"invoke\",\"f\":\"read\"},\n \
         {\"process\":2,\"type\":\"invoke\",\"f\":\"x\"}]",
        "line 2, column 2 (event 1): the model register has no operation `x`",
    ),
    (
        "",
        "INFO  jepsen.util - 1 :invoke :read nil\n\nINFO  jepsen.util - 2 :invoke :cas 3\n",
        "line 3, column 1 (event 1): the value of a `cas`",
    ),
    (
        "",
        "{:process 1, :type :invoke, :f :put, :key 0, :value \"x\"}\n \
         {:process 2, :type :invoke, :f :append, :key 0, :value 3}",
        "line 2, column 2 (event 1): ",
    ),
    (
        "",
        "{:process 1, :type :invoke, :f :txn, :value [[:append :x 1] [:r :x]]}",
        "line 1, column 1 (event 0): found [\"r\",\"x\"] where a transaction's steps should stand",
    ),
    (
        "",
        "{:process 1, :type :invoke, :f :txn, :value [[:append :x 1]]}\n\
         {:process 1, :type :ok, :f :txn, :value [[:append :x 2]]}",
        "line 2, column 1 (event 1): the answer is not one to the transaction that event 0 invoked",
    ),
    (
        "--model=list-append",
        "{:process 1, :type :invoke, :f :txn, :value [[:r :x nil]]}\n\
         {:process 1, :type :ok, :f :txn, :value [[:r :x 7]]}",
        "line 2, column 1 (event 1): a read of \"x\" saw 7, which is no list",
    ),
    ("", "{:process 1, :type :invoke, :f :frob}", "line 1, column 1 (event 0): no model has an op"),
];

#[test]
fn wrong_input_in_any_format_is_64_with_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong");
    let file = path.to_str().unwrap();
    for (option, text, said) in WRONG {
        fs::write(&path, text).unwrap();
        for name in ["-", file] {
            let arguments: Vec<&str> =
                [*option, name].into_iter().filter(|argument| !argument.is_empty()).collect();
            let ran = check(&arguments, text);
            assert_eq!(ran.status, 64, "{text}: {} {}", ran.out, ran.err);
            assert_eq!(ran.out, "", "{text}");
            assert!(ran.err.starts_with(&format!("ordeal check: {name}: {said}")), "{}", ran.err);
            assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        }
    }
}

#[test]
fn histories_of_no_operations_are_valid_and_say_so() {
    for text in ["", "\n\r\n \n", "\u{feff}", "\u{feff}\r\n", "[]", " [ ] ", "; nothing"] {
        let ran = check(&["-"], text);
        assert_eq!(ran.status, 0, "{text:?}: {}", ran.err);
        assert_eq!(untimed(&ran.out), "-: valid (0 operations, _ ms)", "{text:?}");
    }
}

#[test]
fn standard_input_beside_files_and_wrong_input_beside_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let valid = folder.path().join("valid.jsonl");
    fs::write(&valid, "").unwrap();
    let wrong = folder.path().join("wrong.jsonl");
    fs::write(&wrong, "{\"index\":").unwrap();
    let (valid, wrong) = (valid.to_str().unwrap(), wrong.to_str().unwrap());
    // Every file is judged, whatever was wrong with those before it.
    let ran = check(&["--json", wrong, "-", valid], STALE);
    assert_eq!(ran.status, 64, "{}", ran.err);
    let verdicts: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["invalid", "valid"]);
    assert!(ran.err.contains("wrong.jsonl: line 1, column 10: "), "{}", ran.err);
}

#[test]
fn a_folder_is_every_history_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("register/1");
    fs::create_dir_all(&run).unwrap();
    for name in ["history.jsonl", "counterexample.jsonl"] {
        fs::write(run.join(name), STALE).unwrap();
    }
    fs::write(run.join("plan.json"), "{\"seed\":1}").unwrap();
    fs::write(folder.path().join("other.edn"), "{:process 0, :type :invoke, :f :read, :value nil}")
        .unwrap();
    let ran = check(&[folder.path().to_str().unwrap()], "");
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    let files: Vec<&str> = ran.out.lines().filter(|line| line.contains(" operation")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files[0].contains("other.edn: valid"), "{files:?}");
    assert!(files[1].contains("register/1/history.jsonl: invalid"), "{files:?}");
}

#[test]
fn recorded_histories_get_their_known_verdicts() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories/porcupine");
    let Some(folder) = found(shared) else { return };
    let table = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let path = folder.join(columns[0]);
        let ran = check(&["--json", "--time-limit", "60s", path.to_str().unwrap()], "");
        let object: serde_json::Value = serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{row}: {error}: {}", ran.err));
        assert_eq!(object["verdict"], columns[1], "{row}: {object}");
        assert_eq!(object["operations"].to_string(), columns[2], "{row}");
    }
}

/// The folder, here or beside the repository's own.
fn found(folder: PathBuf) -> Option<PathBuf> {
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/histories/porcupine");
    let found = [folder, other].into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: the recorded histories are not beside this repository");
    }
    found
}

#[test]
fn a_reader_that_is_gone_changes_no_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history.jsonl");
    let stale = r#"{"index":0,"time":0,"process":1,"type":"invoke","f":"read","value":null}
{"index":1,"time":1,"process":1,"type":"ok","f":"read","value":7}
"#;
    std::fs::write(&path, stale).expect("a file of the test's own");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ordeal"))
        .arg("check")
        .arg(&path)
        .stdout(writer)
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(1), ""));
}
