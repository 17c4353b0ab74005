//! Tiny histories of watches, each wrong in one way.

use super::super::rows::check;
use super::Watch;

/// A history of these rows with a watch of everything from revision 1 before them.
fn judged(rows: &[(&[&str], &str)]) {
    for (lines, expected) in rows {
        let mut all = vec![r#"9 watch {"id":1,"key":"a","range_end":"z","start":1} -> null"#];
        all.extend(*lines);
        check(&Watch::default(), &[(&all, expected)]);
    }
}

const A2: &str = r#"9 watch-next 1 -> {"events":[{"type":"put","key":"a","value":1,"mod":2}]}"#;
const A3: &str = r#"9 watch-next 1 -> {"events":[{"type":"put","key":"a","value":2,"mod":3}]}"#;
const B2: &str = r#"9 watch-next 1 -> {"events":[{"type":"put","key":"b","value":1,"mod":2}]}"#;
const AB2: &str = r#"0 txn [["w","a",1],["w","b",1]] -> [["w","a",1],["w","b",1]] #2"#;

#[test]
fn a_watch_is_ordered_unique_atomic_and_complete() {
    judged(&[
        (&["0@a write 1 #2", "0@a write 2 #3", A2, A3], "valid"),
        (&["0@a write 1 #2", "0@a write 2 #3", A3], "at revision 2 was acknowledged"),
        (&["0@a write 1 #2", "0@a write 2 #3", A2], "valid"),
        (&["0@a write 1 #2", "0@a write 2 #3", A3, A2], "after one at 3"),
        (&["0@a write 1 #2", A2, A2], "at revision 2 again"),
        (&[AB2, A2, B2], "others of which an earlier response had"),
        (&["0@a write 1 #2", "0@b write 1"], "unknown: no watch told anything"),
    ]);
}

#[test]
fn fragments_may_split_a_revision() {
    let fragment = r#"9 watch-next 1 -> {"fragment":true,
        "events":[{"type":"put","key":"a","value":1,"mod":2}]}"#;
    judged(&[(&[AB2, fragment, B2], "valid"), (&[AB2, fragment], "valid")]);
    judged(&[(&[AB2, A2], "The change of \"b\" at revision 2 was acknowledged")]);
}

#[test]
fn progress_says_that_all_up_to_it_is_told() {
    let progress = "9 watch-next 1 -> {} #2";
    judged(&[
        (&["0@a write 1 #2", A2, progress], "valid"),
        (&["0@a write 1 #2", progress], "never told of it"),
        (&["0@a write 1 #2", progress, A2], "after a notification of progress at 2"),
        (&["0@a write 1 #3", progress], "valid"),
    ]);
}

#[test]
fn what_is_told_is_what_was_written() {
    let gone = r#"9 watch-next 1 -> {"events":[{"type":"delete","key":"a","mod":3}]}"#;
    judged(&[
        (&["0@a write 2 #2", A2], "what was written is another thing"),
        (&["0@b write 1 #2", A2], "another request made, without that key"),
        (&[A2, "0@a write 1 #2"], "before the write began"),
        (&[A2], "no write of the history can have made it"),
        (&["0@a write 1 -> fail", A2], "no write of the history"),
        (&["0@a write 1 -> info", A2], "valid"),
        (&["0@a write 1 -> info", "9 watch-next 1 -> {} #9"], "valid"),
        (&["0@c write 1 #5", "0@a write 1 -> info", A2], "no write of the history"),
        (&["0@a write 1 #2", "0@a delete null -> 1 #3", A2, gone], "valid"),
        (&["0@a write 1 #2", "0@a delete null -> 0 #2", A2, gone], "no write of the history"),
        (&["0@a cas [0,1] #2", A2], "valid"),
        (&[r#"0@a put {"value":1,"lease":7} -> ok #2"#, A2], "valid"),
    ]);
}

#[test]
fn a_write_of_unknown_outcome_that_one_watch_saw_the_others_owe() {
    let other = r#"8 watch {"id":2,"prefix":"","start":1} -> null"#;
    let next = r#"8 watch-next 2 -> {} #2"#;
    judged(&[
        (&["0@a write 1 -> info", A2, other, next], "was seen by another watch"),
        (&["0@a write 1 -> info", other, next], "valid"),
    ]);
}

const PUT: &str = r#"0@a put {"value":1,"lease":7} -> ok #2"#;
const OTHER: &str = r#"0@b put {"value":1,"lease":7} -> ok #3"#;
const BOTH: &str = r#"9 watch-next 1 -> {"events":[{"type":"put","key":"a","value":1,"mod":2},
    {"type":"put","key":"b","value":1,"mod":3}]}"#;

#[test]
fn the_keys_of_a_lease_go_together_once_when_it_ends() {
    let gone = |keys: &[&str], at: i64| {
        let event = |key: &&str| format!(r#"{{"type":"delete","key":"{key}","mod":{at}}}"#);
        let events: Vec<String> = keys.iter().map(event).collect();
        format!(r#"9 watch-next 1 -> {{"events":[{}]}}"#, events.join(","))
    };
    let again = r#"0@a put {"value":2,"lease":7} -> ok #5"#;
    let seen = r#"9 watch-next 1 -> {"events":[{"type":"put","key":"a","value":2,"mod":5}]}"#;
    let grant = r#"0 lease-grant {"id":7,"ttl":5} -> {"id":7,"ttl":5}"#;
    let revoke = "0 lease-revoke 7 -> null #4";
    let progress = "9 watch-next 1 -> {} #6";
    judged(&[
        (&[PUT, A2, &gone(&["a"], 3)], "valid"),
        (&["0@a put {\"value\":1} -> ok #2", A2, &gone(&["a"], 3)], "no write of the history"),
        (&[PUT, OTHER, BOTH, &gone(&["a", "b"], 4)], "valid"),
        (&[PUT, OTHER, BOTH, &gone(&["a"], 4)], "The change of \"b\" at revision 4 was the end"),
        (
            &[PUT, OTHER, BOTH, &gone(&["a"], 4), &gone(&["b"], 5)],
            "at revision 4 was the end of its",
        ),
        (&[PUT, A2, "0@a write 5 #3", &gone(&["a"], 4)], "no write of the history"),
        (&[PUT, A2, "0@a write 5 -> info", &gone(&["a"], 4)], "valid"),
        // It was used later, so it had not ended; unless it was granted again.
        (&[PUT, A2, &gone(&["a"], 4), again, seen], "no write of the history"),
        (&[grant, PUT, A2, &gone(&["a"], 4), grant, again, seen], "valid"),
        (&[r#"0@a put {"value":1,"lease":7} -> info"#, A2, &gone(&["a"], 3)], "valid"),
        (&[PUT, A2, revoke, progress], "never told that the key was deleted"),
        (&[PUT, A2, revoke, &gone(&["a"], 4), progress], "valid"),
        (&[PUT, A2, "0 lease-revoke 7 -> info", progress], "valid"),
    ]);
}

#[test]
fn a_watch_keeps_to_its_request() {
    let rows = |request: &str, answer: &str, expected: &str| {
        let request = format!("9 watch {request} -> {answer}");
        let put = "0@a write 1 #2";
        check(&Watch::default(), &[(&[&request, put, A2], expected)]);
    };
    rows(r#"{"id":1,"key":"a","start":3}"#, "null", "the watch begins at 3");
    rows(r#"{"id":1,"key":"a"}"#, "null #2", "the watch begins at 3");
    rows(r#"{"id":1,"key":"a"}"#, "null #1", "valid");
    rows(r#"{"id":1,"key":"b"}"#, "null #1", "which was not asked for");
    rows(r#"{"id":1,"key":"b","range_end":"\u0000"}"#, "null #1", "which was not asked for");
    rows(r#"{"id":1,"key":"a","filters":["noput"]}"#, "null #1", "which the filters exclude");
    rows(r#"{"id":1,"key":"a","filters":["nodelete"]}"#, "null #1", "valid");
    rows(r#"{"id":1,"prefix":"a"}"#, "null #1", "valid");
    rows(r#"{"id":1}"#, "null #1", "unknown: event 0 asks to watch no key");
}

#[test]
fn a_cancel_has_a_reason() {
    let compacted = r#"9 watch-next 1 -> {"canceled":true,"compact_revision":2}"#;
    judged(&[
        (&["0 compact 2 -> 2", compacted], "valid"),
        (&[compacted], "nobody had compacted revision 2"),
        (&["0 compact 2 -> fail", compacted], "nobody had compacted revision 2"),
        (&["0@a write 1 #2", A2, "0 compact 2 -> 2", compacted], "it needed nothing below"),
        (&[r#"9 watch-next 1 -> {"canceled":true}"#], "it gives no reason"),
        (&[r#"9 watch-next 1 -> {"canceled":true,"reason":"no leader"}"#], "valid"),
        (&["0 watch-cancel 1", r#"9 watch-next 1 -> {"canceled":true}"#], "valid"),
        (
            &["0@a write 1 #2", "0 watch-cancel 1", r#"9 watch-next 1 -> {"canceled":true}"#, A2],
            "after the cancel",
        ),
    ]);
    let history = super::super::rows::history(&[
        r#"9 watch {"id":1,"key":"a","start":1} -> null"#,
        compacted,
    ]);
    let judged = crate::Checker::check(
        &Watch { auto_compaction: true },
        &history,
        &crate::Limits::default(),
    );
    assert!(matches!(judged.verdict, crate::Verdict::Valid(_)), "{judged:?}");
}

#[test]
fn versions_and_previous_values_are_right() {
    let second = |detail: &str| {
        let put = r#"{"type":"put","key":"a","value":2,"mod":3"#;
        format!(r#"9 watch-next 1 -> {{"events":[{put},{detail}}}]}}"#)
    };
    let first = r#"9 watch-next 1 -> {"events":[
        {"type":"put","key":"a","value":1,"mod":2,"create":2,"version":1}]}"#;
    let rows = |detail: &str, more: &[&str], expected: &str| {
        let watch = r#"9 watch {"id":1,"key":"a","start":1,"prev_kv":true} -> null"#;
        let second = second(detail);
        let mut lines = vec![watch, "0@a write 1 #2", "0@a write 2 #3"];
        lines.extend(more);
        lines.extend([first, &second]);
        check(&Watch::default(), &[(&lines, expected)]);
    };
    let right = r#""create":2,"version":2,"prev":{"value":1,"mod":2}"#;
    rows(right, &[], "valid");
    let other = r#""create":2,"version":3,"prev":{"value":1,"mod":2}"#;
    rows(other, &[], "created at 2, version 3, which does not follow from revision 2");
    rows(r#""create":3,"version":1,"prev":{"value":1,"mod":2}"#, &[], "does not follow");
    rows(r#""create":3,"version":2,"prev":{"value":1,"mod":2}"#, &[], "do not fit together");
    rows(r#""create":2,"version":2,"prev":{"value":2,"mod":2}"#, &[], "was not there then");
    rows(r#""create":2,"version":2,"prev":{"value":1,"mod":1}"#, &[], "was not there then");
    rows(r#""create":2,"version":2"#, &[], "without the previous value");
    rows(r#""create":2,"version":2"#, &["0 compact 3 -> 3"], "valid");
}

#[test]
fn what_is_no_watch_is_named() {
    check(
        &Watch::default(),
        &[
            (&[], "valid"),
            (&["9 watch-next 1 -> {}"], "unknown: event 0 names watch 1, which nobody asked for"),
            (
                &[r#"9 watch {"id":1,"key":"a"}"#, r#"9 watch {"id":1,"key":"a"}"#],
                "unknown: event 2 asks for watch 1 again",
            ),
            (
                &[r#"9 watch {"id":1,"key":"a"}"#, r#"9 watch-next 1 -> {"events":[1]}"#],
                "unknown: event 2 has 1, no event",
            ),
        ],
    );
}
