//! Without faults the disk is a folder like any other: random operations give what they give on
//! a plain one.

use crate::inside::with_disk;
use nix::mount::{MsFlags, mount};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;

/// Operations on a few names, so that they meet.
#[derive(Clone, Debug)]
enum Operation {
    Write(&'static str, u64, usize, u8),
    Append(&'static str, usize),
    Truncate(&'static str, u64),
    Reserve(&'static str, u64),
    Read(&'static str, u64, usize),
    Fsync(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Unlink(&'static str),
    MakeFolder(&'static str),
    RemoveFolder(&'static str),
    List(&'static str),
    Stat(&'static str),
}

const NAMES: [&str; 8] = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "b/x"];

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let write = |(name, offset, len, byte)| Write(name, offset, len, byte);
    let name = || prop::sample::select(&NAMES[..]);
    let offset = || prop_oneof![0..20_000_u64, Just(4096), Just(512)];
    prop_oneof![
        4 => (name(), offset(), 1..9000_usize, any::<u8>()).prop_map(write),
        2 => (name(), 1..5000_usize).prop_map(|(n, l)| Append(n, l)),
        2 => (name(), offset()).prop_map(|(n, s)| Truncate(n, s)),
        1 => (name(), offset()).prop_map(|(n, s)| Reserve(n, s + 1)),
        3 => (name(), offset(), 1..9000_usize).prop_map(|(n, o, l)| Read(n, o, l)),
        1 => name().prop_map(Fsync),
        3 => (name(), name()).prop_map(|(a, b)| Rename(a, b)),
        1 => (name(), name()).prop_map(|(a, b)| Link(a, b)),
        1 => (name(), name()).prop_map(|(a, b)| Symlink(a, b)),
        2 => name().prop_map(Unlink),
        4 => name().prop_map(MakeFolder),
        1 => name().prop_map(RemoveFolder),
        2 => name().prop_map(List),
        1 => name().prop_map(Stat),
    ]
}

/// Does it below `root`; what it gives, as text, with the error by its number.
fn perform(root: &Path, operation: &Operation) -> String {
    let at = |name: &str| root.join(name);
    let writer =
        |name: &str| OpenOptions::new().write(true).create(true).truncate(false).open(at(name));
    let result: io::Result<String> = match operation {
        Operation::Write(name, offset, len, byte) => writer(name)
            .and_then(|file| file.write_all_at(&vec![*byte; *len], *offset))
            .map(|()| String::new()),
        Operation::Append(name, len) => OpenOptions::new()
            .append(true)
            .open(at(name))
            .and_then(|mut file| file.write_all(&vec![7; *len]))
            .map(|()| String::new()),
        Operation::Truncate(name, size) => {
            writer(name).and_then(|file| file.set_len(*size)).map(|()| String::new())
        }
        Operation::Reserve(name, size) => writer(name)
            .and_then(|file| {
                let flags = nix::fcntl::FallocateFlags::empty();
                nix::fcntl::fallocate(&file, flags, 0, *size as i64).map_err(io::Error::from)
            })
            .map(|()| String::new()),
        Operation::Read(name, offset, len) => File::open(at(name)).and_then(|file| {
            let mut bytes = vec![0; *len];
            let read = file.read_at(&mut bytes, *offset)?;
            Ok(format!("{:?}", &bytes[..read]))
        }),
        Operation::Fsync(name) => {
            File::open(at(name)).and_then(|file| file.sync_all()).map(|()| String::new())
        }
        Operation::Rename(from, to) => fs::rename(at(from), at(to)).map(|()| String::new()),
        Operation::Link(from, to) => fs::hard_link(at(from), at(to)).map(|()| String::new()),
        Operation::Symlink(from, to) => symlink(from, at(to)).map(|()| String::new()),
        Operation::Unlink(name) => fs::remove_file(at(name)).map(|()| String::new()),
        Operation::MakeFolder(name) => fs::create_dir(at(name)).map(|()| String::new()),
        Operation::RemoveFolder(name) => fs::remove_dir(at(name)).map(|()| String::new()),
        Operation::List(name) => list(&at(name)).map(|names| names.join(" ")),
        Operation::Stat(name) => fs::symlink_metadata(at(name)).map(|meta| {
            let (size, links) = if meta.is_dir() { (0, 0) } else { (meta.len(), meta.nlink()) };
            format!("{:o} {size} {links}", meta.mode())
        }),
    };
    result.unwrap_or_else(|error| format!("error {:?}", error.raw_os_error()))
}

fn list(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Every path below `root`, with what is there.
fn everything(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in list(&folder).expect("a folder") {
            let path = folder.join(name);
            let shown = path.strip_prefix(root).expect("below it").display().to_string();
            let meta = fs::symlink_metadata(&path).expect("it was listed");
            if meta.is_dir() {
                found.push(shown);
                folders.push(path);
            } else if meta.is_file() {
                found.push(format!("{shown}: {:?}", fs::read(&path).expect("readable")));
            } else {
                found.push(format!("{shown} -> {:?}", fs::read_link(&path).expect("a link")));
            }
        }
    }
    found
}

#[test]
fn random_operations_give_the_same_on_the_disk_and_in_a_plain_folder() {
    with_disk(|disk| {
        let plain = tempfile::tempdir().expect("a folder");
        let none = None::<&str>;
        mount(Some("plain"), plain.path(), Some("tmpfs"), MsFlags::empty(), none).expect("a tmpfs");
        let rounds = Cell::new(0);
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 200,
            failure_persistence: None,
            rng_algorithm: prop::test_runner::RngAlgorithm::ChaCha,
            ..ProptestConfig::default()
        });
        let outcome = runner.run(&vec(operation(), 1..60), |operations| {
            let round = rounds.replace(rounds.get() + 1);
            let roots = [disk.path(&round.to_string()), plain.path().join(round.to_string())];
            roots.iter().for_each(|root| fs::create_dir(root).expect("a fresh name"));
            for operation in &operations {
                let [ours, theirs] = roots.each_ref().map(|root| perform(root, operation));
                prop_assert_eq!(ours, theirs, "{:?}", operation);
            }
            prop_assert_eq!(everything(&roots[0]), everything(&roots[1]));
            roots.iter().for_each(|root| fs::remove_dir_all(root).expect("removed"));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(disk.counters().writes > 100, "{:?}", disk.counters());
        assert_eq!(disk.files(), []);
    });
}
