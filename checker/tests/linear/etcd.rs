//! etcd's revisions: each rule, by a history that breaks it.

use crate::text::history;
use ordeal_checker::etcd::EtcdRevisions;
use ordeal_checker::{Checker, Limits, Verdict};

fn check(lines: &str) -> (Verdict, String) {
    let judgement = EtcdRevisions::default().check(&history(lines), &Limits::default());
    (judgement.verdict, judgement.reason)
}

const WRITES: &str = "k1 1 invoke write 1
     k1 1 ok @2
     k2 1 invoke write 2
     k2 1 ok @3
     k1 1 invoke write 3
     k1 1 ok @4
";

#[test]
fn what_keeps_the_rules_is_valid() {
    for rest in [
        "",
        "k1 2 invoke read\n k1 2 ok 3 @4 #2\n k2 2 invoke read\n k2 2 ok 2 @4 #1",
        "k1 2 invoke cas [3,4]\n k1 2 ok @5 #3\n k1 2 invoke read\n k1 2 ok 4 @5 #3",
        "k1 2 invoke cas [9,4]\n k1 2 fail actual 3 @4 #2",
        "k3 2 invoke read\n k3 2 ok null @4",
        // The revision between belongs to the write of unknown outcome.
        "k2 2 invoke write 7\n k2 2 info\n k1 1 invoke write 8\n k1 1 ok @6\n \
         k2 3 invoke read\n k2 3 ok 7 @6 #2",
    ] {
        let (verdict, reason) = check(&format!("{WRITES}{rest}"));
        assert!(matches!(verdict, Verdict::Valid(_)), "{rest}: {reason}");
    }
}

#[test]
fn each_broken_rule_is_found_and_told() {
    for (rest, operations, reason) in [
        (
            "k1 2 invoke write 9\n k1 2 ok @4",
            &[2, 3][..],
            "process 1 wrote 3 at revision 4 and process 2 wrote 9 at revision 4: two changes \
             cannot have one revision",
        ),
        (
            "k1 2 invoke read\n k1 2 ok 1 @3",
            &[2, 3],
            "process 2 read 1 at revision 3 after process 1 wrote 3 at revision 4",
        ),
        (
            "k1 2 invoke read\n k1 2 ok 1 @4",
            &[2, 3],
            "process 2 read 1 at revision 4, though process 1 wrote 3 at revision 4, the last \
             change before",
        ),
        (
            "k1 2 invoke cas [1,5]\n k1 2 ok @5",
            &[2, 3],
            "process 2 changed 1 to 5 at revision 5, though process 1 wrote 3 at revision 4, the \
             last change before",
        ),
        (
            "k3 2 invoke read\n k3 2 ok 1 @4",
            &[3],
            "process 2 read 1 at revision 4, though nothing had changed it before",
        ),
        (
            "k1 2 invoke read\n k1 2 ok 3 @4 #3",
            &[2, 3],
            "process 2 read 3 at revision 4 and was told version 3, but 2 changes had been made",
        ),
        (
            "k1 2 invoke write 9\n k1 2 ok @6",
            &[2, 3],
            "no request can have had revision 5: process 1 wrote 3 at revision 4, and process 2 \
             wrote 9 at revision 6",
        ),
        (
            "k1 2 invoke read\n k1 2 ok 3 @5",
            &[2, 3],
            "no request can have had revision 5: process 1 wrote 3 at revision 4, and process 2 \
             read 3 at revision 5",
        ),
    ] {
        let (verdict, told) = check(&format!("{WRITES}{rest}"));
        assert_eq!(told, reason);
        let Verdict::Invalid(counterexample) = verdict else { panic!("{rest}: {verdict:?}") };
        assert_eq!(counterexample.operations, operations, "{rest}");
    }
}

#[test]
fn answers_without_revisions_are_held_to_linearizability() {
    let (verdict, _) = check("1 invoke write 1\n 1 ok\n 2 invoke read\n 2 ok null");
    assert!(matches!(verdict, Verdict::Invalid(_)));
    let (verdict, _) = check("1 invoke write 1\n 1 ok\n 2 invoke read\n 2 ok 1");
    assert!(matches!(verdict, Verdict::Valid(_)));
}
