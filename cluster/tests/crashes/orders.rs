//! Snapshot files, the marks of the log that name them, and the log itself, in every order in which
//! a stop may leave them: a row each.

use std::sync::Arc;

use ordeal_cluster::bugs::Bugs;
use ordeal_cluster::disk::{Disk, MemDisk};
use ordeal_cluster::log::snapshot::{Image, save};
use ordeal_cluster::log::{Install, Log, LogConfig, LogError, Position, Recovered, Write, open};
use ordeal_cluster::state::State;
use raft::eraftpb::{Entry, HardState, SnapshotMetadata};

const WAL: &str = "member/wal/0000000000000001.wal";

/// What is done to the directory, one after the other.
enum Do {
    /// Entries from the first index to the last, in the term 1.
    Entries(u64, u64),
    /// A snapshot file of this index.
    File(u64),
    /// A file of this index without its end, under the name that it has while it is written.
    HalfFile(u64),
    /// The mark that the log up to this index may go.
    Mark(u64),
    /// The snapshot of the leader: file and mark.
    Install(u64),
    /// The file of this index is taken away.
    LoseFile(u64),
    /// The file of this index is cut off in the middle.
    CutFile(u64),
    /// A bit flips in the middle of the log's segment.
    FlipBit,
    /// Bytes that never were a record stand behind the log.
    Garbage,
}

/// What the next start makes of it.
enum Becomes {
    /// Snapshot (0 for none), first and last entry (0 and 0 for none).
    Goes(u64, u64, u64),
    /// Refused, in words among which these are.
    Refused(&'static [&'static str]),
}

use Becomes::{Goes, Refused};
use Do::{CutFile, Entries, File, FlipBit, Garbage, HalfFile, LoseFile, Mark};

#[test]
fn snapshots_and_log_in_every_order_are_gone_on_from_or_refused_by_name() {
    let rows: &[(&str, &[Do], Becomes)] = &[
        ("a log alone", &[Entries(2, 9)], Goes(0, 2, 9)),
        ("a file without its mark", &[Entries(2, 9), File(5)], Goes(0, 2, 9)),
        ("a file half written", &[Entries(2, 9), HalfFile(5)], Goes(0, 2, 9)),
        (
            "a file half written behind a whole one",
            &[Entries(2, 9), File(5), Mark(5), HalfFile(7)],
            Goes(5, 6, 9),
        ),
        ("file and mark", &[Entries(2, 9), File(5), Mark(5)], Goes(5, 6, 9)),
        ("file and mark at the log's end", &[Entries(2, 9), File(9), Mark(9)], Goes(9, 0, 0)),
        (
            "a mark without its file",
            &[Entries(2, 9), File(5), Mark(5), LoseFile(5)],
            Refused(&["read", "0000000000000005-0000000000000001.snap"]),
        ),
        (
            "a mark with half of its file",
            &[Entries(2, 9), File(5), Mark(5), CutFile(5)],
            Refused(&["0000000000000005-0000000000000001.snap", "corrupt at byte"]),
        ),
        (
            "an old snapshot and a long log",
            &[Entries(2, 5), File(4), Mark(4), Entries(6, 60)],
            Goes(4, 5, 60),
        ),
        (
            "a newer file that no mark names yet",
            &[Entries(2, 9), File(4), Mark(4), File(8)],
            Goes(4, 5, 9),
        ),
        (
            "two snapshots, both marked",
            &[Entries(2, 9), File(4), Mark(4), File(8), Mark(8)],
            Goes(8, 9, 9),
        ),
        (
            "two marks, and the newer's file is lost",
            &[Entries(2, 9), File(4), Mark(4), File(8), Mark(8), LoseFile(8)],
            Refused(&["read", "0000000000000008-0000000000000001.snap"]),
        ),
        ("the leader's snapshot", &[Entries(2, 9), Do::Install(30)], Goes(30, 0, 0)),
        (
            "the leader's snapshot and what came since",
            &[Entries(2, 9), Do::Install(30), Entries(31, 33)],
            Goes(30, 31, 33),
        ),
        (
            "the leader's snapshot is lost",
            &[Entries(2, 9), Do::Install(30), LoseFile(30)],
            Refused(&["read", "000000000000001e-0000000000000001.snap"]),
        ),
        ("a torn tail", &[Entries(2, 9), Garbage], Goes(0, 2, 9)),
        (
            "a torn tail behind a snapshot",
            &[Entries(2, 9), File(5), Mark(5), Garbage],
            Goes(5, 6, 9),
        ),
        (
            "a flipped bit with durable records behind it",
            &[Entries(2, 5), Entries(6, 9), FlipBit],
            Refused(&[WAL, "corrupt at byte", "this is no torn tail"]),
        ),
        (
            "a flipped bit in a log whose snapshot is whole",
            &[Entries(2, 9), File(5), Mark(5), Entries(10, 12), FlipBit],
            Refused(&[WAL, "corrupt at byte"]),
        ),
    ];
    for (name, deeds, becomes) in rows {
        let disk = MemDisk::new();
        let mut log = Some(opened(&disk).expect("a fresh disk").0);
        for deed in *deeds {
            carry_out(deed, &disk, &mut log);
        }
        drop(log);
        // Twice: what a recovery leaves must itself be gone on from, or refused, alike.
        for start in 1..=2 {
            check(&format!("{name}, start {start}"), opened(&disk), becomes);
        }
    }
}

fn check(name: &str, opened: Result<(Log, Recovered), LogError>, becomes: &Becomes) {
    match (opened, becomes) {
        (Ok((_log, found)), Goes(snapshot, first, last)) => {
            let base = found.snapshot.as_ref().map_or(0, |image| image.position().index);
            let index = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.index);
            let ends = (base, index(found.entries.first()), index(found.entries.last()));
            assert_eq!(ends, (*snapshot, *first, *last), "{name}");
            let gapless = found.entries.windows(2).all(|pair| pair[0].index + 1 == pair[1].index);
            assert!(gapless, "{name}: {:?}", found.entries);
        }
        (Err(error), Refused(words)) => {
            let text = error.to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{name}: {text}");
        }
        (Ok((_log, found)), Refused(_)) => panic!("{name}: went on from {found:?}"),
        (Err(error), Goes(..)) => panic!("{name}: {error}"),
    }
}

fn opened(disk: &MemDisk) -> Result<(Log, Recovered), LogError> {
    let config = LogConfig {
        node_id: 1,
        cluster_id: 2,
        segment_bytes: 1 << 20,
        joined: false,
        bugs: Bugs::default(),
    };
    open(Arc::new(disk.clone()), config)
}

/// Does it as the node would, with the log open, or to a directory that nobody has open.
fn carry_out(deed: &Do, disk: &MemDisk, log: &mut Option<Log>) {
    let write = match *deed {
        Entries(first, last) => {
            let entry = |index| Entry { index, term: 1, data: vec![7; 40], ..Entry::default() };
            let hard_state = HardState { term: 1, commit: last, ..HardState::default() };
            let entries = (first..=last).map(entry).collect();
            Write { entries, hard_state: Some(hard_state), ..Write::default() }
        }
        File(index) => return save(disk, &image(index)).expect("memory"),
        HalfFile(index) => {
            let bytes = image(index).encode();
            let mut file = disk.open_append(&format!("{}.tmp", path(index))).expect("memory");
            file.append(&bytes[..bytes.len() / 2]).expect("memory");
            return file.sync().expect("memory");
        }
        Mark(index) => Write { release: Some(Position { index, term: 1 }), ..Write::default() },
        Do::Install(index) => {
            let bytes = image(index).encode();
            let install = Install { position: Position { index, term: 1 }, bytes };
            Write { install: Some(install), ..Write::default() }
        }
        LoseFile(index) => {
            drop(log.take());
            return disk.remove(&path(index)).expect("it is there");
        }
        CutFile(index) => {
            drop(log.take());
            let len = image(index).encode().len() as u64;
            return disk.truncate(&path(index), len / 2).expect("it is there");
        }
        FlipBit => {
            drop(log.take());
            let flip = |bytes: &mut Vec<u8>| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
            };
            return disk.corrupt(WAL, flip).expect("it is there");
        }
        Garbage => {
            drop(log.take());
            return disk.corrupt(WAL, |bytes| bytes.extend(1..100)).expect("it is there");
        }
    };
    let log = log.as_mut().expect("it is open");
    log.append(&write).expect("memory");
    log.sync().expect("memory");
}

fn image(index: u64) -> Image {
    let metadata = SnapshotMetadata { index, term: 1, ..SnapshotMetadata::default() };
    Image { metadata, state: State::default() }
}

fn path(index: u64) -> String {
    format!("member/snap/{index:016x}-{:016x}.snap", 1)
}
