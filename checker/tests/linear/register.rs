//! The register: tiny anomalies that a person can read.

use crate::text::history;
use ordeal_checker::linear::{Algorithm, Linearizable};
use ordeal_checker::models::Register;
use ordeal_checker::{Checker, Counterexample, Judgement, Limits, Verdict};

fn check(lines: &str, algorithm: Algorithm) -> Judgement {
    Linearizable::new(Register::default())
        .with_algorithm(algorithm)
        .check(&history(lines), &Limits::default())
}

fn invalid(lines: &str) -> (Counterexample, String) {
    for algorithm in [Algorithm::Search, Algorithm::Auto] {
        let judgement = check(lines, algorithm);
        let Verdict::Invalid(counterexample) = judgement.verdict else {
            panic!("{lines}: {algorithm:?} says {:?}", judgement.verdict)
        };
        if algorithm == Algorithm::Auto {
            return (counterexample, judgement.reason);
        }
    }
    unreachable!()
}

fn valid(lines: &str) {
    for algorithm in [Algorithm::Search, Algorithm::Auto] {
        let judgement = check(lines, algorithm);
        assert!(matches!(judgement.verdict, Verdict::Valid(_)), "{lines}: {judgement:?}");
    }
}

#[test]
fn a_stale_read_is_told_with_the_write_that_it_missed() {
    let (counterexample, reason) = invalid(
        "k3 1 invoke write 17
         k3 1 ok
         k3 1 invoke write 21
         k3 2 invoke read
         k3 2 ok 21
         k3 4 invoke read
         k3 4 ok 17
         k3 1 ok",
    );
    assert_eq!(
        reason,
        "k3: process 4 read 17 after process 2 had read 21, which was written later"
    );
    assert_eq!(counterexample.operations, [0, 1, 2, 3]);
    assert_eq!(counterexample.broken_at_event, Some(6));
    assert_eq!(
        counterexample.story,
        [
            "Process 1 wrote 17, from 0.000 ms (event 0) to 0.001 ms (event 1).",
            "Process 1 wrote 21, from 0.002 ms (event 2) to 0.007 ms (event 7).",
            "Process 2 read 21, from 0.003 ms (event 3) to 0.004 ms (event 4).",
            "Process 4 read 17, from 0.005 ms (event 5) to 0.006 ms (event 6).",
            "Process 4 read 17 after process 2 had read 21, which was written later.",
        ]
    );
}

#[test]
fn what_has_an_order_is_valid() {
    for lines in [
        "",
        "1 invoke read\n 1 ok null",
        "1 invoke write 1\n 2 invoke read\n 2 ok 1\n 3 invoke read\n 3 ok 1\n 1 ok",
        // A write of unknown outcome may happen long after its info.
        "1 invoke write 1\n 1 info\n 2 invoke read\n 2 ok null\n 2 invoke read\n 2 ok 1",
        // Or never.
        "1 invoke write 1\n 1 info\n 2 invoke read\n 2 ok null",
        "1 invoke write 1\n 1 ok\n 2 invoke cas [1,2]\n 2 ok\n 3 invoke read\n 3 ok 2",
        "1 invoke write 1\n 1 ok\n 2 invoke cas [3,2]\n 2 fail\n 3 invoke read\n 3 ok 1",
        "1 invoke write 1\n 1 ok\n 2 invoke cas [3,2]\n 2 fail actual 1",
        // The failed cas fits before the write of what it looked for.
        "1 invoke write 1\n 2 invoke cas [1,2]\n 2 fail\n 1 ok\n 3 invoke read\n 3 ok 1",
        // Only an indeterminate write that nobody saw explains why the cas failed.
        "1 invoke write 1\n 1 ok\n 2 invoke write 5\n 2 info\n 3 invoke cas [1,2]\n 3 fail",
        "1 invoke cas [null,2]\n 1 info\n 2 invoke read\n 2 ok 2",
        // Values that are not unique.
        "1 invoke write 1\n 1 ok\n 1 invoke write 2\n 1 ok\n 1 invoke write 1\n 1 ok\n 2 invoke \
         read\n 2 ok 1",
    ] {
        valid(lines);
    }
}

#[test]
fn each_way_to_be_wrong_is_explained() {
    for (lines, operations, reason) in [
        (
            "1 invoke write 1\n 1 ok\n 2 invoke read\n 2 ok null",
            &[0, 1][..],
            "process 2 read null after process 1 had written 1, though null was there only at \
             the beginning",
        ),
        ("1 invoke read\n 1 ok 7", &[0], "process 1 read 7, which nobody had written"),
        (
            "1 invoke write 7\n 1 fail\n 2 invoke read\n 2 ok 7",
            &[1],
            "process 2 read 7, which nobody had written (process 1 tried to, but its write of \
             event 0 failed)",
        ),
        (
            "1 invoke read\n 1 ok 7\n 2 invoke write 7\n 2 ok",
            &[0, 1],
            "process 1 read 7 before process 2 began to write it",
        ),
        (
            "1 invoke write 1\n 1 ok\n 2 invoke cas [1,2]\n 2 ok\n 3 invoke cas [1,3]\n 3 ok",
            &[0, 1, 2],
            "process 2 changed 1 to 2 and process 3 changed 1 to 3, but each value is there only \
             once and only one of them can take it away",
        ),
        (
            "1 invoke cas [1,2]\n 2 invoke cas [2,1]\n 1 ok\n 2 ok",
            &[0, 1],
            "these 2 changes each need the value that another of them made",
        ),
        (
            "1 invoke write 1\n 1 ok\n 2 invoke cas [1,2]\n 3 invoke read\n 3 ok 2\n 4 invoke \
             read\n 4 ok 1\n 2 ok",
            &[0, 1, 2, 3],
            "process 4 read 1 after process 3 had read 2, which must come later",
        ),
        (
            "1 invoke write 1\n 1 ok\n 2 invoke cas [1,2]\n 2 fail\n 3 invoke read\n 3 ok 1",
            &[0, 1],
            "process 2 looked for 1 and did not see it, though it was there and nothing had \
             replaced it",
        ),
        (
            "5 invoke write 4\n 5 ok\n 1 invoke write 5\n 4 invoke write 1\n 4 ok\n 2 invoke cas \
             [1,2]\n 2 fail\n 3 invoke read\n 3 ok 1\n 1 ok\n 1 invoke read\n 1 ok 5",
            // The write of 5 was open too: that 1 was read later says that it was not the reason.
            &[1, 2, 3, 4],
            "process 2 looked for 1 and did not see it, but all the time it was there: process 3 \
             read 1 later",
        ),
        (
            "1 invoke write 1\n 1 ok\n 2 invoke cas [1,2]\n 2 fail actual 1",
            &[0, 1],
            "process 2 looked for 1 and saw 1: a cas that sees what it looks for does not fail",
        ),
        (
            "1 invoke write 1\n 1 ok\n 1 invoke write 2\n 1 ok\n 1 invoke write 1\n 1 ok\n 1 \
             invoke write 2\n 1 ok\n 2 invoke read\n 2 ok 1",
            &[2, 3, 4],
            "process 2 read 1 after process 1 had written 2, which replaced it",
        ),
    ] {
        let (counterexample, told) = invalid(lines);
        assert_eq!(told, reason, "{lines}");
        assert_eq!(counterexample.operations, operations, "{lines}");
    }
}

#[test]
fn keys_are_objects_of_their_own() {
    let lines = "k1 1 invoke write 1\n k1 1 ok\n k2 1 invoke read\n k2 1 ok null";
    valid(lines);
    let (counterexample, _) = invalid(&format!("{lines}\n k1 2 invoke read\n k1 2 ok null"));
    assert_eq!(counterexample.operations, [0, 2]);
}

#[test]
fn the_first_wrong_event_counts_what_was_known_then() {
    // Until event 4 the write that failed in the end may have happened.
    let (counterexample, _) = invalid(
        "1 invoke write 7
         2 invoke read
         2 ok 7
         3 invoke write 8
         1 fail
         3 ok",
    );
    assert_eq!(counterexample.broken_at_event, Some(4));
}

#[test]
fn a_forced_algorithm_that_cannot_decide_says_unknown() {
    let lines = "1 invoke write 1\n 1 ok\n 1 invoke write 1\n 1 ok";
    assert!(matches!(check(lines, Algorithm::Blocks).verdict, Verdict::Unknown(_)));
    valid(lines);
}

/// Of each of two kinds there are fewer than the rounds that need one of either, but of the first
/// more than a configuration can count.
fn rounds(count: usize, writes: usize, cas: usize) -> String {
    let mut lines = String::new();
    for process in 0..writes {
        lines += &format!("k {} invoke write 1\n", 100 + process);
    }
    for process in 0..cas {
        lines += &format!("k {} invoke cas [2,1]\n", 1000 + process);
    }
    for _ in 0..count {
        lines += "k 1 invoke write 2\nk 1 ok\nk 1 invoke read\nk 1 ok 1\n";
    }
    lines
}

#[test]
fn more_of_unknown_outcome_than_can_be_counted_refute_nothing() {
    let judgement = check(&rounds(250, 200, 50), Algorithm::Layers);
    assert!(!matches!(judgement.verdict, Verdict::Invalid(_)), "{}", judgement.reason);
    // One more round than there are operations for is refuted all the same, by their prices.
    let judgement = check(&rounds(21, 15, 5), Algorithm::Layers);
    assert!(matches!(judgement.verdict, Verdict::Invalid(_)), "{judgement:?}");
}
