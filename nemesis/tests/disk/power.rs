//! Power loss: what was fsynced is there, what was not is gone, byte for byte.

use crate::inside::{Mounted, wait_for, with_disk};
use ordeal_nemesis::disk::{Effect, Files, Rule, Survivors};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::process::{Command, Stdio};
use std::thread;

fn crash(disk: &Mounted, survivors: Survivors, seed: u64) -> ordeal_nemesis::disk::Loss {
    disk.freeze();
    let loss = disk.cut_power(survivors, seed);
    disk.power_on();
    loss
}

/// A file of these bytes, and nothing of it pending.
fn durable(disk: &Mounted, name: &str, bytes: &[u8]) -> File {
    let file = File::create(disk.path(name)).expect("created");
    file.write_all_at(bytes, 0).expect("written");
    file.sync_all().expect("fsynced");
    file
}

fn read(disk: &Mounted, name: &str) -> Vec<u8> {
    fs::read(disk.path(name)).expect("readable")
}

#[test]
fn what_was_fsynced_survives_and_what_was_not_does_not() {
    with_disk(|disk| {
        let file = durable(&disk, "log", &[1; 3000]);
        file.write_all_at(&[2; 5000], 3000).expect("written");
        fs::write(disk.path("never-fsynced"), b"gone").expect("written");
        drop(file);
        assert_eq!(read(&disk, "log").len(), 8000);
        let loss = crash(&disk, Survivors::Nothing, 0);
        assert_eq!(read(&disk, "log"), [1; 3000]);
        assert!(!disk.path("never-fsynced").exists());
        // Sector 5 (2560..3072) was written again in part, and is lost as a whole.
        assert_eq!((loss.bytes_lost, loss.bytes_kept), (8000 - 2560 + 4, 0));
        assert_eq!((loss.changes_lost, loss.sectors_lost), (1, 12));
        assert_eq!(loss.files.get("log"), Some(&(8000 - 2560)));
    });
}

#[test]
fn a_write_that_is_cut_off_is_torn_between_two_sectors() {
    with_disk(|disk| {
        let mut lengths = BTreeSet::new();
        for seed in 0..30 {
            drop(durable(&disk, "log", &[1; 4096]));
            let file = OpenOptions::new().write(true).open(disk.path("log")).expect("there");
            file.write_all_at(&[2; 4096], 0).expect("written");
            drop(file);
            let loss = crash(&disk, Survivors::Prefix, seed);
            let bytes = read(&disk, "log");
            let new = bytes.iter().take_while(|&&byte| byte == 2).count();
            assert!(bytes[new..].iter().all(|&byte| byte == 1), "not a prefix");
            assert_eq!((new % 512, new as u64), (0, loss.bytes_kept));
            lengths.insert(new);
        }
        assert!(lengths.len() > 3, "thirty seeds tear only at {lengths:?}");
    });
}

#[test]
fn a_disk_that_writes_in_an_order_of_its_own_keeps_any_of_the_sectors() {
    with_disk(|disk| {
        let mut holes = 0;
        for seed in 0..10 {
            drop(durable(&disk, "log", &[1; 8192]));
            let file = OpenOptions::new().write(true).open(disk.path("log")).expect("there");
            file.write_all_at(&[2; 8192], 0).expect("written");
            drop(file);
            let loss = crash(&disk, Survivors::Scattered, seed);
            let bytes = read(&disk, "log");
            let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
            assert!(bytes.chunks(512).all(|s| s.iter().all(|byte| *byte == s[0])), "in a sector");
            let new = sectors.iter().filter(|&&byte| byte == 2).count() as u64;
            assert_eq!((loss.bytes_kept, loss.bytes_lost), (new * 512, 8192 - new * 512));
            holes += sectors.windows(2).filter(|pair| pair == &[1, 2]).count();
        }
        assert!(holes > 10, "only {holes} sectors survived without the one before");
    });
}

#[test]
fn a_file_renamed_into_place_is_whole_once_its_folder_is_fsynced() {
    with_disk(|disk| {
        fs::create_dir(disk.path("d")).expect("made");
        drop(durable(&disk, "d/state", b"old"));
        drop(durable(&disk, "d/state.tmp", b"new"));
        fs::rename(disk.path("d/state.tmp"), disk.path("d/state")).expect("renamed");
        crash(&disk, Survivors::Nothing, 0);
        assert_eq!(
            (read(&disk, "d/state"), read(&disk, "d/state.tmp")),
            (b"old".into(), b"new".into())
        );
        fs::rename(disk.path("d/state.tmp"), disk.path("d/state")).expect("renamed");
        File::open(disk.path("d")).and_then(|folder| folder.sync_all()).expect("fsynced");
        crash(&disk, Survivors::Nothing, 0);
        assert_eq!(read(&disk, "d/state"), b"new");
        assert!(!disk.path("d/state.tmp").exists());
    });
}

#[test]
fn a_synchronous_write_needs_no_fsync() {
    with_disk(|disk| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).custom_flags(nix::libc::O_DSYNC);
        options.open(disk.path("f")).and_then(|mut f| f.write_all(b"kept")).expect("written");
        assert_eq!(crash(&disk, Survivors::Nothing, 0).bytes_lost, 0);
        assert_eq!(read(&disk, "f"), b"kept");
    });
}

#[test]
fn a_lie_about_fsync_loses_what_it_acknowledged() {
    with_disk(|disk| {
        drop(durable(&disk, "wal.log", b"before"));
        let rule = disk.inject(Rule { files: Files::wal(), effect: Effect::LieAboutFsync });
        drop(durable(&disk, "wal.log", b"lied about"));
        drop(durable(&disk, "other", b"honest"));
        assert_eq!(disk.lift(rule), 1);
        let loss = crash(&disk, Survivors::Nothing, 0);
        // That the file was cut before it was written was a lie too.
        assert_eq!(read(&disk, "wal.log"), b"before");
        assert_eq!(read(&disk, "other"), b"honest");
        assert_eq!(loss.files.into_iter().collect::<Vec<_>>(), [("wal.log".to_owned(), 10)]);
    });
}

#[test]
fn a_request_under_way_when_the_power_goes_fails_and_is_lost() {
    with_disk(|disk| {
        let file = durable(&disk, "f", b"old");
        drop(durable(&disk, "other", b"other"));
        disk.freeze();
        let writer = thread::spawn(move || file.write_all_at(b"new", 0));
        disk.until_waiting(1);
        // Not of `f`: the kernel keeps the page that is being written locked.
        assert_eq!(read(&disk, "other"), b"other", "a frozen disk still answers reads");
        let loss = disk.cut_power(Survivors::Nothing, 0);
        assert_eq!(loss.requests_failed, 1);
        let written = writer.join().expect("no panic");
        assert_eq!(written.map_err(|e| e.raw_os_error()), Err(Some(nix::libc::EIO)));
        assert!(fs::read(disk.path("f")).is_err(), "without power nothing is answered");
        disk.power_on();
        assert_eq!(read(&disk, "f"), b"old");
    });
}

#[test]
fn a_killed_process_ends_when_the_power_is_cut_and_not_before() {
    with_disk(|disk| {
        disk.freeze();
        let mut writer = Command::new("dd")
            .arg("if=/dev/zero")
            .arg(format!("of={}", disk.path("f").display()))
            .stderr(Stdio::null())
            .spawn()
            .expect("dd is everywhere");
        disk.until_waiting(1);
        writer.kill().expect("killed");
        assert!(writer.try_wait().expect("a child").is_none(), "it hangs in its request");
        assert_eq!(disk.cut_power(Survivors::Nothing, 0).requests_failed, 1);
        wait_for("the writer's end", || writer.try_wait().expect("a child").is_some());
        disk.power_on();
        assert!(!disk.path("f").exists());
    });
}

#[test]
fn what_waited_for_a_thaw_is_done_in_order() {
    with_disk(|disk| {
        let file = durable(&disk, "f", b"");
        disk.freeze();
        let writer = thread::spawn(move || {
            file.write_all_at(b"one", 0)?;
            file.write_all_at(b"two", 1)?;
            file.sync_all()
        });
        disk.until_waiting(1);
        disk.thaw();
        writer.join().expect("no panic").expect("all of it done");
        assert_eq!(crash(&disk, Survivors::Nothing, 0).bytes_lost, 0);
        assert_eq!(read(&disk, "f"), b"otwo");
    });
}
