//! The nodes as etcd's own command line sees them, where there is one.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::cluster::Cluster;

/// The `etcdctl` of `$ORDEAL_ETCDCTL` or of the path.
fn etcdctl() -> Option<String> {
    let program = std::env::var("ORDEAL_ETCDCTL").unwrap_or_else(|_| "etcdctl".into());
    let answers = Command::new(&program).arg("version").env("ETCDCTL_API", "3").output();
    answers.is_ok_and(|output| output.status.success()).then_some(program)
}

fn run(program: &str, url: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", url])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it ran before");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "etcdctl {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn etcdctl_puts_gets_deletes_and_runs_transactions() {
    let Some(program) = etcdctl() else {
        let required = std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|value| value == "1");
        assert!(!required, "there is no etcdctl, neither on the path nor in $ORDEAL_ETCDCTL");
        eprintln!("skipped: there is no etcdctl, neither on the path nor in $ORDEAL_ETCDCTL");
        return;
    };
    let cluster = Cluster::start(3);
    let transaction = "value(\"a\") = \"1\"\n\nput a 3\nget b\n\nget a\n\n";
    for (member, arguments, input, expected) in [
        (0, &["put", "a", "1"][..], "", "OK\n"),
        (1, &["get", "a"], "", "a\n1\n"),
        (2, &["put", "b", "2"], "", "OK\n"),
        (0, &["get", "", "--from-key", "--keys-only"], "", "a\n\nb\n\n"),
        (1, &["txn"], transaction, "SUCCESS\n\nOK\n\nb\n2\n"),
        (2, &["get", "a", "--rev", "2", "--print-value-only"], "", "1\n"),
        (0, &["put", "a", "4", "--prev-kv"], "", "OK\na\n3\n"),
        (1, &["del", "a", "--prev-kv"], "", "1\na\n4\n"),
        (2, &["compaction", "5"], "", "compacted revision 5\n"),
    ] {
        let shown = run(&program, cluster.url(member), arguments, input);
        assert_eq!(shown, expected, "etcdctl {arguments:?}");
    }
}
