//! The embedded nodes as etcd's own command line sees them, in three of its releases.
//!
//! Each file in `scripts/` is played by each `etcdctl` at hand, and what it shows must be what it
//! shows of etcd 3.5.30, which stands in `shown/RELEASE/`: so a machine without that etcd can tell
//! too. Where it is at hand the tables are held against it as well, and `ORDEAL_BLESS=1` writes
//! them anew, from it alone.
//!
//! `$ORDEAL_ETCD_RELEASES` names a folder with `VERSION/etcd` and `VERSION/etcdctl`; else there is
//! the `etcdctl` of `$ORDEAL_ETCDCTL` or of the path.

mod console;
mod masks;
mod output;
mod snapshots;
mod target;

use std::path::{Path, PathBuf};
use std::process::Command;

use console::Console;
use target::Target;

use crate::differential::etcd::{Release, etcd, release};
use crate::tls::Authority;

/// The releases whose tables there are.
const RELEASES: [Release; 3] = [(3, 3, 25), (3, 4, 23), (3, 5, 30)];

/// The release whose behaviour is followed.
const FOLLOWED: Release = (3, 5, 30);

fn name((major, minor, patch): Release) -> String {
    format!("{major}.{minor}.{patch}")
}

/// Where the scripts are, and the tables.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/etcdctl")
}

fn script(name: &str) -> String {
    let path = folder().join("scripts").join(format!("{name}.txt"));
    std::fs::read_to_string(path).expect("the script is in the repository")
}

fn from_folder(program: &str, wanted: Release) -> Option<String> {
    let folder = std::env::var_os("ORDEAL_ETCD_RELEASES")?;
    let path = PathBuf::from(folder).join(name(wanted)).join(program);
    path.exists().then(|| path.to_str().expect("a path of text").to_owned())
}

/// The release of an `etcdctl`, if it is one that knows the v3 API.
fn release_of_etcdctl(program: &str) -> Option<Release> {
    let output = Command::new(program).arg("version").env("ETCDCTL_API", "3").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("etcdctl version: "))?;
    let mut numbers = version.split(['.', '-', '+']).map_while(|number| number.trim().parse().ok());
    Some((numbers.next()?, numbers.next()?, numbers.next()?))
}

/// Every `etcdctl` at hand that there is a table for.
fn programs() -> Vec<(String, Release)> {
    let in_folder = |release| Some((from_folder("etcdctl", release)?, release));
    let mut programs: Vec<_> = RELEASES.into_iter().filter_map(in_folder).collect();
    if programs.is_empty() {
        let program = std::env::var("ORDEAL_ETCDCTL").unwrap_or_else(|_| "etcdctl".into());
        let release = release_of_etcdctl(&program).filter(|release| RELEASES.contains(release));
        programs.extend(release.map(|release| (program, release)));
    }
    if programs.is_empty() {
        let why = "there is no etcdctl 3.3.25, 3.4.23 or 3.5.30: on the path, in \
                   $ORDEAL_ETCDCTL or in the folder $ORDEAL_ETCD_RELEASES";
        assert!(!is_required(), "{why}");
        eprintln!("skipped: {why}");
    }
    programs
}

fn is_required() -> bool {
    std::env::var("ORDEAL_REQUIRE_ETCD").is_ok_and(|value| value == "1")
}

/// The etcd that is followed, where it is at hand.
fn followed() -> Option<String> {
    let given = || etcd().filter(|program| release(program) == FOLLOWED);
    from_folder("etcd", FOLLOWED).or_else(given)
}

/// Where two tables differ, command by command.
fn differences(ours: &str, theirs: &str) -> String {
    let split = |text: &str| -> Vec<String> {
        text.split("\n$ ").map(|block| block.trim_end().to_owned()).collect()
    };
    let (ours, theirs) = (split(ours), split(theirs));
    if ours.len() != theirs.len() {
        return format!("{} commands, but of etcd {}\n", ours.len(), theirs.len());
    }
    let pairs = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs);
    pairs.map(|(ours, theirs)| format!("$ {ours}\n-- but of etcd\n$ {theirs}\n\n")).collect()
}

/// Plays a script to the embedded nodes, and to etcd where it is at hand.
fn check(
    script: &str,
    play: impl Fn((&str, Release), &dyn Fn() -> Target) -> String,
    start: &Starts,
) {
    let mut all = String::new();
    for (program, release) in programs() {
        let path = folder().join("shown").join(name(release)).join(format!("{script}.txt"));
        let real = followed().map(|etcd| play((&program, release), &|| (start.etcd)(&etcd)));
        if std::env::var("ORDEAL_BLESS").is_ok_and(|value| value == "1") {
            let shown = real.as_ref().expect("ORDEAL_BLESS=1 needs etcd 3.5.30");
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, shown).expect("a file");
        }
        let table = std::fs::read_to_string(&path).expect("the table is in the repository");
        if let Some(real) = real {
            let differences = differences(&real, &table);
            assert_eq!(differences, "", "etcd itself shows otherwise than {}", path.display());
        }
        let shown = play((&program, release), &start.embedded);
        let differences = differences(&shown, &table);
        if !differences.is_empty() {
            all += &format!("==== etcdctl {}\n{differences}", name(release));
        }
    }
    assert_eq!(all, "", "{script}: what is shown differs from what is shown of etcd 3.5.30");
}

/// How to start each kind of cluster.
struct Starts<'a> {
    embedded: &'a dyn Fn() -> Target,
    etcd: &'a dyn Fn(&str) -> Target,
}

fn check_script(name: &str, members: usize) {
    let starts = Starts {
        embedded: &|| Target::embedded(members, None),
        etcd: &|program| Target::etcd(program, members, None),
    };
    let play = |program: (&str, Release), start: &dyn Fn() -> Target| {
        Console::new(program, &mut start(), Vec::new()).play(&script(name))
    };
    check(name, play, &starts);
}

#[test]
fn keys_and_transactions() {
    check_script("kv", 1);
}

#[test]
fn watches() {
    check_script("watch", 1);
}

#[test]
fn leases_locks_and_elections() {
    check_script("coordination", 1);
}

#[test]
fn users_and_roles() {
    check_script("auth", 1);
}

#[test]
fn what_operators_ask_of_one_member() {
    check_script("maintenance", 1);
}

#[test]
fn what_operators_ask_of_a_cluster() {
    check_script("cluster", 3);
}

#[test]
fn everything_over_tls_with_certificates() {
    let authority = Authority::new();
    let starts = Starts {
        embedded: &|| Target::embedded(1, Some(&authority)),
        etcd: &|program| Target::etcd(program, 1, Some(&authority)),
    };
    let (cert, key) = authority.sign("root");
    let files = [("--cacert", authority.ca()), ("--cert", cert), ("--key", key)];
    let flags = files.iter().flat_map(|(flag, file)| {
        [(*flag).to_owned(), file.to_str().expect("a path of text").to_owned()]
    });
    let flags: Vec<String> = flags.collect();
    let play = |program: (&str, Release), start: &dyn Fn() -> Target| {
        Console::new(program, &mut start(), flags.clone()).play(&script("tls"))
    };
    check("tls", play, &starts);
}

#[test]
fn one_cluster_mirrors_another() {
    let starts = Starts {
        embedded: &|| Target::embedded(1, None),
        etcd: &|program| Target::etcd(program, 1, None),
    };
    let play = |program: (&str, Release), start: &dyn Fn() -> Target| {
        let (mut source, copy) = (start(), start());
        let mut console = Console::new(program, &mut source, Vec::new());
        console.name("COPY", &copy.urls()[0].0);
        console.play(&script("mirror"))
    };
    check("mirror", play, &starts);
}
