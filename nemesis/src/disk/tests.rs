//! The fault model, tried on the image alone, without a kernel in between.

use super::image::{Image, NewAttributes};
use super::tree::{Ino, Kind, ROOT, Replace, Rights};
use super::{Corruption, DiskError, Files, Survivors};
use nix::errno::Errno;
use proptest::collection::vec;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::ffi::OsStr;
use std::time::SystemTime;

const RIGHTS: Rights = Rights { mode: 0o755, uid: 0, gid: 0 };
const MUCH: u64 = u64::MAX;

fn image() -> Image {
    Image::new(RIGHTS, 1 << 20, || SystemTime::UNIX_EPOCH)
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

fn file(image: &mut Image, name: &str, data: &[u8]) -> Ino {
    let ino = image.create((ROOT, name.into()), Kind::File, RIGHTS).expect("a fresh name");
    image.write(ino, 0, data, MUCH).expect("space");
    ino
}

fn bytes(image: &Image, name: &str) -> Result<Vec<u8>, Errno> {
    image.read(image.lookup(ROOT, OsStr::new(name))?, 0, 1 << 20)
}

#[test]
fn any_fsync_commits_all_names_and_the_bytes_of_its_own_file_only() {
    let mut image = image();
    let one = file(&mut image, "one", b"1");
    file(&mut image, "two", b"2");
    image.flush(one).expect("there");
    file(&mut image, "three", b"3");
    let loss = image.lose_power(Survivors::Nothing, &mut rng());
    assert_eq!(bytes(&image, "one"), Ok(b"1".to_vec()));
    assert_eq!(bytes(&image, "two"), Ok(vec![]));
    assert_eq!(bytes(&image, "three"), Err(Errno::ENOENT));
    assert_eq!((loss.bytes_lost, loss.changes_lost), (2, 1));
    assert_eq!(
        loss.files.into_iter().collect::<Vec<_>>(),
        [("three".to_owned(), 1), ("two".to_owned(), 1)]
    );
}

#[test]
fn a_file_written_fsynced_and_renamed_into_place_is_the_old_one_or_the_new_one() {
    for (committed, wanted) in [(false, "old"), (true, "new")] {
        let mut image = image();
        let old = file(&mut image, "f", b"old");
        image.flush(old).expect("there");
        let new = file(&mut image, "f.tmp", b"new");
        image.flush(new).expect("there");
        image.rename((ROOT, "f.tmp".into()), (ROOT, "f".into()), Replace::Yes).expect("renamed");
        if committed {
            image.commit();
        }
        image.lose_power(Survivors::Nothing, &mut rng());
        assert_eq!(bytes(&image, "f"), Ok(wanted.as_bytes().to_vec()));
        assert_eq!(bytes(&image, "f.tmp").is_ok(), !committed);
    }
}

#[test]
fn a_file_removed_without_an_fsync_comes_back_with_its_bytes() {
    let mut image = image();
    let ino = file(&mut image, "f", b"here");
    image.flush(ino).expect("there");
    image.remove((ROOT, "f".into()), false).expect("removed");
    image.lose_power(Survivors::Nothing, &mut rng());
    assert_eq!(bytes(&image, "f"), Ok(b"here".to_vec()));
}

#[test]
fn what_is_removed_for_good_gives_its_space_back() {
    let mut image = image();
    for round in 0..1000 {
        let ino = file(&mut image, "f", &[1; 300_000]);
        if round % 2 == 0 {
            image.flush(ino).expect("there");
        }
        image.remove((ROOT, "f".into()), false).expect("removed");
    }
    image.commit();
    assert_eq!((image.used_bytes(), image.inodes.len()), (0, 1));
    let big = file(&mut image, "big", &[1; 1 << 20]);
    assert_eq!(image.write(big, 1 << 20, b"x", MUCH), Err(Errno::ENOSPC));
    assert_eq!(image.write(big, 0, b"in its place", MUCH), Ok(()));
}

#[test]
fn after_a_power_loss_old_numbers_lead_nowhere() {
    let mut image = image();
    let ino = file(&mut image, "f", b"1");
    image.flush(ino).expect("there");
    image.lose_power(Survivors::Nothing, &mut rng());
    assert_eq!(image.write(ino, 0, b"late", MUCH), Err(Errno::ESTALE));
    assert_eq!(image.set_attributes(ino, NewAttributes::default()), Err(Errno::ESTALE));
}

#[test]
fn the_same_seed_loses_the_same() {
    for survivors in [Survivors::Prefix, Survivors::Scattered] {
        let crash = |seed| {
            let mut image = image();
            for name in ["a", "b", "c"] {
                file(&mut image, name, &[1; 5000]);
            }
            let loss = image.lose_power(survivors, &mut ChaCha8Rng::seed_from_u64(seed));
            (loss, ["a", "b", "c"].map(|name| bytes(&image, name)))
        };
        assert_eq!(crash(1), crash(1));
        assert!((2..9).any(|seed| crash(1) != crash(seed)), "{survivors:?} draws nothing");
    }
}

#[test]
fn each_corruption_changes_what_it_says_it_does() {
    let rows = [
        (Corruption::FlipBit, 1),
        (Corruption::TruncateTail { bytes_max: 10 }, 10),
        (Corruption::ZeroTail { bytes_max: 10 }, 10),
        (Corruption::OldCopy, 5000),
    ];
    for (corruption, bytes_max) in rows {
        let mut image = image();
        let ino = file(&mut image, "f", &[1; 5000]);
        image.flush(ino).expect("there");
        image.remember(&Files::any());
        image.write(ino, 0, &[2; 5000], MUCH).expect("space");
        image.reserve(ino, 0, 100_000, false, MUCH).expect("space");
        image.flush(ino).expect("there");
        let before = bytes(&image, "f").expect("there");
        let damage = image.corrupt(corruption, &Files::any(), &mut rng()).expect("damage");
        let mut after = bytes(&image, "f").expect("there");
        assert!((1..=bytes_max).contains(&damage.bytes), "{corruption:?}: {damage:?}");
        after.resize(before.len(), 0);
        let differ: Vec<usize> = (0..before.len()).filter(|&i| before[i] != after[i]).collect();
        assert_eq!(differ.len() as u64, damage.bytes, "{corruption:?}");
        if !matches!(corruption, Corruption::TruncateTail { .. }) {
            assert_eq!(differ.first(), Some(&(damage.offset as usize)), "{corruption:?}");
        }
    }
}

#[test]
fn an_open_file_is_not_corrupted() {
    let mut image = image();
    let ino = file(&mut image, "f", &[1; 100]);
    image.open(ino).expect("there");
    let refused = image.corrupt(Corruption::FlipBit, &Files::any(), &mut rng());
    assert!(matches!(refused, Err(DiskError::InUse { path }) if path == "f"));
    image.close(ino);
    assert!(image.corrupt(Corruption::FlipBit, &Files::any(), &mut rng()).is_ok());
    let none = image.corrupt(Corruption::FlipBit, &Files::snap(), &mut rng());
    assert!(matches!(none, Err(DiskError::NothingToCorrupt { .. })));
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, u64, Vec<u8>),
    Cut(usize, u64),
    Punch(usize, u64, u64),
    Flush(usize),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let (file, offset) = (|| 0..2_usize, || 0..12_000_u64);
    let write = |(file, offset, data)| Step::Write(file, offset, data);
    let data = vec(1..=u8::MAX, 1..6000);
    prop_oneof![
        4 => (file(), offset(), data).prop_map(write),
        2 => (file(), offset()).prop_map(|(f, size)| Step::Cut(f, size)),
        1 => (file(), offset(), 1..9000_u64).prop_map(|(f, o, l)| Step::Punch(f, o, l)),
        2 => file().prop_map(Step::Flush),
        1 => Just(Step::Crash),
    ]
}

/// What a file holds and what of it was flushed, kept as whole copies.
#[derive(Clone, Default)]
struct Copies {
    live: Vec<u8>,
    flushed: Vec<u8>,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn after_a_crash_each_file_is_what_it_was_at_its_last_flush(steps in vec(step(), 1..60)) {
        let names = ["a", "b"];
        let mut image = image();
        for name in names {
            file(&mut image, name, b"");
        }
        image.commit();
        let mut copies = [Copies::default(), Copies::default()];
        for step in steps {
            let ino = |image: &Image, f: usize| image.lookup(ROOT, OsStr::new(names[f]));
            match step {
                Step::Write(f, offset, data) => {
                    image.write(ino(&image, f)?, offset, &data, MUCH)?;
                    let (at, end) = (offset as usize, offset as usize + data.len());
                    let live = &mut copies[f].live;
                    live.resize(live.len().max(end), 0);
                    live[at..end].copy_from_slice(&data);
                }
                Step::Cut(f, size) => {
                    let new = NewAttributes { size: Some(size), ..NewAttributes::default() };
                    image.set_attributes(ino(&image, f)?, new)?;
                    copies[f].live.resize(size as usize, 0);
                }
                Step::Punch(f, offset, len) => {
                    image.punch(ino(&image, f)?, offset, len)?;
                    let live = &mut copies[f].live;
                    let end = (offset + len).min(live.len() as u64) as usize;
                    live.get_mut(offset as usize..end).into_iter().for_each(|hole| hole.fill(0));
                }
                Step::Flush(f) => {
                    image.flush(ino(&image, f)?)?;
                    copies[f].flushed = copies[f].live.clone();
                }
                Step::Crash => {
                    image.lose_power(Survivors::Nothing, &mut rng());
                    copies.iter_mut().for_each(|copy| copy.live = copy.flushed.clone());
                }
            }
            for (name, copy) in names.iter().zip(&copies) {
                prop_assert_eq!(&bytes(&image, name)?, &copy.live);
            }
        }
    }
}
