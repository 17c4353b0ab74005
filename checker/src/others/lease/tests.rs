//! Tiny histories of leases. Every event is a second after the one before.

use super::super::rows::{check, history};
use super::Lease;
use crate::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Process};

const GRANT: &str = r#"0 lease-grant {"id":0,"ttl":5} -> {"id":7,"ttl":5}"#;
const PUT_A: &str = r#"0@a put {"value":1,"lease":7} -> ok #2"#;
const PUT_B: &str = r#"0@b put {"value":1,"lease":7} -> ok #3"#;
const GONE: &str = "1 lease-keepalive 7 -> 0";

/// The rows, each after a grant of lease 7 for 5 seconds.
fn judged(rows: &[(&[&str], &str)]) {
    for (lines, expected) in rows {
        let all: Vec<&str> = [GRANT].into_iter().chain(lines.iter().copied()).collect();
        check(
            &Lease { gone_within_ns: Some(2_000_000_000), ..Lease::default() },
            &[(&all, expected)],
        );
    }
}

#[test]
fn a_lease_lasts_its_ttl_since_the_beginning_of_the_last_refresh() {
    let ttl = r#"1 lease-ttl 7 -> {"ttl":-1}"#;
    let wait = "2@w get null -> null";
    let kept = "0 lease-keepalive 7 -> 5";
    judged(&[
        (&[GONE], "Lease 7 of 5 s was gone by event 2, 3.000 s after event 0"),
        (&[wait, GONE], "valid"),
        (&[wait, ttl], "valid"),
        (&[ttl], "was gone by event 2"),
        (&[kept, wait, GONE], "valid"),
        (&[wait, kept, GONE], "3.000 s after event 4 had begun to keep it alive"),
        (&["0 lease-keepalive 7 -> info", wait, GONE], "valid"),
        (&["0 lease-revoke 7", GONE], "valid"),
        (&["0 lease-revoke 7 -> info", GONE], "valid"),
        (&["0 > lease-revoke 7", GONE, "0 fail lease-revoke 7"], "was gone by event 3"),
        (&["0 > lease-revoke 7", GONE], "valid"),
        (&["1 lease-keepalive 8 -> 0"], "unknown: nobody saw a lease"),
        (
            &[
                "1@a > get null",
                r#"0@a > put {"value":1,"lease":7}"#,
                "1@a ok get null #3",
                r#"0@a ok put null #2"#,
            ],
            "was gone by event 2",
        ),
        (&[PUT_A, "0@a delete null -> 1 #3", "0@a get null -> null #3"], "valid"),
        (&[PUT_A, "1@a delete null -> info", "0@a get null -> null #3"], "valid"),
        (&[PUT_A, "0@a put 2 #3", "0@a get null -> {\"value\":2,\"mod\":3} #3"], "valid"),
    ]);
}

#[test]
fn a_lease_is_gone_soon_after_its_ttl() {
    let wait = "2@w get null -> null";
    let told = r#"1 lease-ttl 7 -> {"ttl":1}"#;
    judged(&[
        (&[wait, wait, told], "valid"),
        (&[wait, wait, wait, wait, told], "was there still at event 10, 9.000 s after"),
        (&[wait, wait, "3 lease-keepalive 7 -> info", wait, told], "valid"),
        (&["3 > lease-keepalive 7", wait, wait, wait, wait, told], "valid"),
    ]);
    let lines = [GRANT, wait, wait, wait, wait, told];
    let mut events: Vec<Event> =
        history(&lines).operations.iter().flat_map(|operation| operation.events()).collect();
    events.sort_by_key(|event| event.index);
    let mut note = Event::new(9, 9_000_000_000, Process::Nemesis, EventType::Info, "kill");
    note.value = ordeal_history::Value::Null;
    events.insert(9, note);
    for (index, event) in events.iter_mut().enumerate() {
        (event.index, event.time) = (index as u64, index as u64 * 1_000_000_000);
    }
    let disturbed = History::from_events(events).expect("well-formed");
    let lease = Lease { gone_within_ns: Some(2_000_000_000), ..Lease::default() };
    let judgement = lease.check(&disturbed, &Limits::default());
    assert!(matches!(judgement.verdict, Verdict::Valid(_)), "{judgement:?}");
}

#[test]
fn what_hangs_on_a_lease_goes_with_it_at_one_revision() {
    let both = &[PUT_A, PUT_B];
    let rows = |more: &[&str], expected: &str| {
        let lines: Vec<&str> = both.iter().chain(more).copied().collect();
        judged(&[(&lines, expected)]);
    };
    let gone = |key: &str, at: i64| {
        format!(r#"9 watch-next 1 -> {{"events":[{{"type":"delete","key":"{key}","mod":{at}}}]}}"#)
    };
    let b = r#"0@b get null -> {"value":1,"lease":7,"mod":3}"#;
    rows(&["0@a get null -> null #4", "0@b get null -> null #4"], "valid");
    rows(&["0@a get null -> null #4", &format!("{b} #4")], "event 8 shows it alive at a revision");
    rows(&[&format!("{b} #3"), "0@a get null -> null #4"], "valid");
    rows(&[&gone("a", 4), &gone("b", 4)], "valid");
    rows(&[&gone("a", 4), &gone("b", 5)], "not below its end at 4");
    rows(&[&gone("a", 5), "0@b delete null -> 1 #4"], "valid");
    rows(&["0@b get null -> {\"value\":1,\"mod\":3} #3"], "the put at revision 3 tied it to 7");
}

#[test]
fn a_lease_that_is_gone_is_not_used() {
    let revoke = "0 lease-revoke 7 #2";
    judged(&[
        (&[revoke, "0 lease-keepalive 7 -> 5"], "event 4 shows it alive, later"),
        (&[revoke, r#"0 lease-ttl 7 -> {"ttl":1}"#], "event 4 shows it alive, later"),
        (&[revoke, PUT_B], "event 4 shows it alive at a revision"),
        (&[revoke, r#"0@b put {"value":1,"lease":7} -> fail"#], "valid"),
        (&["1 > lease-keepalive 7", revoke, "1 ok lease-keepalive 5"], "valid"),
        (&[PUT_B, "0 lease-revoke 7 #4"], "valid"),
        (&[revoke, GRANT, PUT_B], "valid"),
    ]);
}

#[test]
fn the_time_to_live_is_what_was_granted() {
    judged(&[
        (&[r#"0 lease-ttl 7 -> {"ttl":5,"granted":5}"#], "valid"),
        (&[r#"0 lease-ttl 7 -> {"ttl":6,"granted":5}"#], "granted for 5 s; event 2 says"),
        (&[r#"0 lease-ttl 7 -> {"ttl":5,"granted":6}"#], "granted for 5 s; event 2 says"),
        (&["0 lease-keepalive 7 -> 4"], "granted for 5 s; event 2 says 4"),
        (&["0 lease-keepalive 7 -> \"x\""], "unknown: event 2 has \"x\", no time to live"),
    ]);
    check(&Lease::default(), &[(&[], "valid"), (&[GRANT], "unknown: nobody saw a lease")]);
    let chosen = r#"0 lease-grant {"id":7,"ttl":5} -> info"#;
    check(&Lease::default(), &[(&[GRANT, chosen, GONE], "unknown: nobody saw a lease")]);
}
