//! What the flags come to.

use clap::Parser;

use super::NodeArgs;
use super::words::translate;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    node: NodeArgs,
}

fn config(flags: &str) -> Result<ordeal_cluster::server::Config, String> {
    let words = flags.split_whitespace().map(str::to_owned);
    let words = translate(words, |_| None)?.words;
    let words = std::iter::once("node".to_owned()).chain(words);
    let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
    command.node.config()
}

#[test]
fn without_flags_a_node_is_a_cluster_of_its_own_as_with_etcd() {
    let config = config("").expect("no flag is needed");
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir.to_str(), Some("default.etcd"));
    assert_eq!(config.initial_cluster, "default=http://localhost:2380");
    let membership = config.membership().expect("the defaults fit together");
    assert_eq!(membership.members.len(), 1);
}

#[test]
fn members_with_the_same_flags_agree_on_all_ids() {
    let cluster = "a=http://h1:2380,b=http://h2:2380,c=http://h3:2380";
    let ids = ["a", "b", "c"].map(|name| {
        let flags = format!("--name {name} --initial-cluster={cluster} --logger zap");
        config(&flags).expect("good flags").membership().expect("a good cluster")
    });
    for other in &ids[1..] {
        assert_eq!(other.cluster_id, ids[0].cluster_id);
    }
    let mut own = ids.map(|membership| membership.id);
    own.sort();
    assert!(own.is_sorted_by(|a, b| a < b), "no two are equal");
}

#[test]
fn wrong_flags_are_answered_by_a_sentence_that_names_them() {
    for (flags, words) in [
        ("--name x --initial-cluster a=http://h:1", "names no member x"),
        ("--initial-cluster default", "default is not of the form NAME=http://HOST:PORT"),
        ("--initial-cluster default=http://h:1,b=http://h:1", "to two members"),
        ("--listen-client-urls h:1", "--listen-client-urls: h:1 is no URL"),
        ("--listen-client-urls https://h:1", "https://h:1 needs --cert-file and --key-file"),
        ("--initial-cluster default=https://h:1", "needs --peer-cert-file and --peer-key-file"),
        ("--bcrypt-cost 3", "--bcrypt-cost 3 is not between 4 and 31"),
        ("--heartbeat-interval 100 --election-timeout 300", "at least five times"),
        ("--snapshot-count 0", "--snapshot-count must be at least 1"),
        ("--bug no-such", "--bug: there is no bug named no-such; there are: ack-before-fsync"),
    ] {
        let error = config(flags)
            .and_then(|config| config.membership().map_err(|error| error.to_string()))
            .expect_err(flags);
        assert!(error.contains(words), "{flags}: {error}");
    }
}

/// Every flag that `etcd --help` names, in 3.5.30.
const FLAGS_OF_ETCD: &str = include_str!("flags-of-etcd-3.5.30.txt");

#[test]
fn every_flag_of_etcd_is_known_with_one_dash_and_with_two() {
    let with = |flag: String| translate([flag], |_| None).expect("it asks for nothing").words;
    for name in FLAGS_OF_ETCD.lines() {
        // One that has an effect goes on to the parser with two dashes, and one that has none does
        // not; one that is not known goes on as it came.
        let one = with(format!("-{name}="));
        assert!(one.is_empty() || one == [format!("--{name}=")], "-{name}: {one:?}");
        assert_eq!(one, with(format!("--{name}=")));
    }
    assert_eq!(with("-no-such=".into()), ["-no-such="]);
}

#[test]
fn the_list_of_flags_is_that_of_a_real_etcd() {
    let program = std::env::var("ORDEAL_ETCD").unwrap_or_else(|_| "etcd".into());
    let said = |flag: &str| {
        let output = std::process::Command::new(&program).arg(flag).output();
        let output = output.map(|output| [output.stdout, output.stderr].concat());
        String::from_utf8_lossy(&output.unwrap_or_default()).into_owned()
    };
    if !said("--version").starts_with("etcd Version: 3.5.") {
        return eprintln!("skipped: {program} is no etcd 3.5");
    }
    let help = said("--help");
    let named = help.lines().filter_map(|line| line.strip_prefix("  --"));
    for flag in named.filter_map(|line| line.split_whitespace().next()) {
        assert!(FLAGS_OF_ETCD.lines().any(|known| known == flag), "{program}: --{flag}");
    }
}

fn words(flags: &str, environment: &[(&str, &str)]) -> Result<(String, Vec<String>), String> {
    let flags = flags.split_whitespace().map(str::to_owned);
    let of = |name: &str| {
        let found = environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    translate(flags, of).map(|translated| (translated.words.join(" "), translated.notes))
}

#[test]
fn the_last_of_a_flag_counts_and_the_environment_only_where_there_is_none() {
    let environment =
        [("ETCD_NAME", "e"), ("ETCD_DATA_DIR", "d"), ("ETCD_LOGGER", "zap"), ("ETCD_WAL_DIR", "")];
    let (found, notes) = words("-name a --name=b -client-cert-auth", &environment).expect("good");
    assert_eq!(found, "--name=b --client-cert-auth --data-dir=d");
    let told = "--logger has no effect: there is one log, on standard error, of one level";
    assert_eq!(notes, [told]);
    assert_eq!(words("--name", &[]).expect_err("no value"), "--name wants a value");
}

#[test]
fn what_would_be_dangerous_to_pass_over_is_refused_and_what_asks_for_nothing_is_not() {
    for flags in ["--force-new-cluster=false --proxy=off --pre-vote", "--host-whitelist=*"] {
        assert_eq!(words(flags, &[]), Ok((String::new(), Vec::new())), "{flags}");
    }
    for (flags, expected) in [
        ("--force-new-cluster", "--force-new-cluster=true is refused: a cluster that has lost its"),
        ("--discovery http://d", "--discovery=http://d is refused: name the members"),
        ("--peer-cert-allowed-cn me", "--peer-cert-allowed-cn=me is refused: the names in"),
    ] {
        let error = words(flags, &[]).expect_err(flags);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_configuration_file_counts_alone() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("etcd.yml");
    let text = "name: m1\nheartbeat-interval: 50\nlisten-client-urls: [http://h:1, http://h:2]\n\
                strict-reconfig-check: false\ninitial-cluster:\nodd: 1\nlogger: zap\n\
                client-transport-security:\n  cert-file: c.pem\n  client-cert-auth: true\n\
                peer-transport-security:\n  auto-tls: true\n";
    std::fs::write(&path, text).expect("a file");
    let path = path.display();
    let flags = format!("--config-file {path} --name other --bug local-read");
    let (found, notes) = words(&flags, &[("ETCD_DATA_DIR", "d")]).expect("a good file");
    assert_eq!(
        found,
        "--bug=local-read --name=m1 --heartbeat-interval=50 \
         --listen-client-urls=http://h:1,http://h:2 --strict-reconfig-check=false \
         --cert-file=c.pem --client-cert-auth=true --peer-auto-tls=true"
    );
    assert_eq!(notes[0], format!("--config-file {path}: odd is no flag of etcd's"));
    assert_eq!(notes[1], format!("--config-file {path} alone counts, as in etcd"));
    assert_eq!(words(&flags, &[]).map(|(found, _)| found), Ok(found));
    for (text, expected) in [
        ("- name", "the file is no mapping of names to values"),
        ("peer-transport-security: x", "peer-transport-security is no mapping of names to values"),
        ("name: {a: b}", "name has no value that a flag can have"),
        ("name: [", "while parsing a"),
    ] {
        std::fs::write(folder.path().join("etcd.yml"), text).expect("a file");
        let error = words(&flags, &[]).expect_err(text);
        assert!(error.starts_with(&format!("--config-file {path}: ")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_retention_is_a_time_or_a_number_of_revisions() {
    use ordeal_cluster::server::AutoCompaction::{Off, Periodic, Revision};
    let hours = |hours: u64| Periodic(std::time::Duration::from_secs(hours * 3_600));
    for (flags, expected) in [
        ("", Off),
        ("--auto-compaction-retention=2", hours(2)),
        ("--auto-compaction-retention=1h", hours(1)),
        ("--auto-compaction-retention=0s", Off),
        ("--auto-compaction-mode=revision --auto-compaction-retention=1000", Revision(1_000)),
        ("--auto-compaction-mode=revision", Off),
    ] {
        assert_eq!(config(flags).expect(flags).auto_compaction, expected, "{flags}");
    }
    let error = config("--auto-compaction-mode=revision --auto-compaction-retention=1h");
    assert!(error.expect_err("no number").contains("1h: it is no number of revisions"));
}
