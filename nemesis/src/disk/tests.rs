//! The fault model, tried on the image alone, without a kernel in between.

use super::image::{Image, NewAttributes};
use super::tree::{Ino, Kind, ROOT, Replace, Rights};
use super::{Corruption, DiskError, Files, Survivors};
use nix::errno::Errno;
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
