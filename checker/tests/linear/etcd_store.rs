//! The model of etcd's store: each row a request and its answer in etcd's words, one after the
//! other, and the same with one thing wrong.

use crate::store_trial::store;
use crate::text::history;
use ordeal_checker::etcd::EtcdHistory;
use ordeal_checker::linear::{Algorithm, Linearizable};
use ordeal_checker::models::EtcdStore;
use ordeal_checker::{Checker, Limits, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;

/// A store with a = 1 then 2 (revisions 2, 4), b = x with lease 7 (revision 3).
const BEGIN: &str = r#"1 invoke put {"key":"a","value":"1"}
    1 ok {} @2
    1 invoke put {"key":"b","value":"x","lease":7}
    1 ok {} @3
    1 invoke put {"key":"a","value":"2","prev_kv":true}
    1 ok {"prev_kv":{"key":"a","value":"1","create_revision":2,"mod_revision":2,"version":1}} @4
"#;

fn check(request: &str, answer: &str) -> Verdict {
    let history = history(&format!("{BEGIN}1 invoke {request}\n1 {answer}"));
    let checker = Linearizable::new(EtcdStore).with_algorithm(Algorithm::Search);
    checker.check(&history, &Limits::default()).verdict
}

const A: &str =
    r#"{"key":"a","value":"2","create_revision":2,"mod_revision":4,"version":2,"lease":0}"#;
const B: &str =
    r#"{"key":"b","value":"x","create_revision":3,"mod_revision":3,"version":1,"lease":7}"#;

type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// A request, the answer that is right, and a piece of it that is wrong in the place of another.
const ROWS: &[Row] = &[
    (
        r#"range {"key":"a"}"#,
        r#"ok {"kvs":[$A],"count":1,"more":false} @4"#,
        &[
            (r#""2","#, r#""1","#),
            (r#""version":2"#, r#""version":1"#),
            (r#""mod_revision":4"#, r#""mod_revision":2"#),
            (r#""create_revision":2"#, r#""create_revision":1"#),
            (r#""lease":0"#, r#""lease":7"#),
            (r#""count":1"#, r#""count":0"#),
            ("false", "true"),
            ("@4", "@3"),
            ("$A", ""),
            ("$A", "$A,$B"),
        ],
    ),
    (
        r#"range {"key":"a","range_end":"\u0000"}"#,
        r#"ok {"kvs":[$A,$B],"count":2,"more":false} @4"#,
        &[("$A,$B", "$B,$A"), ("$A,$B", "$A,$A"), ("$A,$B", "$A")],
    ),
    (
        r#"range {"key":"a","range_end":"b"}"#,
        r#"ok {"kvs":[$A],"count":1} @4"#,
        &[("$A", "$A,$B"), ("$A", "$B")],
    ),
    (
        r#"range {"key":"\u0000","range_end":"\u0000","limit":1}"#,
        r#"ok {"kvs":[$A],"count":2,"more":true} @4"#,
        &[("true", "false"), (r#""count":2"#, r#""count":1"#)],
    ),
    (
        r#"range {"key":"a","range_end":"c","sort_order":"descend","sort_target":"mod"}"#,
        r#"ok {"kvs":[$A,$B],"count":2} @4"#,
        &[("$A,$B", "$B,$A")],
    ),
    (
        r#"range {"key":"a","range_end":"c","max_mod_revision":3}"#,
        r#"ok {"kvs":[$B],"count":2} @4"#,
        &[("$B", "$A"), (r#""count":2"#, r#""count":1"#)],
    ),
    (
        r#"range {"key":"a","range_end":"c","min_create_revision":3}"#,
        r#"ok {"kvs":[$B],"count":2} @4"#,
        &[("$B", "$A,$B")],
    ),
    (
        r#"range {"key":"a","range_end":"c","keys_only":true,"limit":1}"#,
        r#"ok {"kvs":[{"key":"a","version":2}],"more":true} @4"#,
        &[(r#""version":2"#, r#""version":2,"value":"2""#)],
    ),
    (
        r#"range {"key":"a","range_end":"c","count_only":true}"#,
        r#"ok {"kvs":[],"count":2,"more":false} @4"#,
        &[("[]", "[$A]"), (r#""count":2"#, r#""count":3"#)],
    ),
    (
        r#"range {"key":"a","revision":3}"#,
        r#"ok {"kvs":[{"key":"a","value":"1","mod_revision":2,"version":1}],"count":1} @4"#,
        &[(r#""1""#, r#""2""#), ("@4", "@3")],
    ),
    (
        r#"delete-range {"key":"a","range_end":"c","prev_kv":true}"#,
        r#"ok {"deleted":2,"prev_kvs":[$A,$B]} @5"#,
        &[("@5", "@4"), (r#""deleted":2"#, r#""deleted":1"#), ("$A,$B", "$A")],
    ),
    (r#"delete-range {"key":"c"}"#, r#"ok {"deleted":0} @4"#, &[("@4", "@5"), ("0", "1")]),
    (
        r#"put {"key":"b","value":"","ignore_lease":true,"ignore_value":true,"prev_kv":true}"#,
        r#"ok {"prev_kv":$B} @5"#,
        &[("$B", "$A"), ("$B", "null"), ("@5", "@4")],
    ),
    (r#"compact {"revision":4}"#, "ok {} @4", &[("@4", "@5")]),
    (
        r#"txn {"compare":[{"key":"a","target":"version","result":"equal","value":2}],
            "success":[{"put":{"key":"a","value":"3"}},{"range":{"key":"a"}}],"failure":[]}"#,
        r#"ok {"succeeded":true,"responses":[{"put":{}},{"range":{"count":1,"kvs":[{"key":"a",
            "value":"3","create_revision":2,"mod_revision":5,"version":3}]}}]} @5"#,
        &[
            ("true", "false"),
            (r#""3""#, r#""2""#),
            ("@5", "@4"),
            (r#""mod_revision":5"#, r#""mod_revision":4"#),
            (r#"{"put":{}},"#, ""),
        ],
    ),
    // A key that is not there has version 0 and no value, whatever that is compared with.
    (
        r#"txn {"compare":[{"key":"c","target":"version","result":"equal","value":0}]}"#,
        r#"ok {"succeeded":true,"responses":[]} @4"#,
        &[("true", "false")],
    ),
    (
        r#"txn {"compare":[{"key":"c","target":"value","result":"not-equal","value":"z"}]}"#,
        r#"ok {"succeeded":false,"responses":[]} @4"#,
        &[("false", "true")],
    ),
    // Every key of the span is compared.
    (
        r#"txn {"compare":[{"key":"a","range_end":"c","target":"lease","result":"less",
            "value":8}]}"#,
        r#"ok {"succeeded":true,"responses":[]} @4"#,
        &[("true", "false")],
    ),
    (
        r#"txn {"compare":[{"key":"a","range_end":"c","target":"mod","result":"greater",
            "value":3}]}"#,
        r#"ok {"succeeded":false,"responses":[]} @4"#,
        &[("false", "true")],
    ),
    // The conditions of a transaction within see the store as it was before the whole.
    (
        r#"txn {"success":[{"put":{"key":"c","value":"1"}},{"txn":{"compare":[{"key":"c",
            "target":"version","result":"equal","value":0}],"success":[{"range":{"key":"c"}}]}}]}"#,
        r#"ok {"succeeded":true,"responses":[{"put":{}},{"txn":{"succeeded":true,"responses":[
            {"range":{"count":1,"kvs":[{"key":"c","value":"1","version":1}]}}]}}]} @5"#,
        &[(r#""txn":{"succeeded":true"#, r#""txn":{"succeeded":false"#)],
    ),
];

#[test]
fn right_answers_are_valid_and_each_wrong_one_is_not() {
    for (request, answer, wrongs) in ROWS {
        let one_line = |text: &str| text.replace('\n', " ");
        let full = |text: &str| one_line(text).replace("$A", A).replace("$B", B);
        let request = one_line(request);
        let verdict = check(&request, &full(answer));
        assert!(matches!(verdict, Verdict::Valid(_)), "{request}: {verdict:?}");
        for (right, wrong) in *wrongs {
            // What is wrong may stand within a key.
            let at = if answer.contains(right) { (*answer).to_owned() } else { full(answer) };
            assert!(at.contains(right), "{right} is not in {answer}");
            let answer = full(&at.replacen(right, wrong, 1));
            let verdict = check(&request, &answer);
            assert!(matches!(verdict, Verdict::Invalid(_)), "{request} {answer}: {verdict:?}");
        }
    }
}

/// Requests that are refused, and by what.
const REFUSED: &[(&str, &str)] = &[
    (r#"range {"key":"a","revision":5}"#, "mvcc: required revision is a future revision"),
    (r#"compact {"revision":5}"#, "mvcc: required revision is a future revision"),
    (r#"compact {"revision":-1}"#, "mvcc: required revision has been compacted"),
    (r#"put {"key":"c","ignore_value":true}"#, "key not found"),
    (r#"put {"key":"a","value":"1","ignore_value":true}"#, "value is provided"),
    (r#"put {"key":"a","lease":1,"ignore_lease":true}"#, "lease is provided"),
    (r#"put {"value":"1"}"#, "key is not provided"),
    (
        r#"txn {"success":[{"put":{"key":"a"}},{"put":{"key":"a"}}]}"#,
        "duplicate key given in txn request",
    ),
    (
        r#"txn {"failure":[{"delete-range":{"key":"a","range_end":"c"}},{"put":{"key":"b"}}]}"#,
        "duplicate key given in txn request",
    ),
    (
        r#"txn {"success":[{"put":{"key":"a"}},{"txn":{"failure":[{"put":{"key":"a"}}]}}]}"#,
        "duplicate key given in txn request",
    ),
    // Nothing of it is done (#18667).
    (
        r#"txn {"success":[{"put":{"key":"a","value":"9"}},{"range":{"key":"a","revision":5}}]}"#,
        "mvcc: required revision is a future revision",
    ),
];

fn refused(request: &str, told: &str) -> Verdict {
    let history = refusal(&format!("{BEGIN}1 invoke {request}\n1 fail"), told);
    Linearizable::new(EtcdStore).check(&history, &Limits::default()).verdict
}

/// The history with what the last answer says in it.
fn refusal(lines: &str, told: &str) -> ordeal_history::History {
    let history = history(lines);
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    let mut events = history.events_of(&all);
    if let Some(last) = events.last_mut() {
        last.error = Some(format!("etcdserver: {told}"));
    }
    ordeal_history::History::from_events(events).unwrap()
}

#[test]
fn what_must_be_refused_is_refused_and_nothing_else() {
    for (request, told) in REFUSED {
        let verdict = refused(request, told);
        assert!(matches!(verdict, Verdict::Valid(_)), "{request}: {verdict:?}");
        for (_, other) in REFUSED.iter().filter(|(_, other)| other != told) {
            let verdict = refused(request, other);
            assert!(matches!(verdict, Verdict::Invalid(_)), "{request}, {other}: {verdict:?}");
        }
    }
    for (request, _, _) in ROWS {
        let verdict = refused(&request.replace('\n', " "), "key not found");
        assert!(matches!(verdict, Verdict::Invalid(_)), "{request}: {verdict:?}");
    }
}

#[test]
fn what_is_compacted_cannot_be_read_but_the_revision_itself_can() {
    let lines = format!("{BEGIN}1 invoke compact {{\"revision\":3}}\n1 ok {{}} @4\n");
    let read = |revision: i64, rest: &str| {
        format!("{lines}1 invoke range {{\"key\":\"b\",\"revision\":{revision}}}\n1 {rest}")
    };
    let told = "mvcc: required revision has been compacted";
    let verdict =
        |history| Linearizable::new(EtcdStore).check(&history, &Limits::default()).verdict;
    let is_valid = |history| matches!(verdict(history), Verdict::Valid(_));
    assert!(is_valid(history(&read(3, r#"ok {"count":1} @4"#))));
    assert!(!is_valid(history(&read(2, r#"ok {"count":0} @4"#))));
    assert!(is_valid(refusal(&read(2, "fail"), told)));
    assert!(!is_valid(refusal(&read(3, "fail"), told)));
}

#[test]
fn a_put_beside_a_deletion_without_end_is_accepted_and_never_refused() {
    let request = r#"txn {"success":[{"put":{"key":"c"}},
        {"delete-range":{"key":"c","range_end":"\u0000"}}]}"#
        .replace('\n', " ");
    let answer =
        r#"ok {"succeeded":true,"responses":[{"put":{}},{"delete-range":{"deleted":1}}]} @5"#;
    assert!(matches!(check(&request, answer), Verdict::Valid(_)));
    let told = "duplicate key given in txn request";
    assert!(matches!(refused(&request, told), Verdict::Invalid(_)));
    // With an end that is a key it is refused, and never accepted.
    let bounded = request.replace(r"\u0000", "d");
    assert!(matches!(refused(&bounded, told), Verdict::Valid(_)));
    assert!(matches!(check(&bounded, answer), Verdict::Invalid(_)));
}

#[test]
fn in_a_transaction_a_revision_below_zero_is_held_against_the_compacted_one() {
    let told = "mvcc: required revision has been compacted";
    let range = |revision: i64| format!(r#"range {{"key":"a","revision":{revision}}}"#);
    let txn = |revision: i64| {
        format!(r#"txn {{"success":[{{"range":{{"key":"a","revision":{revision}}}}}]}}"#)
    };
    let answer = format!(r#"ok {{"kvs":[{A}],"count":1}} @4"#);
    let answers = format!(
        r#"ok {{"succeeded":true,"responses":[{{"range":{{"kvs":[{A}],"count":1}}}}]}} @4"#
    );
    let is_valid = |verdict| matches!(verdict, Verdict::Valid(_));
    assert!(is_valid(check(&range(-16), &answer)));
    assert!(!is_valid(refused(&range(-16), told)));
    assert!(is_valid(check(&txn(-1), &answers)));
    assert!(!is_valid(refused(&txn(-1), told)));
    assert!(!is_valid(check(&txn(-16), &answers)));
    assert!(is_valid(refused(&txn(-16), told)));
}

#[test]
fn the_limits_end_the_check_by_the_revisions() {
    let history = history(BEGIN);
    let why = |limits: Limits| match EtcdHistory::default().check(&history, &limits).verdict {
        Verdict::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    let cancelled = Limits { cancel: Some(Arc::new(true.into())), ..Limits::default() };
    let no_time = Limits { time: Some(Duration::ZERO), ..Limits::default() };
    for (limits, told) in [
        (cancelled, "the check was cancelled, at revision 1 of 4"),
        (no_time, "the check took longer than 0 s, at revision 1 of 4"),
        (Limits { memory_bytes: 100, ..Limits::default() }, "and may have 1 MiB"),
    ] {
        let why = why(limits);
        assert!(why.ends_with(told), "{why}");
    }
}

/// What is wrong after [`BEGIN`], the operations that show it, and the reason.
const REASONS: &[(&str, &[u32], &str)] = &[
    (
        r#"2 invoke range {"key":"a"}
           2 ok {"kvs":[{"key":"a","value":"1","mod_revision":2,"version":1}]} @4"#,
        &[2, 3],
        "process 2 read a and saw a = \"1\" (mod 2, version 1) at revision 4, but the right answer \
         was a = \"2\" (mod 4, version 2, created 2), 1 key in all, since process 1 put a = \"2\" \
         in place of a = \"1\" (mod 2, version 1, created 2) at revision 4",
    ),
    (
        r#"2 invoke range {"key":"c"}
           2 ok {"kvs":[],"count":0} @3"#,
        &[2, 3],
        "process 2 read c and was told of 0 keys at revision 3, after process 1 put a = \"2\" in \
         place of a = \"1\" (mod 2, version 1, created 2) at revision 4",
    ),
    (
        r#"2 invoke put {"key":"c","value":"9"}
           2 ok {} @3"#,
        &[1, 3],
        "process 1 put b = \"x\" with lease 7 at revision 3, and process 2 put c = \"9\" at \
         revision 3: two changes cannot have one revision",
    ),
    (
        r#"2 invoke delete-range {"key":"b"}
           2 ok {"deleted":1} @6"#,
        &[0, 1, 2, 3],
        "no request can have had revision 5: process 1 put a = \"2\" in place of a = \"1\" (mod 2, \
         version 1, created 2) at revision 4, and process 2 deleted b (1 of them were there) at \
         revision 6",
    ),
];

#[test]
fn what_the_revisions_show_to_be_wrong_is_told() {
    for (rest, operations, reason) in REASONS {
        let history = history(&format!("{BEGIN}{rest}"));
        let judgement = EtcdHistory::default().check(&history, &Limits::default());
        assert_eq!(judgement.reason, *reason);
        assert_eq!(judgement.algorithm, "revisions");
        let Verdict::Invalid(counterexample) = judgement.verdict else { panic!("{rest}") };
        assert_eq!(counterexample.operations, *operations, "{rest}");
        assert_eq!(counterexample.broken_at_event, Some(7), "{rest}");
    }
}

#[test]
fn a_revision_nobody_was_told_of_belongs_to_what_its_readers_saw() {
    let lost = r#"2 invoke put {"key":"c","value":"8"}
        2 info
        3 invoke put {"key":"c","value":"9"}
        3 info
        1 invoke put {"key":"a","value":"3"}
        1 ok {} @6
"#;
    let read = |value: i64, modified: i64| {
        let read = format!(
            "1 invoke range {{\"key\":\"c\"}}\n\
             1 ok {{\"kvs\":[{{\"key\":\"c\",\"value\":\"{value}\",\
             \"mod_revision\":{modified},\"version\":1}}]}} @6"
        );
        let history = history(&format!("{BEGIN}{lost}{read}"));
        EtcdHistory::default().check(&history, &Limits::default())
    };
    for value in [8, 9] {
        let judgement = read(value, 5);
        assert!(matches!(judgement.verdict, Verdict::Valid(_)), "{}", judgement.reason);
        assert_eq!(judgement.algorithm, "revisions");
    }
    assert!(matches!(read(7, 5).verdict, Verdict::Invalid(_)));
    assert!(matches!(read(8, 6).verdict, Verdict::Invalid(_)));
}

#[test]
fn the_revisions_alone_decide_nearly_all_random_histories() {
    let decided = (0..500).filter(|&seed| {
        let history = store(&mut ChaCha8Rng::seed_from_u64(seed));
        let judgement = EtcdHistory::default().check(&history, &Limits::default());
        judgement.algorithm == "revisions"
    });
    assert!(decided.count() > 400);
}
