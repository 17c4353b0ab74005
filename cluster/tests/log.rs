//! The log on a disk that loses, tears and decays.

use std::sync::Arc;

use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::disk::{Disk, MemDisk, RealDisk};
use ordeal_cluster::log::snapshot::{Image, save};
use ordeal_cluster::log::{Log, LogConfig, LogError, Position, Recovered, Write, open};
use ordeal_cluster::state::State;
use proptest::prelude::*;
use raft::eraftpb::{Entry, HardState, SnapshotMetadata};

const FIRST_SEGMENT: &str = "member/wal/0000000000000001.wal";

fn config() -> LogConfig {
    LogConfig {
        node_id: 1,
        cluster_id: 2,
        segment_bytes: 600,
        joined: false,
        bugs: Bugs::default(),
    }
}

fn open_mem(disk: &MemDisk) -> Result<(Log, Recovered), LogError> {
    open(Arc::new(disk.clone()), config())
}

fn entry(index: u64, term: u64, size: usize) -> Entry {
    Entry { index, term, data: vec![index as u8; size], ..Entry::default() }
}

fn image(index: u64, term: u64) -> Image {
    let metadata = SnapshotMetadata { index, term, ..SnapshotMetadata::default() };
    Image { metadata, state: State::default() }
}

/// What the log should hold: a list of entries behind a base.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    base: u64,
    entries: Vec<(u64, u64)>,
    term: u64,
}

impl Model {
    fn last(&self) -> u64 {
        self.entries.last().map_or(self.base.max(1), |(index, _)| *index)
    }

    fn of(recovered: &Recovered) -> Self {
        Self {
            base: recovered.snapshot.as_ref().map_or(0, |image| image.position().index),
            entries: recovered.entries.iter().map(|entry| (entry.index, entry.term)).collect(),
            term: recovered.hard_state.term,
        }
    }
}

/// One step of a random life of a log.
#[derive(Debug, Clone)]
enum Step {
    Append { back: u64, count: u64, size: usize },
    Release { back: u64 },
    Install { ahead: u64 },
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_u64, 1..4_u64, 0..200_usize)
            .prop_map(|(back, count, size)| Step::Append { back, count, size }),
        1 => (0..5_u64).prop_map(|back| Step::Release { back }),
        1 => (1..20_u64).prop_map(|ahead| Step::Install { ahead }),
        4 => Just(Step::Sync),
    ];
    prop::collection::vec(step, 1..40)
}

/// Carries out a step on the log and on the model; says whether all is durable after it.
fn take(
    step: &Step,
    disk: &MemDisk,
    log: &mut Log,
    model: &mut Model,
    newest_term: &mut u64,
) -> bool {
    let mut write = Write::default();
    match *step {
        Step::Append { back, count, size } => {
            *newest_term += 1;
            model.term = *newest_term;
            let from = (model.last() + 1 - back.min(model.entries.len() as u64)).max(2);
            model.entries.retain(|(index, _)| *index < from);
            for index in from..from + count {
                write.entries.push(entry(index, model.term, size));
                model.entries.push((index, model.term));
            }
            let hard_state = HardState { term: model.term, ..HardState::default() };
            write.hard_state = Some(hard_state);
        }
        Step::Release { back } => {
            let index = model.last().saturating_sub(back);
            if index <= model.base.max(1) {
                return false;
            }
            let found = model.entries.iter().find(|(at, _)| *at == index);
            let term = found.map_or(0, |(_, term)| *term);
            save(disk, &image(index, term)).expect("the disk takes it");
            write.release = Some(Position { index, term });
            model.entries.retain(|(at, _)| *at > index);
            model.base = index;
        }
        Step::Install { ahead } => {
            let position = Position { index: model.last() + ahead, term: model.term };
            let bytes = image(position.index, position.term).encode();
            write.install = Some(ordeal_cluster::log::Install { position, bytes });
            *model = Model { base: position.index, entries: Vec::new(), term: model.term };
        }
        Step::Sync => {
            log.sync().expect("the disk takes it");
            return true;
        }
    }
    log.append(&write).expect("the disk takes it");
    // Snapshots sync by themselves.
    write.install.is_some() || write.release.is_some()
}

/// Whether a log was cut within the write that made `next` of `before`.
fn is_cut(found: &Model, before: &Model, next: &Model) -> bool {
    let same = before.entries.iter().zip(&next.entries).take_while(|(a, b)| a == b).count();
    found.base == next.base
        && next.entries.starts_with(&found.entries)
        && found.entries.len() > same
        && found.term >= before.term
}

fn draws(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_a_power_cut_the_log_holds_all_that_was_synced_and_nothing_out_of_order(
        lives in prop::collection::vec((steps(), any::<u64>()), 1..4),
    ) {
        let disk = MemDisk::new();
        let mut model = Model::default();
        // Entries may outlive the term that was written behind them; later ones must differ.
        let mut newest_term = 0;
        for (steps, seed) in lives {
            let (mut log, recovered) = open_mem(&disk).expect("what was synced is good");
            prop_assert_eq!(&Model::of(&recovered), &model);
            // Every state that the log may be found in: those since the last sync.
            let mut possible = vec![Model::of(&recovered)];
            for step in &steps {
                if take(step, &disk, &mut log, &mut model, &mut newest_term) {
                    possible.clear();
                }
                possible.push(model.clone());
            }
            drop(log);
            disk.crash(draws(seed));
            let (log, recovered) = open_mem(&disk).expect("a torn tail is repaired");
            drop(log);
            let found = Model::of(&recovered);
            // A write of several entries may be cut between them.
            let cut = possible.windows(2).any(|pair| is_cut(&found, &pair[0], &pair[1]));
            prop_assert!(possible.contains(&found) || cut, "{found:?} is none of {possible:?}");
            model = found;
        }
    }

    #[test]
    fn a_flipped_bit_in_what_a_later_write_proves_durable_is_refused(
        count in 3..20_u64,
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let disk = MemDisk::new();
        let config = LogConfig { segment_bytes: 1 << 20, ..config() };
        let (mut log, _) = open(Arc::new(disk.clone()), config.clone()).expect("a fresh disk");
        let mut durable = 0;
        for index in 2..2 + count {
            durable = disk.read(FIRST_SEGMENT).expect("the segment").len();
            log.append(&Write { entries: vec![entry(index, 1, 30)], ..Write::default() })
                .expect("the disk takes it");
            log.sync().expect("the disk takes it");
        }
        drop(log);
        let at = at.index(durable);
        disk.corrupt(FIRST_SEGMENT, |bytes| bytes[at] ^= 1 << bit).expect("the segment");
        let refused = open(Arc::new(disk.clone()), config);
        prop_assert!(
            matches!(refused, Err(LogError::Corrupt { .. })),
            "byte {at} of {durable}: {:?}",
            refused.map(|(_, recovered)| recovered)
        );
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = MemDisk::new();
    let (mut log, _) = open_mem(&disk).expect("a fresh disk");
    for index in 2..40 {
        log.append(&Write { entries: vec![entry(index, 1, 100)], ..Write::default() })
            .expect("the disk takes it");
    }
    assert!(log.segments() > 3);
    drop(log);
    disk.remove("member/wal/0000000000000002.wal").expect("it is there");
    let error = open_mem(&disk).err().expect("a gap is no log").to_string();
    assert!(error.contains("0000000000000002.wal") && error.contains("missing"), "{error}");
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let disk = MemDisk::new();
    let (mut log, _) = open_mem(&disk).expect("a fresh disk");
    let entries = vec![entry(2, 1, 10), entry(3, 1, 10)];
    log.append(&Write { entries, ..Write::default() }).expect("the disk takes it");
    save(&disk, &image(2, 1)).expect("the disk takes it");
    let release = Some(Position { index: 2, term: 1 });
    log.append(&Write { release, ..Write::default() }).expect("the disk takes it");
    drop(log);
    let path = "member/snap/0000000000000002-0000000000000001.snap";
    disk.corrupt(path, |bytes| bytes[40] ^= 1).expect("the snapshot");
    let error = open_mem(&disk).err().expect("a damaged snapshot is none").to_string();
    assert!(error.contains(path) && error.contains("corrupt at byte"), "{error}");
}

#[test]
fn a_directory_of_another_cluster_or_member_or_format_is_refused() {
    for (other, words) in [
        (LogConfig { cluster_id: 3, ..config() }, "belongs to the cluster 2"),
        (LogConfig { node_id: 9, ..config() }, "belongs to the member 1"),
    ] {
        let disk = MemDisk::new();
        drop(open_mem(&disk).expect("a fresh disk"));
        let refused = open(Arc::new(disk), other).err().expect("it is not ours");
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

#[test]
fn a_directory_in_use_is_refused_and_free_again_when_the_log_is_dropped() {
    let root = tempfile::TempDir::new().expect("a directory");
    let disk = || Arc::new(RealDisk::new(root.path()));
    let (log, recovered) = open(disk(), config()).expect("a fresh directory");
    assert!(recovered.fresh);
    let refused = open(disk(), config()).err().expect("it is in use");
    assert!(matches!(refused, LogError::InUse(_)), "{refused}");
    drop(log);
    let (_, recovered) = open(disk(), config()).expect("it is free");
    assert!(!recovered.fresh);
}

fn open_with(disk: &MemDisk, bugs: Bugs) -> Recovered {
    let config = LogConfig { bugs, segment_bytes: 1 << 20, ..config() };
    open(Arc::new(disk.clone()), config).expect("the log opens").1
}

#[test]
fn a_torn_entry_is_cut_off_and_torn_tail_trusted_takes_it_for_whole() {
    let torn = || {
        let disk = MemDisk::new();
        let (mut log, _) = open_mem(&disk).expect("a fresh disk");
        log.append(&Write { entries: vec![entry(2, 1, 50)], ..Write::default() }).expect("written");
        log.sync().expect("durable");
        log.append(&Write { entries: vec![entry(3, 1, 90)], ..Write::default() }).expect("written");
        drop(log);
        disk.corrupt(FIRST_SEGMENT, |bytes| bytes.truncate(bytes.len() - 40)).expect("torn");
        disk
    };
    let cut = open_with(&torn(), Bugs::default());
    assert_eq!(cut.entries, [entry(2, 1, 50)]);
    assert!(cut.torn_bytes > 0);
    let trusted = open_with(&torn(), Bugs::default().with(Bug::TornTailTrusted));
    assert_eq!(trusted.entries.len(), 2);
    assert_eq!(trusted.entries[1].index, 3);
    assert_ne!(trusted.entries[1].data, entry(3, 1, 90).data, "a write that nobody made");
}

#[test]
fn entries_written_while_a_snapshot_was_saved_stay_and_snapshot_log_gap_loses_them() {
    let disk = MemDisk::new();
    let (mut log, _) = open_mem(&disk).expect("a fresh disk");
    let entries: Vec<Entry> = (2..=10).map(|index| entry(index, 1, 5)).collect();
    log.append(&Write { entries, ..Write::default() }).expect("written");
    save(&disk, &image(5, 1)).expect("saved");
    let release = Some(Position { index: 5, term: 1 });
    log.append(&Write { release, ..Write::default() }).expect("written");
    log.append(&Write { entries: vec![entry(11, 1, 5)], ..Write::default() }).expect("written");
    log.sync().expect("durable");
    drop(log);
    let indexes = |recovered: Recovered| -> Vec<u64> {
        recovered.entries.iter().map(|entry| entry.index).collect()
    };
    assert_eq!(indexes(open_with(&disk, Bugs::default())), [6, 7, 8, 9, 10, 11]);
    let bugs = Bugs::default().with(Bug::SnapshotLogGap);
    assert_eq!(indexes(open_with(&disk, bugs)), [0; 0]);
}
