//! Disk faults, as the conductor plays them.

use super::tests::{Note, play, text, these};
use crate::Fault;
use crate::disk::{Access, Corruption, Files, Survivors};
use ordeal_history::Value;

fn seen(note: &Note, node: &str, member: &str) -> Value {
    let Value::Object(seen) = &note.1["seen"] else { panic!("{note:?}") };
    let Value::Object(disks) = &seen["disks"] else { panic!("{note:?}") };
    let Value::Object(disk) = &disks[node] else { panic!("{note:?}") };
    disk[member].clone()
}

#[test]
fn a_node_that_lost_its_power_starts_again_at_the_end() {
    let fault = Fault::PowerLoss { nodes: these(&[1, 2]), survivors: Survivors::Prefix, seed: 1 };
    let (told, notes) = play(None, None, 60_000, vec![(0, 1_000, fault)]);
    assert_eq!(told, ["0 power Prefix n1", "0 power Prefix n2", "1000 start n1", "1000 start n2"]);
    assert_eq!((&notes[0].0[..], &notes[1].1["landed"]), ("power-loss", &Value::Bool(true)));
    assert_eq!(seen(&notes[1], "n2", "bytes_lost"), Value::Int(512));
}

#[test]
fn a_killed_node_can_lose_its_power_too_and_starts_after_both() {
    let power = Fault::PowerLoss { nodes: these(&[1]), survivors: Survivors::Nothing, seed: 1 };
    let kill = Fault::Kill { nodes: these(&[1]) };
    let (told, _) = play(None, None, 60_000, vec![(0, 1_000, kill), (500, 1_000, power)]);
    assert_eq!(told, ["0 kill n1", "500 power Nothing n1", "1500 start n1"]);
}

#[test]
fn a_rule_stands_until_the_end_and_says_how_many_requests_it_hit() {
    let slow = Fault::FsyncDelay { nodes: these(&[3]), files: Files::any(), delay_ms: 50 };
    let (told, notes) = play(None, None, 60_000, vec![(0, 1_000, slow)]);
    assert_eq!(told, ["0 Delay { access: Fsync, delay_ms: 50 } on n3", "1000 mend n3"]);
    assert_eq!(notes[1].1["landed"], Value::Bool(true));
    assert_eq!(seen(&notes[1], "n3", "requests_hit"), Value::Int(11));
}

#[test]
fn a_node_whose_disk_failed_or_lied_is_started_again_on_a_mended_one() {
    let failing =
        Fault::DiskError { nodes: these(&[1]), files: Files::wal(), access: Access::Fsync };
    let (told, _) = play(None, None, 60_000, vec![(0, 1_000, failing)]);
    assert_eq!(told, ["0 Fail(Fsync) on n1", "1000 mend n1", "1000 kill n1", "1000 start n1"]);
    let lying = Fault::LyingDisk { nodes: these(&[1, 2]), files: Files::any() };
    let (told, notes) = play(None, None, 60_000, vec![(0, 1_000, lying)]);
    assert_eq!(
        told,
        [
            "0 LieAboutFsync on n1",
            "0 LieAboutFsync on n2",
            "1000 power Nothing n1",
            "1000 mend n1",
            "1000 power Nothing n2",
            "1000 mend n2",
            "1000 start n1",
            "1000 start n2"
        ]
    );
    assert_eq!(seen(&notes[1], "n1", "bytes_lost"), Value::Int(512));
}

#[test]
fn files_go_bad_while_their_node_is_down() {
    let (files, corruption) = (Files::snap(), Corruption::OldCopy);
    let fault = Fault::Corrupt { nodes: these(&[2]), files, corruption, seed: 1 };
    let (told, notes) = play(None, None, 60_000, vec![(0, 1_000, fault.clone())]);
    assert_eq!(
        told,
        ["0 remember snap of n2", "1000 kill n2", "1000 OldCopy in snap of n2", "1000 start n2"]
    );
    assert_eq!(seen(&notes[1], "n2", "path"), text("db"));
    let (_, notes) = play(None, Some(2), 60_000, vec![(0, 1_000, fault)]);
    assert_eq!(notes[0].1["phase"], text("failed"));
}
