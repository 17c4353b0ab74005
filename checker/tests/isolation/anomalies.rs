//! One tiny history a row, and all the anomalies that it has.

use crate::rows::transactions;
use ordeal_checker::isolation::{ListAppend, Model, RwRegister};
use ordeal_checker::{Checker, Judgement, Limits, Verdict};
use ordeal_history::History;

fn anomalies(judgement: &Judgement) -> Vec<String> {
    match &judgement.verdict {
        Verdict::Valid(_) => Vec::new(),
        Verdict::Invalid(counterexample) => counterexample.anomalies.clone(),
        Verdict::Unknown(reason) => vec![format!("unknown: {reason}")],
    }
}

fn list_append(history: &History) -> Judgement {
    ListAppend::default().check(history, &Limits::default())
}

fn rw_register(history: &History) -> Judgement {
    RwRegister::default().check(history, &Limits::default())
}

type Row<'a> = (&'a [&'a str], &'a [&'a str]);

#[test]
fn anomalies_of_lists_are_named() {
    let rows: &[Row<'_>] = &[
        (&[], &[]),
        (&["a x 1", "r x [1]", "|", "r x [1]; a x 2; r x [1 2]"], &[]),
        (&["?a x 1", "|", "r x nil", "|", "r x [1]"], &[]),
        (&["?a x 1; a y 1", "|", "r x [1]; r y [1]"], &[]),
        (&["!a x 1", "|", "r x []"], &[]),
        (&["!a x 1", "|", "a x 1", "|", "r x [1]"], &[]),
        (&["r x [7]"], &["garbage-read"]),
        (&["a x 1", "r x [1 1]"], &["duplicate-elements"]),
        (&["a x 1", "a x 2", "r x [1]", "r x [2]"], &["incompatible-order"]),
        (&["!a x 1", "r x [1]"], &["G1a"]),
        (&["!a x 1", "a x 2", "r x [1 2]"], &["dirty-update", "G1a"]),
        (&["a x 1; a x 2", "r x [1]"], &["G1b", "G-single"]),
        (&["a x 1; a x 2", "r x [1]", "r x [1 2]"], &["G1b", "G-single"]),
        (&["r x [1]; a x 1"], &["future-read"]),
        (&["a x 1; r x []"], &["internal"]),
        (&["a x 1", "r x []; r x [1]"], &["internal"]),
        (&["a x 1; a y 1", "a x 2; a y 2", "r x [1 2]; r y [2 1]"], &["G0"]),
        (&["a x 1", "|", "a x 2", "|", "r x [2 1]"], &["G0-realtime"]),
        (&["p0: a x 1", "|", "p0: a x 2", "|", "r x [2 1]"], &["G0-process"]),
        (&["a x 1; r y [1]", "a y 1; r x [1]"], &["G1c"]),
        (&["r x [1]", "|", "a x 1"], &["G1c-realtime"]),
        (&["p0: r x [1]", "|", "p0: a x 1"], &["G1c-process"]),
        (&["a x 1; a y 1", "r x [1]; r y []"], &["G-single"]),
        (&["a x 1", "|", "r x []"], &["G-single-realtime"]),
        (&["p0: a x 1", "|", "p0: r x []"], &["G-single-process"]),
        (&["?a x 1", "r x [1]", "|", "r x []"], &["G-single-realtime"]),
        (&["?a x 1; a y 1", "r x [1]", "|", "r y []"], &["G-single-realtime"]),
        (&["r x []; a x 1", "r x []; a x 2", "|", "r x [1 2]"], &["lost-update", "G-single"]),
        (&["a x 1", "a y 1", "r x [1]; r y []", "r x []; r y [1]"], &["G-nonadjacent"]),
        (&["~r z []; a y 1", "a x 1", "~a z 1", "|", "r x [1]; r y []", "|", "r z [1]"], &[]),
        (&["r x []; a y 1", "r y []; a x 1"], &["G2-item"]),
        (&["~r y []; a x 1", "a y 1", "|", "r x []"], &["G2-item-realtime"]),
        (
            &["~a x 1", "~a y 1", "r x [1]", "p1: r y [1]", "|", "p2: r x [1]; r y []"],
            &["G-single-realtime"],
        ),
        (
            &["~a x 1", "~a y 1", "p1: r x [1]", "p2: r y [1]", "|", "p1: r y []", "p2: r x []"],
            &["G-nonadjacent-process"],
        ),
    ];
    for (lines, expected) in rows {
        let judgement = list_append(&transactions(lines));
        assert_eq!(anomalies(&judgement), *expected, "{lines:?}: {:#?}", judgement.verdict);
    }
}

#[test]
fn anomalies_of_registers_are_named() {
    let rows: &[Row<'_>] = &[
        (&[], &[]),
        (&["w x 1", "r x 1", "|", "r x 1; w x 2; r x 2", "|", "r x 2"], &[]),
        (&["?w x 1", "|", "r x nil", "|", "r x 1"], &[]),
        (&["w x 1", "w x 2", "r x 1", "|", "r x 2", "|", "r x 2"], &[]),
        (&["r x 7"], &["garbage-read"]),
        (&["!w x 1", "r x 1"], &["G1a"]),
        (&["w x 1; w x 2", "r x 1"], &["G1b"]),
        (&["r x 1; w x 1"], &["future-read"]),
        (&["w x 1; r x nil"], &["internal"]),
        (&["w x 1", "w x 2", "r x 1; r x 2"], &["internal"]),
        (&["w x 1; r y 1", "w y 1; r x 1"], &["G1c"]),
        (&["r x 1", "|", "w x 1"], &["G1c-realtime"]),
        (&["w x 1; w y 1", "r x 1; r y nil"], &["G-single"]),
        (&["w x 1", "|", "r x nil"], &["G-single-realtime"]),
        (&["w x 1", "|", "w x 2", "|", "r x 1"], &["G-single-realtime"]),
        (&["p0: w x 1", "|", "p0: r x nil"], &["G-single-process"]),
        (&["@2: w x 1", "@3: w x 2; w y 2", "r x 1; r y 2"], &["G-single"]),
        (&["@2: w x 1; w y 1", "@3: w x 2", "r x 1; r y 1"], &[]),
        (&["r x nil; w y 1", "r y nil; w x 1"], &["G2-item"]),
        (&["r x nil; w x 1", "r x nil; w x 2"], &["lost-update", "G2-item"]),
        (&["w x 1", "w y 1", "r x 1; r y nil", "r x nil; r y 1"], &["G-nonadjacent"]),
        (&["w x 1", "w x 2", "|", "r x 1", "|", "r x 2"], &["G-single-realtime"]),
        (
            &["w x 1; w y 1", "w x 2; w y 2", "r x 1; r y 2", "r x 2; r y 1"],
            &["PL-SS-cycle-exists"],
        ),
    ];
    for (lines, expected) in rows {
        let judgement = rw_register(&transactions(lines));
        assert_eq!(anomalies(&judgement), *expected, "{lines:?}: {:#?}", judgement.verdict);
    }
}

#[test]
fn a_weaker_model_allows_what_it_does_not_forbid() {
    let rows: &[(&[&str], Model, bool)] = &[
        (&["a x 1", "|", "r x []"], Model::Serializable, true),
        (&["a x 1", "|", "r x []"], Model::StrongSessionSerializable, true),
        (&["p0: a x 1", "|", "p0: r x []"], Model::Serializable, true),
        (&["p0: a x 1", "|", "p0: r x []"], Model::StrongSessionSerializable, false),
        (&["r x []; a y 1", "r y []; a x 1"], Model::SnapshotIsolation, true),
        (&["r x []; a y 1", "r y []; a x 1"], Model::Serializable, false),
        (
            &["a x 1", "a y 1", "r x [1]; r y []", "r x []; r y [1]"],
            Model::ParallelSnapshotIsolation,
            true,
        ),
        (
            &["a x 1", "a y 1", "r x [1]; r y []", "r x []; r y [1]"],
            Model::SnapshotIsolation,
            false,
        ),
        (&["a x 1; a y 1", "r x [1]; r y []"], Model::ReadCommitted, true),
        (&["!a x 1", "r x [1]"], Model::ReadCommitted, false),
        (&["!a x 1", "r x [1]"], Model::ReadUncommitted, true),
        (&["a x 1; a y 1", "a x 2; a y 2", "r x [1 2]; r y [2 1]"], Model::ReadUncommitted, false),
    ];
    for (lines, model, valid) in rows {
        let judgement =
            ListAppend { model: *model }.check(&transactions(lines), &Limits::default());
        let found = matches!(judgement.verdict, Verdict::Valid(_));
        assert_eq!(found, *valid, "{lines:?} under {model:?}: {judgement:#?}");
    }
}

#[test]
fn what_cannot_be_judged_is_unknown_and_says_why() {
    for (lines, reason) in [
        (&["a x 1", "a x 1", "r x [1]"][..], "1 is appended to \"x\" by two transactions"),
        (&["r x 1"], "which is no list"),
        (&["w x 1"], "a transaction's steps"),
    ] {
        let judgement = list_append(&transactions(lines));
        assert!(judgement.reason.contains(reason), "{lines:?}: {}", judgement.reason);
        assert!(matches!(judgement.verdict, Verdict::Unknown(_)), "{lines:?}: {judgement:?}");
    }
}

#[test]
fn what_would_need_more_memory_than_it_may_have_is_unknown() {
    let history = transactions(&["a x 1; a y 1", "r x [1]; r y [1]", "a x 2", "r x [1 2]"]);
    let steps = [0, 500, 1_000, 2_000, 1 << 20].map(|memory_bytes| {
        let limits = Limits { memory_bytes, ..Limits::default() };
        let lists = ListAppend::default().check(&history, &limits);
        if let Verdict::Unknown(reason) = &lists.verdict {
            assert!(reason.starts_with("the check would need 1 MiB of memory"), "{reason}");
        }
        lists.verdict
    });
    assert!(matches!(steps[0], Verdict::Unknown(_)), "{steps:?}");
    assert!(matches!(steps[4], Verdict::Valid(_)), "{steps:?}");
    // More memory never takes a verdict away.
    let known = |verdict: &Verdict| !matches!(verdict, Verdict::Unknown(_));
    assert!(steps.is_sorted_by_key(known), "{steps:?}");
}

#[test]
fn a_stale_read_is_told_in_prose() {
    let judgement =
        list_append(&transactions(&["a k 1", "|", "a k 2", "|", "r k [1]", "r k [1 2]"]));
    let Verdict::Invalid(counterexample) = &judgement.verdict else { panic!("{judgement:?}") };
    assert_eq!(counterexample.operations, [1, 2]);
    assert_eq!(counterexample.broken_at_event, Some(7));
    assert_eq!(
        counterexample.story,
        [
            "G-single-realtime: a transaction saw a part of the state and missed another \
             (read skew).",
            "T1 is process 104's, events 4 to 6: read k as [1].",
            "T2 is process 102's, events 2 to 3: append 2 to k.",
            "T3 is process 105's, events 5 to 7: read k as [1 2].",
            "T1 before T2 (read was overwritten): T2 appended 2 to k after T1 had read k without \
             it (T3 read the order: [1 2]).",
            "T2 before T1 (real time): T2 had completed (event 3) before T1 was invoked (event 4).",
            "So T1 before T2 before T1: no order can hold.",
            "The strongest model that still holds: strong-session-serializable and \
             strong-read-committed.",
        ]
    );
    assert_eq!(
        judgement.reason,
        "G-single-realtime breaks strict-serializable; the strongest model that still holds: \
         strong-session-serializable and strong-read-committed"
    );
}
