//! Requests that fail, take long or find no space, and bytes that go bad.

use crate::inside::{Mounted, wait_for, with_disk, with_disk_of};
use ordeal_nemesis::disk::{Access, Corruption, DiskError, Effect, Files, Rule, Survivors, mount};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

fn rule(files: &str, effect: Effect) -> Rule {
    Rule { files: Files(files.to_owned()), effect }
}

fn write_and_fsync(disk: &Mounted, name: &str) -> std::io::Result<()> {
    let mut file = File::create(disk.path(name))?;
    file.write_all(b"data")?;
    file.sync_all()
}

#[test]
fn a_delayed_fsync_takes_as_long_as_it_says_and_takes_effect_only_then() {
    with_disk(|disk| {
        let delay_ms = 300;
        let effect = Effect::Delay { access: Access::Fsync, delay_ms };
        let rule = disk.inject(rule("wal", effect));
        let start = Instant::now();
        write_and_fsync(&disk, "a.wal").expect("slow, not broken");
        let slow = start.elapsed();
        assert!(slow >= Duration::from_millis(delay_ms), "{slow:?}");
        let start = Instant::now();
        write_and_fsync(&disk, "other").expect("not aimed at");
        assert!(start.elapsed() < Duration::from_millis(delay_ms), "{:?}", start.elapsed());
        assert_eq!(disk.hits(rule), 1);
        let file = File::create(disk.path("b.wal")).expect("created");
        let fsync = std::thread::spawn(move || file.sync_all());
        disk.until_waiting(1);
        assert_eq!(disk.cut_power(Survivors::Nothing, 0).requests_failed, 1);
        assert!(fsync.join().expect("no panic").is_err());
        disk.power_on();
        assert!(!disk.path("b.wal").exists());
        assert_eq!(disk.lift(rule), 2);
    });
}

type Work = fn(&Path) -> std::io::Result<()>;

#[test]
fn each_kind_of_access_can_fail_on_the_files_named_and_on_no_others() {
    with_disk(|disk| {
        fs::write(disk.path("bad"), b"data").expect("written");
        fs::write(disk.path("good"), b"data").expect("written");
        let rows: [(Access, Work); 3] = [
            (Access::Read, |path| fs::read(path).map(drop)),
            (Access::Write, |path| fs::write(path, b"new")),
            (Access::Fsync, |path| File::open(path)?.sync_all()),
        ];
        for (access, work) in rows {
            let id = disk.inject(rule("bad", Effect::Fail(access)));
            let failed = work(&disk.path("bad")).map_err(|error| error.raw_os_error());
            assert_eq!(failed, Err(Some(nix::libc::EIO)), "{access:?}");
            work(&disk.path("good")).expect("not aimed at");
            assert!(disk.lift(id) >= 1, "{access:?}");
            work(&disk.path("bad")).expect("mended");
        }
    });
}

#[test]
fn a_full_disk_takes_what_it_said_and_no_more() {
    with_disk(|disk| {
        let id = disk.inject(rule("any", Effect::Full { bytes_free: 40_960 }));
        let mut file = File::create(disk.path("f")).expect("names take no space");
        let mut written = 0;
        let error = loop {
            match file.write(&[7; 4096]) {
                Ok(bytes) => written += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), written), (ErrorKind::StorageFull, 40_960));
        let free = nix::sys::statvfs::statvfs(&disk.root).expect("statvfs").blocks_available();
        assert_eq!(free, 0);
        assert_eq!(disk.lift(id), 1);
        file.write_all(&[7; 4096]).expect("there is space again");
    });
}

#[test]
fn a_disk_has_an_end() {
    with_disk_of(1 << 20, |disk| {
        let error = fs::write(disk.path("f"), vec![1; 2 << 20]).expect_err("too much");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        fs::remove_file(disk.path("f")).expect("removed");
        // The kernel tells of the last close of a file only after close(2) has returned.
        wait_for("space", || fs::write(disk.path("g"), vec![1; 1 << 20]).is_ok());
    });
}

#[test]
fn corruption_is_seen_by_who_reads_the_file_next() {
    with_disk(|disk| {
        let good: Vec<u8> = (0..20_000).map(|i| (i % 251) as u8 + 1).collect();
        let rows = [
            Corruption::FlipBit,
            Corruption::TruncateTail { bytes_max: 100 },
            Corruption::ZeroTail { bytes_max: 100 },
            Corruption::OldCopy,
        ];
        for (corruption, seed) in rows.into_iter().zip(0..) {
            fs::write(disk.path("snap.db"), b"the first version").expect("written");
            File::open(disk.path("snap.db")).and_then(|f| f.sync_all()).expect("fsynced");
            assert_eq!(disk.remember(&Files("*.db".to_owned())), 1);
            fs::write(disk.path("snap.db"), &good).expect("written");
            assert_eq!(fs::read(disk.path("snap.db")).expect("readable"), good);
            let damage = disk.corrupt(corruption, &Files::any(), seed).expect("damage");
            let bad = fs::read(disk.path("snap.db")).expect("readable");
            let at = damage.offset as usize;
            assert!(damage.bytes >= 1 && bad.get(at) != good.get(at), "{corruption:?}: {damage:?}");
            match corruption {
                Corruption::FlipBit => {
                    assert_eq!((bad[at] ^ good[at]).count_ones(), 1);
                    assert_eq!((&bad[..at], &bad[at + 1..]), (&good[..at], &good[at + 1..]));
                }
                Corruption::TruncateTail { .. } => assert_eq!(bad, good[..at]),
                Corruption::ZeroTail { .. } => {
                    assert_eq!(bad, [&good[..at], &vec![0; good.len() - at]].concat());
                }
                Corruption::OldCopy => assert_eq!(bad, b"the first version"),
            }
        }
    });
}

#[test]
fn a_file_in_use_is_not_corrupted() {
    with_disk(|disk| {
        let mut file = File::create(disk.path("f")).expect("created");
        file.write_all(b"data").expect("written");
        let refused = disk.corrupt(Corruption::FlipBit, &Files::any(), 0);
        assert!(matches!(refused, Err(DiskError::InUse { path }) if path == "f"));
    });
}

#[test]
fn the_files_can_be_written_out() {
    with_disk(|disk| {
        fs::create_dir_all(disk.path("a/b")).expect("made");
        fs::write(disk.path("a/b/f"), b"bytes").expect("written");
        let sparse = File::create(disk.path("a/sparse")).expect("created");
        sparse.set_len(1 << 30).expect("grown");
        let to = tempfile::tempdir().expect("a folder");
        disk.export(to.path()).expect("written out");
        assert_eq!(fs::read(to.path().join("a/b/f")).expect("there"), b"bytes");
        assert_eq!(fs::metadata(to.path().join("a/sparse")).expect("there").len(), 1 << 30);
        let wanted = [("a/b/f".to_owned(), 5), ("a/sparse".to_owned(), 1 << 30)];
        assert_eq!(disk.files(), wanted);
        drop(sparse);
    });
}

#[test]
fn a_device_that_is_missing_or_closed_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = mount(&folder.path().join("fuse"), folder.path()).expect_err("no device");
    assert!(matches!(missing, DiskError::DeviceMissing { .. }));
    assert!(missing.to_string().contains("ORDEAL_FUSE"), "{missing}");
    // Not root's either: a folder opens for nobody's writing.
    let error = mount(folder.path(), folder.path()).expect_err("no device");
    assert!(matches!(error, DiskError::DeviceClosed { .. }), "{error}");
    assert!(error.to_string().contains("ORDEAL_FUSE"), "{error}");
}
