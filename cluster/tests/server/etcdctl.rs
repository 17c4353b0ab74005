//! The nodes as etcd's own command line sees them, where there is one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::cluster::Cluster;
use crate::differential::etcd::{Etcd, etcd, release};

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

/// The first lines that a command shows which would go on for ever.
fn first_lines(program: &str, url: &str, arguments: &[&str], count: usize) -> Vec<String> {
    let mut child = Command::new(program)
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", url])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it ran before");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let lines = stdout.lines().take(count).map(|line| line.expect("text")).collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    lines
}

/// What the commands about watches, leases, locks and elections show, one line each.
fn shown_of_coordination(program: &str, url: &str) -> Vec<String> {
    let mut shown = Vec::new();
    for arguments in [
        &["put", "a", "1"][..],
        &["put", "a", "2"],
        &["del", "a"],
        &["put", "ab", "3"],
        &["lease", "list"],
        &["lease", "timetolive", "4d"],
        &["lock", "l", "echo", "held"],
        &["get", "l/", "--prefix"],
    ] {
        shown.push(run(program, url, arguments, ""));
    }
    for (arguments, count) in [
        (&["watch", "a", "--rev", "2"][..], 8),
        (&["watch", "a", "--prefix", "--rev", "4", "--prev-kv"], 7),
        (&["watch", "a", "z", "--rev", "3"], 8),
    ] {
        shown.extend(first_lines(program, url, arguments, count));
    }
    let granted = run(program, url, &["lease", "grant", "100"], "");
    let lease = granted.split(' ').nth(1).expect("an id").to_owned();
    for arguments in [
        &["put", "bound", "1", "--lease", &lease][..],
        &["lease", "timetolive", &lease, "--keys"],
        &["lease", "keep-alive", "--once", &lease],
        &["lease", "revoke", &lease],
        &["get", "bound"],
    ] {
        shown.push(run(program, url, arguments, "").replace(&lease, "LEASE"));
    }
    let elected = first_lines(program, url, &["elect", "e", "me"], 2);
    assert!(elected[0].starts_with("e/"), "{elected:?}");
    shown.push(elected[1].clone());
    // Whatever time has passed since the grant.
    shown.iter().map(|line| line.replace("remaining(99s)", "remaining(100s)")).collect()
}

#[test]
fn etcdctl_watches_leases_locks_and_elects_as_it_does_with_etcd() {
    let (Some(program), Some(etcd)) = (etcdctl(), etcd()) else {
        let required = std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|value| value == "1");
        assert!(!required, "there is no etcdctl, or no etcd to compare with");
        eprintln!("skipped: there is no etcdctl, or no etcd to compare with");
        return;
    };
    let cluster = Cluster::start(1);
    let etcd = Etcd::start(&etcd);
    let embedded = shown_of_coordination(&program, cluster.url(0));
    assert_eq!(embedded, shown_of_coordination(&program, &etcd.url));
    assert!(embedded.contains(&"held\n".to_owned()), "{embedded:?}");
}

/// What `etcdctl` shows of a command, on its output and, without the lines of its log, as errors.
fn shown(program: &str, url: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .env("ETCDCTL_API", "3")
        // Of an endpoint with a scheme etcdctl 3.4 makes an `:authority` that is none.
        .args(["--endpoints", url.trim_start_matches("http://")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("it ran before");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().filter(|line| !line.starts_with('{'));
    let lines = lines.map(|line| {
        let line = line.replace(url, "URL").replace(url.trim_start_matches("http://"), "URL");
        line + "\n"
    });
    lines.collect()
}

/// Each by spaces; what follows `--user` logs in.
const AUTH_COMMANDS: &[&str] = &[
    "role add root",
    "role add root",
    "user add root:pw",
    "user add root:again",
    "user grant-role root root",
    "user add alice:pw",
    "user add nobody --no-password",
    "user grant-role alice r",
    "role add r",
    "user grant-role alice r",
    "user grant-role alice r",
    "user grant-role stranger r",
    "role grant-permission r readwrite b d",
    "role grant-permission r read a",
    "role grant-permission r write w --prefix",
    "role grant-permission s read x",
    "role get r",
    "role get s",
    "role get root",
    "user get alice",
    "user get stranger",
    "user list",
    "role list",
    "user revoke-role alice s",
    "role revoke-permission r c",
    "put z 1",
    "auth enable",
    "get z",
    "--user root:wrong get z",
    "--user stranger:pw get z",
    "--user nobody:pw get z",
    "--user root:pw get z",
    "--user alice:pw get z",
    "--user alice:pw put b 1",
    "--user alice:pw get b",
    "--user alice:pw get a",
    "--user alice:pw put a 1",
    "--user alice:pw get b d",
    "--user alice:pw get a d",
    "--user alice:pw get b --from-key",
    "--user alice:pw put w1 1",
    "--user alice:pw put w1 1 --prev-kv",
    "--user alice:pw del w --prefix",
    "--user alice:pw watch z",
    "--user alice:pw watch a e",
    "--user alice:pw lease list",
    "--user alice:pw lease revoke 4d",
    "--user alice:pw put b 1 --lease=4d",
    "--user alice:pw alarm list",
    "--user alice:pw compact 1",
    "--user alice:pw defrag",
    "--user alice:pw move-leader 1",
    "--user alice:pw member remove 1",
    "watch b",
    "lease list",
    "member list",
    "--user alice:pw user get alice",
    "--user alice:pw user get root",
    "--user alice:pw role get r",
    "--user alice:pw role get root",
    "--user alice:pw user list",
    "--user alice:pw role add t",
    "--user root:pw user delete root",
    "--user root:pw user revoke-role root root",
    "--user root:pw role delete root",
    "--user root:pw role revoke-permission r a",
    "--user alice:pw get a",
    "--user root:pw role delete r",
    "--user alice:pw get b",
    "--user root:pw user get alice",
    "--user root:pw user delete alice",
    "--user root:pw user delete alice",
    "--user root:pw auth disable",
    "get z",
    "--user root:pw get z",
];

/// What etcd 3.4 does not ask for a right, or for no more than any user has.
const SINCE_3_5: &[&str] =
    &["--user alice:pw compact 1", "--user alice:pw move-leader 1", "lease list", "member list"];

#[test]
fn etcdctl_shows_of_users_and_roles_what_it_shows_of_a_real_etcd() {
    let (Some(program), Some(etcd)) = (etcdctl(), etcd()) else {
        let required = std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|value| value == "1");
        assert!(!required, "there is no etcdctl or etcd on the path, nor in $ORDEAL_ETCD");
        eprintln!("skipped: there is no etcdctl or etcd on the path, nor in $ORDEAL_ETCD");
        return;
    };
    let cluster = Cluster::start(1);
    let is_old = release(&etcd) < (3, 5, 0);
    let etcd = Etcd::start(&etcd);
    let mut differences = String::new();
    for command in AUTH_COMMANDS {
        if is_old && SINCE_3_5.contains(command) {
            continue;
        }
        let arguments: Vec<&str> = command.split(' ').collect();
        let embedded = shown(&program, cluster.url(0), &arguments);
        let real = shown(&program, &etcd.url, &arguments);
        if embedded != real {
            differences += &format!("etcdctl {command}\n{embedded}but etcd\n{real}\n");
        }
    }
    assert_eq!(differences, "");
}
